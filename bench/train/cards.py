"""The folders of weights, and their cards.

A card is a JSON file beside the safetensors file: the recipe, the data, the clean accuracy measured
on the shipped file (half precision), and the file's sha256. A card alone is the record of a training
(`bench.train.trainings`), and no model is loaded from it. Imports no torch.

The shipped weights are made by `bench train NAME --out models/weights`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import PrerequisiteError
from bench.paths import cache_dir
from bench.train.recipe import Recipe

#: The environment variable for another folder of weights.
ELSEWHERE = "BENCH_CACHE"

SHIPPED = Path(__file__).parent.parent / "models" / "weights"


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Trained weights, with everything else that a model is built from.

    Attributes:
        name: of the trained model.
        recipe: of the training.
        payload: the safetensors file.
        data_root: the data folder, for a model that stores its training images.
        device: the device the model will be moved to; it is not built there.
    """

    name: str
    recipe: Recipe
    payload: bytes
    data_root: Path | None = None
    device: str = "cpu"


def retrained_dir() -> Path:
    """Return the folder of weights trained on this machine, which are preferred to shipped ones."""
    return cache_dir() / "weights"


def weights_file(folder: Path, name: str) -> Path:
    """Return the path of a model's weights in a folder of weights."""
    return folder / f"{name}.safetensors"


def snapshots_file(folder: Path, name: str) -> Path:
    """Return the path of the snapshots from a model's training in a folder of weights."""
    return folder / f"{name}.moments.safetensors"


def weights_folder(name: str) -> Path | None:
    """Return the folder that a model's weights are loaded from, or None if there are none."""
    for folder in (retrained_dir(), SHIPPED):
        path = weights_file(folder, name)
        if path.is_file() and path.with_suffix(".json").is_file():
            return folder
    return None


def read_card(folder: Path, name: str) -> dict[str, Any] | None:
    """Return the card of a model's weights, or None if the folder has none.

    Raises:
        PrerequisiteError: the card cannot be read as JSON.
    """
    path = weights_file(folder, name).with_suffix(".json")
    if not path.is_file():
        return None
    try:
        card: dict[str, Any] = json.loads(path.read_text())
    except ValueError as error:
        raise damaged(name, path, "it is not JSON") from error
    return card


def lacks_weights(name: str, rules: Recipe) -> bool:
    """Return whether a model is trained at first use and has not been, or by an older recipe."""
    if rules.shipped or not rules.first_use:
        return False
    folder = weights_folder(name)
    card = read_card(folder, name) if folder else None
    # Weights of an older recipe in the cache are not this model.
    return card is None or bool(card["recipe"] != rules.written())


def learning_curves(card: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the learning curves on a card: what they chose, and loss and accuracy by epoch and split.

    The keys are `chosen_epoch` (counted from 1), `chosen_by` (the split of least loss) and `splits`: by split
    `loss` and `accuracy`, a value an epoch; those of `train` are means over each epoch, of images as they were
    changed at random. None for a card without curves.
    """
    training = card.get("training", {})
    if "chosen_epoch" not in training:
        return None
    ending = "_loss_by_epoch"
    held_out = [key.removesuffix(ending) for key in training if key.endswith(ending)]
    names = {"train": "", **{split: f"{split}_" for split in held_out}}
    return {
        "chosen_epoch": training["chosen_epoch"],
        "chosen_by": card["recipe"]["select"],
        "splits": {
            split: {
                figure: training[f"{prefix}{figure}_by_epoch"] for figure in ("loss", "accuracy")
            }
            for split, prefix in names.items()
        },
    }


def poisoning(card: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what was poisoned in the training, and of a back door how often it opens; None for nothing.

    The keys are those of `bench.train.recipe.Poison`, and of `bench.train.poisoning.poison_facts`.
    """
    poison = card.get("recipe", {}).get("poison")
    if poison is None:
        return None
    opened = {key: value for key, value in card.items() if key.startswith("backdoor_")}
    return {**poison, **opened}


def damaged(name: str, path: Path, why: str) -> PrerequisiteError:
    """Return the error for damaged weights or a damaged card."""
    return PrerequisiteError(f"{path} is damaged ({why}); make it again with: bench train {name}")
