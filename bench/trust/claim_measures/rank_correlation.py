"""Claims about the order of models by two figures: critical eps, clean accuracy or of perturbations.

It is that of clean accuracy and critical eps, of two critical eps, or of two figures of perturbations. All
models of a claim and a data set make one comparison: Kendall's tau with its exact p. Repeated trainings of
one network count as separate networks, so a claim should leave them out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.measure.perturbation_figures import PERTURBATION_FIGURES
from bench.spec import Claim, Figure
from bench.trust.claim_measures.critical_eps import called, chosen_figure, least, radii_under
from bench.trust.claim_measures.registry import Case, ClaimMeasure, Compared, Source, Tested
from bench.trust.claim_pairs import matches

if TYPE_CHECKING:
    from bench.trust.claim_run import ClaimRun

#: With fewer models no order differs significantly from chance: 2 / 4! > 0.05.
FEWEST = 5


def cases(run: ClaimRun, claim: Claim) -> list[Case]:
    """Return one case for each data set that the claim has models for; one empty case if there is none."""
    names = dict.fromkeys(
        data for title, data in run.data.items() if matches(claim.left, title)
    ) or (None,)
    if not claim.settings:
        return [Case(left=claim.left, right=None, name="", data=data) for data in names]
    from bench.trust.perturbation_cells import described

    attacks = dict.fromkeys(described(side) for side in claim.settings[0] if side is not None)
    return [
        Case(
            left=claim.left, right=None, name=" : ".join(attacks), data=data,
            settings=claim.settings[0],
        )
        for data in names
    ]  # fmt: skip


def compare(run: ClaimRun, claim: Claim, case: Case) -> Compared:
    """Return the agreement of two orders of the models: `difference` is Kendall's tau, `n` the models."""
    titles = [
        title
        for title, data in run.data.items()
        if data == case.data and matches(claim.left, title)
    ]
    if claim.settings:
        return _by_perturbations(run, claim, titles)
    by_attacks = (claim.attacks, claim.right_attacks)
    radii = [
        radii_under(run, claim, title, attacks)[0]
        for attacks in by_attacks
        if attacks is not None
        for title in titles
    ]
    figure, note = chosen_figure(claim, [of_model for of_model in radii if not of_model.empty])
    values = [
        _clean_accuracies(run, titles)
        if attacks is None
        else _least_radii(run, claim, titles, attacks, figure)
        for attacks in by_attacks
    ]
    tested, fewer = _ordered(values)
    if tested is None:
        return Compared(note=fewer, figure=figure)
    return Compared(under={"study": tested}, note=note, figure=figure)


def _ordered(values: Sequence[Sequence[float]]) -> tuple[Tested | None, str]:
    """Return how two figures of some models agree in their order, or None and why no order is judged.

    Args:
        values: both figures of each model; NaN where a model has none.
    """
    import pandas as pd
    from scipy.stats import kendalltau

    ranked = pd.DataFrame(values).T.dropna()
    if len(ranked) < FEWEST:
        counted = f"{len(ranked)} of {len(values[0])} models have figures"
        return None, f"{counted}; with fewer than {FEWEST} no order differs from chance"
    order = kendalltau(ranked[0], ranked[1])
    figures = {"n": len(ranked), "difference": float(order.statistic), "p": float(order.pvalue)}
    return Tested(figures=figures), ""


def _by_perturbations(run: ClaimRun, claim: Claim, titles: Sequence[str]) -> Compared:
    """Return how the models agree in the order of two figures of perturbations."""
    from bench.trust.perturbation_cells import chosen, sample

    values: list[list[float]] = []
    sources = []
    for setting in claim.settings[0]:
        assert setting is not None  # an order has no bound
        choices = [chosen(run, claim, title, setting) for title in titles]
        samples = [
            None if cell is None or note else sample(run, cell, setting.figure)
            for cell, note in choices
        ]
        values.append([
            math.nan if one is None or isinstance(one, str) else one.figure for one in samples
        ])  # fmt: skip
        keys = tuple("" if cell is None else str(cell["cell"]) for cell, _ in choices)
        sources.append(Source(cells=keys, figure=setting.figure))
    tested, note = _ordered(values)
    ranked = [
        place for place in range(len(titles)) if not any(math.isnan(row[place]) for row in values)
    ]
    left, right = (
        Source(cells=tuple(source.cells[place] for place in ranked), figure=source.figure)
        for source in sources
    )
    return Compared(
        under={} if tested is None else {"study": tested}, note=note, left=left, right=right
    )


def _clean_accuracies(run: ClaimRun, titles: list[str]) -> list[float]:
    """Return the accuracy of each model on the clean images; NaN where it has none."""
    clean = run.outcomes.clean
    return [float(clean[title].mean()) if title in clean else math.nan for title in titles]


def _least_radii(
    run: ClaimRun, claim: Claim, titles: list[str], attacks: tuple[str, ...], figure: Figure
) -> list[float]:
    """Return the least figure of each model under some attacks; NaN where it has none."""
    values = []
    for title in titles:
        radii, absent = radii_under(run, claim, title, attacks)
        smallest = None if absent else least(radii, figure)
        values.append(math.nan if smallest is None else smallest.value)
    return values


def expectation(claim: Claim) -> str:
    """Return what a claim expects, such as `same order of accuracy and critical eps`."""
    if claim.settings:
        figures = [setting.figure for setting in claim.settings[0] if setting is not None]
        names = dict.fromkeys(PERTURBATION_FIGURES[name].called for name in figures)
        return f"{claim.expect} of {' and '.join(names)}{' of both' if len(names) == 1 else ''}"
    radii = called(claim)
    both = f"accuracy and {radii}" if claim.right_attacks is None else f"{radii} of both"
    return f"{claim.expect} of {both}"


MEASURE = ClaimMeasure(
    name="order",
    noun="an order",
    expects=("same order", "opposite order"),
    of_radii=True,
    of_perturbations=True,
    orders=True,
    unit="tau",
    sides=None,
    cases=cases,
    compare=compare,
    expectation=expectation,
)
