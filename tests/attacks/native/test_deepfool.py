"""DeepFool of our own: the closed form, Foolbox's results, and images that leave the batch."""

from __future__ import annotations

import oracles
import pytest
import torch
from torch import nn

from bench.attacks import catalogue
from bench.attacks.instrument import attacked
from bench.attacks.job import Batch
from bench.attacks.native.deepfool import DeepFool, deepfool, likeliest_others
from bench.attacks.run_attack import AttackResult, run_attack

ORDER = {"l2": 2.0, "linf": torch.inf}


def size(delta: torch.Tensor, norm: str) -> torch.Tensor:
    return delta.double().flatten(1).norm(p=ORDER[norm], dim=1)


def run(model, x, y, norm, toolkit="native", num_classes: int = 10, **words) -> AttackResult:
    spec = catalogue.resolve("deepfool", norm, None, words)
    return run_attack(spec, toolkit, model, Batch(x, y), num_classes=num_classes, seed=0)


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("overshoot", [0.0, 0.02, 0.2])
def test_one_step_ends_an_overshoot_beyond_the_nearest_boundary(norm, overshoot) -> None:
    """On linear classes the boundary is where the closed form has it; a step is 1e-4 longer."""
    model, x, y = oracles.ten_classes(16)
    tried = run(model, x, y, norm, overshoot=overshoot)
    expected = (1 + overshoot) * (oracles.distances(model, x, y, norm) + 1e-4)
    once = tried.iterations == 1
    assert once.float().mean() > 0.8  # beyond the boundary another class may be nearer still
    assert torch.allclose(size(tried.x_adv - x, norm)[once], expected[once], rtol=1e-3)
    assert (model(tried.x_adv).argmax(1) != y).all()


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("candidates", [10, 3])
def test_images_are_foolboxs(trained, norm, candidates) -> None:
    ours, theirs = (
        run(trained.net, trained.x, trained.y, norm, toolkit, candidates=candidates)
        for toolkit in ("native", "foolbox")
    )
    assert torch.allclose(ours.x_adv, theirs.x_adv, atol=1e-4)
    sizes = [size(tried.x_adv - trained.x, norm).median().item() for tried in (ours, theirs)]
    assert sizes[0] == pytest.approx(sizes[1], rel=1e-5)
    assert (ours.backwards <= theirs.backwards).all()
    assert ours.forwards.sum() < theirs.forwards.sum()


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_an_image_does_alone_what_it_does_in_a_batch(trained, norm) -> None:
    x, y = trained.x[:12], trained.y[:12]
    together = run(trained.net, x, y, norm)
    assert len(set(together.iterations.tolist())) > 1  # some left the batch before others
    for row in range(12):
        alone = run(trained.net, x[row : row + 1], y[row : row + 1], norm)
        assert torch.allclose(alone.x_adv[0], together.x_adv[row], atol=1e-5)
        for counts in ("iterations", "forwards", "backwards"):
            assert getattr(alone, counts)[0] == getattr(together, counts)[row]


def test_passes_are_counted_by_image(trained) -> None:
    """A forward and nine gradients a step, and a look at where it led."""
    tried = run(trained.net, trained.x, trained.y, "l2")
    assert torch.equal(tried.forwards, 2 * tried.iterations)
    assert torch.equal(tried.backwards, 9 * tried.iterations)


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_the_box_is_kept_where_the_boundary_lies_outside(norm) -> None:
    model, x, _ = oracles.ten_classes(8)
    x = x.round()  # every pixel at a bound
    y = model(x).argmax(1)
    x_adv = run(model, x, y, norm).x_adv
    assert x_adv.min() >= 0
    assert x_adv.max() <= 1


def test_an_image_of_another_class_stays_as_it_is(trained) -> None:
    y = trained.y[:6].clone()
    y[2] = (y[2] + 1) % 10
    tried = run(trained.net, trained.x[:6], y, "l2")
    assert torch.equal(tried.x_adv[2], trained.x[2])
    assert (tried.x_adv != trained.x[:6]).flatten(1).any(1).tolist() == [1, 1, 0, 1, 1, 1]


class Flat(nn.Module):
    """A model whose gradient is zero."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.stack([1 + 0 * x.flatten(1).sum(1), 0 * x.flatten(1).sum(1)], 1)


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_nothing_moves_where_the_gradient_is_zero(norm) -> None:
    x, y = torch.full((2, 1, 2, 2), 0.5), torch.zeros(2, dtype=torch.int64)
    tried = run(Flat(), x, y, norm, num_classes=2, steps=4)
    assert torch.equal(tried.x_adv, x)
    assert tried.iterations.tolist() == [4, 4]


def test_candidates_are_the_likeliest_classes_but_the_images_own() -> None:
    logits = torch.tensor([[3.0, 1.0, 2.0, 0.0], [3.0, 1.0, 2.0, 0.0]])
    others = likeliest_others(logits, torch.tensor([0, 2]), 2)
    assert others.tolist() == [[2, 1], [0, 1]]
    assert likeliest_others(logits, torch.tensor([0, 2]), 9).shape == (2, 3)


def test_rows_say_which_images_are_meant(trained) -> None:
    with attacked(trained.net, trained.x[:5], 0) as probe:
        deepfool(
            probe, trained.x[[4, 1]], trained.y[[4, 1]],
            DeepFool(norm="l2", steps=5, overshoot=0.02, candidates=10), torch.tensor([4, 1]),
        )  # fmt: skip
    assert (probe.forwards > 0).tolist() == [False, True, False, False, True]
