"""The nouns of Crossfire as frozen dataclasses, and the columns of a result row.

Nothing here imports torch at run time, so that the command line can talk about models, attacks
and suites without loading it.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, get_args, runtime_checkable

from bench.errors import SpecError

if TYPE_CHECKING:
    import torch
    from torch import nn

Norm = Literal["l0", "l1", "l2", "linf"]
Toolkit = Literal["art", "foolbox", "torchattacks", "native"]
Loss = Literal["ce", "margin", "dlr"]
Goal = Literal["misclassification", "targeted", "source-target", "confidence-reduction"]
#: What is read off adversarial radii: R of the fitted logistic, or what presumes no shape.
Figure = Literal["logistic", "median", "mode"]
RowKind = Literal["attack", "radius", "certify"]
Expected = Literal["left > right", "left < right", "left = right", "same order", "opposite order"]
Scalar = bool | int | float | str
Count = int | Literal["all"]

NORMS: tuple[Norm, ...] = get_args(Norm)
TOOLKITS: tuple[Toolkit, ...] = get_args(Toolkit)
GOALS: tuple[Goal, ...] = get_args(Goal)

#: The columns of a result row, in order; one row is one image of one cell.
COLUMNS: tuple[str, ...] = (
    "cell", "kind", "dataset", "split", "index", "model", "family", "attack", "toolkit", "surface",
    "norm", "eps", "goal", "targeted", "target", "label", "clean_label", "adv_label", "clean_confidence",
    "adv_confidence", "correct", "success", "invalid", "borderline", "abstained", "l0", "l1", "l2",
    "linf", "iterations", "forwards", "backwards", "seconds", "seed", "certified_radius",
    "adversarial_radius", "adv_margin", "ineffective", "draws", "clean_share", "share",
    "chosen_share",
)  # fmt: skip

#: Columns that came later: of rows written before they are null.
LATER_COLUMNS: tuple[str, ...] = (
    "adv_margin", "ineffective", "draws", "clean_share", "share", "chosen_share",
)  # fmt: skip

#: The surface of a random model on which a gradient is that of a single draw, and the one on which it
#: is that of the expectation: what withstands the first alone may only hide its gradient.
ONE_DRAW_SURFACE, EXPECTED_SURFACE = "one-draw", "expected"

#: The surface of a random model that is the network without its noise.
NOISELESS_SURFACE = "base"

#: The surface named in rows of black-box attacks, which see the model's answers and no gradient.
BLACK_BOX_SURFACE = "predict"

#: The word `fitted_on` of a perturbation that is fitted on the model it is tested on.
ITSELF = "itself"


#: A whole number of more digits is a count of nothing here.
_DIGITS = 18

#: What a number looks like: the digits 0 to 9, and no exponent that would take for ever to work out.
_NUMBER = re.compile(r"[-+]?([0-9]+/[0-9]+|[0-9]*\.?[0-9]*([eE][-+]?[0-9]{1,3})?)", re.ASCII)


def number(value: object, what: str = "number") -> float:
    """Return `value` as a float; text may be a fraction such as `"8/255"`.

    Raises:
        SpecError: the text is neither a number nor a fraction.
    """
    if isinstance(value, str):
        try:
            text = value.replace(" ", "")
            if not _NUMBER.fullmatch(text):
                raise ValueError(text)
            return float(Fraction(text))
        except (ValueError, ZeroDivisionError, OverflowError):
            raise SpecError(
                f"{what}: {value!r} is not a number or a fraction like '8/255'"
            ) from None
    try:
        found = float(value)  # type: ignore[arg-type]
    except OverflowError:
        raise SpecError(f"{what}: a number of that size cannot be computed with") from None
    except (TypeError, ValueError):
        found = float("nan")
    if isinstance(value, bool) or found != found:
        raise SpecError(f"{what}: {value!r} is not a number")
    return found


def whole(text: str) -> int | None:
    """Return a whole number that is written in the digits 0 to 9 alone; None of any other text."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS else None


def eps_text(value: float | None) -> str:
    """Return a radius as people write it: `8/255` where it is one, else four significant digits."""
    if value is None or value != value:
        return "minimal"
    steps = value * 255
    if 0 < value < 1 and abs(steps - round(steps)) < 1e-6:
        return f"{round(steps)}/255"
    return f"{value:.4g}"


class ModelName(NamedTuple):
    """The parts of a model's name, `data/model`.

    Attributes:
        data: the data set that it classifies.
        model: what it is called among the models of that; empty for a name without a slash.
    """

    data: str
    model: str

    @classmethod
    def read(cls, name: str) -> ModelName:
        """Return the parts of a name or a title."""
        data, _, model = name.partition("/")
        return cls(data, model)


class Prediction(NamedTuple):
    """What a model decides about a batch.

    Attributes:
        labels: int64 (N,), the decision; -1 where the model abstains or its vote is tied.
        scores: float32 (N, C), higher is more likely; what they are is `ModelSpec.scores`.
    """

    labels: torch.Tensor
    scores: torch.Tensor


class Certificate(NamedTuple):
    """What a model guarantees of its decisions about a batch.

    Attributes:
        labels: int64 (N,), the decision; -1 where the model abstains.
        radii: float64 (N,), in l2 and pixel units: no image nearer than that is decided otherwise;
            0 where the model abstains.
    """

    labels: torch.Tensor
    radii: torch.Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """What is known of a model without running it.

    Attributes:
        name: `data/model`, with its options written out where they matter.
        family: a name of `bench.train.families`; it decides how a model is judged.
        data: the data set it classifies.
        input_shape: (C, H, W) of one image.
        scores: whether `Prediction.scores` are logits or probabilities.
    """

    name: str
    family: str
    data: str
    input_shape: tuple[int, int, int]
    num_classes: int
    scores: Literal["logits", "probabilities"] = "logits"


@runtime_checkable
class Adapter(Protocol):
    """One model behind the common interface; images are float32 (N, C, H, W) in [0, 1]."""

    @property
    def spec(self) -> ModelSpec: ...

    def predict(self, x: torch.Tensor) -> Prediction:
        """Return the model's real decision; only this judges an attack."""
        ...

    def gradient(
        self, x: torch.Tensor, y: torch.Tensor, loss: Loss = "ce", surface: str | None = None
    ) -> torch.Tensor:
        """Return the gradient of each image's own loss, (N, C, H, W); an attack climbs it."""
        ...

    def surfaces(self) -> Mapping[str, nn.Module]:
        """Return the differentiable views an attack may climb: name to module, images to logits."""
        ...

    def fingerprint(self) -> str:
        """Return a text that changes whenever weights or settings change."""
        ...


@runtime_checkable
class Certifier(Adapter, Protocol):
    """A model that guarantees its decisions."""

    def certify(self, x: torch.Tensor, n0: int, n: int, alpha: float) -> Certificate:
        """Return decisions and radii from n0 + n noisy copies; wrong with probability alpha."""
        ...


@runtime_checkable
class Random(Adapter, Protocol):
    """A model whose answers vary from call to call, so that several draws of them are asked for."""

    @property
    def draws(self) -> int: ...

    def answers(self, x: torch.Tensor, purpose: str) -> torch.Tensor:
        """Return the labels of independent draws, int64 (draws, N); others for another purpose."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackSpec:
    """An attack in canonical words: algorithm, threat and parameters, whichever toolkit runs it.

    Attributes:
        eps: the radius as exact text (`"8/255"`); None for a minimal-norm attack.
        parameters: every parameter with its value, sorted by name, defaults written out.
    """

    name: str
    norm: Norm
    eps: str | None = None
    parameters: tuple[tuple[str, Scalar], ...] = ()

    def parameter(self, name: str) -> Any:
        """Return the value of one parameter."""
        return dict(self.parameters)[name]

    def amount(self, name: str) -> float:
        """Return a parameter that may be written as a fraction, as a float."""
        return number(self.parameter(name), name)

    @property
    def radius(self) -> float | None:
        """Return eps as a number, in pixel units of [0, 1]."""
        return None if self.eps is None else number(self.eps, "eps")

    @property
    def targeted(self) -> str:
        """Return how targets are chosen: `none`, `next`, `least-likely`, `random` or a class."""
        return str(dict(self.parameters).get("targeted", "none"))

    @property
    def source(self) -> int | None:
        """Return the class whose images alone are attacked; None for those of every class."""
        source = dict(self.parameters).get("source")
        return None if source is None else int(source)

    @property
    def least_confidence(self) -> float:
        """Return how sure a model has to be of an image for it to be attacked; 0 for of all."""
        return number(dict(self.parameters).get("least_confidence", 0), "least_confidence")

    @property
    def goal(self) -> Goal:
        """Return what counts as success (Papernot et al., 2016, section 3).

        `misclassification` any other label; `targeted` the wanted one; `source-target` the wanted
        one, for images of one class; `confidence-reduction` at most half of the confidence in the
        label, or another label.
        """
        if "goal" in dict(self.parameters):
            return "confidence-reduction"
        if self.targeted == "none":
            return "misclassification"
        return "targeted" if self.source is None else "source-target"

    def title(self) -> str:
        """Return a short human name such as `pgd linf 8/255`."""
        return " ".join([self.name, self.norm, *([self.eps] if self.eps else [])])


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSet:
    """The first `count` images of a split, in file order; None means all of them."""

    data: str
    split: str
    count: int | None = None

    def of(self, count: Count | None) -> ImageSet:
        """Return the first `count` images of the same split; None for the same images."""
        if count is None:
            return self
        return dataclasses.replace(self, count=None if count == "all" else count)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """A model a suite asks for, with options for its factory.

    Attributes:
        climbed: the options of the same model whose surfaces attacks climb in place of this one's;
            None for its own.
    """

    name: str
    options: tuple[tuple[str, Scalar], ...] = ()
    climbed: tuple[tuple[str, Scalar], ...] | None = None

    def title(self) -> str:
        """Return the name with its options written out: `...-knn1-cosine`, others as `key=value`."""
        given = dict(self.options)
        told = [f"knn{given.pop('k')}"] if "k" in given else []
        told += [str(given.pop("distance"))] if "distance" in given else []
        return "-".join([self.name, *told, *(f"{key}={value}" for key, value in given.items())])


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackRequest:
    """An attack a suite asks for; None stands for every toolkit, surface or model that there is.

    Attributes:
        models: globs over the titles of the models that are attacked.
        images: how many it is made on, or `all`; None for as many as the suite says.
    """

    spec: AttackSpec
    toolkits: tuple[Toolkit, ...] | None = None
    surfaces: tuple[str, ...] | None = None
    models: tuple[str, ...] | None = None
    images: Count | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A sentence of a study, as what it says of accuracies on the same images, or of critical eps.

    In a pattern of model titles `*` stands for any text, and `{name}` for a text that is the same
    wherever this name stands, in both patterns.

    Attributes:
        left: pattern of the models on the left.
        right: of those on the right; None for the models of the left, each against itself, or all
            of them in order.
        attacks: names of the attacks the study made; on the left, where the sides differ.
        right_attacks: those on the right; None where both sides are attacked alike.
        surfaces: those the study may have climbed; None for all that a model has.
        eps: radii as exact text; `"0"` is the clean image. None of critical eps.
        expect: which side has the higher accuracy or critical eps, or that they are equal; of an
            order, whether the models are ordered alike by both sides.
        within: half the width of what counts as equal, in percentage points; None unless equal.
        measure: what is compared, one of `bench.trust.claim_measures`; `order` is that of critical eps
            under the attacks of either side, or of clean accuracy and critical eps where there is one
            side alone.
        figure: which figure of the radii is the critical eps; None for R of the fitted logistic where
            all have one, and else for the median.
    """

    says: str
    left: str
    right: str | None
    attacks: tuple[str, ...]
    right_attacks: tuple[str, ...] | None = None
    surfaces: tuple[str, ...] | None = None
    norm: Norm
    eps: tuple[str, ...]
    expect: Expected
    within: float | None = None
    measure: str = "accuracy"
    figure: Figure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """What a suite file says, checked.

    Attributes:
        images: one set of images for each data set; a model is attacked on those of its own, by
            attacks that do not say how many.
    """

    name: str
    title: str
    images: tuple[ImageSet, ...]
    seed: int
    models: tuple[ModelRequest, ...]
    attacks: tuple[AttackRequest, ...]
    claims: tuple[Claim, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedOn:
    """What a perturbation is fitted on.

    Attributes:
        fingerprint: of the model's adapter.
        surface: the one that is climbed.
        checksum: of the images and labels.
    """

    fingerprint: str
    surface: str
    checksum: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Climbed:
    """The model whose surface was climbed for several that judge the same images.

    Attributes:
        fingerprint: of its adapter.
    """

    model: ModelRequest
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One model, one attack, one toolkit, one surface, one image set: the unit of work and storage.

    Attributes:
        fingerprint: the adapter's, so that retrained weights are another cell.
        checksum: of the images and labels themselves.
        batch_size: images a chunk; part of the identity, since some toolkits depend on it.
        kind: what its rows are; those of a `radius` have an `adversarial_radius`, those of `certify`
            a `certified_radius`.
        fit: of an attack that is fitted before it is applied; None for all others.
        climbed: whose surface it is, where several models judge the same images, this one's or
            another's; None where the model is attacked by itself.
    """

    model: ModelRequest
    fingerprint: str
    attack: AttackSpec
    toolkit: Toolkit
    surface: str
    images: ImageSet
    checksum: str
    seed: int
    batch_size: int
    kind: RowKind = "attack"
    fit: FittedOn | None = None
    climbed: Climbed | None = None

    def maker(self) -> Cell:
        """Return the cell that the images tried are made for: this one, or the climbed model's."""
        if self.climbed is None:
            return self
        return dataclasses.replace(
            self, model=self.climbed.model, fingerprint=self.climbed.fingerprint
        )

    def title(self) -> str:
        """Return a one-line human name."""
        return f"{self.model.title()} · {self.attack.title()} · {self.toolkit}"
