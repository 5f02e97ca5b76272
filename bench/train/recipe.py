"""What a training is, as data."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.spec import Norm, Scalar

CROSS_ENTROPY = "cross-entropy"

#: Metric losses that compare the images of one batch alone, never an image with stored ones.
LOSSES_WITHOUT_ANCHORS = ("ranked-list",)


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
class Adversary:
    """An attack of fixed budget that images are trained under, in the words of the catalogue.

    Attributes:
        eps: the radius, in pixel units of [0, 1], as exact text; `step_size` likewise.
    """

    name: str
    norm: Norm
    eps: str
    steps: int
    step_size: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One training run, complete: the same recipe and seed give the same network.

    Attributes:
        family: of the model that comes out, a name of `bench.train.families`; it says how the network
            is built and trained.
        network: the function in `bench.models` that builds the network, `module:function`.
        options: of that function; a family may give it others beside them.
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
        noise: standard deviation of Gaussian noise added to images in [0, 1], which are not clipped
            (Cohen et al., 2019); 0 for none.
        adversaries: that take turns, a batch each; with them the loss is alpha J(x) + (1 - alpha)
            J(x_adv) (Goodfellow et al., 2015; Madry et al., 2018, with alpha 0).
        alpha: the share of the loss on clean images.
        precision: `float32`, or `bfloat16` for products of layers in that; weights are single
            precision in both.
        shipped: whether weights come with the package.
        first_use: whether weights that do not are trained at first use; else only when asked for.
    """

    family: str = "network"
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
    loss: str = CROSS_ENTROPY
    miner: str = ""
    embedding: int = 0
    label_smoothing: float = 0.0
    flip: bool = False
    crop: int = 0
    noise: float = 0.0
    adversaries: tuple[Adversary, ...] = ()
    alpha: float = 0.5
    precision: str = "float32"
    seed: int = 0
    shipped: bool = True
    first_use: bool = True

    def written(self) -> dict[str, Any]:
        """Return it as a card holds it, with lists for tuples, and without what older recipes had no word for."""
        found: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self)))
        del found["shipped"], found["first_use"]  # how weights travel, not how they came to be
        if self.family == _implied_family(found):
            del found["family"]
        if not self.noise:
            del found["noise"]
        if not self.adversaries:
            del found["adversaries"], found["alpha"]
        if self.precision == "float32":
            del found["precision"]
        return found

    @classmethod
    def read(cls, written: Mapping[str, Any]) -> Recipe:
        """Return the recipe that a card holds."""
        fields = {"family": _implied_family(written), **written}
        fields["mean"], fields["std"] = tuple(fields["mean"]), tuple(fields["std"])
        fields["options"] = tuple((key, value) for key, value in fields["options"])
        if fields["rule"] is not None:
            fields["rule"] = LocalRule(**fields["rule"])
        fields["adversaries"] = tuple(Adversary(**each) for each in fields.get("adversaries", ()))
        return cls(**fields)


def _implied_family(written: Mapping[str, Any]) -> str:
    """Return the family of a recipe as cards hold it that do not name one, as the first ones do not."""
    if written["options"]:
        return "local-learning"
    return "neighbours" if written["embedding"] else "network"
