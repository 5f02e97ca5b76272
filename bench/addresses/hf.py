"""`hf:OWNER/NAME`: an image classifier from the hub of Hugging Face, of transformers or of timm."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.addresses.address import Address
from bench.addresses.huggingface import fetched, found
from bench.addresses.networks import (
    Preprocessing,
    check_classes,
    in_order,
    need,
    network_model,
)
from bench.addresses.timm import preprocessing_of
from bench.data.table import Dataset
from bench.errors import SpecError
from bench.spec import Adapter

_CONFIG, _PROCESSOR = "config.json", "preprocessor_config.json"
_WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin")


def load(address: Address, data: Dataset) -> Adapter:
    """Return a model, with the normalisation and the image size that it was published with.

    Code that a repository brings along is not run.

    Raises:
        SpecError: there is no such repository, or no image classifier in it.
        PrerequisiteError: a package is missing, or a file cannot be downloaded.
    """
    config = _read(fetched(address.place, (_CONFIG,)))
    if "architecture" in config:
        return _of_timm(address.place, config, data)
    return _of_transformers(address.place, config, data)


def _of_timm(repository: str, config: Mapping[str, Any], data: Dataset) -> Adapter:
    need("timm")
    import timm

    file = fetched(repository, ("model.safetensors", "pytorch_model.bin"))
    facts = {**config.get("pretrained_cfg", config), "file": str(file)}
    facts |= {key: config[key] for key in ("num_classes",) if key in config}
    net = timm.create_model(
        config["architecture"],
        pretrained=True,
        pretrained_cfg=facts,
        **config.get("model_args", {}),
    )
    check_classes(net.num_classes, data)
    return network_model(net, data, preprocessing_of(net))


def _of_transformers(repository: str, config: Mapping[str, Any], data: Dataset) -> Adapter:
    need("hf", "transformers")
    from transformers import AutoModelForImageClassification

    kinds = config.get("architectures") or []
    if not any(str(kind).endswith("ForImageClassification") for kind in kinds):
        what = ", ".join(map(str, kinds)) or "no architecture"
        raise SpecError(f"{repository} is no image classifier (its config.json names {what})")
    if "auto_map" in config:
        raise SpecError(
            f"{repository} needs code of its own, which is not run; load it in a plug-in (bench.register_model)"
        )
    file = fetched(repository, _WEIGHTS)
    if file.suffix == ".json":
        for part in sorted(set(_read(file)["weight_map"].values())):
            fetched(repository, (part,))
    net = AutoModelForImageClassification.from_pretrained(
        file.parent, local_files_only=True, use_safetensors=file.suffix != ".bin",
        attn_implementation="eager",
    )  # fmt: skip
    check_classes(net.config.num_labels, data)
    names = [str(net.config.id2label[place]) for place in range(net.config.num_labels)]
    processor = found(repository, _PROCESSOR)
    if processor is None:
        raise SpecError(
            f"{repository} does not say how it wants its images (it has no {_PROCESSOR}); load it in a plug-in"
        )
    return network_model(in_order(net, names, data), data, _preprocessing(_read(processor)))


def _read(file: Path) -> dict[str, Any]:
    content = json.loads(file.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise SpecError(f"{file.name} holds no table")
    return content


def _preprocessing(told: Mapping[str, Any]) -> Preprocessing:
    """Return what a processor of transformers does to an image, given as values 0 to 255.

    It multiplies by a factor (1/255 in most), may then subtract 1, and normalises.
    """
    factor = 255 * float(told.get("rescale_factor", 1 / 255) if told.get("do_rescale", True) else 1)
    offset = 1.0 if told.get("rescale_offset") else 0.0
    mean, std = [0.0], [1.0]
    if told.get("do_normalize", True):
        mean, std = told["image_mean"], told["image_std"]
    if (factor, offset, mean, std) == (1, 0, [0.0], [1.0]):
        return Preprocessing(size=_size(told))
    return Preprocessing(
        mean=[(value + offset) / factor for value in mean],
        std=[value / factor for value in std],
        size=_size(told),
    )


def _size(told: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return (height, width) of the images that reach the network."""
    size = told.get("size") if told.get("do_resize", True) else None
    if told.get("do_center_crop") and told.get("crop_size"):
        size = told["crop_size"]
    if size is None:
        return None
    if isinstance(size, int):
        return size, size
    side = size.get("shortest_edge")
    return (side, side) if side else (size["height"], size["width"])
