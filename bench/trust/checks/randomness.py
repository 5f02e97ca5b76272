"""Whether attacks saw through the randomness of a model."""

from __future__ import annotations

import torch
from torch import nn

from bench.adapters.generators import seeded
from bench.adapters.random import RandomAdapter
from bench.measure.statistics import mcnemar
from bench.spec import EXPECTED_SURFACE, ONE_DRAW_SURFACE
from bench.trust.checked_threat import CheckedThreat
from bench.trust.checks.registry import Check, Finding
from bench.trust.lowered import (
    adaptive_to_add,
    attack_to_add,
    bound,
    lowered,
    not_applicable,
    not_attacked,
)

#: How many images are attacked: each answer takes many draws.
_IMAGES = 16

_SAME_ANSWERS = not_applicable("the same images get the same answers")


def mean_of_draws(threat: CheckedThreat) -> Finding:
    """Attack through the mean of 20 draws, where a run attacked a random model through single draws only.

    Expectation over transformation (Athalye et al., Synthesizing robust adversarial examples, 2018): the
    gradient of one draw says little of the next.
    """
    if not threat.drawn or EXPECTED_SURFACE not in threat.judge.surfaces():
        return _SAME_ANSWERS
    cells = threat.cells
    if not cells.empty:
        valid = cells[(cells["flag"] == "") & cells["shows_robust"]]
        if (valid["surface"] == EXPECTED_SURFACE).any():
            sentence = "the run attacked through the mean of 20 draws"
            return Finding(status="pass", sentence=sentence)
        if not valid["surface"].isin(threat.judge.surfaces()).any():
            return not_applicable("no attack of the run follows a gradient of the model")
    at = threat.survivors(_IMAGES)
    if why := not_attacked(threat, at):
        return why
    tried = threat.attack("pgd", at, surface=EXPECTED_SURFACE, steps=20)
    drop = lowered(threat, tried.broken)
    status = drop.status(threat, "mean-of-draws")
    sentence = f"pgd along the mean gradient of 20 draws breaks {drop.words()}"
    if status != "pass":
        sentence += f", which were attacked through one draw at a time: {drop.drop()}"
    return Finding(
        status=status,
        sentence=sentence,
        value=drop.share,
        bound=bound(threat, "mean-of-draws"),
        remedy=""
        if status == "pass"
        else attack_to_add(threat, "pgd", surface=EXPECTED_SURFACE, steps=20),
    )


MEAN_OF_DRAWS = Check(
    id="mean-of-draws",
    title="a random model is attacked through the mean of many draws",
    needs="threat",
    run=mean_of_draws,
    masks=True,
)


class _SameDraws(nn.Module):
    """A random network that draws the same numbers in each call."""

    def __init__(self, net: nn.Module, seed: int) -> None:
        super().__init__()
        self.net, self.seed = net, seed

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with seeded(self.seed, x.device):
            scores: torch.Tensor = self.net(x)
        return scores


def same_draws(threat: CheckedThreat) -> Finding:
    """Attack a random model with its draws held fixed, where it is easier to attack than when they vary.

    If that fails, more than randomness is in the way (Carlini et al., 2019, section 4.8).
    """
    if not isinstance(threat.judge, RandomAdapter) or not threat.climbed:
        return _SAME_ANSWERS
    at = threat.right(_IMAGES)
    if why := not_attacked(threat, at):
        return why
    held = _SameDraws(threat.judge.surfaces()[ONE_DRAW_SURFACE], threat.seed + 1)
    fixed = threat.attack("pgd", at, surface=held, steps=20)
    varied = threat.attack("pgd", at, surface=EXPECTED_SURFACE, steps=20)
    with torch.no_grad():
        labels = held(fixed.x_adv.clone()).argmax(1)
    threat.count(len(at))
    of_fixed = (labels != threat.y[at]).cpu()
    only_varied = int((varied.broken & ~of_fixed).sum())
    only_fixed = int((of_fixed & ~varied.broken).sum())
    n, k, m = len(at), int(of_fixed.sum()), int(varied.broken.sum())
    significant = mcnemar(only_varied, only_fixed) < threat.model.bounds["same-draws.p"]
    worse = only_varied > only_fixed and significant
    sentence = (
        f"pgd breaks {k} of {n} images with the draws held fixed and {m} with new ones each time"
    )
    if worse:
        sentence += (
            ", although fixed draws are the easier target: the gradient lies, not the chance alone"
        )
    return Finding(
        status="warn" if worse else "pass",
        sentence=sentence,
        value=(m - k) / n,
        bound=f"not above 0 in McNemar's test at {threat.model.bounds['same-draws.p']:g}",
        remedy=adaptive_to_add(threat) if worse else "",
    )


SAME_DRAWS = Check(
    id="same-draws",
    title="a random model with its draws held fixed is no harder to attack",
    needs="threat",
    run=same_draws,
    level="full",
    masks=True,
)
