"""The cascade: each stage only on the images that withstood the ones before."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from typing import Literal

import torch
from torch import nn

from bench.attacks.instrument import Probe
from bench.attacks.native.adaptive.ascent import Climb, climb
from bench.attacks.native.adaptive.budget import Budget
from bench.attacks.native.adaptive.decision_only import walk
from bench.attacks.native.adaptive.first_product import FirstProduct, Link, TiedNetwork, link_of
from bench.attacks.native.adaptive.inner_networks import InnerNetworks
from bench.attacks.native.adaptive.losses import Aim
from bench.attacks.native.adaptive.model import Model
from bench.attacks.native.adaptive.scores_only import differences, squares
from bench.attacks.native.adaptive.straight_through import StraightThrough
from bench.attacks.native.adaptive.substitute import transfer
from bench.attacks.native.adaptive.survivors import Survivors
from bench.attacks.native.adaptive.together import climb_together, depends_on_batch
from bench.attacks.native.adaptive.views import NoGradient, View
from bench.attacks.native.ball import Ball

#: What the ascents increase, the best first.
_AIMS = (Aim("ce"), Aim("margin"), Aim("dlr"), Aim("margin", 1), Aim("margin", 2), Aim("margin", 3))

#: Steps of one ascent, and the fewest for which a further one is begun.
_STEPS, _LEAST = 40, 10

#: After so many turns, a view is left that helped on fewer images than this share of the most.
_TRIED, _WORTH = 2, 0.25

#: How many points around an image are averaged, and how far away, as shares of eps.
_AROUND, _RADII = 8, (0.5, 0.2)

#: Pairs of points for an estimated gradient, and the share of the queries for scores that random squares get.
_PAIRS, _SQUARES = 10, 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class Adaptive:
    """The parameters of the attack.

    Attributes:
        norm: `linf` or `l2`.
        eps: the radius.
        passes: forward and backward passes an image, at most.
    """

    norm: Literal["linf", "l2"]
    eps: float
    passes: int


def adaptive(
    probe: Probe, x: torch.Tensor, y: torch.Tensor, parameters: Adaptive, seed: int
) -> torch.Tensor:
    """Return images (N, C, H, W) that the model gets wrong, where some are found within the budget.

    Where none is found, the image for which another class came nearest is returned.

    Args:
        probe: around the model; an attribute `adapter` of what it holds gives its decisions, `surfaces` its
            differentiable views and `networks` the modules inside it. A module without an adapter is
            all of these itself.
        x: images, float32 (N, C, H, W) in [0, 1].
        y: labels, int64 (N,).
        parameters: of the attack.
        seed: of all draws.
    """
    budget = Budget(parameters.passes, x)
    model = Model(probe.net, x, y, budget)
    survivors = Survivors(model, budget, Ball(parameters.norm, parameters.eps), seed)
    survivors.together = depends_on_batch(survivors, survivors.begin())
    stages = _TOGETHER if survivors.together else _OF_VOTES if model.votes else _STAGES
    shares = 0.0
    for share, stage in stages:
        shares += share
        budget.limit = max(1, round(shares * parameters.passes))
        rows = survivors.rows()
        if len(rows):
            stage(survivors, rows)
    budget.report(probe)
    return survivors.result()


def _own_gradients(survivors: Survivors, rows: torch.Tensor) -> None:
    """Follow the gradients of the surfaces that the model has."""
    budget = survivors.budget
    views = [
        View(probe=budget.probe(net), generator=survivors.generator)
        for net in survivors.model.surfaces.values()
    ]
    _climbs(survivors, views)


def _straight_through(survivors: Survivors, rows: torch.Tensor) -> None:
    """Follow gradients past what has none, or a wrong one."""
    views = []
    for net in survivors.model.networks.values():
        views += list(_passages(survivors, net))
    _climbs(survivors, views)


def _passages(survivors: Survivors, net: nn.Module) -> Iterator[View]:
    """Yield views of a network in which gradients flow past what stops them."""
    model, budget = survivors.model, survivors.budget
    classes = survivors.ranked.shape[1] + 1
    link, inner = _looked_into(survivors, net, classes)
    ways: list[nn.Module] = [StraightThrough(net, classes)]
    if link is not None:
        ways += [TiedNetwork(net, link, alone=alone) for alone in (True, False)]
    for way in [*ways, *inner]:
        yield View(probe=budget.probe(way), generator=survivors.generator, draws=model.draws)


def _looked_into(
    survivors: Survivors, net: nn.Module, classes: int
) -> tuple[Link | None, list[nn.Module]]:
    """Return how the first product of a network is tied to the image, and the networks that it runs inside.

    None and none where it is not, or only by itself, and where it fails.
    """
    rows = survivors.rows()
    x = survivors.x[rows.to(survivors.x.device)]
    probe = survivors.budget.probe(net)
    inside = InnerNetworks(net, x, classes)
    try:
        with FirstProduct() as first, inside, probe.playing(rows):
            scores = probe(x.clone().requires_grad_())
    except Exception:  # a model is anybody's code
        return None, []
    return link_of(x, first), inside.beside(scores)


def _averaged(survivors: Survivors, rows: torch.Tensor) -> None:
    """Follow the mean gradient of points around the image, where a surface is a staircase or rough."""
    helpful = sorted(survivors.helped, key=lambda view: -survivors.helped[view])[:1]
    views = []
    for view, radius in product(helpful, _RADII):
        width = radius * survivors.ball.eps
        if survivors.ball.norm == "l2":
            width /= survivors.x[0].numel() ** 0.5
        views.append(dataclasses.replace(view, draws=_AROUND, around=width))
    _climbs(survivors, views)


def _all_together(survivors: Survivors, rows: torch.Tensor) -> None:
    """Follow the gradients of all images as one, of the model as it is and past what stops them."""
    budget, classes = survivors.budget, survivors.ranked.shape[1] + 1
    ways = [
        way
        for net in survivors.model.networks.values()
        for way in (net, StraightThrough(net, classes))
    ]
    for turn, way in enumerate(ways, 1):
        budget.limit = budget.total * turn // len(ways)
        with suppress(NoGradient):
            climb_together(survivors, View(probe=budget.probe(way), generator=survivors.generator))


def _climbs(survivors: Survivors, views: Sequence[View]) -> None:
    """Follow the views in turn, each time with another aim and start, as far as the budget of the stage goes.

    A view without a gradient is left, and after two turns one that helps far less than another.
    """
    gained = dict.fromkeys(views, 0)
    left, turn = list(views), 0
    while left:
        for view in list(left):
            rows = survivors.rows()
            steps = min(_STEPS, survivors.budget.left(rows) // view.cost - 2)
            if steps < _LEAST and (turn or steps < 1):
                return
            aim, before = _AIMS[turn % len(_AIMS)], survivors.lead.clone()
            plan = Climb(view=view, aim=aim, steps=steps, target=survivors.target(aim))
            if climb(survivors, rows, survivors.start(rows, turn), plan):
                gained[view] += int((survivors.lead > before).sum())
                survivors.helped[view] = gained[view]
            else:
                left.remove(view)
        turn += 1
        if turn >= _TRIED:
            most = max(gained.values())
            left = [view for view in left if gained[view] >= _WORTH * most]


def _scores_only(survivors: Survivors, rows: torch.Tensor) -> None:
    """Ask for scores alone: random squares, then estimated gradients; of labels alone nothing comes of it."""
    if survivors.labels_alone:
        return
    queries = survivors.budget.left(rows)
    squares(survivors, rows, survivors.start(rows, 1), int(_SQUARES * queries))
    rows = survivors.rows()
    if len(rows):
        queries = survivors.budget.left(rows)
        differences(survivors, rows, survivors.start(rows, 1), queries, _PAIRS)


def _substitute(survivors: Survivors, rows: torch.Tensor) -> None:
    """Attack a small network fitted to the model's answers, then search on from what it gave."""
    queries = survivors.budget.left(rows)
    transfer(survivors, rows, queries // 2)
    rows = survivors.rows()
    if len(rows) and not survivors.labels_alone:
        squares(survivors, rows, survivors.start(rows, 1), survivors.budget.left(rows))


def _decisions_only(survivors: Survivors, rows: torch.Tensor) -> None:
    """Ask for decisions alone."""
    walk(survivors, rows, survivors.budget.left(rows))


_Stages = tuple[tuple[float, Callable[[Survivors, torch.Tensor], None]], ...]

#: The share of the budget of each stage; what one leaves, the next ones have.
_STAGES: _Stages = (
    (0.25, _own_gradients),
    (0.2, _straight_through),
    (0.15, _averaged),
    (0.2, _scores_only),
    (0.1, _substitute),
    (0.1, _decisions_only),
)

#: For a model that votes over draws: one answer costs as much as a gradient of the mean over them.
_OF_VOTES: _Stages = ((0.5, _own_gradients), (0.25, _straight_through), (0.25, _averaged))

#: For a model whose answers depend on the other images of the batch.
_TOGETHER: _Stages = ((1.0, _all_together),)
