from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import linprog

from bench.attacks.native.planes import to_plane


def planted(count: int, size: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return points, normals with zeros among them, and gaps of which some are out of reach."""
    generator = torch.Generator().manual_seed(2)
    points = torch.rand(count, size, generator=generator)
    points[:, 0], points[:, 1] = 0.0, 1.0
    normal = torch.randn(count, size, generator=generator)
    normal[:, 2] = 0
    gap = torch.randn(count, generator=generator) * 1.5
    return points, normal, gap


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_changes_end_on_the_plane_inside_the_box(norm) -> None:
    points, normal, gap = planted(200, 8)
    change = to_plane(points, normal, gap, norm)
    moved = points + change
    assert moved.min() >= -1e-6
    assert moved.max() <= 1 + 1e-6
    toward = normal * gap.sign()[:, None]
    most = (toward.clamp(min=0) * (1 - points) + (-toward).clamp(min=0) * points).sum(1)
    reached = (toward * change).sum(1)
    assert torch.allclose(reached, torch.minimum(gap.abs(), most), atol=1e-5)
    assert 0 < (most < gap.abs()).sum() < len(gap)


def test_no_change_in_linf_is_shorter() -> None:
    points, normal, gap = planted(40, 6)
    change = to_plane(points, normal, gap, "linf")
    for point, way, wanted, found in zip(
        *(part.double().numpy() for part in (points, normal, gap, change)), strict=True
    ):
        size = len(point)
        # Of (change, length), the least length with |change| <= length.
        within = np.block(
            [[np.eye(size), -np.ones((size, 1))], [-np.eye(size), -np.ones((size, 1))]]
        )
        best = linprog(
            [0] * size + [1], within, np.zeros(2 * size), [[*way, 0]], [wanted],
            [*zip(-point, 1 - point, strict=True), (0, None)],
        )  # fmt: skip
        if best.status == 0:
            assert np.abs(found).max() == pytest.approx(best.fun, abs=1e-5)


def test_changes_in_l2_go_along_the_normal_where_no_bound_is_met() -> None:
    """The condition of the minimum: change = length * normal, or less where the bound is met."""
    points, normal, gap = planted(200, 8)
    change = to_plane(points, normal, gap, "l2")
    moved = points + change
    free = (moved > 1e-6) & (moved < 1 - 1e-6) & (normal != 0)
    length = change / normal
    for at in range(len(points)):
        if not free[at].any():
            continue
        lengths = length[at][free[at]]
        assert torch.allclose(lengths, lengths[0].expand_as(lengths), rtol=1e-4, atol=1e-6)
        bound = ~free[at] & (normal[at] != 0)
        assert (length[at][bound].abs() <= lengths[0].abs() + 1e-5).all()


def test_a_plane_without_a_normal_is_never_reached() -> None:
    change = to_plane(torch.rand(2, 4), torch.zeros(2, 4), torch.tensor([1.0, 0.0]), "linf")
    assert torch.equal(change, torch.zeros(2, 4))
