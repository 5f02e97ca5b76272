"""Whether attacks can use the budget that they are given, and do."""

from __future__ import annotations

import numpy as np

from bench.measure.outcomes import Outcomes
from bench.spec import number
from bench.store.results import Results
from bench.trust.bounds import Bounds
from bench.trust.checks.registry import Check, Finding
from bench.trust.moves import MOVING, moves
from bench.trust.tried import Tried, TriedCell, added, images, in_short, looked_at, names, tried

#: Fewer images that withstand an attack say nothing of it.
_FEWEST = 10


def budgets_are_spent(outcomes: Outcomes) -> list[Finding]:
    """Find attacks that most images withstood with radius to spare.

    Of attacks whose steps lead to the edge of the ball, such as PGD: there what withstands differs by the radius.
    """
    bounds = Bounds(outcomes.results.bounds)
    least, most = bounds["spent-budget.least"], bounds["spent-budget.short"]
    by_cell = moves(outcomes)
    compared, findings = 0, []
    for at in tried(outcomes):
        spent = {
            cell: facts.spent for cell in at.gradient
            if cell.attack in MOVING and (facts := by_cell.get(cell.key)) is not None
            and len(facts.spent) >= _FEWEST
        }  # fmt: skip
        if not spent:
            continue
        compared += 1
        short = {cell: float((shares < least).mean()) for cell, shares in spent.items()}
        worst = max(short, key=lambda cell: short[cell])
        if short[worst] > most:
            n = len(spent[worst])
            findings.append(at.found(
                at.status([cell for cell in short if short[cell] > most]),
                f"{round(short[worst] * n)} of {images(n)} that withstand {worst.name} differ by less than {least:.0%} "
                f"of the radius {at.eps_text}, by {_percent(float(np.median(spent[worst])))} in the median, so it did "
                "not use what it had",
                value=short[worst], bound=f"at most {most:.0%} of images", cell=worst.key,
                remedy=_larger_steps(at, worst),
            ))  # fmt: skip
    return in_short(
        findings, compared, "attacks change images by as much as they may",
        "no image withstood an attack that always uses its whole radius",
    )  # fmt: skip


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.01 else f"{share:.2%}"


def _larger_steps(at: Tried, cell: TriedCell) -> str:
    if _reach(at, cell) < 1:
        return f'give {cell.attack} `step_size = "{at.eps / 4:.3g}"`'
    return f"{looked_at(at, cell)}; eps is in pixels of [0, 1], so eight steps of 255 are `8/255`"


def _reach(at: Tried, cell: TriedCell) -> float:
    """Return how far all steps of an attack lead at most, as a share of the radius; infinite if not known."""
    given = cell.parameters
    if cell.kind != "fixed" or not {"steps", "step_size"} <= set(given):
        return float("inf")
    return cell.steps * number(given["step_size"], "step_size") / at.eps


def steps_are_enough(outcomes: Outcomes) -> list[Finding]:
    """Find the threats that were attacked by too few steps, or by steps too short to leave the ball."""
    bounds = Bounds(outcomes.results.bounds)
    compared, findings = 0, []
    for at in tried(outcomes):
        if all(cell.fitted for cell in at.gradient):
            continue
        compared += 1
        found = _too_few(at, bounds["enough-steps.least"], bounds["enough-steps.reach"])
        findings += [] if found is None else [found]
    return in_short(
        findings, compared, "attacks take enough steps to use their radius",
        "no attack followed a gradient",
    )  # fmt: skip


def _too_few(at: Tried, least: float, reach: float) -> Finding | None:
    several = [cell for cell in at.gradient if cell.by_steps]
    if not several:
        single = names(cell for cell in at.gradient if not cell.fitted)
        return at.found(
            "warn", f"the only attack along a gradient is a single step ({single}), and several break more in most models",
            value=1.0, bound=f"at least {least:g} steps", remedy=added(at, "pgd"),
        )  # fmt: skip
    farthest = max(several, key=lambda cell: _reach(at, cell))
    if _reach(at, farthest) < reach:
        return at.found(
            "fail", f"{farthest.steps} steps of {farthest.parameters['step_size']} lead {farthest.name} at most "
            f"{_percent(_reach(at, farthest))} of the way to {at.threat}, and no attack along a gradient goes farther",
            value=_reach(at, farthest), bound=f"at least {reach:g} times the radius",
            remedy=f'give {farthest.attack} `step_size = "{at.eps / 4:.3g}"`',
        )  # fmt: skip
    longest = max(several, key=lambda cell: float("inf") if cell.kind != "fixed" else cell.steps)
    if longest.kind == "fixed" and longest.steps < least:
        return at.found(
            "warn", f"no attack along a gradient takes more than {longest.steps} steps ({longest.name}), and more break "
            "more in most models",
            value=float(longest.steps), bound=f"at least {least:g} steps", remedy=f"give {longest.attack} `steps = 100`",
        )  # fmt: skip
    return None


def passes_are_not_wasted(results: Results) -> Finding:
    """Note passes that were spent on images that the model gets wrong without any attack."""
    rows = results.rows.loc[results.rows["kind"] == "attack", ["forwards", "backwards", "correct"]]
    passes = (rows["forwards"].fillna(0) + rows["backwards"].fillna(0)).astype(float)
    total, wasted = float(passes.sum()), float(passes[~rows["correct"]].sum())
    if not total:
        return Finding(status="not applicable", sentence="no passes are on record")
    most, share = Bounds(results.bounds)["wasted-passes.share"], wasted / total
    bound = f"at most {most:.0%} of passes"
    if share > most:
        return Finding(
            status="warn", value=share, bound=bound,
            sentence=f"{share:.0%} of all passes were spent on images that are wrong without any attack, which shows "
            "nothing",
            remedy="run the suite again with `--overwrite always`: it attacks images that are right alone",
        )  # fmt: skip
    sentence = "no passes were spent on images that are wrong without any attack"
    return Finding(status="pass", value=share, bound=bound, sentence=sentence)


SPENT_BUDGET = Check(
    id="spent-budget", title="attacks use their radius", needs="rows", run=budgets_are_spent,
    doubts=False, masks=True,
)  # fmt: skip
ENOUGH_STEPS = Check(
    id="enough-steps", title="attacks take enough steps", needs="rows", run=steps_are_enough
)
WASTED = Check(
    id="wasted-passes", title="passes are spent where they count", needs="cells",
    run=passes_are_not_wasted, doubts=False,
)  # fmt: skip
