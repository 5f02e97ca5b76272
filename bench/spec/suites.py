"""What a suite asks for: images, models, attacks and claims."""

from __future__ import annotations

import dataclasses
import fnmatch
from dataclasses import dataclass
from typing import Literal

from bench.spec.attacks import AttackSpec
from bench.spec.words import Count, Expected, Figure, Norm, Scalar, Toolkit


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSet:
    """The first `count` images of a split in an order; None means all of them.

    Attributes:
        order: which come first, see `bench.data.orders`; empty for the order of the file. A list may have
            fewer images than the split.
    """

    data: str
    split: str
    count: int | None = None
    order: str = ""

    def of(self, count: Count | None) -> ImageSet:
        """Return the first `count` images of the same split and order; None for the same images."""
        if count is None:
            return self
        return dataclasses.replace(self, count=None if count == "all" else count)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """A model a suite asks for, with options for its factory.

    Attributes:
        crafted_on: the options of the same model on whose surfaces images are crafted in place of
            this one's; None for its own.
    """

    name: str
    options: tuple[tuple[str, Scalar], ...] = ()
    crafted_on: tuple[tuple[str, Scalar], ...] | None = None

    def title(self) -> str:
        """Return the name with its options written out: `...-knn1-cosine`, others as `key=value`.

        Of an ensemble, how, and the names of its members without their data set: `...-bagging-mlp+cnn`.
        """
        given = dict(self.options)
        parts = []
        data, _, model = self.name.partition("/")
        if model == "ensemble" and "members" in given:
            members = str(given.pop("members")).replace(f"{data}/", "")
            parts += [str(given.pop("how", "bagging"))]
            parts += ["+".join("-".join(part.split()) for part in members.split("+"))]
        parts += [f"knn{given.pop('k')}"] if "k" in given else []
        parts += [str(given.pop("distance"))] if "distance" in given else []
        return "-".join([self.name, *parts, *(f"{key}={value}" for key, value in given.items())])


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackRequest:
    """An attack a suite asks for; None stands for every toolkit, surface or model that there is.

    Attributes:
        models: globs over the titles of the models that are attacked.
        images: how many it is made on, or `all`; None for as many as the suite says. Critical eps need
            thousands, strong attacks can afford hundreds; a headline counts the images that all have.
        batch_size: how many of them are attacked together; None for as many as the run says. A pass of
            large images needs much memory, and times of single images need 1.
    """

    spec: AttackSpec
    toolkits: tuple[Toolkit, ...] | None = None
    surfaces: tuple[str, ...] | None = None
    models: tuple[str, ...] | None = None
    images: Count | None = None
    batch_size: int | None = None

    def is_on(self, request: ModelRequest) -> bool:
        """Return whether it is made on a model."""
        globs = self.models
        return globs is None or any(fnmatch.fnmatchcase(request.title(), glob) for glob in globs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One side of a comparison of perturbations: an attack, and what of it is compared.

    Attributes:
        attack: its name.
        eps: the radius as exact text; None for an attack of minimal norm.
        parameters: those that tell the cells of the attack apart, as the catalogue writes them.
        batch_size: how many images are attacked together; None for as many as the run says.
        toolkit: None for any.
        figure: a figure of perturbations, one of `bench.measure.perturbation_figures`.
    """

    attack: str
    norm: Norm
    eps: str | None = None
    parameters: tuple[tuple[str, Scalar], ...] = ()
    batch_size: int | None = None
    toolkit: Toolkit | None = None
    figure: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A sentence of a study, as what it says of accuracies, critical eps, perturbations or trainings.

    In a pattern of model titles, or of what else is compared, `*` stands for any text, and `{name}` for a text that is the same
    wherever this name stands, in both patterns.

    Attributes:
        left: pattern of the models on the left.
        right: of those on the right; None for the models of the left, each against itself, or all
            of them in order.
        attacks: names of the attacks the study made; on the left, where the sides differ.
        right_attacks: those on the right; None where both sides are attacked alike.
        surfaces: those the study may have attacked through; None for all that a model has.
        eps: radii as exact text; `"0"` is the clean image. None of critical eps.
        norm: of the attacks; empty where the claim is about none.
        expect: which side has the higher figure, or that they are equal, or on which side of a bound
            the left one is; of an order, whether the models are ordered alike by both sides.
        within: half the width of what counts as equal, in percentage points, or in the unit of a figure
            that is no share; None unless equal.
        measure: what is compared, one of `bench.trust.claim_measures`; `order` is that of figures of
            perturbations where there are settings; else that of critical eps under the attacks of either
            side, or of clean accuracy and critical eps where there is one side alone.
        figure: which figure of the radii is the critical eps; None for R of the fitted logistic where
            all have one, and else for the median.
        settings: of perturbations, what is compared with what, a comparison each for every pair of
            models; the second is None where the first is compared with `bound`. Norm, eps and attacks
            above are then those of the first.
        column: of trainings, the figure that is compared, one of `bench.measure.training_figures`.
        bound: the number that the figure of the left is compared with, in the unit of the figure: 0.8
            for 80 %.
    """

    says: str
    left: str
    right: str | None
    attacks: tuple[str, ...]
    right_attacks: tuple[str, ...] | None = None
    surfaces: tuple[str, ...] | None = None
    norm: Norm | Literal[""]
    eps: tuple[str, ...]
    expect: Expected
    within: float | None = None
    measure: str = "accuracy"
    figure: Figure | None = None
    settings: tuple[tuple[Setting, Setting | None], ...] = ()
    bound: float | None = None
    column: str = ""

    @property
    def apart(self) -> bool:
        """Whether the sides differ in more than the model."""
        return self.right_attacks is not None or any(
            right not in (left, None) for left, right in self.settings
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """What a suite file says, checked.

    Attributes:
        images: one set of images for each data set; a model is attacked on those of its own, by
            attacks that do not say how many.
        trainings: globs over the names of trainings whose cards a run records, attacked or not.
        bounds: of checks, in place of those in `bench/trust/bounds.toml`: names such as
            `doubled-steps.gain`, and their values.
    """

    name: str
    title: str
    images: tuple[ImageSet, ...]
    seed: int
    models: tuple[ModelRequest, ...]
    attacks: tuple[AttackRequest, ...]
    claims: tuple[Claim, ...] = ()
    trainings: tuple[str, ...] = ()
    bounds: tuple[tuple[str, float], ...] = ()
