"""Filters learnt without gradients: the local rule of Krotov and Hopfield (PNAS 2019, equation 3).

For each patch v of unit p-norm the filters are ranked by their activation <W_k, v>_k; the first is
drawn towards the patch, the m-th is pushed away by a share delta of that, the others stay:
W_k += rate * g_k (v - <W_k, v>_k W_k).

In a batch, a filter moves by the mean over the patches that move it, so that filters which win few patches
learn as fast as those that win many. The study leaves the scale of a batch's update open. On CIFAR-10
(K10 w4, 1,500 steps) other scales did not give its shares of features: setting the largest entry of all
filters, or of each filter, to 1; the sum over patches averaged over images; ranking by the normalised Q.
The mean does: 0.99 against the study's 0.96 (m3 p2 delta 0.1), 0.05 against 0.04 (m6), 0.02 against 0.02
(delta 0.2).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch.nn import functional as F

from bench.data.labelled import LabelledImages
from bench.errors import TrainingFailed
from bench.models.local import SMALLEST_NORM, patch_norms
from bench.train.recipe import LocalRule
from bench.train.schedules import rate_share

#: A filter is a feature if it is positive and its p-norm is 1 to within this.
TOLERANCE = 1e-6

#: If at most this share of the filters still has a positive value, the training has failed.
_WALL = 0.15


@dataclass(frozen=True, slots=True)
class FilterEpoch:
    """The state of filters after one pass over the images.

    Attributes:
        f_score: share of filters that are features.
    """

    number: int
    of: int
    f_score: float
    seconds: float

    def line(self) -> str:
        """Return it in words."""
        return f"filters, epoch {self.number}/{self.of}, f {self.f_score:.2f}, {self.seconds:.1f} s"


def unit_patches(
    images: torch.Tensor, width: int, p: int, count: int, generator: torch.Generator
) -> torch.Tensor:
    """Return patches of images (N, C, H, W) with unit p-norm, as (N', C * width^2).

    A patch of zeros has no direction, moves no filter and would only reduce the mean, so it is left out.

    Args:
        images: float, in [0, 1].
        width: of a patch.
        p: of the norm.
        count: number of patches per image, at randomly drawn places; 0 for all.
        generator: draws the places.
    """
    norms = patch_norms(images, width, p)[:, 0]
    n, columns = len(images), norms.shape[2]
    places = norms.shape[1] * columns
    if 0 < count < places:
        windows = images.unfold(2, width, 1).unfold(3, width, 1)
        at = torch.randint(places, (n, count), generator=generator).to(images.device)
        image = torch.arange(n, device=images.device)[:, None]
        patches = windows[image, :, at // columns, at % columns].flatten(0, 1).flatten(1)
        norms = norms.flatten(1).gather(1, at)
    else:
        patches = F.unfold(images, width).transpose(1, 2).flatten(0, 1)
    norms = norms.flatten()
    some = norms > SMALLEST_NORM
    if not some.all():  # avoids copying all patches if none is left out
        patches, norms = patches[some], norms[some]
    return patches.div_(norms[:, None])


class Update(NamedTuple):
    """The effect of patches on filters.

    Attributes:
        total: the sum over the patches of g_k (v - <W_k, v>_k W_k), (K, D).
        pull: the sum of g_k <W_k, v>_k, (K,).
        counts: how many patches attracted or repelled each filter, (K,).
    """

    total: torch.Tensor
    pull: torch.Tensor
    counts: torch.Tensor


def rule_update(
    filters: torch.Tensor, patches: torch.Tensor, *, p: int, m: int, delta: float
) -> Update:
    """Return what patches add to each filter at rate 1.

    Filters are ranked by <W_k, v>_k, not by the normalised activity of the paper's Q, under which filters
    that do not have unit norm yet would never be attracted, only repelled.

    Args:
        filters: W, (K, D).
        patches: v, (N, D), of unit p-norm.
        p: of the norm.
        m: the rank of the filter that is repelled, from 2.
        delta: strength of the repulsion.
    """
    activity = patches @ (filters * filters.abs() ** (p - 2)).T
    best = activity.topk(m, dim=1)
    first, last = best.indices[:, 0], best.indices[:, m - 1]
    moved = torch.zeros_like(filters)
    moved.index_add_(0, first, patches).index_add_(0, last, patches, alpha=-delta)
    pull = torch.zeros(len(filters), device=filters.device)
    pull.index_add_(0, first, best.values[:, 0]).index_add_(
        0, last, best.values[:, m - 1], alpha=-delta
    )
    counts = torch.bincount(torch.cat([first, last]), minlength=len(filters))
    return Update(moved - pull[:, None] * filters, pull, counts)


def stepped(filters: torch.Tensor, update: Update, rate: float) -> torch.Tensor:
    """Return filters (K, D) after a step along the mean over the patches that move each.

    A filter much longer than 1 has activities far above 1, and a full step would overshoot, so its step is
    divided by the mean activity. A filter that is repelled more than attracted grows by a share of itself
    at each step, without end (as with 400 filters, p4 and m5); its step is divided by the square.
    """
    moved = update.counts.clamp_min(1)
    pull = update.pull / moved
    shortened = torch.where(pull < 0, pull.square(), pull).clamp_min(1)
    steps = rate / (moved * shortened)
    return filters + steps[:, None] * update.total


def f_score(filters: torch.Tensor, p: int) -> float:
    """Return the share of filters (K, D) that are positive everywhere and have unit p-norm."""
    positive = (filters > 0).all(1)
    unit = (filters.double().norm(p, dim=1) - 1).abs() < TOLERANCE
    return float((positive & unit).double().mean())


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterShape:
    """The shape of filters, in the study's letters.

    Attributes:
        K: the square root of the number of filters.
        w: their width.
        p: of the norm in which they reach unit length.
    """

    K: int
    w: int
    p: int


def learn_filters(
    rule: LocalRule,
    data: LabelledImages,
    shape: FilterShape,
    *,
    seed: int,
    device: torch.device | str = "cpu",
    watch: Callable[[FilterEpoch, torch.Tensor], None] = lambda epoch, filters: None,
) -> torch.Tensor:
    """Return filters (K * K, C, w, w) learnt from images without labels.

    Args:
        rule: the learning rule; its m is a rank among the filters.
        data: the training images.
        shape: of the filters.
        seed: of the initial filters, the order of the images and the places of patches.
        device: the device to compute on.
        watch: called after each epoch with the current filters (K * K, C * w * w).

    Raises:
        TrainingFailed: filters are no longer finite, or almost all are negative everywhere.
    """
    channels, w = data.raw.shape[1], shape.w
    generator = torch.Generator().manual_seed(seed)
    filters = torch.randn(shape.K**2, channels * w * w, generator=generator).to(device)
    raw = data.raw.to(device)
    for number in range(rule.epochs):
        start = time.perf_counter()
        rate = rule.rate * rate_share(rule.shape, number, rule.epochs)
        order = torch.randperm(len(data), generator=generator)
        for rows in torch.split(order, rule.batch_size):
            images = raw[rows.to(device)].float() / data.top
            patches = unit_patches(images, w, shape.p, rule.patches, generator)
            update = rule_update(filters, patches, p=shape.p, m=rule.m, delta=rule.delta)
            filters = stepped(filters, update, rate)
        seconds = time.perf_counter() - start
        epoch = FilterEpoch(number + 1, rule.epochs, f_score(filters, shape.p), seconds)
        _check(filters, epoch, rule)
        watch(epoch, filters)
    return filters.cpu().view(shape.K**2, channels, w, w)


def _check(filters: torch.Tensor, epoch: FilterEpoch, rule: LocalRule) -> None:
    where = f"local learning, epoch {epoch.number} of {epoch.of}"
    if not filters.isfinite().all():
        raise TrainingFailed(
            f"{where}: filters are not finite any more at rate {rule.rate:g}; take a smaller one"
        )
    alive = float((filters > 0).any(1).float().mean())
    if alive < _WALL:
        raise TrainingFailed(
            f"{where}: the blue wall of death: {1 - alive:.0%} of the filters have been driven "
            f"negative throughout and win no patch; take a smaller delta than {rule.delta:g}, a "
            f"smaller m than {rule.m} or a smaller rate than {rule.rate:g}"
        )
