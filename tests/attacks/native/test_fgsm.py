"""FGSM of our own: what the toolkits make of it, either loss, and the image before the clip."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bench.attacks import catalogue
from bench.attacks.job import Batch
from bench.attacks.run_attack import AttackResult, run_attack
from bench.errors import UnsupportedAttack

EPS = 0.1


def run(model, x, y, toolkit="native", target=None, **words) -> AttackResult:
    spec = catalogue.resolve("fgsm", "linf", EPS, words)
    classes = model(x[:1]).shape[1]
    return run_attack(spec, toolkit, model, Batch(x, y, target), num_classes=classes, seed=0)


@pytest.mark.parametrize("toolkit", ["art", "foolbox", "torchattacks"])
def test_images_are_those_of_the_toolkits(trained, toolkit) -> None:
    ours = run(trained.net, trained.x, trained.y)
    theirs = run(trained.net, trained.x, trained.y, toolkit)
    assert torch.equal(ours.x_adv, theirs.x_adv)
    assert torch.equal(ours.forwards, theirs.forwards)
    assert torch.equal(ours.backwards, theirs.backwards)
    assert ours.iterations.tolist() == theirs.iterations.tolist() == [1] * len(trained.x)
    assert theirs.unclipped is None


@pytest.mark.parametrize("toolkit", ["art", "foolbox", "native"])
def test_the_logit_is_climbed_down(trained, toolkit) -> None:
    point = trained.x.clone().requires_grad_()
    own = trained.net(point).gather(1, trained.y[:, None]).sum()
    (slope,) = torch.autograd.grad(own, point)
    expected = (trained.x - EPS * slope.sign()).clamp(0, 1)
    tried = run(trained.net, trained.x, trained.y, toolkit, loss="logit")
    assert torch.allclose(tried.x_adv, expected, atol=1e-6)
    assert not torch.equal(run(trained.net, trained.x, trained.y, toolkit).x_adv, tried.x_adv)


def test_a_toolkit_that_knows_one_loss_says_so(trained) -> None:
    with pytest.raises(
        UnsupportedAttack, match=r"increases the cross-entropy \(loss=logit was asked"
    ):
        run(trained.net, trained.x, trained.y, "torchattacks", loss="logit")


class Pull(nn.Module):
    """Two logits, 5 a and 4 a + b of the pixels a, b: which way a goes depends on the loss."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a, b = x.flatten(1).unbind(1)
        return torch.stack([5 * a, 4 * a + b - 1], 1)


def test_the_losses_differ_where_the_true_class_and_its_rival_share_a_pixel() -> None:
    """f_0 falls with a; the gap f_1 - f_0 = b - a - 1 grows where a falls and b rises."""
    x, y = torch.full((1, 1, 1, 2), 0.5), torch.zeros(1, dtype=torch.int64)
    moved = {loss: run(Pull(), x, y, loss=loss).x_adv - x for loss in ("ce", "logit")}
    assert moved["ce"].flatten().tolist() == pytest.approx([-EPS, EPS])
    assert moved["logit"].flatten().tolist() == pytest.approx([-EPS, 0])


@pytest.mark.parametrize("loss", ["ce", "logit"])
def test_a_wanted_class_is_climbed_to(trained, loss) -> None:
    target = (trained.y + 1) % 10
    tried = run(trained.net, trained.x, trained.y, target=target, targeted="next", loss=loss)
    with torch.no_grad():
        before, after = (
            trained.net(images).gather(1, target[:, None]) for images in (trained.x, tried.x_adv)
        )
    assert (after > before).float().mean() > 0.9
    if loss == "ce":
        theirs = run(trained.net, trained.x, trained.y, "art", target=target, targeted="next")
        assert torch.equal(tried.x_adv, theirs.x_adv)


@pytest.mark.parametrize("loss", ["ce", "logit"])
def test_the_image_before_the_clip_is_a_whole_step_away(trained, loss) -> None:
    tried = run(trained.net, trained.x, trained.y, loss=loss)
    moved = (tried.unclipped - trained.x).abs()
    assert (((moved - EPS).abs() < 1e-6) | (moved == 0)).all()
    assert torch.equal(tried.unclipped.clamp(0, 1), tried.x_adv)
    assert (tried.unclipped < 0).any()
