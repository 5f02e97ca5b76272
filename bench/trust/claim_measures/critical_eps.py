"""Claims about critical eps: two models, or two attacks on one, by the errors of either side.

A side is one model under one attack on one surface. Of several that a claim names (attacks, surfaces,
toolkits), the one with the least critical eps counts: the worst case, as everywhere. Both sides face
the same attacks (`bench.trust.faced`); else nothing is judged. There is no strongest attack.

A claim may say which figure of the radii it is about. Where it does not, that is R of the fitted
logistic, the study's, or the median radius if any side has no R; the comparison says which and why.

The two errors are treated as independent, since each critical eps is measured on the images that its own
model is sure of. Images that are hard for both models make the difference vary less than that, so a verdict
is given too seldom rather than too often. Differences between trainings of one model are left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bench.spec import Claim, Figure
from bench.trust.claim_measures.registry import Case, ClaimMeasure, Compared, Tested
from bench.trust.claim_pairs import both_sides, pairs, unpaired

if TYPE_CHECKING:
    import pandas as pd

    from bench.trust.claim_run import ClaimRun
    from bench.trust.faced import Faced

#: The columns of a figure and its error, and what the figure is called.
_COLUMNS: dict[Figure, tuple[str, str, str]] = {
    "logistic": ("critical_eps", "error", "R of the fitted logistic"),
    "median": ("median", "median_error", "median radius"),
    "mode": ("mode", "mode_error", "mode"),
}


class Least(NamedTuple):
    """The least figure of the radii among some attacks on a model.

    Attributes:
        value: the figure, in the unit of eps.
        error: its standard error.
        n: number of images.
    """

    value: float
    error: float
    n: int


def cases(run: ClaimRun, claim: Claim) -> list[Case]:
    """Return each pair of models."""
    return [
        Case(
            left=pair.left,
            right=pair.right,
            name=pair.case,
            data=run.data.get(str(pair.left or pair.right)),
        )
        for pair in pairs(claim, run.data)
    ]


def compare(run: ClaimRun, claim: Claim, case: Case) -> Compared:
    """Return how the critical eps of two models differ."""
    if case.left is None or case.right is None:
        return Compared(note=unpaired(claim, case.left, case.right))
    left, absent_left = radii_under(run, claim, case.left, claim.attacks)
    right, absent_right = radii_under(run, claim, case.right, claim.right_attacks or claim.attacks)
    if absent_left or absent_right:
        return Compared(note=both_sides("", absent_left, absent_right))
    unequal = ""
    if claim.right_attacks is None:
        met = _faced_by_both(run, left, right)
        left, right = left[left["cell"].isin(met.left)], right[right["cell"].isin(met.right)]
        unequal = met.note()
        if met.harder:
            return Compared(under={"study": Tested(figures={}, harder=met.harder)}, note=unequal)
    figure, why = chosen_figure(claim, [left, right])
    least_left, least_right = least(left, figure), least(right, figure)
    if least_left is None or least_right is None:
        note = both_sides("", _lacking(left, figure), _lacking(right, figure))
        return Compared(note=note, figure=figure)
    return Compared(
        under={"study": compare_figures(least_left, least_right)},
        note="; ".join(note for note in (why, unequal) if note),
        figure=figure,
    )


def compare_figures(left: Least, right: Least) -> Tested:
    """Return how two figures differ, by the normal distribution; `n` is the lesser of their images."""
    import numpy as np
    from scipy.stats import norm

    difference, error = left.value - right.value, float(np.hypot(left.error, right.error))
    wide = float(norm.ppf(0.975)) * error
    p = float(2 * norm.sf(abs(difference) / error)) if error else float(difference == 0)
    return Tested(
        figures={
            "left_critical_eps": left.value,
            "left_error": left.error,
            "right_critical_eps": right.value,
            "right_error": right.error,
            "n": min(left.n, right.n),
            "difference": difference,
            "low": difference - wide,
            "high": difference + wide,
            "p": p,
        }
    )


def radii_under(
    run: ClaimRun, claim: Claim, title: str, attacks: tuple[str, ...]
) -> tuple[pd.DataFrame, str]:
    """Return the measured radii of a model under some attacks of a claim, or why there are none."""
    radii = run.radii[(run.radii["model"] == title) & (run.radii["norm"] == claim.norm)]
    radii = radii[radii["attack"].isin(attacks)]
    if claim.surfaces is not None:
        radii = radii[radii["surface"].isin(claim.surfaces)]
    absent = [attack for attack in attacks if attack not in set(radii["attack"])]
    return radii, f"no {', '.join(absent)} in this run" if absent else ""


def chosen_figure(claim: Claim, sides: list[pd.DataFrame]) -> tuple[Figure, str]:
    """Return the figure that a claim is judged by, and a note on it, which may be empty.

    Args:
        claim: which may name one.
        sides: of `radii_under`, all that are compared with each other.
    """
    if claim.figure is not None:
        note = "" if claim.figure == "logistic" else f"by the {figure_name(claim.figure)}"
        return claim.figure, note
    refused = [row for radii in sides for row in radii.to_dict("records") if row["refused"]]
    if not refused:
        return "logistic", ""
    first = refused[0]
    more = f", and {len(refused) - 1} more" if len(refused) > 1 else ""
    why = f"{first['model']} under {first['attack']}: {first['refused']}{more}"
    return "median", f"by the median radius, since R is not there ({why})"


def figure_name(figure: Figure) -> str:
    """Return what a figure is called."""
    return _COLUMNS[figure][2]


def least(radii: pd.DataFrame, figure: Figure) -> Least | None:
    """Return the least figure of some rows; None where any of them has none."""
    import numpy as np

    value, error, _ = _COLUMNS[figure]
    if radii.empty or not np.isfinite(radii[[value, error]].to_numpy(dtype=float)).all():
        return None
    row = radii.iloc[int(radii[value].to_numpy(dtype=float).argmin())]
    return Least(float(row[value]), float(row[error]), int(row["n"]))


def _lacking(radii: pd.DataFrame, figure: Figure) -> str:
    """Return why a side has no figure; empty where it has one."""
    import numpy as np

    value, error, name = _COLUMNS[figure]
    reasons = [
        f"{row['attack']}: {row['refused'] or 'its error cannot be told'}"
        for row in radii.to_dict("records")
        if not np.isfinite([float(row[value]), float(row[error])]).all()
    ]
    return f"no {name}, {'; '.join(reasons)}" if reasons else ""


def _faced_by_both(run: ClaimRun, left: pd.DataFrame, right: pd.DataFrame) -> Faced:
    """Return the attacks that both sides faced."""
    from bench.trust.faced import faced

    cells = run.outcomes.results.cells
    left_cells, right_cells = (cells[cells["cell"].isin(radii["cell"])] for radii in (left, right))
    left_model, right_model = left_cells["model"].iloc[0], right_cells["model"].iloc[0]
    surfaces = run.surfaces[left_model], run.surfaces[right_model]
    return faced(left_cells, right_cells, surfaces, radius=float("nan"))


def called(claim: Claim) -> str:
    """Return what a claim calls the figure of the radii that it is about."""
    return "critical eps" if claim.figure is None else figure_name(claim.figure)


def expectation(claim: Claim) -> str:
    """Return what a claim expects, such as `left > right in critical eps`."""
    return f"{claim.expect} in {called(claim)}"


MEASURE = ClaimMeasure(
    name="critical_eps",
    noun="critical eps",
    expects=("left > right", "left < right"),
    of_radii=True,
    unit="radius",
    sides=("left_critical_eps", "right_critical_eps"),
    cases=cases,
    compare=compare,
    expectation=expectation,
    columns=("left_critical_eps", "left_error", "right_critical_eps", "right_error"),
)
