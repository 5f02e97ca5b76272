"""How each shipped model is trained, as data."""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass

from bench.registry import unknown
from bench.spec import Family, Scalar


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalRule:
    """How filters are learnt, complete: the same rule and seed give the same filters.

    Attributes:
        m: the rank of the filter that is pushed away.
        delta: how much, against the one that is drawn.
        rate: of a filter's step in the first epoch, along the mean over the patches that move it.
        shape: how the rate falls over the epochs; a name of `bench.train.schedules`.
        batch_size: images a step.
        patches: of each image, drawn anew in each epoch; 0 for all there are.
    """

    m: int
    delta: float = 0.1
    rate: float
    shape: str = "cosine"
    epochs: int
    batch_size: int = 1000
    patches: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One training run, complete: the same recipe and seed give the same network.

    Attributes:
        network: the function in `bench.models` that builds the network, `module:function`.
        options: of that function, further than the shape of images and the number of classes.
        data: the data set; its training split is used whole.
        mean: per channel, subtracted from images in [0, 1] before the network sees them; empty
            for a network that wants them as they are.
        std: per channel, dividing them.
        rule: how the filters are learnt; None where all weights are trained together.
        learning_rate: the peak of the schedule.
        schedule: `one-cycle`, or a shape in which the rate falls, of `bench.train.schedules`.
        loss: `cross-entropy` over logits, or a metric loss over embeddings.
        miner: what picks the pairs of a batch that a metric loss sees; empty for all.
        embedding: dimensions of the embedding that a metric loss wants; 0 for logits.
        crop: pixels of padding for random crops; 0 for none.
        shipped: whether weights come with the package, or are trained at first use.
    """

    network: str
    options: tuple[tuple[str, Scalar], ...] = ()
    data: str
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    rule: LocalRule | None = None
    optimiser: str
    learning_rate: float
    schedule: str = "one-cycle"
    momentum: float = 0.9
    weight_decay: float = 5e-4
    epochs: int
    batch_size: int = 128
    loss: str = "cross-entropy"
    miner: str = ""
    embedding: int = 0
    label_smoothing: float = 0.0
    flip: bool = False
    crop: int = 0
    seed: int = 0
    shipped: bool = True

    @property
    def family(self) -> Family:
        """Return the family of the model that comes out."""
        if self.options:
            return "local-learning"
        return "neighbours" if self.embedding else "network"


RECIPES: dict[str, Recipe] = {
    "digits/cnn": Recipe(
        network="bench.models.convnets:digits_cnn", data="digits", mean=(0.3053,), std=(0.3766,),
        optimiser="sgd", learning_rate=0.1, epochs=20, batch_size=64, shipped=False,
    ),
    "digits/mlp": Recipe(
        network="bench.models.convnets:digits_mlp", data="digits", mean=(0.3053,), std=(0.3766,),
        optimiser="sgd", learning_rate=0.1, epochs=20, batch_size=64, shipped=False,
    ),
    "mnist/cnn": Recipe(
        network="bench.models.convnets:six_convs", data="mnist", mean=(0.1307,), std=(0.3081,),
        optimiser="sgd", learning_rate=0.05, epochs=3,
    ),
    "fashion-mnist/cnn": Recipe(
        network="bench.models.convnets:six_convs", data="fashion-mnist", mean=(0.2860,),
        std=(0.3530,), optimiser="sgd", learning_rate=0.05, epochs=5, flip=True,
    ),
    "cifar10/cnn": Recipe(
        network="bench.models.convnets:three_blocks", data="cifar10",
        mean=(0.4914, 0.4822, 0.4465), std=(0.2470, 0.2435, 0.2616), optimiser="sgd",
        learning_rate=0.1, epochs=8, flip=True, crop=2,
    ),
}  # fmt: skip

#: The peak of the one-cycle schedule by optimiser.
_PEAKS = {"sgd": 0.05, "adam": 0.002}


def _compared(
    like: str, network: str, epochs: int, metric: dict[str, int] | None = None
) -> dict[str, Recipe]:
    """Return recipes for deep learning (dl) and deep metric learning (dml) on one trunk.

    Args:
        like: the model whose data and augmentation they have.
        network: the function that builds the trunk with its head.
        epochs: how long each is trained.
        metric: by optimiser, how long those with a metric loss are, which learn more slowly.
    """
    longer = dict.fromkeys(_PEAKS, epochs) | (metric or {})
    plain = RECIPES[like]
    found = {}
    for loss, optimiser in itertools.product(("cross-entropy", "contrastive", "triplet"), _PEAKS):
        metric_loss = loss != "cross-entropy"
        found[f"{plain.data}/{'dml' if metric_loss else 'dl'}-{loss}-{optimiser}"] = dataclasses.replace(
            plain,
            network=f"bench.models.convnets:{network}",
            loss=loss,
            miner="multi-similarity" if metric_loss else "",
            embedding=64 if metric_loss else 0,
            optimiser=optimiser,
            learning_rate=_PEAKS[optimiser],
            weight_decay=4e-4,
            epochs=longer[optimiser] if metric_loss else epochs,
        )
    return found


RECIPES |= _compared("digits/cnn", "digits_cnn", 20)
RECIPES |= _compared("mnist/cnn", "slim_six_convs", 4)
RECIPES |= _compared("fashion-mnist/cnn", "slim_six_convs", 4, {"sgd": 8, "adam": 8})
RECIPES |= _compared("cifar10/cnn", "slim_three_blocks", 8, {"sgd": 20, "adam": 12})


def recipe(name: str) -> Recipe:
    """Return the recipe of a model.

    Raises:
        SpecError: there is none of that name.
    """
    if name not in RECIPES:
        raise unknown("recipe", name, list(RECIPES))
    return RECIPES[name]
