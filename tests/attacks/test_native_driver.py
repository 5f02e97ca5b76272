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
