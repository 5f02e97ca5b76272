"""Claims about figures of perturbations: of two models, or of two attacks or figures, or of one and a bound.

Each side is one cell: a model under one attack. The figures are the columns of
`bench.measure.perturbations.perturbations`, on the images that both sides attacked, which are those that both
models get right; if they have none in common, or one side is about the images of a fit, each is
on its own. How they are tested is in `bench.measure.compared_figures`.

There is no strongest attack: a claim about how far images were moved, or how long that took, is about the attack
that it names. The attacks of both sides are the same but for what the claim says; else nothing is judged.
Models whose names a pattern only matches are left out where the run has no such attack on them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bench.attacks.catalogue import row_of
from bench.measure.perturbation_figures import PERTURBATION_FIGURES
from bench.spec import Claim, Setting
from bench.trust.claim_measures.registry import Case, ClaimMeasure, Compared, Source, Tested
from bench.trust.claim_pairs import Pair, both_sides, pairs, unpaired

if TYPE_CHECKING:
    from bench.measure.compared_figures import Sample
    from bench.trust.claim_run import ClaimRun


def cases(run: ClaimRun, claim: Claim) -> list[Case]:
    """Return each pair of models in each setting."""
    compared = [
        (pair, turn) for pair in pairs(claim, run.data) for turn in range(len(claim.settings))
    ]
    if any(wild in f"{claim.left}{claim.right}" for wild in "*{"):
        compared = [
            (pair, turn) for pair, turn in compared if _attacked(run, claim, pair, turn)
        ] or compared
    return [
        Case(
            left=pair.left,
            right=None if claim.bound is not None else pair.right,
            name=", ".join(part for part in (pair.case, told_apart(claim, turn)) if part),
            data=run.data.get(str(pair.left or pair.right)),
            eps=claim.settings[turn][0].eps,
            settings=claim.settings[turn],
        )
        for pair, turn in compared
    ]


def _attacked(run: ClaimRun, claim: Claim, pair: Pair, turn: int) -> bool:
    """Return whether the run has the attacks of a comparison on both models of a pair."""
    from bench.trust.perturbation_cells import fitting

    return all(
        title is not None and len(fitting(run, claim, title, setting))
        for title, setting in zip(pair[:2], claim.settings[turn], strict=True)
        if setting is not None
    )


def told_apart(claim: Claim, turn: int) -> str:
    """Return what tells a comparison from the others of its claim, or its sides apart: `lambda 1 : 2`."""
    left, right = claim.settings[turn]
    if right is not None and left.attack != right.attack:
        threats = [(side.attack, side.norm, side.eps) for side in (left, right)]
        return " : ".join(" ".join(part for part in threat if part) for threat in threats)
    sides = [_facts(side) for side in (left, right) if side is not None]
    every = [_facts(side) for pair in claim.settings for side in pair if side is not None]
    told = []
    for name in dict.fromkeys(name for facts in every for name in facts):
        values = list(dict.fromkeys(str(facts.get(name, "any")) for facts in sides))
        varies = len({str(facts.get(name, "any")) for facts in every}) > 1
        if varies and (len(values) > 1 or name not in ("norm", "eps")):
            told.append(f"{'' if name == 'norm' else f'{name} '}{' : '.join(values)}")
    return ", ".join(told)


def attacks_of(claim: Claim) -> str:
    """Return the attacks of a claim in words, with the parameters that are the same in all comparisons."""
    left = [pair[0] for pair in claim.settings]
    right = [pair[1] for pair in claim.settings if pair[1] is not None]
    if not right or left[0].attack == right[0].attack:
        return _in_words([*left, *right])
    return f"{_in_words(left)} against {_in_words(right)}"


def _in_words(settings: Sequence[Setting]) -> str:
    facts = [_facts(setting) for setting in settings]
    same = [
        f"{name} {value}" for name, value in facts[0].items()
        if name not in ("attack", "norm", "eps") and all(other.get(name) == value for other in facts)
    ]  # fmt: skip
    return ", ".join([settings[0].attack, *same])


def _facts(setting: Setting) -> dict[str, Any]:
    """Return all that a setting says, by name, but its figure."""
    from bench.trust.perturbation_cells import named

    known = row_of(setting.attack).parameters
    return {
        "attack": setting.attack,
        "norm": setting.norm,
        "eps": setting.eps or "minimal",
        **{
            name: str(value).split("/")[-1]
            if name in known and known[name].kind == "model"
            else value
            for name, value in named(setting).items()
        },
    }


def compare(run: ClaimRun, claim: Claim, case: Case) -> Compared:
    """Return how the figures of two sides differ, or how one differs from the bound."""
    from bench.trust.perturbation_cells import chosen

    if case.settings is None or case.left is None or (case.right is None and claim.bound is None):
        return Compared(note=unpaired(claim, case.left, case.right))
    titled = zip((case.left, case.right), case.settings, strict=True)
    sides = [(title, setting) for title, setting in titled if title and setting]
    choices = [chosen(run, claim, title, setting) for title, setting in sides]
    cells = [choice.cell for choice in choices if choice.cell is not None]
    if len(cells) < len(sides):
        return Compared(note=_of_sides([choice.note for choice in choices]))
    settings = [setting for _, setting in sides]
    notes = [choice.note for choice in choices]
    unusable = _of_sides(notes) or _untimed(cells, settings) or _unequal(cells, settings)
    tested, note = (None, unusable) if unusable else _tested(run, claim, cells, settings)
    sources = [
        Source(cells=(str(cell["cell"]),), figure=setting.figure)
        for cell, setting in zip(cells, settings, strict=True)
    ]
    return Compared(
        under={} if tested is None else {"study": tested},
        note=note,
        left=sources[0],
        right=sources[1] if len(sources) > 1 else None,
    )


def _of_sides(notes: list[str]) -> str:
    return notes[0] if len(notes) == 1 else both_sides("", *notes)


def _untimed(cells: Sequence[Mapping[Any, Any]], settings: Sequence[Setting]) -> str:
    """Return why seconds cannot be tested; empty where they can, or other figures are."""
    timed = [
        setting.figure != "seconds" or cell["batch_size"] == 1
        for cell, setting in zip(cells, settings, strict=True)
    ]
    together = "images attacked together are not timed one by one"
    return "" if all(timed) else f"{together}; name batch_size = 1, and have such an attack"


def _unequal(cells: Sequence[Mapping[Any, Any]], settings: Sequence[Setting]) -> str:
    """Return in what cells of one attack differ that a claim does not say; empty if in nothing."""
    from bench.trust.perturbation_cells import differing, named

    if len(cells) == 1 or settings[0].attack != settings[1].attack:
        return ""
    said = {name for setting in settings for name in named(setting)}
    names = [name for name in differing(cells) if name not in {*said, "surface"}]
    return f"the attacks of the sides differ in {', '.join(names)} too" if names else ""


def _tested(
    run: ClaimRun, claim: Claim, cells: Sequence[Mapping[Any, Any]], settings: Sequence[Setting]
) -> tuple[Tested | None, str]:
    """Return how two figures, or one and the bound, differ, with a note; None if that cannot be told."""
    from bench.measure.compared_figures import FEWEST, difference, shared
    from bench.trust.perturbation_cells import sample

    found = [
        sample(run, cell, setting.figure) for cell, setting in zip(cells, settings, strict=True)
    ]
    samples = [one for one in found if not isinstance(one, str)]
    if len(samples) < len(found):
        return None, _of_sides([one if isinstance(one, str) else "" for one in found])
    sides = shared(*samples)[:2] if len(samples) == 2 else samples
    fewest = min(side.counted() for side in sides)
    if fewest < FEWEST and samples[0].kind in ("ratio", "median"):
        where = " on both sides" if len(samples) == 2 else ""
        few = f"{fewest} images that count{where}; with fewer than {FEWEST} no test decides"
        return None, few
    apart = difference(samples[0], samples[1] if claim.bound is None else claim.bound)
    figures = {
        "left_value": apart.left, "right_value": apart.right, "n": apart.n,
        "difference": apart.difference, "low": apart.low, "high": apart.high,
    } | ({} if apart.p is None else {"p": apart.p})  # fmt: skip
    return Tested(figures=figures, within=equal_within(claim)), _note(samples)


def _note(samples: Sequence[Sample]) -> str:
    """Return what to know of figures that are not those of the same images."""
    from bench.measure.compared_figures import shared

    if samples[0].kind == "number":
        return "of one fit, compared without a test"
    if len(samples) == 2 and not shared(*samples)[2]:
        return "of different images on either side"
    return ""


def equal_within(claim: Claim) -> float | None:
    """Return half the width of what a claim calls equal, in the unit of its figure."""
    if claim.within is None:
        return None
    return claim.within / 100 if unit_of(claim) == "share" else claim.within


def unit_of(claim: Claim) -> str:
    """Return the unit of the figures of a claim."""
    return PERTURBATION_FIGURES[claim.settings[0][0].figure].unit


def expectation(claim: Claim) -> str:
    """Return what a claim expects, such as `left > right in fooling rate`."""
    expected, figures = claim.expect, called(claim)
    if claim.bound is not None:
        return f"{expected.replace('bound', in_its_unit(claim, claim.bound))} in {figures}"
    return f"{expected}{near(claim)} in {figures}"


def near(claim: Claim) -> str:
    """Return what a claim calls equal: ` within 2 points`, ` within 0.25`, or nothing."""
    if claim.within is None:
        return ""
    return f" within {claim.within:g}{' points' if unit_of(claim) == 'share' else ''}"


def called(claim: Claim) -> str:
    """Return what the figures of a claim are called, those of both sides if they differ."""
    named = [setting.figure for setting in claim.settings[0] if setting is not None]
    return " : ".join(dict.fromkeys(PERTURBATION_FIGURES[name].called for name in named))


def in_its_unit(claim: Claim, value: float) -> str:
    """Return a number in the unit of a claim's figures: `80 %`, or `0.36`."""
    return f"{100 * value:g} %" if unit_of(claim) == "share" else f"{value:g}"


MEASURE = ClaimMeasure(
    name="perturbation",
    noun="perturbations",
    expects=("left > right", "left < right", "left = right", "left > bound", "left < bound"),
    of_radii=False,
    of_perturbations=True,
    unit="figure",
    sides=("left_value", "right_value"),
    cases=cases,
    compare=compare,
    expectation=expectation,
    columns=("left_value", "right_value"),
)
