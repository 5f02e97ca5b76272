"""Whether longer runs, another loss or single targets still break more: from what a suite ran anyway.

An attack has converged when twice as many steps or restarts change nothing (Carlini et al., On Evaluating Adversarial
Robustness, 2019, section 5.3).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

from bench.measure.outcomes import Outcomes
from bench.measure.statistics import mcnemar
from bench.trust.bounds import Bounds
from bench.trust.checks.order_of_attacks import longer_runs, sides
from bench.trust.checks.registry import Check, Finding
from bench.trust.tried import (
    FEWEST,
    Tried,
    TriedCell,
    added,
    allowed,
    at_most,
    images,
    in_short,
    names,
    tried,
)

#: Of the paired test of two losses.
_LEVEL = 0.05

#: Attacks that try each of several classes in turn.
_EACH_CLASS = ("apgd-t", "fab-t")
_AIMED = ("targeted", "source-target")

#: What may be doubled, with what may differ then: steps may be shorter where there are more.
_DOUBLED = (("steps", "step_size"), ("restarts",))


def longer_runs_break_nothing_new(outcomes: Outcomes) -> list[Finding]:
    """Find the threats under which only the longest run of an attack breaks some images."""
    share = Bounds(outcomes.results.bounds)["longer-runs.gain"]
    compared, findings = 0, []
    for at in tried(outcomes):
        longer = {} if at.random else {
            more: without[0] for without in _DOUBLED for _, more in longer_runs(at, without)
        }  # fmt: skip
        gains = [
            both for more in longer
            if (both := sides(at, [cell for cell in at.cells if cell is not more], [more])) is not None
        ]  # fmt: skip
        if not gains:
            continue
        compared += 1
        most = max(gains, key=lambda both: both.alone)
        if most.alone > allowed(share, most.n):
            what = longer[most.worst]
            amount = int(most.worst.parameters[what])
            findings.append(most.finding(
                "warn",
                f"{most.worst.name} with {amount} {what} breaks {most.alone} of {images(most.n)} that nothing else "
                f"breaks, not even the same attack with fewer, so still more {what} may break more",
                share, f"give it `{what} = {2 * amount}`",
            ))  # fmt: skip
    return in_short(
        findings, compared, "more steps or restarts break nothing new",
        "no attack was made with two numbers of steps or restarts within one radius",
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _TwoLosses:
    """One attack by two losses.

    Attributes:
        better: the cell that breaks more images.
        worse: the other one.
        more: how many images it breaks more.
        p: of the exact paired test that both break as many.
        n: how many images both attacked.
    """

    better: TriedCell
    worse: TriedCell
    more: int
    p: float
    n: int


def losses_agree(outcomes: Outcomes) -> list[Finding]:
    """Find attacks that break far fewer images by one loss than by another."""
    within = Bounds(outcomes.results.bounds)["losses.within"]
    compared, findings = 0, []
    for at in tried(outcomes):
        pairs = [] if at.random else list(_two_losses(at))
        compared += bool(pairs)
        apart = [two for two in pairs if two.more > allowed(within, two.n) and two.p <= _LEVEL]
        if apart:
            worst = max(apart, key=lambda two: two.more)
            findings.append(at.found(
                "warn",
                f"{_by_loss(worst.better)} breaks {worst.more} more of {images(worst.n)} than {_by_loss(worst.worse)}, "
                "which differs in its loss alone, so the gradient of the weaker loss does not lead to what is there",
                value=worst.more / worst.n, bound=f"{at_most(within, worst.n)} more", remedy=added(at, "apgd-t"),
            ))  # fmt: skip
    return in_short(
        findings, compared, "losses of the same attack break about as many images",
        "no attack was made with two losses within one radius",
    )  # fmt: skip


def _two_losses(at: Tried) -> Iterator[_TwoLosses]:
    """Yield each attack that was made by two losses, alike but for these."""
    by_loss: dict[str, dict[str, TriedCell]] = {}
    for cell in at.gradient:
        if cell.attack in ("apgd-ce", "apgd-dlr"):
            key = cell.alike(("loss",)).replace(cell.attack, "apgd")
        elif "loss" in cell.parameters or cell.attack == "fgsm":
            # FGSM is the same in all toolkits, of which some follow the cross-entropy alone.
            key = cell.alike(("loss",)).replace(cell.toolkit, "")
        else:
            continue
        by_loss.setdefault(key, {}).setdefault(_by_loss(cell), cell)
    for cells in by_loss.values():
        for one, other in combinations(cells.values(), 2):
            if _loss(one) != _loss(other) and (found := _compared(at, one, other)) is not None:
                yield found


def _loss(cell: TriedCell) -> str:
    return cell.attack if cell.attack.startswith("apgd") else str(cell.parameters.get("loss", "ce"))


def _by_loss(cell: TriedCell) -> str:
    return cell.name if cell.attack.startswith("apgd") else f"{cell.name} by {_loss(cell)}"


def _compared(at: Tried, one: TriedCell, other: TriedCell) -> _TwoLosses | None:
    counted = at.attacked_by(one, other)
    n = int(counted.sum())
    if n < FEWEST:
        return None
    by_one, by_other = at.broken_by(one) & counted, at.broken_by(other) & counted
    only_one, only_other = int((by_one & ~by_other).sum()), int((by_other & ~by_one).sum())
    better, worse = (one, other) if only_one >= only_other else (other, one)
    return _TwoLosses(better, worse, abs(only_one - only_other), mcnemar(only_one, only_other), n)


def targets_break_nothing_new(outcomes: Outcomes) -> list[Finding]:
    """Note the threats under which attacks that aim at single classes break what no other does."""
    share = Bounds(outcomes.results.bounds)["targets.only-targeted"]
    compared, findings = 0, []
    for at in tried(outcomes):
        aiming = [
            cell for cell in at.cells if cell.attack in _EACH_CLASS or cell.goal == "targeted"
        ]
        both = sides(at, [cell for cell in at.gradient if cell not in aiming], aiming)
        if both is None or at.random:
            continue
        compared += 1
        if both.alone > allowed(share, both.n):
            every = any(cell.attack in _EACH_CLASS for cell in aiming)
            findings.append(both.finding(
                "warn",
                f"{names(aiming)}, which aims at single classes, breaks {both.alone} of {images(both.n)} that no other "
                f"attack along a gradient ({names(both.greater)}) breaks; the worst case has them",
                share, "keep it in the suite" if every else added(at, "apgd-t"),
            ))  # fmt: skip
    return in_short(
        findings, compared, "attacks without a target break what those with targets break",
        "no model was attacked both with and without targets within one radius",
    )  # fmt: skip


def targets_are_within_reach(outcomes: Outcomes) -> list[Finding]:
    """Note targeted attacks that never reach their target, though the label is easy to lose."""
    bounds = Bounds(outcomes.results.bounds)
    never, easy = bounds["targets-reached.never"], bounds["targets-reached.easy"]
    compared, findings = 0, []
    for at in tried(outcomes):
        aimed = [cell for cell in at.cells if cell.goal in _AIMED and cell.correct >= FEWEST]
        counted = at.attacked_by(*at.gradient)
        if not aimed or not at.gradient or not counted.any():
            continue
        compared += 1
        lost = float(at.broken_by(*at.gradient)[counted].mean())
        worst = min(aimed, key=lambda cell: cell.successes / cell.correct)
        rate = worst.successes / worst.correct
        if rate <= never and lost >= easy:
            findings.append(at.found(
                "warn",
                f"{worst.name} reaches its target ({worst.targeted}) on {worst.successes} of {images(worst.correct)}, "
                f"though {lost:.0%} lose their label: the target is out of reach, which says nothing of robustness",
                value=rate, bound=f"above {never:.0%}", cell=worst.key,
                remedy=f'give {worst.attack} `targeted = "next"`, or {added(at, "apgd-t")}',
            ))  # fmt: skip
    return in_short(
        findings, compared, "targets are reached where labels are lost",
        "no model was attacked both with and without a target within one radius",
    )  # fmt: skip


LONGER_RUNS = Check(
    id="longer-runs", title="longer runs break nothing new", needs="rows",
    run=longer_runs_break_nothing_new,
)  # fmt: skip
LOSSES = Check(
    id="losses", title="no loss is far behind another", needs="rows", run=losses_agree, masks=True
)
TARGETS = Check(
    id="targets", title="attacks without a target find what those with targets find", needs="rows",
    run=targets_break_nothing_new, doubts=False,
)  # fmt: skip
TARGETS_REACHED = Check(
    id="targets-reached", title="targets are within reach", needs="rows",
    run=targets_are_within_reach, doubts=False,
)  # fmt: skip
