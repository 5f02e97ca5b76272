"""Adversarial radii: the closed form, labels that flip back, images that never flip."""

from __future__ import annotations

import math
from typing import Any

import oracles
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import Linear
from torch import nn
from torch.nn import functional as F

import bench
from bench.attacks import catalogue
from bench.attacks.job import Batch
from bench.attacks.native.radius import PRECISION
from bench.attacks.run_attack import AttackResult, run_attack

#: What float32 rounds off the images and the logits.
ROUNDING = 2e-7


def run(
    model: nn.Module, x: torch.Tensor, y: torch.Tensor, name: str, classes: int = 10, **words: Any
) -> AttackResult:
    spec = catalogue.resolve(name, "linf", None, words)
    return run_attack(spec, "native", model, Batch(x, y), num_classes=classes, seed=0)


def linf(x: torch.Tensor, tried: AttackResult) -> torch.Tensor:
    return (tried.x_adv.double() - x.double()).abs().flatten(1).amax(1)


def along(model: Linear, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return where the label changes along FGSM's direction, as if there were no box, float64 (N,)."""
    weight = model.weight.detach().double()
    logits = (x.double() - 0.5).flatten(1) @ weight.T
    shares = logits.softmax(1) - F.one_hot(y, len(weight))
    towards = (shares @ weight).sign()
    gaps = logits.gather(1, y[:, None]) - logits
    slopes = towards @ weight.T - (towards * weight[y]).sum(1, keepdim=True)
    reached = torch.where(slopes > 0, gaps / slopes, torch.inf)
    return reached.scatter(1, y[:, None], torch.inf).amin(1)


@pytest.mark.parametrize("scan", [1, 7, 50])
def test_the_least_eps_on_linear_classes_is_the_closed_form(scan) -> None:
    model, x, y = oracles.ten_classes(32)
    found = linf(x, run(model, x, y, "fgsm-radius", max_eps=0.25, scan=scan))
    wanted = along(model, x, y)
    assert wanted.max() < 0.25
    assert (found >= wanted - ROUNDING).all()
    assert (found <= wanted + PRECISION + ROUNDING).all()


def test_of_two_classes_it_is_the_margin_over_the_slope() -> None:
    model, x, y = oracles.two_classes("linf", [0.001, 0.01, 0.03, 0.05])
    found = linf(x, run(model, x, y, "fgsm-radius", classes=2))
    assert torch.allclose(
        found, oracles.distances(model, x, y, "linf"), rtol=0, atol=PRECISION + ROUNDING
    )


def test_the_direction_is_that_of_fgsm(trained) -> None:
    """FGSM of that eps makes the same image and flips the label, FGSM of a little less does not.

    By a little, since a batch of one image rounds otherwise.
    """
    tried = run(trained.net, trained.x, trained.y, "fgsm-radius")
    found = linf(trained.x, tried)
    assert found.max() < 0.5
    for row, eps in enumerate(found.tolist()):
        for size, flips in ((eps + PRECISION, True), (eps - 5 * PRECISION, False)):
            spec = catalogue.resolve("fgsm", "linf", size)
            x, y = trained.x[row : row + 1], trained.y[row : row + 1]
            fgsm = run_attack(
                spec, "torchattacks", trained.net, Batch(x, y), num_classes=10, seed=0
            )
            assert (trained.net(fgsm.x_adv).argmax(1) != y).item() is flips
            assert torch.allclose(fgsm.x_adv, tried.x_adv[row], atol=6 * PRECISION)


@settings(max_examples=30)
@given(
    scale=st.floats(1, 3000), seed=st.integers(0, 1000)
)  # logits so far apart that the cross-entropy has no gradient left
def test_how_sure_the_model_is_changes_nothing(scale, seed) -> None:
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(2, 48, generator=generator)
    x = 0.4 + 0.2 * torch.rand(4, 3, 4, 4, generator=generator)
    plain = Linear(weight)
    y = plain(x).argmax(1)
    found = linf(x, run(Linear(scale * weight), x, y, "fgsm-radius", classes=2))
    wanted = oracles.distances(plain, x, y, "linf")
    assert torch.allclose(found, wanted, rtol=0, atol=PRECISION + 5 * ROUNDING)


class Band(nn.Module):
    """A model that takes an image for another class where its mean lies in a band, and only there."""

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self.low, self.high = low, high

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = x.flatten(1).mean(1)
        inside = (mean - self.low) * (self.high - mean)
        return torch.stack([torch.zeros_like(inside), inside], 1)


BLACK = torch.zeros(2, 1, 3, 3), torch.zeros(2, dtype=torch.int64)


def test_a_label_that_flips_back_is_found_by_the_scan() -> None:
    x, y = BLACK
    model = Band(0.1234, 0.2)
    found = linf(x, run(model, x, y, "fgsm-radius", classes=2, scan=50))
    assert found.tolist() == pytest.approx([0.1234] * 2, abs=PRECISION + ROUNDING)
    coarse = run(model, x, y, "fgsm-radius", classes=2, scan=1)
    assert linf(x, coarse).tolist() == [0.5] * 2
    assert model(coarse.x_adv).argmax(1).tolist() == [0, 0]


def test_an_image_that_never_flips_is_tried_at_the_largest_eps() -> None:
    x, y = BLACK
    tried = run(Band(0.4, 0.5), x, y, "fgsm-radius", classes=2, max_eps=0.3)
    assert linf(x, tried).tolist() == pytest.approx([0.3] * 2)
    assert tried.forwards.tolist() == [51] * 2


def test_clipping_leaves_the_eps_found_the_distance() -> None:
    """All but one pixel meets a bound; where all have, a larger eps moves nothing."""
    model, x, _ = oracles.ten_classes(16)
    x = x.round()
    x[:, 0, 0, 0] = 0.5
    y = model(x).argmax(1)
    tried = run(model, x, y, "fgsm-radius", max_eps=1, scan=100)
    flipped = model(tried.x_adv).argmax(1) != y
    assert flipped.sum() >= 4
    found = linf(x, tried)[flipped]
    direction = (tried.x_adv - x)[flipped].sign()

    def flips(eps: torch.Tensor) -> torch.Tensor:
        moved = (x[flipped] + eps.float().view(-1, 1, 1, 1) * direction).clamp(0, 1)
        return model(moved).argmax(1) != y[flipped]

    assert flips(found + ROUNDING).all()
    assert not flips(found - 2 * PRECISION).any()


class Coarse(nn.Module):
    """A linear model that is a little less easily fooled by batches of more than three images."""

    def __init__(self, net: nn.Module, shift: float) -> None:
        super().__init__()
        self.net, self.shift = net, shift

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits = self.net(x)
        return logits + (len(x) > 3) * self.shift * F.one_hot(logits.argmax(1).detach() * 0, 2)


def test_what_is_returned_is_flipped_in_a_batch_of_all_images() -> None:
    """Though other sizes of batches, as the search has, may round otherwise."""
    model, x, y = oracles.two_classes("linf", [0.01, 0.011, 0.012, 0.03, 0.031])
    x, y = x[y == 0], y[y == 0]
    x, y = x.repeat(2, 1, 1, 1), y.repeat(2)
    model = Coarse(model, 1e-3)
    for name, words in (("fgsm-radius", {}), ("ifgsm-radius", {"step_size": 1e-4})):
        tried = run(model, x, y, name, classes=2, **words)
        assert (model(tried.x_adv).argmax(1) != y).all()
        assert linf(x, tried).max() < 0.032


@pytest.mark.parametrize("step_size", [0.001, 0.004])
def test_iterated_steps_end_at_the_first_that_crosses(step_size) -> None:
    wanted = [0.0062, 0.0133, 0.0281]
    model, x, y = oracles.two_classes("linf", wanted)
    tried = run(model, x, y, "ifgsm-radius", classes=2, step_size=step_size)
    taken = [math.ceil(distance / step_size) for distance in wanted]
    assert tried.iterations.tolist() == taken
    assert linf(x, tried).tolist() == pytest.approx([n * step_size for n in taken], abs=1e-6)
    assert (model(tried.x_adv).argmax(1) != y).all()


def test_projected_steps_end_where_the_ball_does() -> None:
    model, x, y = oracles.two_classes("linf", [0.011, 0.029])
    words = {"step_size": 0.002, "steps": 30, "project": 0.02}
    tried = run(model, x, y, "ifgsm-radius", classes=2, **words)
    assert (model(tried.x_adv).argmax(1) != y).tolist() == [True, False]
    assert linf(x, tried).tolist() == pytest.approx([0.012, 0.02], abs=1e-6)
    assert tried.iterations.tolist() == [6, 30]
    assert tried.x_adv.min() >= 0


def test_steps_that_run_out_end_there() -> None:
    model, x, y = oracles.two_classes("linf", [0.011, 0.029])
    tried = run(model, x, y, "ifgsm-radius", classes=2, step_size=0.002, steps=7)
    assert (model(tried.x_adv).argmax(1) != y).tolist() == [True, False]
    assert tried.iterations.tolist() == [6, 7]
    assert linf(x, tried)[1].item() == pytest.approx(0.014, abs=1e-6)


@pytest.mark.parametrize("name", ["fgsm-radius", "ifgsm-radius"])
def test_an_image_does_alone_what_it_does_in_a_batch(trained, name) -> None:
    x, y = trained.x[:6], trained.y[:6]
    together = run(trained.net, x, y, name)
    assert len(set(together.forwards.tolist())) > 1  # some left before others
    for row in range(6):
        alone = run(trained.net, x[row : row + 1], y[row : row + 1], name)
        assert torch.allclose(alone.x_adv[0], together.x_adv[row], atol=2 * PRECISION)
        assert alone.backwards[0] == together.backwards[row]
        # A look more where a batch of another size rounds otherwise.
        assert abs(alone.forwards[0] - together.forwards[row]) <= 1


@pytest.mark.parametrize("name", ["fgsm-radius", "ifgsm-radius"])
def test_an_image_of_another_class_stays_as_it_is(trained, name) -> None:
    y = trained.y[:4].clone()
    y[2] = (y[2] + 1) % 10
    tried = run(trained.net, trained.x[:4], y, name)
    assert (tried.x_adv != trained.x[:4]).flatten(1).any(1).tolist() == [True, True, False, True]


class Flat(nn.Module):
    """A model whose gradient is zero."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        nothing = 0 * x.flatten(1).sum(1)
        return torch.stack([1 + nothing, nothing], 1)


@pytest.mark.parametrize("name", ["fgsm-radius", "ifgsm-radius"])
def test_nothing_moves_where_the_gradient_is_zero(name) -> None:
    assert torch.equal(run(Flat(), *BLACK, name, classes=2).x_adv, BLACK[0])


@pytest.mark.parametrize("name", ["fgsm-radius", "ifgsm-radius"])
def test_rows_have_the_radius_infinite_where_the_label_held(trained, name) -> None:
    """And null where the model got the image wrong, so that nothing was measured."""
    model = bench.wrap(trained.net, 10, (1, 8, 8), name="trained", data="digits")
    x, y = trained.x[:8], trained.y[:8].clone()
    y[0] = (y[0] + 1) % 10
    whole = bench.attack(model, x, y, name, norm="linf", toolkit="native").rows
    near = float(whole.linf.sort_values().iloc[3])
    words = {"max_eps": near} if name == "fgsm-radius" else {"project": near}
    rows = bench.attack(model, x, y, name, norm="linf", toolkit="native", **words).rows
    assert (rows.kind == "radius").all()
    assert (
        rows.adversarial_radius.isna().tolist() == (~rows.correct).tolist() == [True] + [False] * 7
    )
    tried = rows[rows.correct]
    assert 3 <= tried.success.sum() <= 5
    radii = tried.linf.where(tried.success, math.inf)
    assert tried.adversarial_radius.tolist() == radii.tolist()


def test_rows_of_other_attacks_have_none(trained) -> None:
    model = bench.wrap(trained.net, 10, (1, 8, 8), name="trained", data="digits")
    rows = bench.attack(
        model, trained.x[:4], trained.y[:4], "deepfool", norm="linf", toolkit="native"
    ).rows
    assert (rows.kind == "attack").all()
    assert rows.adversarial_radius.isna().all()
