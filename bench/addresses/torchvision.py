"""`torchvision:NAME`: a classifier of torchvision with its published weights."""

from __future__ import annotations

from typing import Any

from bench.addresses.address import Address
from bench.addresses.networks import Preprocessing, check_classes, network_model
from bench.data.table import Dataset
from bench.errors import SpecError
from bench.registry import unknown
from bench.spec import Adapter
from bench.train.pretrained import torchvision_network


def load(address: Address, data: Dataset) -> Adapter:
    """Return a model, with the normalisation and the image size that its weights want.

    Raises:
        SpecError: torchvision has no such classifier, or no such weights of it.
        PrerequisiteError: the weights cannot be downloaded.
    """
    weights = _weights(address.place, address.settings.get("weights", "DEFAULT"))
    check_classes(len(weights.meta["categories"]), data)
    net, preset = torchvision_network(address.place, weights.name)
    (side,) = preset.crop_size
    return network_model(
        net, data, Preprocessing(mean=preset.mean, std=preset.std, size=(side, side))
    )


def architecture(name: str, num_classes: int) -> Any:
    """Return a network of torchvision without weights.

    Raises:
        SpecError: torchvision has no such classifier.
    """
    from torchvision import models

    _check(name)
    extra = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    return models.get_model(name, weights=None, num_classes=num_classes, **extra)


def _check(name: str) -> None:
    from torchvision import models

    known = models.list_models(module=models)  # classifiers alone
    if name not in known:
        raise SpecError(str(unknown("classifier of torchvision", name, known)))


def _weights(name: str, version: str) -> Any:
    from torchvision import models

    _check(name)
    known = models.get_model_weights(name)
    if version not in known.__members__:
        raise SpecError(str(unknown(f"weights of {name}", version, list(known.__members__))))
    return known[version]
