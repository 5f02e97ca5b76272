"""`timm:NAME`: a network of timm with its published weights."""

from __future__ import annotations

from typing import Any

from bench.addresses.address import Address
from bench.addresses.huggingface import fetched
from bench.addresses.networks import (
    Preprocessing,
    check_classes,
    downloading,
    need,
    network_model,
)
from bench.data.table import Dataset
from bench.errors import SpecError
from bench.registry import unknown
from bench.spec import Adapter

#: Where timm's networks have their weights from, on the hub of Hugging Face: the file, and its older form.
_FILES = ("model.safetensors", "pytorch_model.bin")


def classes_of(name: str) -> int:
    """Return how many classes the published weights of a network tell apart.

    Raises:
        SpecError: timm has no such network, or no weights for it.
        PrerequisiteError: timm is missing.
    """
    return int(_facts(name).num_classes)


def load(address: Address, data: Dataset) -> Adapter:
    """Return a model, with the normalisation and the image size that its weights want.

    Raises:
        SpecError: timm has no such network, or no weights for it.
        PrerequisiteError: timm is missing, or the weights cannot be downloaded.
    """
    facts = _facts(address.place)
    check_classes(facts.num_classes, data)
    import timm

    if facts.hf_hub_id:
        first = facts.hf_hub_filename or _FILES[0]
        file = fetched(facts.hf_hub_id, (first, *_FILES))
        net = timm.create_model(
            address.place, pretrained=True, pretrained_cfg_overlay={"file": str(file)}
        )
    else:
        with downloading(
            f"where there is a network run: curl -LO {facts.url}, and write state:FILE"
        ):
            net = timm.create_model(address.place, pretrained=True)
    return network_model(net, data, preprocessing_of(net))


def preprocessing_of(net: Any) -> Preprocessing:
    """Return how a network of timm wants its images."""
    from timm.data import resolve_model_data_config

    wanted = resolve_model_data_config(net)
    return Preprocessing(mean=wanted["mean"], std=wanted["std"], size=wanted["input_size"][1:])


def architecture(name: str, **settings: int) -> Any:
    """Return a network of timm without weights.

    Args:
        name: what timm calls it.
        settings: `num_classes` and `in_chans`.

    Raises:
        SpecError: timm has no such network.
        PrerequisiteError: timm is missing.
    """
    _check(name)
    import timm

    return timm.create_model(name, pretrained=False, **settings)


def _check(name: str) -> None:
    need("timm")
    import timm

    if not timm.is_model(name):
        raise SpecError(str(unknown("network of timm", name, timm.list_models())))


def _facts(name: str) -> Any:
    """Return what timm says of the weights of a network."""
    _check(name)
    import timm
    from timm.models import get_pretrained_cfg

    network, dot, _ = name.partition(".")
    known = timm.list_pretrained(f"{network}.*")
    if dot and name not in known:
        raise SpecError(str(unknown("published weights of timm", name, known)))
    facts = get_pretrained_cfg(name)
    if facts is None or not (facts.hf_hub_id or facts.url):
        raise SpecError(
            f"timm has no weights for {name}; with a file of yours write state:FILE?arch=timm:{name}"
        )
    return facts
