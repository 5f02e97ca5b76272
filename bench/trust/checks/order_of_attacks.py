"""Whether attacks that know or do more break more than attacks that know or do less.

An attack that follows the gradient of a model has all that one has which only asks for answers, and ten steps go at
least as far as one. Where the lesser attack breaks images that the greater one does not, the greater one does not
work: most often since the gradient does not lead uphill (Athalye et al., ICML 2018, section 3.1; Carlini et al., On
Evaluating Adversarial Robustness, 2019, sections 3.2 and 4.5).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from bench.measure.access import UNKNOWN
from bench.measure.outcomes import Outcomes
from bench.spec import FIXED
from bench.trust.bounds import Bounds
from bench.trust.checks.registry import Check, Finding, Status
from bench.trust.tried import (
    FEWEST,
    REMEDY,
    Cells,
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


@dataclass(frozen=True, eq=False, slots=True)
class Sides:
    """Attacks under one threat that should break more, and those that should break less.

    Attributes:
        at: the threat.
        greater: the former.
        worst: the lesser attack that breaks most images that none of the former does.
        alone: how many images the lesser attacks break that none of the former does.
        n: how many images all of them attacked.
    """

    at: Tried
    greater: Cells
    worst: TriedCell
    alone: int
    n: int

    def finding(self, status: Status, sentence: str, share: float, remedy: str) -> Finding:
        """Return a finding about them, where at most a share of images may be broken by the lesser alone."""
        return self.at.found(
            status, sentence, value=self.alone / self.n,
            bound=at_most(share, self.n), remedy=remedy,
        )  # fmt: skip


def sides(at: Tried, greater: Cells, lesser: Cells) -> Sides | None:
    """Return what the lesser attacks break alone; None where a side is empty or too few images are shared."""
    if not greater or not lesser:
        return None
    counted = at.attacked_by(*greater, *lesser)
    n = int(counted.sum())
    if n < FEWEST:
        return None
    withstood = counted & ~at.broken_by(*greater)
    worst = max(lesser, key=lambda cell: int((withstood & at.broken_by(cell)).sum()))
    return Sides(at, greater, worst, int((withstood & at.broken_by(*lesser)).sum()), n)


def several_steps_beat_one(outcomes: Outcomes) -> list[Finding]:
    """Find the threats under which a single step breaks images that no attack of several steps does.

    A surface made for the model only stands in for it, so that going further up it may lead back: there more
    images may be exceptions, and the finding is a warning.
    """
    bounds = Bounds(outcomes.results.bounds)
    compared, findings = 0, []
    for at in tried(outcomes):
        single = [cell for cell in at.gradient if cell.steps == 1 and cell.kind == "fixed"]
        both = sides(at, [cell for cell in at.gradient if cell.by_steps], single)
        if both is None or at.random:
            continue
        compared += 1
        share = bounds[f"several-steps.{'only-single' if at.exact else 'on-surrogates'}"]
        if both.alone > allowed(share, both.n):
            findings.append(_single_step_alone(both, share))
    return in_short(
        findings, compared, "attacks of several steps break what a single step breaks",
        "no model was attacked both by a single step and by several within one radius",
    )  # fmt: skip


def _single_step_alone(both: Sides, share: float) -> Finding:
    """Return the finding that a single step breaks images alone.

    An attack that looks for the nearest image ends where the label first changes, which may lie beyond the radius
    although it holds other errors: there it is no sign that the attack is broken.
    """
    at, whole = both.at, [cell for cell in both.greater if cell.kind == FIXED]
    alone = f"the single step of {both.worst.name} breaks {both.alone} of {images(both.n)} that"
    if not whole:
        return both.finding(
            "warn",
            f"{alone} {names(both.greater)} does not, which looks for the nearest image and may pass by others; no "
            f"attack of several steps uses the whole radius",
            share, added(at, "pgd"),
        )  # fmt: skip
    return both.finding(
        "fail" if at.exact else "warn",
        f"{alone} no attack of several steps ({names(both.greater)}) breaks, so these do not work as they should",
        share, f'give them `steps = 100` and `step_size = "{at.eps / 10:.3g}"`',
    )  # fmt: skip


def gradients_beat_answers(outcomes: Outcomes) -> list[Finding]:
    """Find the threats under which attacks that only ask for answers break what those along gradients do not.

    Not in l0, where a gradient does not say which pixels to change, so that a search among them may find more of any model.
    """
    bounds = Bounds(outcomes.results.bounds)
    shares = bounds["only-black-box.few"], bounds["only-black-box.many"]
    known = [
        both
        for at in tried(outcomes)
        if at.norm != "l0" and (both := sides(at, at.gradient, at.asking)) is not None
    ]  # fmt: skip
    return in_short(
        [found for both in known if (found := _behind(both, shares, "only asks the model for its answers"))],
        len(known), "attacks along a gradient break what attacks that only ask for answers break",
        "no model was attacked both along a gradient and by asking for answers within one radius",
    )  # fmt: skip


def gradients_beat_transfer(outcomes: Outcomes) -> list[Finding]:
    """Find the threats under which images of another network break what attacks along gradients do not."""
    bounds = Bounds(outcomes.results.bounds)
    shares = bounds["only-transfer.few"], bounds["only-transfer.many"]
    known = [
        both for at in tried(outcomes) if (both := sides(at, at.gradient, at.transferred)) is not None
    ]  # fmt: skip
    return in_short(
        [found for both in known if (found := _behind(both, shares, "makes its images on another network"))],
        len(known), "attacks along a gradient of the model break what images made on another network break",
        "no model was attacked both along its gradient and by images of another network within one radius",
    )  # fmt: skip


def _behind(both: Sides, shares: tuple[float, float], does: str) -> Finding | None:
    """Return the finding that gradients lead to less than lesser attacks break; None where they do not.

    It is a failure where many images are missed along the model's own gradient and by several steps: a single
    step, or a surface that stands in for the model, may miss them in a sound evaluation too.
    """
    at, (few, many) = both.at, shares
    share = many if at.random else few
    if both.alone <= allowed(share, both.n):
        return None
    own = [cell for cell in both.greater if cell.access == "exact" and cell.by_steps]
    serious = bool(own) and not at.random and both.alone > allowed(many, both.n)
    so = (
        "the gradient hides how weak the model is"
        if serious
        else "gradients do not lead to all there is"
    )
    remedy = "make another attack within this radius that needs no gradient (`bench ls attacks`)"
    return both.finding(
        "fail" if serious else "warn",
        f"{both.worst.name}, which {does}, breaks {both.alone} of {images(both.n)} that no attack along a gradient "
        f"({names(both.greater)}) breaks: {so}",
        share, added(at, REMEDY) if at.norm in ("linf", "l2") else remedy,
    )  # fmt: skip


def autoattack_beats_others(outcomes: Outcomes) -> list[Finding]:
    """Find the threats under which other attacks break images that AutoAttack does not."""
    share = Bounds(outcomes.results.bounds)["autoattack.only-others"]
    compared, findings = 0, []
    for at in tried(outcomes):
        ours = [cell for cell in at.cells if cell.attack == "autoattack"]
        both = sides(at, ours, [cell for cell in at.cells if cell.attack != "autoattack"])
        if both is None or at.random:
            continue
        compared += 1
        if both.alone > allowed(share, both.n):
            findings.append(both.finding(
                "warn",
                f"other attacks, {both.worst.name} first, break {both.alone} of {images(both.n)} that AutoAttack does "
                "not, so AutoAttack alone is not enough for this model",
                share, added(at, REMEDY),
            ))  # fmt: skip
    return in_short(
        findings, compared, "AutoAttack breaks what the other attacks break",
        "no model was attacked both by AutoAttack and by others within one radius",
    )  # fmt: skip


def own_attacks_beat_images_from_outside(outcomes: Outcomes) -> list[Finding]:
    """Find the threats under which images that others made break what no attack of the run does, or are all there is."""
    share = Bounds(outcomes.results.bounds)["external.only-external"]
    compared, findings = 0, []
    for at in tried(outcomes):
        outside = [cell for cell in at.cells if cell.access == UNKNOWN]
        own = [cell for cell in at.cells if cell.access != UNKNOWN]
        if at.untargeted and all(cell.access == UNKNOWN for cell in at.untargeted):
            compared += 1
            findings.append(at.found(
                "warn",
                f"only images that others made were tried ({names(outside)}): how hard they tried is not known, so "
                "more images may be broken",
                value=0.0, bound="one attack at least",
                remedy=f"attack {at.model} too: `bench run {at.model} --norm {at.norm} --eps {at.eps_text}`",
            ))  # fmt: skip
            continue
        both = None if at.random else sides(at, own, outside)
        if both is None:
            continue
        compared += 1
        if both.alone > allowed(share, both.n):
            remedy = f"make a stronger attack within this radius ({names(own)} did not find them)"
            findings.append(both.finding(
                "warn",
                f"the images of {both.worst.name} break {both.alone} of {images(both.n)} that no attack of the run "
                "breaks, so its attacks are not strong enough for this model",
                share, added(at, REMEDY) if at.norm in ("linf", "l2") else remedy,
            ))  # fmt: skip
    return in_short(
        findings, compared, "the attacks of the run break what images from outside break",
        "no model was both attacked and shown images from outside within one radius",
    )  # fmt: skip


def more_steps_keep_what_fewer_broke(outcomes: Outcomes) -> list[Finding]:
    """Find attacks that lose, with more steps, images that they broke with fewer."""
    share = Bounds(outcomes.results.bounds)["more-steps.lost"]
    compared, findings = 0, []
    for at in tried(outcomes):
        pairs = [] if at.random else longer_runs(at, ("steps", "step_size"))
        known = [both for one, more in pairs if (both := sides(at, [more], [one])) is not None]
        if not known:
            continue
        compared += 1
        both = max(known, key=lambda found: found.alone)
        if both.alone > allowed(share, both.n):
            longer = both.greater[0]
            findings.append(both.finding(
                "warn",
                f"{longer.name} with {longer.steps} steps loses {both.alone} of {images(both.n)} that it breaks with "
                f"{both.worst.steps}, so it does not keep the best image that it comes by",
                share, f"{added(at, 'apgd-ce')}, which keeps its best image",
            ))  # fmt: skip
    return in_short(
        findings, compared, "more steps break what fewer steps of the same attack break",
        "no attack was made with two numbers of steps within one radius",
    )  # fmt: skip


def longer_runs(at: Tried, without: tuple[str, ...]) -> Iterator[tuple[TriedCell, TriedCell]]:
    """Yield each attack that was made with several values of a parameter, a smaller and the next larger at a time.

    Args:
        at: what was tried under a threat.
        without: the parameter, then others that may differ.
    """
    alike: dict[str, list[TriedCell]] = {}
    for cell in at.cells:
        if without[0] in cell.parameters:
            alike.setdefault(cell.alike(without), []).append(cell)
    for cells in alike.values():
        by_amount = {int(cell.parameters[without[0]]): cell for cell in cells}
        amounts = sorted(by_amount)
        for fewer, more in pairwise(amounts):
            yield by_amount[fewer], by_amount[more]


SEVERAL_STEPS = Check(
    id="several-steps", title="several steps break what one step breaks", needs="rows",
    run=several_steps_beat_one, masks=True,
)  # fmt: skip
BLACK_BOX = Check(
    id="only-black-box", title="gradients lead to what asking for answers finds", needs="rows",
    run=gradients_beat_answers, masks=True,
)  # fmt: skip
TRANSFERRED = Check(
    id="only-transfer", title="gradients lead to what images of other networks show", needs="rows",
    run=gradients_beat_transfer, masks=True,
)  # fmt: skip
AUTOATTACK = Check(
    id="autoattack", title="AutoAttack breaks what other attacks break", needs="rows",
    run=autoattack_beats_others,
)  # fmt: skip
OUTSIDE = Check(
    id="only-external", title="attacks break what images from outside break", needs="rows",
    run=own_attacks_beat_images_from_outside,
)  # fmt: skip
MORE_STEPS = Check(
    id="more-steps", title="more steps lose no image", needs="rows",
    run=more_steps_keep_what_fewer_broke,
)  # fmt: skip
