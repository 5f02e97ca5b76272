"""The measures of claims: their type and their table, one file of this package each, with a `MEASURE`.

Suite files are checked against this table, so a measure's file imports pandas and scipy only inside
functions.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Literal

from bench.spec import Claim, Figure, Setting
from bench.trust import claim_measures

if TYPE_CHECKING:
    from bench.trust.claim_run import ClaimRun
    from bench.trust.faced import Harder

#: The attacks that a comparison is tested under: the study's, and the strongest that both sides faced.
Under = Literal["study", "strongest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What one comparison of a claim compares.

    Attributes:
        left: title of the model on the left, or the pattern of the models that are ordered; None
            where there is no such model.
        right: title of the model on the right.
        name: what the names and stars in the claim's patterns match here; may be empty.
        data: the data set of the models; None if there are none.
        eps: the radius as text; None if radii are compared, or an attack has none.
        settings: of perturbations, what is compared with what; see `Claim.settings`.
        whole: title of the model whose members are compared; None where no members are.
    """

    left: str | None
    right: str | None
    name: str
    data: str | None
    eps: str | None = None
    settings: tuple[Setting, Setting | None] | None = None
    whole: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where the figures of one side are from.

    Attributes:
        cells: keys; of an order, of the models in the order of the other side.
        figure: a figure of perturbations.
    """

    cells: tuple[str, ...]
    figure: str


#: What a test at any time can show of a comparison: that its claim is so, that it is not, or, under the strongest
#: attack, that at most half of the study's lead is left.
Statement = Literal["for", "against", "gone"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """How far the outcomes so far show a statement.

    Attributes:
        p: valid whenever one stops, see `bench.trust.added_images`.
        mean: of what speaks for the statement where it is positive, an image.
        square: its mean square; with the mean it says how many images more it takes.
    """

    p: float
    mean: float
    square: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """How the two sides of a comparison differ under one attack.

    Attributes:
        figures: by column, `n`, `difference` (left minus right) and its two-sided `p`, often `low` and
            `high` (the 95 % interval of the difference), and others of the measure, such as
            `left_accuracy`. Empty if unequal attacks leave nothing to test; without `p` if the figures
            have no error, so that they are compared as they are.
        harder: which side was attacked harder.
        nothing_left: whether no image is robust on either side, so that nothing can differ.
        within: half the width of what counts as equal, in the unit of `difference`; None unless equality is
            claimed.
        alone: whether a side has a single training, so that nothing can be decided.
        shows: what was shown so far, in a run that added images; else empty. The `p` of the figures is then the least
            of theirs, and `e` the largest e-value.
        cells: keys of those that an image needs to be compared; empty on clean images.
        most: on how many images the sides can be compared; 0 where no more can be added.
    """

    figures: Mapping[str, float]
    harder: Harder = ""
    nothing_left: bool = False
    within: float | None = None
    alone: bool = False
    shows: Mapping[Statement, Shown] = field(default_factory=dict)
    cells: tuple[str, ...] = ()
    most: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """The result of a comparison, before it is judged.

    Attributes:
        under: how the sides differ, by attack; empty if nothing can be tested.
        note: why nothing can be tested, or what to know about the figures; may be empty.
        figure: which figure of the radii was compared; None if none was.
        left: of perturbations, where the figures of the left are from.
        right: those of the right; None against a bound.
    """

    under: Mapping[Under, Tested] = field(default_factory=dict)
    note: str = ""
    figure: Figure | None = None
    left: Source | None = None
    right: Source | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimMeasure:
    """What claims may compare.

    Attributes:
        name: the value of `measure` in a suite file.
        noun: what is compared, for messages.
        expects: the allowed values of `expect` in a claim.
        of_radii: whether it compares measured radii, so that a claim names no eps and may name a figure of
            the radii.
        of_perturbations: whether it compares figures of perturbations, which a claim names; of a measure
            that compares radii too, where it names one.
        orders: whether the models of `left` are ordered, so that a claim names none on the right.
        about: what the patterns of a claim match: titles of models, configurations of trainings, or members of
            models. Of the last two a claim names no attacks.
        figures: of trainings, those of which a claim names one.
        unit: of its figures: shares shown in percent, radii, Kendall's tau, or that of the figure named.
        sides: the columns with the figures of the two sides; None if only their difference has one.
        cases: returns the comparisons that a claim consists of.
        compare: computes one of them.
        expectation: returns what a claim expects, in words.
        columns: figures that no other measure has, as the table of comparisons names them.
        at_any_time: whether it has a test for runs that add images, so that these are added for it.
    """

    name: str
    noun: str
    expects: tuple[str, ...]
    of_radii: bool
    of_perturbations: bool = False
    orders: bool = False
    about: Literal["models", "trainings", "members"] = "models"
    figures: tuple[str, ...] = ()
    unit: Literal["percent", "radius", "tau", "figure"]
    sides: tuple[str, str] | None
    cases: Callable[[ClaimRun, Claim], list[Case]]
    compare: Callable[[ClaimRun, Claim, Case], Compared]
    expectation: Callable[[Claim], str]
    columns: tuple[str, ...] = ()
    at_any_time: bool = False


@cache
def claim_measures_by_name() -> dict[str, ClaimMeasure]:
    """Return all measures of claims, by name."""
    modules = [
        import_module(f"{claim_measures.__name__}.{module.name}")
        for module in pkgutil.iter_modules(claim_measures.__path__)
    ]
    measures = [module.MEASURE for module in modules if hasattr(module, "MEASURE")]
    return {measure.name: measure for measure in measures}
