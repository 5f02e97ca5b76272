"""Universal perturbations: a planted one is found, none beats the optimum, and nothing else changes."""

from __future__ import annotations

import random

import numpy as np
import oracles
import pytest
import torch
from art.attacks.evasion import UniversalPerturbation
from art.estimators.classification import PyTorchClassifier
from attack_cases import FITTED
from hypothesis import given
from hypothesis import strategies as st
from oracles import size
from torch import nn

from bench.attacks import catalogue
from bench.attacks.job import Batch
from bench.attacks.native.universal import project, together
from bench.attacks.run_attack import Fitted, apply, fit, run_attack
from bench.errors import AttackError, SpecError, UnsupportedAttack

#: Toolkit and size of its mini-batches.
WAYS = [("art", 1), ("native", 1), ("native", 8)]


def fitted(
    model, x, y, norm="l2", eps=1.0, toolkit="native", *, classes=10, seed=0, **words
) -> Fitted:
    batch = words.pop("batch", 1 if toolkit == "art" else 8)
    spec = catalogue.resolve("universal", norm, eps, {"batch": batch, **words})
    return fit(spec, toolkit, model, Batch(x, y), num_classes=classes, seed=seed)


class Planted(nn.Module):
    """Two classes: all images are of the first, and nearest to the second along `u`, but for ripples."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.u = torch.randint(0, 2, (75,), generator=generator) * 2.0 - 1
        self.ripples = torch.randn(75, 40, generator=generator)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        flat = (x - 0.5).flatten(1)
        margin = 3 - flat @ self.u + 0.2 * (flat @ self.ripples).sin().mean(1)
        return torch.stack([margin, -margin], 1)


@pytest.fixture(scope="module")
def greys() -> torch.Tensor:
    return 0.45 + 0.1 * torch.rand(24, *oracles.SHAPE, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize(("toolkit", "batch"), WAYS)
def test_a_planted_direction_is_found(greys, norm, toolkit, batch) -> None:
    model, y = Planted(), torch.zeros(24, dtype=torch.int64)
    eps = {"l2": 0.5, "linf": 0.06}[norm]
    found = fitted(model, greys, y, norm, eps, toolkit, classes=2, batch=batch)
    cosine = nn.functional.cosine_similarity(found.v.flatten(), model.u, dim=0)
    assert cosine > 0.9
    assert found.fooling >= 0.8
    assert (model(apply(found.v, greys).x_adv).argmax(1) != y).float().mean() == found.fooling


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize(("toolkit", "batch"), WAYS)
def test_no_image_falls_below_its_optimum(norm, toolkit, batch) -> None:
    model, x, y = oracles.two_classes(norm, [0.01 * (i // 2 + 1) for i in range(16)])
    x, y = x[y == 0], y[y == 0]  # one perturbation cannot move both classes their way
    optimum = oracles.distances(model, x, y, norm)
    for eps in (0.0099, 0.045):
        found = fitted(model, x, y, norm, eps, toolkit, classes=2, batch=batch, delta=0, passes=3)
        assert size(found.v[None], norm) <= eps * (1 + 1e-6)
        fooled = model(apply(found.v, x).x_adv).argmax(1) != y
        assert found.fooling == pytest.approx(float(fooled.float().mean()))
        assert not fooled[optimum > eps].any()
        assert fooled.any() == bool((optimum <= eps).any())
        if norm == "l2":  # where the way to the boundary is the best of the ball
            assert fooled.tolist() == (optimum <= eps).tolist()


@given(
    st.lists(st.floats(-3, 3, width=32), min_size=12, max_size=12),
    st.sampled_from(["l2", "linf"]),
    st.floats(0.01, 4),
)
def test_projection_is_the_nearest_point_of_the_ball(values, norm, xi) -> None:
    v = torch.tensor(values).view(1, 3, 4)
    kept = project(v, norm, xi)
    assert size(kept[None], norm) <= xi * (1 + 1e-6)
    if size(v[None], norm) <= xi:
        assert torch.allclose(kept, v, rtol=1e-6)
    # The nearest point p of a convex set has (v - p) . (q - p) <= 0 for all its points q.
    others = torch.randn(50, 12, generator=torch.Generator().manual_seed(0))
    others = others / size(others.view(50, 1, 3, 4), norm)[:, None] * xi
    gap = (v - kept).flatten().double()
    assert ((others - kept.flatten().double()) @ gap <= 1e-4).all()


def plain(
    model, x, y, norm, xi, *, passes, steps, overshoot, seed, inner="l2", box=True
) -> tuple[torch.Tensor, float]:
    """Algorithm 1 of the paper, an image at a time, with DeepFool as its authors write it.

    Without a box nothing is clipped, and a step of DeepFool is at least 1e-4 long in place of 1e-4 longer.
    """

    def kept(image):
        return image.clamp(0, 1) if box else image

    generator = torch.Generator().manual_seed(seed)
    v, err = torch.zeros_like(x[0]), 0.0
    for _ in range(passes):
        for i in torch.randperm(len(x), generator=generator).tolist():
            start = kept(x[i] + v)
            if model(start[None]).argmax() != y[i]:
                continue
            total, point, taken = torch.zeros_like(v), start, 0
            while taken < steps and model(point[None]).argmax() == y[i]:
                here = point.clone().requires_grad_()
                logits = model(here[None])[0]
                best = None
                for k in range(len(logits)):
                    if k != y[i]:
                        gap = logits[k] - logits[y[i]]
                        (w,) = torch.autograd.grad(gap, here, retain_graph=True)
                        length = w.norm() if inner == "l2" else w.abs().sum()
                        distance = float(gap.detach().abs() / length)
                        if best is None or distance < best[0]:
                            best = distance, w / length if inner == "l2" else w.sign()
                total = total + (best[0] + 1e-4 if box else max(best[0], 1e-4)) * best[1]
                point = kept(start + (1 + overshoot) * total)
                taken += 1
            if taken < steps:
                v = v + point - start
                v = v.clamp(-xi, xi) if norm == "linf" else v * min(1, xi / float(v.norm()))
        err = float((model(kept(x + v)).argmax(1) != y).float().mean())
    return v, err


@pytest.mark.parametrize(("norm", "eps"), [("l2", 1.2), ("linf", 0.2)])
def test_one_image_at_a_time_is_the_published_algorithm(trained, norm, eps) -> None:
    x, y = trained.x[:12], trained.y[:12]
    found = fitted(trained.net, x, y, norm, eps, batch=1, passes=2, delta=0, steps=6, seed=4)
    v, err = plain(trained.net, x, y, norm, eps, passes=2, steps=6, overshoot=0.02, seed=4)
    assert torch.allclose(found.v, v, atol=1e-4)
    assert (found.fooling, found.passes) == (pytest.approx(err), 2)
    assert 0 < err < 1


@pytest.mark.parametrize(("norm", "eps", "inner"), [("l2", 1.2, "l2"), ("linf", 0.2, "linf")])
@pytest.mark.parametrize("clip", [True, False])
def test_the_inner_steps_are_of_the_norm_asked_for_and_in_the_box_or_not(
    trained, norm, eps, inner, clip
) -> None:
    x, y = trained.x[:12], trained.y[:12]
    asked = {"batch": 1, "passes": 2, "delta": 0, "steps": 6, "inner": "ball", "clip": clip}
    found = fitted(trained.net, x, y, norm, eps, seed=4, **asked)
    v, err = plain(
        trained.net, x, y, norm, eps, passes=2, steps=6, overshoot=0.02, seed=4, inner=inner, box=clip
    )  # fmt: skip
    assert torch.allclose(found.v, v, atol=1e-4)
    assert found.fooling == pytest.approx(err)
    assert 0 < err < 1


@pytest.mark.slow
@pytest.mark.parametrize(("norm", "eps"), [("l2", 1.2), ("linf", 0.2)])
def test_the_best_perturbation_of_all_passes_is_kept(trained, norm, eps) -> None:
    """A fit of fewer passes goes the same way, so that the last of each are those of one fit."""
    differ = 0
    for seed in range(3):
        words = {"batch": 1, "delta": 0, "steps": 6, "seed": seed}
        last = [
            fitted(trained.net, trained.x, trained.y, norm, eps, passes=passes, **words)
            for passes in range(1, 5)
        ]
        best = fitted(trained.net, trained.x, trained.y, norm, eps, passes=4, keep="best", **words)
        most = max(last, key=lambda found: found.fooling)  # the first of those that fool as many
        assert (best.fooling, best.passes) == (most.fooling, 4)
        assert torch.equal(best.v, most.v)
        differ += best.fooling > last[-1].fooling
    assert differ


@pytest.mark.parametrize(("norm", "eps"), [("l2", 0.25), ("linf", 0.04)])
def test_on_a_plane_it_is_the_whole_ball_along_the_normal(norm, eps) -> None:
    """Of the images of one class the ball reaches every other; the rest pull v to its end."""
    model, x, y = oracles.two_classes(norm, [0.98 * eps, 0.01, 2 * eps, 0.01] * 2)
    x, y = x[y == 0], y[y == 0]  # one perturbation cannot move both classes their way
    words = {"batch": 1, "delta": 0, "passes": 3, "inner": "ball", "clip": False, "keep": "best"}
    found = fitted(model, x, y, norm, eps, classes=2, **words)
    normal = (model.weight[1] - model.weight[0]).detach().view_as(found.v)
    expected = eps * (normal / normal.norm() if norm == "l2" else normal.sign())
    assert torch.allclose(found.v, expected, atol=1e-4)
    assert found.fooling == 0.5


def test_what_art_has_no_choice_of_is_refused(trained) -> None:
    for words in ({"inner": "ball"}, {"clip": False}, {"keep": "best"}):
        with pytest.raises(UnsupportedAttack, match=next(iter(words))):
            fitted(trained.net, trained.x[:4], trained.y[:4], toolkit="art", **words)


def test_nothing_is_taken_of_an_image_that_ran_out_of_steps(trained) -> None:
    x, y = trained.x[:6], trained.y[:6]
    for batch in (1, 6):
        found = fitted(trained.net, x, y, batch=batch, steps=1, passes=1)
        assert not found.v.any()
        assert found.fooling == 0
    assert fitted(trained.net, x, y, steps=6, passes=1).v.any()


@pytest.mark.parametrize(("name", "norm", "toolkit"), FITTED)
def test_a_fit_is_deterministic_and_leaves_everything_as_it_was(
    trained, name, norm, toolkit, capsys
) -> None:
    net, x, y = trained.net, trained.x[:8].clone(), trained.y[:8].clone()
    assert name == "universal"
    words = {"toolkit": toolkit, "passes": 1, "delta": 0, "steps": 8, "batch": 1}
    eps = {"l2": 2, "linf": 0.3}[norm]
    first = fitted(net, x, y, norm, eps, **words)
    try:
        net.train()
        torch.manual_seed(7), np.random.seed(7), random.seed(7)
        before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
        with torch.no_grad():
            again = fitted(net, x, y, norm, eps, **words)
        assert torch.equal(first.v, again.v)
        assert first[1:-1] == again[1:-1]
        assert torch.equal(torch.get_rng_state(), before[0])
        assert (np.random.get_state()[1] == before[1]).all()
        assert random.getstate() == before[2]
        assert net.training
        assert all(param.requires_grad and param.grad is None for param in net.parameters())
    finally:
        net.eval()
    assert torch.equal(x, trained.x[:8])
    assert capsys.readouterr().out == ""
    assert not torch.equal(first.v, fitted(net, x, y, norm, eps, seed=1, **words).v)
    assert (first.v.shape, first.v.dtype) == (x.shape[1:], torch.float32)
    assert size(first.v[None], norm) <= eps * (1 + 1e-6)


def test_images_the_model_gets_wrong_take_no_part(trained) -> None:
    x, y = trained.x[:8], trained.y[:8].clone()
    y[3] = (y[3] + 1) % 10
    rest = torch.arange(8) != 3
    for toolkit in ("art", "native"):
        some = fitted(trained.net, x, y, toolkit=toolkit, passes=1, steps=4)
        assert some.images == 7
        without = fitted(trained.net, x[rest], y[rest], toolkit=toolkit, passes=1, steps=4)
        assert torch.equal(some.v, without.v)
    with pytest.raises(SpecError, match="none of the 8 images right"):
        fitted(trained.net, x, (trained.y[:8] + 1) % 10)


def test_passes_by_hand() -> None:
    """Three images of one class at one distance: what fools the first fools them all."""
    model, x, y = oracles.two_classes("l2", [0.2] * 6)
    x, y = x[y == 0], y[y == 0]

    def counts(toolkit, **words):
        found = fitted(model, x, y, "l2", 10, toolkit, classes=2, **words)
        assert found.fooling == 1
        return found.passes, found.forwards, found.backwards

    # A look at each, DeepFool's step and look for the first, a look at each after the pass.
    assert counts("native", batch=1, steps=2) == (1, 3 + 2 + 3, 1)
    # A look at each, DeepFool's step and look for each, a look at each after the pass.
    assert counts("native", batch=3, steps=2) == (1, 3 + 6 + 3, 3)
    # DeepFool: a look and a gradient for each class, before the step and after; and then a look.
    assert counts("art", batch=1, steps=1) == (1, 3 + (4 + 1) + 3, 4)


@pytest.mark.parametrize("toolkit", ["art", "native"])
def test_it_stops_at_the_rate_that_was_asked_for_or_when_the_passes_are_done(toolkit) -> None:
    model, x, y = oracles.two_classes("l2", [0.1, 0.1] * 3 + [0.5, 0.5])
    x, y = x[y == 0], y[y == 0]
    three_of_four = fitted(model, x, y, "l2", 0.2, toolkit, classes=2, delta=0.25, passes=5)
    assert (three_of_four.passes, three_of_four.fooling) == (1, 0.75)
    never = fitted(model, x, y, "l2", 0.2, toolkit, classes=2, delta=0.2, passes=5)
    assert (never.passes, never.fooling) == (5, 0.75)
    alone = fitted(model, x[-1:], y[-1:], "l2", 0.2, toolkit, classes=2, passes=3)
    assert (alone.passes, alone.fooling) == (3, 0)


class Leaning(nn.Module):
    """Two pixels: of the second class where the second is brighter by more than 0.2."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first, second = x.flatten(1).unbind(1)
        margin = 0.2 + first - second
        return torch.stack([margin, -margin], 1)


def test_art_keeps_of_v_what_the_last_image_has_room_for() -> None:
    """Its v is the clipped image less the image (art/attacks/evasion/universal_perturbation.py).

    The first image makes v darken the first pixel; in the second it is black already.
    """
    x = torch.tensor([[0.5, 0.6], [0.0, 0.05]]).view(2, 1, 1, 2)
    y = torch.zeros(2, dtype=torch.int64)
    estimator = PyTorchClassifier(
        Leaning(), nn.CrossEntropyLoss(), (1, 1, 2), 2, clip_values=(0.0, 1.0), device_type="cpu"
    )
    inner = {"max_iter": 10, "epsilon": 0.02, "nb_grads": 2, "verbose": False}
    raw = UniversalPerturbation(
        estimator, "deepfool", inner, max_iter=1, eps=1.0, norm=2, verbose=False
    )
    before = random.getstate()
    random.seed(next(s for s in range(99) if random.Random(s).sample(range(2), 2) == [0, 1]))
    raw.generate(x.numpy(), nn.functional.one_hot(y).numpy())
    random.setstate(before)
    assert raw.noise[0, 0, 0, 0] == 0

    def order(seed: int) -> list[int]:
        return torch.randperm(2, generator=torch.Generator().manual_seed(seed)).tolist()

    seed = next(s for s in range(99) if order(s) == [0, 1])
    ours = fitted(Leaning(), x, y, "l2", 1, classes=2, batch=1, seed=seed, passes=1, steps=20)
    assert ours.v[0, 0, 0] == pytest.approx(-0.05 * 1.02, abs=1e-3)
    assert ours.fooling == raw.fooling_rate == 1
    parity = catalogue.expected_parity(
        catalogue.resolve("universal", "l2", 1, {"batch": 1}), "art", "native"
    )
    assert (parity.cls, "last image" in parity.cause) == ("differs", True)


def test_a_mini_batch_follows_no_image_more_than_another() -> None:
    dv = torch.tensor([[3.0, 4.0], [0.0, 1.0]]).view(2, 1, 1, 2)
    assert together(dv).flatten().tolist() == pytest.approx([3 * 0.6, 3 * 1.8])
    assert torch.allclose(together(dv[:1]), dv[0])
    assert not together(torch.zeros(2, 1, 1, 2)).any()  # not NaN, which v would keep


@pytest.mark.parametrize("toolkit", ["art", "native"])
def test_errors_name_what_to_do(trained, toolkit) -> None:
    x, y = trained.x[:4], trained.y[:4]
    spec = catalogue.resolve("universal", "l2", 1, {"batch": 1})
    with pytest.raises(SpecError, match="is fitted on other images first"):
        run_attack(spec, toolkit, trained.net, Batch(x, y), num_classes=10, seed=0)

    class Full(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            if images.requires_grad:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return trained.net(images)

    with pytest.raises(AttackError, match=r"out of memory.*use a smaller batch$"):
        fit(spec, toolkit, Full(), Batch(x, y), num_classes=10, seed=0)


def test_arts_deepfool_must_try_every_class(trained) -> None:
    with pytest.raises(UnsupportedAttack, match="candidates=3"):
        fitted(trained.net, trained.x[:4], trained.y[:4], toolkit="art", candidates=3)
    with pytest.raises(UnsupportedAttack, match="one image at a time: batch is 1"):
        fitted(trained.net, trained.x[:4], trained.y[:4], toolkit="art", batch=5)
