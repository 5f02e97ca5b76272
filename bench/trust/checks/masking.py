"""Errors near at hand that attacks along the gradient missed: signs that the gradient is hidden."""

from __future__ import annotations

import math

import torch

from bench.attacks.native.noise import noise
from bench.trust.checked_threat import CheckedThreat
from bench.trust.checks.registry import Check, Finding, Status
from bench.trust.lowered import adaptive_to_add, bound, lowered, not_applicable, not_attacked

#: How many images a check of a few passes attacks, and of a model that is asked many times for each answer.
_IMAGES, _IMAGES_DRAWN = 64, 16


def few(threat: CheckedThreat) -> int:
    """Return how many images a check of a few passes looks at."""
    return _IMAGES_DRAWN if threat.drawn else _IMAGES


def noise_finds(threat: CheckedThreat) -> Finding:
    """Try random images of the ball around those that withstood every attack.

    A gradient shows the way to the nearest error, so whatever random draws find, an attack that follows
    the gradient finds too (Athalye, Carlini and Wagner, 2018, section 3.1; Carlini et al., 2019, section
    4.6). In l0 no gradient says which pixels to change: there it is a warning that the search was short.
    """
    at = threat.survivors(few(threat))
    if why := not_attacked(threat, at):
        return why
    draws, x, y = int(threat.model.bounds["noise.draws"]), threat.x[at], threat.y[at]
    found = torch.zeros(len(at), dtype=torch.bool)
    for draw in range(draws):
        shown = noise(x, threat.norm, threat.eps, threat.seed + draw)
        found |= threat.wrong(shown, y)
    drop = lowered(threat, found)
    status = drop.status(threat, "noise")
    sentence = f"{draws} random draws around each image break {drop.words()}"
    remedy = ""
    if status != "pass" and threat.norm == "l0":
        status = "warn"
        sentence += f", so the search for pixels was too short: {drop.drop()}"
        remedy = "search for longer, or add another attack in l0 (`bench ls attacks`)"
    elif status != "pass":
        sentence += f", which attacks along a true gradient would have found: {drop.drop()}"
        remedy = adaptive_to_add(threat)
    return Finding(
        status=status,
        sentence=sentence,
        value=drop.share,
        bound=bound(threat, "noise"),
        remedy=remedy,
    )


NOISE = Check(
    id="noise",
    title="random noise finds nothing that the attacks missed",
    needs="threat",
    run=noise_finds,
    masks=True,
)


def unbounded(threat: CheckedThreat) -> Finding:
    """Attack with a radius that reaches a grey image from every image.

    All images can be made the same grey one there, so no model can be right more often than chance
    (Carlini et al., On evaluating adversarial robustness, 2019, section 4.7; in l2 the distance to grey is
    at most half of the square root of the number of pixels).
    """
    if threat.norm not in ("linf", "l2"):
        return not_applicable(f"grey is not near every image in {threat.norm}")
    surfaces, at = threat.climbed, threat.right(few(threat))
    if not surfaces:
        return not_applicable("the model has no gradient to follow")
    if why := not_attacked(threat, at):
        return why
    radius = 0.5 * (1 if threat.norm == "linf" else math.sqrt(threat.x[0].numel()))
    left = at
    for name in surfaces:
        tried = threat.attack("pgd", left, surface=name, eps=f"{radius:.6g}", steps=10)
        left = left[~tried.broken]
        if not len(left):
            break
    n = len(at)
    commonest, share = int(threat.y[at].bincount().max()) / n, len(left) / n
    most = commonest + 3 * math.sqrt(commonest * (1 - commonest) / n)
    status: Status = "fail" if share > most else "pass"
    sentence = (
        f"10 steps of PGD within {threat.norm} {radius:.3g} leave {len(left)} of {n} images right"
    )
    if status == "fail":
        sentence += (
            f", although every image can be turned plain grey within that radius, where a single answer "
            f"is right for at most {commonest:.0%}: the gradient does not lead to errors that are there"
        )
    return Finding(
        status=status,
        sentence=sentence,
        value=share,
        bound=f"at most {most:.1%}: the commonest class and three standard errors",
        remedy="" if status == "pass" else adaptive_to_add(threat),
    )


UNBOUNDED = Check(
    id="unbounded",
    title="an attack with no real bound breaks every image",
    needs="threat",
    run=unbounded,
    masks=True,
)
