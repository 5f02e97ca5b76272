"""What a scene is: a model as a user would make it, a threat, and the best attack we know on it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

import bench
from bench.runner.judge import JUDGING, Attempt, confidence, decision, judge, share_right
from bench.spec import Adapter, AttackSpec, Norm
from bench.trust.behaviour import judged

#: How many test images are attacked, and how many of them together, as a suite does.
IMAGES, TOGETHER = 200, 100

#: An attack written for one defence: images (N, C, H, W) and labels (N,) to images in the ball and in [0, 1].
HandMade = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A defence, its threat, and a strong attack made by hand with full knowledge of the defence.

    Attributes:
        name: of the defence.
        build: returns the model as a user would hand it over.
        handmade: the attack.
        norm: of the threat.
        eps: of the threat, as text.
        data: the data set.
        without: attacks of the standard suite that are left out, since they alone cope with the defence.
        before: what withstood the standard suite before there was any remedy, in percent of the
            test images.
        left: what the hand-made attack leaves, likewise; of a random model the mean share of draws.
        hides: whether the standard suite overstates the robustness clearly; it does not where the plain
            attacks of the harness cope with the defence.
        count: how many of the first test images the figures are about.
    """

    name: str
    build: Callable[[], Adapter]
    handmade: HandMade = field(repr=False)
    norm: Norm = "linf"
    eps: str = "0.2"
    data: str = "digits"
    without: tuple[str, ...] = ()
    before: float = 100.0
    left: float = 0.0
    hides: bool = True
    count: int = IMAGES


@functools.cache
def images(
    data: str = "digits", count: int = IMAGES, split: str = "test"
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the first images of a data set (N, C, H, W), and their labels (N,)."""
    return bench.load_data(data, split, count)


def withstood(scene: Scene, count: int | None = None) -> torch.Tensor:
    """Return which of the first images the model labels rightly before and after the hand-made attack, (N,).

    The model judges as in a run: each batch with the images that it gets right; an image counts as broken only
    if it lies in the ball and its scores are finite. Of a random model, as in the headline, the share of draws
    that are right about the image tried.
    """
    x, y = images(scene.data, count or scene.count)
    model, _ = judged(scene.build(), x)
    spec = AttackSpec(name="pgd", norm=scene.norm, eps=scene.eps)
    robust = torch.zeros(len(x))
    for at in torch.arange(len(x)).split(TOGETHER):
        clean = decision(model, x[at])
        right = clean.labels == y[at]
        chosen = at[right]
        attempt = Attempt(spec, x[chosen], y[chosen], confidence(clean, model.spec)[right])
        tried = scene.handmade(attempt.x.clone(), attempt.y)
        verdict = judge(attempt, model.spec, tried, decision(model, tried))
        kept = share_right(model, tried, attempt.y, JUDGING)
        invalid = torch.tensor([why is not None for why in verdict.invalid])
        standing = ~torch.tensor(verdict.success)
        robust[chosen] = (
            standing.float() if kept is None else torch.where(invalid, 1.0, kept.float())
        )
    return robust
