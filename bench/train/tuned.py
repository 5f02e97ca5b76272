"""Recipes of new heads on trained trunks: first the head alone is trained, then the end of the trunk as well."""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass

from bench.data.table import DATASETS
from bench.train.recipe import Phase, Recipe, Start


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedTrunk:
    """A trained trunk to tune.

    Attributes:
        start: where its weights are from.
        mean: per channel, that its weights want subtracted from images in [0, 1].
        std: per channel, the divisor after that.
        fixed: its layers that never learn: all but the last stage.
    """

    start: Start
    mean: tuple[float, ...]
    std: tuple[float, ...]
    fixed: tuple[str, ...]


def _published(
    network: str, mean: tuple[float, ...], std: tuple[float, ...], *fixed: str
) -> TrainedTrunk:
    start = Start(model=f"imagenet/{network}", part="net", into="trunk")
    return TrainedTrunk(start=start, mean=mean, std=std, fixed=fixed)


def _layers(count: int, of: str = "") -> tuple[str, ...]:
    """Return the names of the first layers of a sequence."""
    return tuple(f"{of}{layer}" for layer in range(count))


_HALF = (0.5, 0.5, 0.5)

#: What learns besides the head in the second phase is ours: the document unfreezes "selected" layers and does
#: not say which. In VGG16 these are the last three of its 13 convolutions, in the trunk of cifar10/cnn the last
#: of three blocks, in the others the last stage of `blocks` and the convolution behind it, if there is one.
TRUNKS: dict[str, TrainedTrunk] = {
    "cifar10": TrainedTrunk(
        start=Start(model="cifar10/cnn", part="net.0", into="trunk"),
        mean=(0.4914, 0.4822, 0.4465),
        std=(0.2470, 0.2435, 0.2616),
        fixed=_layers(12),
    ),
    "efficientnet-lite0": _published(
        "efficientnet-lite0", _HALF, _HALF, "conv_stem", "bn1", *_layers(6, "blocks.")
    ),
    "vgg16": _published("vgg16", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), *_layers(24)),
    "mobilenetv1": _published(
        "mobilenetv1", _HALF, _HALF, "conv_stem", "bn1", *_layers(4, "blocks.")
    ),
}


def tuned_recipes(plain: Recipe) -> dict[str, Recipe]:
    """Return the recipes `DATA/tuned-TRUNK-OPTIMISER[-bn][-dropout]` of every trunk, in the two phases of the document.

    The images are not changed at random, since the document does not say that they are.

    Args:
        plain: the recipe of a network for the same images, whose other rules they share.
    """
    recipes = {}
    for called, optimiser, batch_norm, dropout in itertools.product(
        TRUNKS, ("adam", "sgd"), (False, True), (False, True)
    ):
        words = [called, optimiser, *["bn"] * batch_norm, *["dropout"] * dropout]
        trunk = TRUNKS[called]
        recipes[f"{plain.data}/tuned-{'-'.join(words)}"] = dataclasses.replace(
            plain,
            network="bench.models.heads:on_trunk",
            options=(
                ("trunk", called),
                ("outputs", len(DATASETS[plain.data].classes)),
                *[("batch_norm", True)] * batch_norm,
                *[("dropout", 0.5)] * dropout,
            ),
            mean=trunk.mean,
            std=trunk.std,
            optimiser=optimiser,
            learning_rate=1e-3,
            epochs=75,
            start=trunk.start,
            phases=(
                Phase(epochs=25, learning_rate=1e-3, frozen=("shrunk", "trunk")),
                Phase(
                    epochs=50,
                    learning_rate=1e-4,
                    frozen=("shrunk", *(f"trunk.{layer}" for layer in trunk.fixed)),
                ),
            ),
        )
    return recipes
