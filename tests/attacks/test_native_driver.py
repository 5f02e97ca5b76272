from __future__ import annotations

import pytest
import torch

from bench.attacks.native.noise import ball_point, noise

X = torch.rand(200, 1, 6, 6, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_noise_stays_in_the_ball_and_the_box(norm) -> None:
    order = 2.0 if norm == "l2" else torch.inf
    x_adv = noise(X, norm, 0.3, seed=1)
    assert ((x_adv - X).double().flatten(1).norm(p=order, dim=1) <= 0.3 + 1e-6).all()
    assert x_adv.min() >= 0
    assert x_adv.max() <= 1
    assert torch.equal(x_adv, noise(X, norm, 0.3, seed=1))
    assert not torch.equal(x_adv, noise(X, norm, 0.3, seed=2))


def test_linf_noise_is_uniform() -> None:
    delta = noise(torch.full_like(X, 0.5), "linf", 0.4, seed=1) - 0.5
    assert abs(delta.mean()) < 0.01
    assert delta.abs().mean() == pytest.approx(0.2, abs=0.01)


def test_l2_noise_has_its_length_where_nothing_is_clipped() -> None:
    delta = noise(torch.full_like(X, 0.5), "l2", 0.4, seed=1) - 0.5
    assert torch.allclose(delta.flatten(1).norm(dim=1), torch.tensor(0.4), atol=1e-5)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_points_fill_the_ball_evenly(norm) -> None:
    """In d dimensions a share of (1/2)^d lies within half the radius; d = 2 here."""
    order = 2.0 if norm == "l2" else torch.inf
    points = ball_point(torch.zeros(4000, 1, 1, 2), norm, 1.0, seed=0).flatten(1)
    radii = points.norm(p=order, dim=1)
    assert radii.max() <= 1 + 1e-6
    assert (radii < 0.5).float().mean() == pytest.approx(0.25, abs=0.03)


def test_l1_noise_has_its_sum_where_nothing_is_clipped() -> None:
    delta = noise(torch.full_like(X, 0.5), "l1", 0.4, seed=1) - 0.5
    assert torch.allclose(delta.abs().flatten(1).sum(1), torch.tensor(0.4), atol=1e-5)
    assert abs(delta.sign().mean()) < 0.05
    # Of a uniform point of the sphere of d values the mean of each is 1/d of the sum.
    assert delta.abs().mean() == pytest.approx(0.4 / 36, abs=1e-5)
    assert not torch.equal(noise(X, "l1", 3, seed=1), noise(X, "l1", 3, seed=2))


def test_l0_noise_changes_so_many_pixels_to_colours_at_the_bounds() -> None:
    grey = torch.full((300, 3, 4, 4), 0.5)
    shown = noise(grey, "l0", 5, seed=1)
    moved = (shown != grey).any(1)
    assert (moved.flatten(1).sum(1) == 5).all()
    assert set(shown[(shown != grey)].tolist()) == {0.0, 1.0}
    assert (shown != grey).all(1).equal(moved)
    # Each of 16 places in 5 of 16 draws.
    assert moved.float().mean(0).min() > 0.2
    assert torch.equal(shown, noise(grey, "l0", 5, seed=1))
    assert torch.equal(
        noise(grey, "l0", 99, seed=1) != grey, torch.ones_like(grey, dtype=torch.bool)
    )
