"""Whether the images that withstood a run have a gradient, and whether it leads uphill."""

from __future__ import annotations

import torch

from bench.adapters.losses import per_image_loss
from bench.adapters.modes import eval_mode
from bench.attacks.native.noise import noise
from bench.measure.statistics import wilson
from bench.spec import Loss
from bench.trust.checked_threat import CheckedThreat
from bench.trust.checks.masking import few
from bench.trust.checks.registry import Check, Finding, Status
from bench.trust.lowered import adaptive_to_add, bound, lowered, not_applicable, not_attacked
from bench.trust.watch import one_line

_LOSSES: tuple[Loss, ...] = ("ce", "margin", "dlr")


def zero_gradient(threat: CheckedThreat) -> Finding:
    """Look for images that withstood every attack because their gradient is zero.

    At the image and at a random point of the ball, for the cross-entropy, the margin and the difference of
    logits ratio: where only that of the cross-entropy is zero the softmax saturates, where all are the
    gradient is hidden (Croce and Hein, 2020, section 5; indicator 1 of Pintor et al., 2022).
    """
    surfaces, at = threat.climbed, threat.survivors(few(threat))
    if not surfaces:
        return not_applicable("the model has no gradient to follow")
    if why := not_attacked(threat, at):
        return why
    x, y = threat.x[at], threat.y[at]
    points = [x, noise(x, threat.norm, threat.eps, threat.seed)]
    dead = {loss: torch.ones(len(at), dtype=torch.bool) for loss in _losses(threat)}
    for name in surfaces:
        for loss in dead:
            for point in points:
                try:
                    slope = threat.judge.gradient(point.clone(), y, loss, name)
                except Exception as error:  # a surface is anybody's code
                    return Finding(status="fail", sentence=f"cannot be taken: {one_line(error)}")
                threat.count(2 * len(at))
                flat = slope.flatten(1)
                moves = (flat != 0).any(1) & flat.isfinite().all(1)
                dead[loss] &= ~moves.cpu()
    return _of_dead(threat, dead)


def _losses(threat: CheckedThreat) -> tuple[Loss, ...]:
    return _LOSSES if threat.judge.spec.num_classes >= 3 else _LOSSES[:2]


def _of_dead(threat: CheckedThreat, dead: dict[Loss, torch.Tensor]) -> Finding:
    """Return a finding on which images have no gradient of which loss."""
    nowhere = torch.stack(list(dead.values())).all(0)
    saturated = dead["ce"] & ~nowhere
    drop, kind = lowered(threat, dead["ce"]), "zero-gradient"
    status = drop.status(threat, kind)
    n = len(nowhere)
    parts = []
    if nowhere.any():
        parts.append(
            f"the gradient is zero for every loss at {int(nowhere.sum())} of {n} images that the run's "
            "attacks left, so an attack that follows it has no direction there"
        )
    if saturated.any():
        parts.append(
            f"the gradient of the cross-entropy is zero at {int(saturated.sum())} of {n} images that the "
            "run's attacks left, that of another loss is not: a softmax rounds to 0 and 1 there"
        )
    if not parts:
        parts = [f"it is not zero at any of {n} images that the run's attacks left"]
    remedy = ""
    if status != "pass":
        if _asked_for_answers(threat) and status == "fail":
            status = "warn"
            parts.append("the run also made attacks that need no gradient")
        remedy = adaptive_to_add(threat)
    return Finding(
        status=status,
        sentence="; ".join(parts),
        value=drop.share,
        bound=bound(threat, kind),
        remedy=remedy,
    )


def _asked_for_answers(threat: CheckedThreat) -> bool:
    """Return whether a valid attack of the run goes by the model's answers instead of its gradient."""
    cells = threat.cells
    if cells.empty:
        return False
    return bool(
        (
            ~cells["access"].isin(["white", "none"]) & (cells["flag"] == "") & cells["shows_robust"]
        ).any()
    )


ZERO_GRADIENT = Check(
    id="zero-gradient",
    title="what withstands the attacks has a gradient that they could follow",
    needs="threat",
    run=zero_gradient,
    masks=True,
)


#: The length of the step, as a share of the radius: far smaller than those of an attack, far larger than what
#: finite differences take.
_STEP = 0.1


def uphill(threat: CheckedThreat) -> Finding:
    """Take one small step along the gradient of each surface, and look whether its loss rises.

    A gradient may be right for steps too small to matter and lie for all others, as behind a leaky rounding
    or many small jumps; finite differences do not see that. The loss is the margin.
    """
    if threat.norm not in ("linf", "l2"):
        return not_applicable(f"no step of {threat.norm} here")
    surfaces, at = threat.climbed, threat.survivors(few(threat))
    if not surfaces:
        return not_applicable("the model has no gradient to follow")
    if threat.drawn:
        return not_applicable(
            "the scores of a random model are means of draws, too coarse for small steps"
        )
    if why := not_attacked(threat, at):
        return why
    x, y = threat.x[at], threat.y[at]
    rises = torch.zeros(len(at), dtype=torch.bool)
    steep = torch.zeros(len(at), dtype=torch.bool)
    for name in surfaces:
        module = threat.judge.surfaces()[name]
        slope = threat.judge.gradient(x.clone(), y, "margin", name)
        moved = (x + _STEP * threat.eps * _direction(threat, slope)).clamp(0, 1)
        with eval_mode(module), torch.no_grad():
            before, after = (
                per_image_loss(module(z.clone()).float(), y, "margin") for z in (x, moved)
            )
        threat.count(4 * len(at))
        rises |= (after > before).cpu()
        steep |= ((slope != 0).flatten(1).any(1) & slope.isfinite().flatten(1).all(1)).cpu()
    n, k = int(steep.sum()), int((steep & ~rises).sum())
    if not n:
        return not_applicable("the gradient is zero everywhere")
    return _of_falls(threat, n, k)


def _direction(threat: CheckedThreat, slope: torch.Tensor) -> torch.Tensor:
    """Return the steepest step of length 1 in the norm of the threat."""
    if threat.norm == "linf":
        return slope.sign()
    size = slope.flatten(1).norm(dim=1).clamp(min=1e-30).view(-1, 1, 1, 1)
    direction: torch.Tensor = slope / size
    return direction


def _of_falls(threat: CheckedThreat, n: int, k: int) -> Finding:
    """Return a finding on k of n images whose loss does not rise along their gradient."""
    bounds = threat.model.bounds
    least = wilson(k, n).low
    status: Status = "pass"
    if least > bounds["uphill.note"]:
        status = "fail" if least > bounds["uphill.most"] else "warn"
    sentence = (
        f"a step of a tenth of eps along the gradient raises the loss of {n - k} of {n} images"
    )
    if status != "pass":
        sentence += ": elsewhere it leads nowhere, so attacks that follow it fail"
    return Finding(
        status=status,
        sentence=sentence,
        value=k / n,
        bound=f"the lower end of the 95 % interval of the others at most {bounds['uphill.note']:.0%}",
        remedy="" if status == "pass" else adaptive_to_add(threat),
    )


UPHILL = Check(
    id="uphill",
    title="a step along the gradient raises the loss",
    needs="threat",
    run=uphill,
    masks=True,
)
