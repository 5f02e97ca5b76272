from __future__ import annotations

from collections.abc import Callable
from typing import Any

import oracles
import pytest
import torch
from torch import nn

import bench
from bench.attacks.catalogue import resolve
from bench.attacks.instrument import attacked
from bench.attacks.native.adaptive import Adaptive, adaptive, cascade
from bench.attacks.native.adaptive.budget import Budget
from bench.attacks.native.adaptive.model import Model
from bench.attacks.native.adaptive.survivors import Survivors
from bench.attacks.native.ball import Ball
from bench.errors import SpecError
from bench.spec import BLACK_BOX_SURFACE, WHOLE_MODEL_SURFACE

EPS = 0.05


class Counting(nn.Module):
    """Counts the images that pass forward through a network, and the gradients that pass back."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net, self.passes = net, 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.passes += len(x)
        if x.requires_grad:
            x.register_hook(self._count)
        scores: torch.Tensor = self.net(x)
        return scores

    def _count(self, gradient: torch.Tensor) -> None:
        self.passes += len(gradient)


def tried(
    net: nn.Module,
    x: torch.Tensor,
    y: torch.Tensor,
    norm: Any = "linf",
    eps: float = EPS,
    **more: Any,
) -> torch.Tensor:
    parameters = Adaptive(norm=norm, eps=eps, passes=more.get("passes", 400))
    with attacked(net, x, 0) as probe:
        return adaptive(probe, x, y, parameters, more.get("seed", 0))


def wrong(net: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return net(x).argmax(1) != y


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_it_breaks_just_the_images_nearer_than_eps_to_a_linear_boundary(norm: str) -> None:
    shares = [0.2, 0.6, 0.9, 0.97, 1.03, 1.1, 2.0]
    net, x, y = oracles.two_classes(norm, [share * EPS for share in shares])
    found = tried(net, x, y, norm)
    assert wrong(net, found, y).tolist() == [share < 1 for share in shares]
    assert (oracles.size(found - x, norm) <= EPS * (1 + 1e-5)).all()
    assert found.min() >= 0
    assert found.max() <= 1


@pytest.mark.parametrize("passes", [50, 251])
def test_no_image_takes_more_passes_than_the_budget_and_all_are_counted(passes: int) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(6, *oracles.SHAPE, generator=generator)
    counting = Counting(oracles.Linear(torch.randn(4, 75, generator=generator)))
    y = counting(x).argmax(1)
    counting.passes = 0
    with attacked(counting, x, 0) as probe:
        adaptive(probe, x, y, Adaptive(norm="linf", eps=0.003, passes=passes), 0)
    taken = probe.forwards + probe.backwards
    assert 0.7 * passes < taken.max() <= passes
    assert counting.passes == taken.sum()


def test_an_image_that_is_broken_takes_no_further_pass() -> None:
    net, x, y = oracles.two_classes("linf", [0.1 * EPS, 2 * EPS])
    with attacked(net, x, 0) as probe:
        adaptive(probe, x, y, Adaptive(norm="linf", eps=EPS, passes=300), 0)
    near, far = (probe.forwards + probe.backwards).tolist()
    assert near < 15
    assert far > 200


def test_the_same_seed_gives_the_same_images_and_another_one_others() -> None:
    net, x, y = oracles.two_classes("l2", [2 * EPS] * 3)
    first, again, other = (tried(net, x, y, "l2", seed=seed, passes=60) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_where_nothing_breaks_the_nearest_image_is_returned() -> None:
    net, x, y = oracles.two_classes("linf", [2 * EPS])
    found = tried(net, x, y, passes=200)
    # Half way to the boundary of a linear model: its margin is halved.
    assert oracles.distances(net, found, y, "linf").item() == pytest.approx(EPS, rel=0.02)


@pytest.mark.parametrize("norm", ["l0", "l1"])
def test_other_norms_are_refused(norm: str) -> None:
    with pytest.raises(SpecError, match="adaptive has no norm"):
        resolve("adaptive", norm, EPS)


class Behind(nn.Module):
    """A linear model behind a preparation of the image."""

    def __init__(self, net: nn.Module, prepare: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.net, self.prepare = net, prepare

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.net(self.prepare(x))
        return scores


class Labels(nn.Module):
    """The decisions of a model, as one-hot scores without a gradient."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.one_hot(self.net(x).argmax(1), 2).float()


def settled(stage: Any, net: nn.Module, x: torch.Tensor, y: torch.Tensor, passes: int) -> int:
    """Return how many images a stage breaks by itself."""
    with attacked(net, x, 0):
        budget = Budget(passes, x)
        survivors = Survivors(Model(net, x, y, budget), budget, Ball("linf", EPS), 0)
        survivors.begin()
        if stage is cascade._averaged:  # it takes the views that stages before it found
            cascade._own_gradients(survivors, survivors.rows())
            assert not survivors.settled.all()
            budget.limit += passes
        stage(survivors, survivors.rows())
    return int(survivors.settled.sum())


def through_numpy(x: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(x.detach().numpy() ** 0.9)


def rounded(x: torch.Tensor) -> torch.Tensor:
    return (x * 64).round() / 64


@pytest.mark.parametrize("prepare", [rounded, through_numpy, torch.detach])
def test_gradients_go_past_a_preparation_that_stops_them(prepare: Any) -> None:
    net, x, y = oracles.two_classes("linf", [0.5 * EPS] * 4)
    defended = Behind(net, prepare)
    right = ~wrong(defended, x, y)
    assert right.sum() >= 2
    x, y = x[right], y[right]
    assert settled(cascade._own_gradients, defended, x, y, 120) == 0
    assert settled(cascade._straight_through, defended, x, y, 120) == len(x)


class Confirms(nn.Module):
    """What a network decides, said with full confidence by something without a gradient."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        decided = self.net(x).argmax(1).detach().numpy()
        return torch.eye(2)[torch.from_numpy(decided)]


def test_the_network_inside_is_attacked_where_nothing_flows_through_what_is_around_it() -> None:
    net, x, y = oracles.two_classes("linf", [0.5 * EPS] * 4)
    defended = Confirms(net)
    right = ~wrong(defended, x, y)
    assert right.sum() >= 2
    x, y = x[right], y[right]
    assert settled(cascade._own_gradients, defended, x, y, 120) == 0
    assert settled(cascade._straight_through, defended, x, y, 120) == len(x)


def test_mean_gradients_see_past_ripples() -> None:
    net, x, y = oracles.two_classes("linf", [0.7 * EPS] * 4)

    def rippled(x: torch.Tensor) -> torch.Tensor:
        # A slope between -3 and 5 that is 1 on average.
        return x + 0.002 * torch.sin(2000 * x)

    defended = Behind(net, rippled)
    assert not wrong(defended, x, y).any()
    assert settled(cascade._averaged, defended, x, y, 300) == 4


def test_scores_alone_are_enough() -> None:
    net, x, y = oracles.two_classes("linf", [0.3 * EPS] * 4)
    silent = Behind(net, lambda x: x.detach())
    assert settled(cascade._scores_only, silent, x, y, 500) == 4


@pytest.mark.parametrize("stage", [cascade._decisions_only, cascade._substitute])
def test_decisions_alone_are_enough(stage: Any) -> None:
    net, x, y = oracles.two_classes("linf", [0.3 * EPS] * 6)
    labels = Labels(net)
    assert settled(cascade._own_gradients, labels, x, y, 100) == 0
    assert settled(stage, labels, x, y, 500) == 6


class _Refuses(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("no gradient here")


class _GivesNone(_Refuses):
    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        return None


@pytest.mark.parametrize("function", [_Refuses, _GivesNone])
def test_a_model_may_refuse_its_gradient(function: Any) -> None:
    net, x, y = oracles.two_classes("linf", [0.5 * EPS, 2 * EPS])
    assert wrong(net, tried(Behind(net, function.apply), x, y), y).tolist() == [True, False]


def test_a_batch_whose_images_count_for_one_another_is_attacked_as_one() -> None:
    net, x, y = oracles.two_classes("linf", [0.5 * EPS] * 4)

    def centred(z: torch.Tensor) -> torch.Tensor:
        return z - z.mean(0) + x.mean(0)

    defended = Behind(net, centred)
    assert not wrong(defended, x, y).any()
    # Each alone is at the mean, whatever it is.
    assert torch.equal(centred(x[:1]), centred(x[1:2]))
    assert wrong(defended, tried(defended, x, y), y).all()


def test_scores_that_are_not_finite_are_no_success() -> None:
    net, x, y = oracles.two_classes("linf", [0.5 * EPS] * 3)

    def defended(z: torch.Tensor) -> torch.Tensor:
        away = (z[:, None] - x[None]).flatten(2).abs().amax(2).amin(1)
        return torch.where((away > 0.2 * EPS).view(-1, 1, 1, 1), torch.nan, z)

    found = tried(Behind(net, defended), x, y)
    assert not wrong(net, found, y).any()
    assert found.isfinite().all()


def test_it_sees_the_whole_of_a_model_and_only_the_answers_where_there_is_nothing_else() -> None:
    net, x, y = oracles.two_classes("linf", [0.5 * EPS, 2 * EPS])
    whole = bench.wrap(net, 2, oracles.SHAPE)
    function = bench.wrap_predict(lambda x: net(x).detach().softmax(1), 2, oracles.SHAPE)
    for model, surface in ((whole, WHOLE_MODEL_SURFACE), (function, BLACK_BOX_SURFACE)):
        rows = bench.attack(
            model, x, y, name="adaptive", norm="linf", eps=EPS, toolkit="native", passes=400
        ).rows
        assert rows["surface"].unique().tolist() == [surface]
        assert rows["success"].tolist() == [True, False]
        assert rows["ineffective"].isna().all()


def test_a_network_cut_off_from_its_image_is_attacked_from_the_inside() -> None:
    net, x, y = oracles.two_classes("linf", [0.5 * EPS, 2 * EPS])
    model = bench.wrap(Behind(net, through_numpy), 2, oracles.SHAPE)
    assert not model.surfaces()
    rows = bench.attack(
        model, x, y, name="adaptive", norm="linf", eps=EPS, toolkit="native", passes=400
    ).rows
    assert rows["surface"].unique().tolist() == [WHOLE_MODEL_SURFACE]
    assert rows["backwards"].max() > 0
