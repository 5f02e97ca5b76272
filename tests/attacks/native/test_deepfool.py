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
from bench.errors import UnsupportedAttack

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


def as_the_study(model, x, y, norm: str, *, steps: int, overshoot: float) -> torch.Tensor:
    """DeepFool that is clipped at the end alone, an image at a time: x + 1.01 r, before the clip."""
    total, point = torch.zeros_like(x), x
    for _ in range(steps):
        if model(point[None]).argmax() != y:
            break
        here = point.clone().requires_grad_()
        logits = model(here[None])[0]
        ways = []
        for k in range(len(logits)):
            if k != y:
                (w,) = torch.autograd.grad(logits[k] - logits[y], here, retain_graph=True)
                gap = float((logits[k] - logits[y]).detach().abs())
                length = float(w.norm() if norm == "l2" else w.abs().sum())
                ways.append((gap / length, w / length if norm == "l2" else w.sign()))
        distance, way = min(ways, key=lambda pair: pair[0])
        total = total + max(distance, 1e-4) * way
        point = x + (1 + overshoot) * total
    return x + 1.01 * total


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize(("overshoot", "steps"), [(0.02, 50), (0.3, 50), (0.02, 1)])
def test_clipped_at_the_end_it_is_the_plain_loop(trained, norm, overshoot, steps) -> None:
    x, y = trained.x[:8], trained.y[:8]
    tried = run(trained.net, x, y, norm, clip="end", overshoot=overshoot, steps=steps)
    expected = torch.stack([
        as_the_study(trained.net, image, label, norm, steps=steps, overshoot=overshoot)
        for image, label in zip(x, y, strict=True)
    ])  # fmt: skip
    assert torch.allclose(tried.unclipped, expected, atol=1e-4)
    assert torch.equal(tried.x_adv, tried.unclipped.clamp(0, 1))
    assert (tried.unclipped.min(), tried.unclipped.max()) != (0, 1)


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("overshoot", [0.01, 0.02, 0.2])
def test_clipped_at_the_end_it_ends_a_hundredth_beyond_the_boundary(norm, overshoot) -> None:
    model, x, y = oracles.ten_classes(16)
    tried = run(model, x, y, norm, clip="end", overshoot=overshoot)
    once = tried.iterations == 1
    assert once.float().mean() > 0.8
    expected = 1.01 * oracles.distances(model, x, y, norm)
    assert torch.allclose(size(tried.unclipped - x, norm)[once], expected[once], rtol=1e-4)


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_a_boundary_outside_of_the_box_is_crossed_before_the_clip_alone(norm) -> None:
    """One pixel decides, which is 0.9 and would have to become 1.2; the other is no use."""

    class Bright(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            margin = 1.2 - images.flatten(1)[:, 0]
            return torch.stack([margin, -margin], 1)

    x, y = torch.tensor([0.9, 0.5]).view(1, 1, 1, 2), torch.zeros(1, dtype=torch.int64)
    tried = run(Bright(), x, y, norm, num_classes=2, clip="end")
    assert tried.unclipped.flatten().tolist() == pytest.approx([0.9 + 1.01 * 0.3, 0.5])
    assert tried.x_adv.flatten().tolist() == pytest.approx([1, 0.5])
    assert tried.iterations.tolist() == [1]
    assert Bright()(tried.unclipped).argmax(1) == 1
    assert Bright()(tried.x_adv).argmax(1) == 0
    inside = run(Bright(), x, y, norm, num_classes=2, steps=5)
    assert (inside.unclipped, inside.iterations.tolist()) == (None, [5])


def test_only_native_clips_at_the_end(trained) -> None:
    for toolkit in ("art", "foolbox", "torchattacks"):
        with pytest.raises(UnsupportedAttack, match="clips the image at every step"):
            run(trained.net, trained.x, trained.y, "l2", toolkit, clip="end")
