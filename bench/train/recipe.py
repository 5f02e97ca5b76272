"""Recipes: trainings as data."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.spec import Norm, Scalar

CROSS_ENTROPY = "cross-entropy"

#: Metric losses that compare only the images of one batch, never an image with stored ones.
LOSSES_WITHOUT_ANCHORS = ("ranked-list",)


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalRule:
    """The complete rule by which filters are learnt: the same rule and seed give the same filters.

    Attributes:
        m: the rank of the filter that is repelled.
        delta: strength of the repulsion, relative to the attraction of the first filter.
        rate: of a filter's step in the first epoch, along the mean over the patches that move it.
        shape: how the rate decays over the epochs; a name of `bench.train.schedules`.
        batch_size: images per step.
        patches: number of patches per image, drawn anew in each epoch; 0 for all.
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
    """A fixed-budget attack used in adversarial training, with the parameters of the catalogue.

    Attributes:
        eps: the radius, in pixel units of [0, 1], as exact text; `step_size` likewise.
    """

    name: str
    norm: Norm
    eps: str
    steps: int
    step_size: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Poison:
    """What an attacker changes in the training images, see `bench.train.poisoning`.

    Attributes:
        share: of the images that are changed.
        target: the class that images with the back-door pattern are to get; None for flipped labels.
    """

    share: float
    target: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Trained weights that a part of a network starts from.

    Attributes:
        model: whose weights they are; of a published network of `bench.train.features.trunks` the trunk's alone.
        part: of that model with its normalisation, as torch names parts: `net.0`.
        into: the part of the network to train.
    """

    model: str
    part: str
    into: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A part of a training, with a rate of its own and an optimiser that begins anew.

    Attributes:
        frozen: parts of the network whose weights stay, as torch names parts; they are in eval mode, so
            that batch norm stays as well.
    """

    epochs: int
    learning_rate: float
    frozen: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A complete training run: the same recipe and seed give the same network.

    Attributes:
        family: of the resulting model, a name of `bench.train.families`; it decides how the network is
            built and trained.
        network: the function in `bench.models` that builds the network, `module:function`.
        options: of that function; a family may add others.
        data: the data set; its training split is used whole.
        mean: per channel, subtracted from images in [0, 1] before the network sees them; empty
            for a network that takes them as they are.
        std: per channel, the divisor after that.
        rule: how the filters are learnt; None if all weights are trained together.
        learning_rate: the peak of the schedule.
        schedule: `one-cycle`, or the name of a decay in `bench.train.schedules`.
        loss: `cross-entropy` over logits, or a metric loss over embeddings.
        miner: what picks the pairs of a batch that a metric loss sees; empty for all.
        embedding: dimensions of the embedding for a metric loss; 0 for logits.
        crop: pixels of padding for random crops; 0 for none.
        augmentation: `zoom`, `flips` or `all`, see `bench.train.augmentation`; empty for none.
        select: the split by whose loss the epoch is chosen whose weights are kept, the one of least loss.
            `validation` is sound; `test` chooses by the images on which accuracy is then reported, as some
            studies do. Empty keeps the last epoch.
        noise: standard deviation of Gaussian noise added to images in [0, 1], which are not clipped
            (Cohen et al., 2019); 0 for none.
        adversaries: attacks that take turns, one batch each; with them the loss is alpha J(x) +
            (1 - alpha) J(x_adv) (Goodfellow et al., 2015; Madry et al., 2018, with alpha 0).
        alpha: the share of the loss on clean images.
        poison: what an attacker changes in the training images; None for nothing.
        start: trained weights that a part of the network starts from; None for random ones.
        phases: the training in phases, which make up `epochs` and have their own rates; empty for one.
        precision: `float32`, or `bfloat16` to compute layers in that; weights are in single precision
            either way.
        shipped: whether weights come with the package.
        first_use: whether weights that are not shipped are trained at first use, or only by
            `bench train`.
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
    augmentation: str = ""
    select: str = ""
    noise: float = 0.0
    adversaries: tuple[Adversary, ...] = ()
    alpha: float = 0.5
    poison: Poison | None = None
    start: Start | None = None
    phases: tuple[Phase, ...] = ()
    precision: str = "float32"
    seed: int = 0
    shipped: bool = True
    first_use: bool = True

    def written(self) -> dict[str, Any]:
        """Return the recipe as a card holds it, with lists in place of tuples.

        Newer fields are written only if they differ from the default, so that the cards of older recipes
        stay equal to these.
        """
        fields: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self)))
        del (
            fields["shipped"],
            fields["first_use"],
        )  # about the distribution of weights, not the training
        if self.family == _implied_family(fields):
            del fields["family"]
        if not self.noise:
            del fields["noise"]
        if not self.adversaries:
            del fields["adversaries"], fields["alpha"]
        if self.poison is None:
            del fields["poison"]
        if self.precision == "float32":
            del fields["precision"]
        for name in ("augmentation", "select", "start", "phases"):
            if not fields[name]:
                del fields[name]
        return fields

    @classmethod
    def read(cls, written: Mapping[str, Any]) -> Recipe:
        """Return the recipe that a card holds."""
        fields = {"family": _implied_family(written), **written}
        fields["mean"], fields["std"] = tuple(fields["mean"]), tuple(fields["std"])
        fields["options"] = tuple((key, value) for key, value in fields["options"])
        if fields["rule"] is not None:
            fields["rule"] = LocalRule(**fields["rule"])
        fields["adversaries"] = tuple(Adversary(**each) for each in fields.get("adversaries", ()))
        if fields.get("poison") is not None:
            fields["poison"] = Poison(**fields["poison"])
        if fields.get("start") is not None:
            fields["start"] = Start(**fields["start"])
        fields["phases"] = tuple(
            Phase(**{**phase, "frozen": tuple(phase["frozen"])})
            for phase in fields.get("phases", ())
        )
        return cls(**fields)


def _implied_family(written: Mapping[str, Any]) -> str:
    """Return the family of a recipe whose card does not name one, as the first cards do not."""
    if written["options"]:
        return "local-learning"
    return "neighbours" if written["embedding"] else "network"
