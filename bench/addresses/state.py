"""`state:FILE?arch=timm:NAME`: weights of the user's own in a network of timm or torchvision."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.addresses import timm, torchvision
from bench.addresses.address import Address
from bench.addresses.networks import Preprocessing, check_classes, existing_file, network_model
from bench.data.table import Dataset
from bench.errors import AdapterError, SpecError
from bench.spec import Adapter

#: Where checkpoints keep their weights, beside optimisers and epochs.
_WITHIN = ("state_dict", "model_state_dict", "model", "net", "weights")

#: What wrapped networks put before the names of their weights.
_PREFIXES = ("module.", "_orig_mod.", "model.", "net.")


def load(address: Address, data: Dataset) -> Adapter:
    """Return a model; a file of weights does not say how images are normalised, so `mean` and `std` do.

    Raises:
        SpecError: no `arch`, or one that is not known.
        PrerequisiteError: the file is missing.
        AdapterError: the file holds no weights, or they are of other classes than the data set has.
    """
    file = existing_file(address.place)
    classes = address.settings.get("classes", str(len(data.classes)))
    if not classes.isdecimal():
        raise SpecError(f"classes={classes} is no number")
    check_classes(int(classes), data)
    net = _network(address.settings.get("arch", ""), data)
    net.load_state_dict(_fitting(_weights(file), net.state_dict()))
    return network_model(net, data, Preprocessing.read(address.settings))


def _network(arch: str, data: Dataset) -> Any:
    scheme, _, name = arch.partition(":")
    if scheme == "timm" and name:
        return timm.architecture(name, num_classes=len(data.classes), in_chans=data.input_shape[0])
    if scheme == "torchvision" and name:
        return torchvision.architecture(name, len(data.classes))
    raise SpecError(
        f"{'there is no arch' if not arch else f'arch={arch}'}: say which network the weights are of, "
        f"arch=timm:NAME or arch=torchvision:NAME"
    )


def _weights(file: Path) -> Mapping[str, Any]:
    """Return the weights in a file, by name."""
    if file.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(file)
    import torch

    if _is_torchscript(file):
        raise AdapterError(
            f"{file.name} is a TorchScript file, which has its network in itself: write torchscript:{file}"
        )
    held = torch.load(file, map_location="cpu", weights_only=True)
    for name in _WITHIN:
        if isinstance(held, Mapping) and isinstance(held.get(name), Mapping):
            held = held[name]
    if not isinstance(held, Mapping):
        raise AdapterError(f"{file.name} holds a {type(held).__name__}, not weights by name")
    return held


def _is_torchscript(file: Path) -> bool:
    """Return whether a file is one of `torch.jit.save`: an archive with code in it."""
    if not zipfile.is_zipfile(file):
        return False
    with zipfile.ZipFile(file) as archive:
        return any(name.rpartition("/")[2] == "constants.pkl" for name in archive.namelist())


def _fitting(weights: Mapping[str, Any], own: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return weights without what a wrapper put before all their names, where the network has none of these."""
    for prefix in _PREFIXES:
        if all(name.startswith(prefix) for name in weights) and not set(weights) & set(own):
            weights = {name.removeprefix(prefix): value for name, value in weights.items()}
    return weights
