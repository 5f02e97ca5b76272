"""SparseFool of our own: the closed form, the authors' loop, and what torchattacks' does instead."""

from __future__ import annotations

import copy

import oracles
import pytest
import torch
import torchattacks
from torch import nn

from bench.attacks import catalogue
from bench.attacks.job import Batch
from bench.attacks.native.sparsefool import sparse_step
from bench.attacks.run_attack import AttackResult, run_attack
from bench.errors import UnsupportedAttack
from bench.measure.norms import distances
from bench.spec import number


def run(model, x, y, toolkit="native", num_classes: int = 10, **words) -> AttackResult:
    spec = catalogue.resolve("sparsefool", "l0", None, words)
    return run_attack(spec, toolkit, model, Batch(x, y), num_classes=num_classes, seed=0)


def changed(x: torch.Tensor, x_adv: torch.Tensor) -> list[int]:
    return (x != x_adv).flatten(1).sum(1).tolist()


def few_values(distance: float) -> tuple[oracles.Linear, torch.Tensor, torch.Tensor]:
    """Return two classes and images of one channel, where the largest slopes have room alike.

    Room alike makes the order of falling |w_j| the best one.
    """
    model, x, y = oracles.two_classes("l2", [distance, 1.3 * distance, 1.9 * distance] * 2)
    return model, x.reshape(-1, 1, 15, 5), y


@pytest.mark.parametrize("distance", [0.05, 0.1, 0.3])
def test_no_fewer_values_reach_a_linear_boundary(distance) -> None:
    """Lambda 1 and no overshoot: 1e-4 beyond for DeepFool, 1e-3 for the linear solver."""
    model, x, y = few_values(distance)
    tried = run(model, x, y, num_classes=2, **{"lambda": 1, "overshoot": 0})
    assert (model(tried.x_adv).argmax(1) != y).all()
    assert tried.iterations.tolist() == [1] * 6
    # By falling slope, a value more than the optimum at most: rooms differ a little.
    for ours, least, reach in zip(
        changed(x, tried.x_adv),
        oracles.fewest(model, x, y),
        oracles.fewest(model, x, y, 1.2e-3),
        strict=True,
    ):
        assert least <= ours <= reach + 1
    # A position of one channel is one value.
    assert distances(x, tried.x_adv)["l0"].tolist() == changed(x, tried.x_adv)


@pytest.mark.parametrize("box", [0.5, 0.1])
def test_the_optimum_is_met_where_all_have_the_same_room(box) -> None:
    """At x = 1/2 falling slope is the best order, so the closed form is met exactly."""
    generator = torch.Generator().manual_seed(3)
    w = torch.randn(5, 64, generator=generator)
    w = w / w.norm(dim=1, keepdim=True)
    x = torch.full((5, 1, 8, 8), 0.5)
    gap = torch.tensor([0.05, 0.2, 0.5, 1.0, 1.5]) * box / 0.5
    point = x + (gap[:, None] * w).view_as(x)
    moved = sparse_step(x, w.view_as(x), point, x - box, x + box)
    gains = w.abs().double() * box
    assert changed(x, moved) == [
        oracles.fewest_gains(gain, float(need)) for gain, need in zip(gains, gap, strict=True)
    ]
    beyond = (w * (moved - point).flatten(1)).sum(1)
    assert (beyond > 0).all()
    assert (beyond <= 1e-3 + 1e-6).all()


@pytest.mark.parametrize("box", ["0.5", "51/255"])
def test_no_value_leaves_its_box_and_more_pixels_move(trained, box) -> None:
    x, y = trained.x[:16], trained.y[:16]
    free, boxed = run(trained.net, x, y), run(trained.net, x, y, box=box)
    assert (boxed.x_adv - x).abs().max() <= number(box) + 1e-6
    assert (free.x_adv - x).abs().max() > number(box) + 0.1
    assert (trained.net(boxed.x_adv).argmax(1) != y).float().mean() > 0.9
    assert sum(changed(x, boxed.x_adv)) > sum(changed(x, free.x_adv))
    with pytest.raises(UnsupportedAttack, match="box"):
        run(trained.net, x, y, "torchattacks", box=box)


def authors_solver(x_0: torch.Tensor, normal: torch.Tensor, point: torch.Tensor) -> torch.Tensor:
    """Return what the loop of github.com/LTS4/SparseFool makes of one image."""
    coordinates, x = normal.clone(), x_0.clone()
    sign = torch.dot(normal, x_0 - point).sign()
    while torch.dot(normal, x - point).sign() == sign and coordinates.any():
        short = torch.dot(normal, x - point) + 0.001 * sign
        j = coordinates.abs().argmax()
        step = (short.abs() / coordinates[j].abs()).clamp(min=1e-4) * coordinates[j].sign()
        x[j] = (x[j] + step).clamp(0, 1)
        coordinates[j] = 0
    return x


@pytest.mark.parametrize("scale", [0.1, 1.0, 6.0, 100.0])
def test_sorting_does_what_the_authors_loop_does(scale) -> None:
    generator = torch.Generator().manual_seed(4)
    x = torch.rand(20, 48, generator=generator).mul(1.4).sub(0.2).clamp(0, 1)  # some at a bound
    w = torch.randn(20, 48, generator=generator)
    w[:, :5] = 0
    w = w / w.norm(dim=1, keepdim=True)
    point = x + scale * torch.rand(20, 1, generator=generator) * w
    moved = sparse_step(x, w, point, torch.zeros_like(x), torch.ones_like(x))
    loop = torch.stack([authors_solver(*args) for args in zip(x, w, point, strict=True)])
    assert torch.allclose(moved, loop, atol=1e-4)
    assert changed(x, moved) == changed(x, loop)
    assert (moved[:, :5] == x[:, :5]).all()
    assert moved.min() >= 0
    assert moved.max() <= 1


def test_few_pixels_of_digits_fall_and_the_box_is_kept(trained) -> None:
    tried = run(trained.net, trained.x, trained.y)
    assert (trained.net(tried.x_adv).argmax(1) != trained.y).float().mean() > 0.95
    assert tried.x_adv.min() >= 0
    assert tried.x_adv.max() <= 1
    assert distances(trained.x, tried.x_adv)["l0"].median() <= 10


def test_an_image_does_alone_what_it_does_in_a_batch(trained) -> None:
    x, y = trained.x[:12], trained.y[:12]
    together = run(trained.net, x, y)
    assert len(set(together.iterations.tolist())) > 1  # some left the batch before others
    for row in range(12):
        alone = run(trained.net, x[row : row + 1], y[row : row + 1])
        assert torch.allclose(alone.x_adv[0], together.x_adv[row], atol=1e-3)
        for counts in ("iterations", "forwards", "backwards"):
            assert getattr(alone, counts)[0] == getattr(together, counts)[row]


def test_where_none_is_found_the_clean_image_comes_back(trained) -> None:
    class Flat(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.stack([1 + 0 * x.flatten(1).sum(1), 0 * x.flatten(1).sum(1)], 1)

    x, y = trained.x[:3], torch.zeros(3, dtype=torch.int64)
    for toolkit in ("native", "torchattacks"):
        assert torch.equal(run(Flat(), x, y, toolkit, num_classes=2, steps=2).x_adv, x)


def test_torchattacks_moves_every_pixel_where_the_plane_lies_behind_the_image(trained) -> None:
    """So it may, as it takes the gradient far beyond the boundary and begins at the clean image."""
    solver = torchattacks.SparseFool(trained.net)._linear_solver
    x, w = torch.full((1, 1, 4, 4), 0.5), torch.full((1, 1, 4, 4), 0.25)
    behind = x - 0.02
    assert (solver(x, w.clone(), behind) != x).all()
    assert changed(x, sparse_step(x, w, behind, 0 * x, 0 * x + 1)) == [1]
    expected = catalogue.expected_parity(
        catalogue.resolve("sparsefool", "l0"), "native", "torchattacks"
    )
    assert (expected.cls, "clean image" in expected.cause) == ("differs", True)


def test_torchattacks_cannot_flatten_the_gradients_of_a_channels_last_model() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(256, 3)
        )
    net = net.eval().to(memory_format=torch.channels_last)
    x = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    y = net(x).argmax(1)
    with pytest.raises(RuntimeError, match="view size is not compatible"):
        torchattacks.SparseFool(copy.deepcopy(net), steps=2)(x, y)
    for toolkit in ("torchattacks", "native"):
        assert run(net, x, y, toolkit, num_classes=3).x_adv.isfinite().all()


def test_torchattacks_tries_every_class() -> None:
    model, x, y = oracles.ten_classes(2)
    with pytest.raises(UnsupportedAttack, match="sparsefool tries every class: candidates=3"):
        run(model, x, y, "torchattacks", candidates=3)


def test_passes_are_counted_by_image() -> None:
    model, x, y = oracles.two_classes("l2", [0.1, 0.2, 0.3])
    sizes: list[int] = []
    model.register_forward_pre_hook(lambda _, args: sizes.append(len(args[0])))
    tried = run(model, x, y, num_classes=2)
    assert sizes == [3, 3, 3]  # none of them empty
    # A gradient at the image and one at the boundary; a look at what is tried.
    assert (tried.iterations.tolist(), tried.forwards.tolist()) == ([1] * 3, [3] * 3)
    assert tried.backwards.tolist() == [2] * 3


def test_only_classes_that_may_be_nearer_cost_a_gradient() -> None:
    """Logits 0, -1, -1.4 and -1.6 at x: the third is within 1.5 times the least gap, and steeper."""
    slopes = torch.zeros(4, 75)
    slopes[1, 0], slopes[2, 1], slopes[3, 2] = 4.0, 8.0, 8.0
    model = oracles.Linear(slopes, torch.tensor([0.0, -1.0, -1.4, -1.6]))
    x, y = torch.full((1, *oracles.SHAPE), 0.5), torch.zeros(1, dtype=torch.int64)
    words = {"lambda": 1, "overshoot": 0, "steps": 1}
    tried = run(model, x, y, num_classes=4, **words)
    # The image's gradient, its rival's, the one at the boundary; a look at what is tried.
    assert (tried.forwards.tolist(), tried.backwards.tolist()) == ([4], [3])
    # Towards the third class, at a distance of 1.4 / 8, not the second at 1 / 4.
    assert (tried.x_adv != x).flatten(1).nonzero().tolist() == [[0, 1]]
