"""`robustbench:DATA/THREAT/NAME`: a model of RobustBench, such as `cifar10/Linf/Wang2023Better_WRN-28-10`."""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import importlib.util
import sys
import types
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from bench.addresses.address import Address
from bench.addresses.networks import Preprocessing, downloading, network_model
from bench.data.table import Dataset
from bench.errors import PrerequisiteError, SpecError
from bench.paths import cache_dir
from bench.registry import unknown
from bench.spec import Adapter

#: What robustbench imports and newer environments lack: modules, with the names that it takes from them. None
#: is used to load a model.
_ABSENT = {
    "pkg_resources": ("resource_filename",),
    "autoattack": ("AutoAttack",),
    "autoattack.state": ("EvaluationState",),
}


def load(address: Address, data: Dataset) -> Adapter:
    """Return a model; RobustBench's networks normalise their images themselves.

    Raises:
        SpecError: RobustBench has no such model.
        PrerequisiteError: robustbench is missing or damaged, or the weights cannot be downloaded.
    """
    _check_files()
    if address.place.count("/") != 2:
        raise SpecError("write robustbench:DATA/THREAT/NAME, as in cifar10/Linf/Standard")
    named, threat, name = address.place.split("/")
    with _stand_ins(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it calls what timm and torch have renamed
        from robustbench.model_zoo import model_dicts
        from robustbench.utils import load_model

    zoo = {each.value: {kind.value: models for kind, models in by_threat.items()}
           for each, by_threat in model_dicts.items()}  # fmt: skip
    for kind, wanted, known in (
        ("data set of RobustBench", named, zoo),
        ("threat of RobustBench", threat, zoo.get(named, {})),
        ("model of RobustBench", name, zoo.get(named, {}).get(threat, {})),
    ):
        if wanted not in known:
            raise SpecError(str(unknown(kind, wanted, list(known))))
    folder = cache_dir() / "robustbench"
    with downloading(
        f"where there is a network write the same address, and copy {folder / named} here"
    ):
        net = load_model(name, model_dir=folder, dataset=named, threat_model=threat)
    return network_model(net, data, Preprocessing())


def _check_files() -> None:
    """Raise unless robustbench is here and its files are its own: torchattacks brings older ones of the same names."""
    try:
        files = importlib.metadata.files("robustbench") or []
    except importlib.metadata.PackageNotFoundError as error:
        raise PrerequisiteError(
            "needs robustbench; run: pip install 'crossfire-bench[robustbench]'"
        ) from error
    code = [file for file in files if file.suffix == ".py" and file.hash is not None]
    for file in code:
        assert file.hash is not None
        digest = hashlib.new(file.hash.mode, file.read_binary()).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != file.hash.value:
            break
    else:
        if code:
            return
    raise PrerequisiteError(
        "the files of robustbench are those that torchattacks brings along, of 2022; "
        "run: pip install --force-reinstall --no-deps robustbench"
    )


@contextmanager
def _stand_ins() -> Iterator[None]:
    """Let robustbench be imported where modules are absent that only its evaluation uses."""
    made: list[str] = []
    for name, attributes in _ABSENT.items():
        package = name.partition(".")[0]
        if package not in made and (
            package in sys.modules or importlib.util.find_spec(package) is not None
        ):
            continue
        module = types.ModuleType(name)
        for attribute in attributes:
            setattr(module, attribute, None)
        sys.modules[name] = module
        made.append(name)
    try:
        yield
    finally:
        for name in made:
            del sys.modules[name]
