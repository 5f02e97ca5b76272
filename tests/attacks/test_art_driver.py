"""Faults of ART 1.20.1, each shown raw and put right by the driver."""

from __future__ import annotations

import numpy as np
import oracles
import pytest
import torch
from art.attacks.evasion import (
    AutoAttack,
    AutoProjectedGradientDescent,
    BoundaryAttack,
    CarliniL2Method,
    DeepFool,
    ElasticNet,
    FastGradientMethod,
    HopSkipJump,
    PixelAttack,
    SaliencyMapMethod,
    SpatialTransformation,
    SquareAttack,
)
from art.estimators.classification import PyTorchClassifier
from attack_cases import quick
from torch import nn

from bench.adapters.generators import seeded
from bench.attacks import catalogue
from bench.attacks.instrument import attacked
from bench.attacks.job import Batch
from bench.attacks.run_attack import run_attack
from bench.errors import UnsupportedAttack


def driven(spec, model, x, y, num_classes: int = 10):
    return run_attack(spec, "art", model, Batch(x, y), num_classes=num_classes, seed=0)


def wrapped(model: nn.Module, shape=(1, 8, 8), classes: int = 10) -> PyTorchClassifier:
    return PyTorchClassifier(
        model, nn.CrossEntropyLoss(), shape, classes, clip_values=(0.0, 1.0), device_type="cpu"
    )


def test_deepfool_moves_images_the_model_gets_wrong(trained) -> None:
    x, wrong = trained.x[:4], (trained.y[:4] + 1) % 10
    raw = DeepFool(wrapped(trained.net), batch_size=4, verbose=False).generate(x.numpy())
    assert (raw != x.numpy()).any((1, 2, 3)).all()
    assert torch.equal(driven(quick("deepfool", "l2"), trained.net, x, wrong).x_adv, x)


def test_deepfool_goes_on_until_its_steps_run_out() -> None:
    model, x, y = oracles.two_classes("l2", [0.1, 0.2, 0.3, 0.4, 0.5])
    with attacked(model, x, 0) as probe:
        estimator = wrapped(probe, oracles.SHAPE, 2)
        DeepFool(estimator, max_iter=50, epsilon=0.02, batch_size=5, verbose=False).generate(
            x.numpy()
        )
        assert probe.backwards.max() > 60
    tried = driven(catalogue.resolve("deepfool", "l2"), model, x, y, 2)
    assert tried.backwards.max() < 20
    assert (model(tried.x_adv).argmax(1) != y).all()


def test_deepfool_mixes_up_classes_when_it_tries_fewer_than_all() -> None:
    """It indexes all logits with positions in the subset (art/attacks/evasion/deepfool.py)."""
    model, x, y = oracles.ten_classes(6)
    raw = DeepFool(
        wrapped(model, oracles.SHAPE), epsilon=0.02, nb_grads=3, batch_size=1, verbose=False
    )
    found = torch.cat([torch.from_numpy(raw.generate(image[None].numpy())) for image in x])
    ratio = (found - x).flatten(1).norm(dim=1) / oracles.distances(model, x, y, "l2")
    assert ((model(found).argmax(1) == y) | (ratio > 2)).any()
    spec = catalogue.resolve("deepfool", "l2", None, {"candidates": 3})
    with pytest.raises(UnsupportedAttack, match="candidates=3"):
        driven(spec, model, x, y)


def test_its_own_predictions_stand_in_for_labels(trained) -> None:
    x, wrong = trained.x[:4], (trained.y[:4] + 1) % 10
    fgsm = FastGradientMethod(wrapped(trained.net), eps=0.1)
    assert (fgsm.generate(x.numpy()) == fgsm.generate(x.numpy(), trained.y[:4].numpy())).all()
    ours = driven(quick("fgsm", "linf"), trained.net, x, wrong).x_adv
    assert (fgsm.generate(x.numpy(), wrong.numpy()) == ours.numpy()).all()


def test_it_leaves_the_model_in_evaluation_mode_and_gradients_behind(trained) -> None:
    x, y = trained.x[:2], trained.y[:2]
    net, params = trained.net, list(trained.net.parameters())
    try:
        net.train()
        FastGradientMethod(wrapped(net), eps=0.1).generate(x.numpy(), y.numpy())
        assert not net.training
        assert all(param.grad is not None for param in params)
        net.train()
        for param in params:
            param.grad = None
        driven(quick("fgsm", "linf"), net, x, y)
        assert net.training
        assert all(param.grad is None for param in params)
    finally:
        net.eval()


def test_numpy_2_makes_it_feed_float64(trained) -> None:
    x, y = trained.x[:1], trained.y[:1]
    words = {"max_iter": 1, "max_eval": 10, "init_eval": 5, "verbose": False}
    state = np.random.get_state()
    with pytest.raises(RuntimeError, match=r"[Dd]ouble"):
        HopSkipJump(wrapped(trained.net), **words).generate(x.numpy(), y.numpy())
    np.random.set_state(state)
    with attacked(trained.net, x, 0) as probe:
        assert HopSkipJump(wrapped(probe), **words).generate(x.numpy()).shape == x.shape


def test_cw_costs_a_backward_pass_for_every_class_in_the_batch(trained) -> None:
    x, y = trained.x[:8], trained.y[:8]
    with attacked(trained.net, x, 0) as probe:
        CarliniL2Method(
            wrapped(probe), binary_search_steps=1, max_iter=3, initial_const=1, batch_size=8,
            verbose=False,
        ).generate(x.numpy(), y.numpy())  # fmt: skip
        assert probe.backwards.max() > 20
    spec = catalogue.resolve("cw", "l2", None, {"steps": 9})
    assert driven(spec, trained.net, x, y).backwards.max() == 6


def test_ead_keeps_images_that_lack_the_confidence(trained) -> None:
    x, y = trained.x[:6], trained.y[:6]
    with attacked(trained.net, x, 0) as probe:
        raw = ElasticNet(
            wrapped(probe), confidence=3.0, binary_search_steps=3, max_iter=20, initial_const=1,
            learning_rate=0.05, batch_size=6, decision_rule="L1", verbose=False,
        ).generate(x.numpy(), y.numpy())  # fmt: skip
    logits = trained.net(torch.from_numpy(raw)).detach()
    own = logits.gather(1, y[:, None]).squeeze(1)
    other = logits.scatter(1, y[:, None], -torch.inf).amax(1)
    assert ((other > own) & (other < own + 3)).any()
    assert "confidence" in catalogue.refusal(quick("ead", "l1", confidence=3), "art")


def test_cw_gives_back_the_clean_image_where_it_finds_none(trained) -> None:
    spec = catalogue.resolve("cw", "l2", None, {"steps": 3, "c": 1e-6})
    x = trained.x[:6]
    assert torch.equal(driven(spec, trained.net, x, trained.y[:6]).x_adv, x)


def raw_apgd(
    probe: nn.Module, shape, classes: int, loss: str, **words
) -> AutoProjectedGradientDescent:
    return AutoProjectedGradientDescent(
        wrapped(probe, shape, classes), nb_random_init=1, loss_type=loss, verbose=False, **words
    )


def test_apgd_gives_random_starts_where_it_finds_none(trained) -> None:
    x, y = trained.x[:6], trained.y[:6]
    with attacked(trained.net, x, 0) as probe:
        raw = raw_apgd(probe, (1, 8, 8), 10, "cross_entropy", eps=0.01, eps_step=0.02, max_iter=5)
        found = torch.from_numpy(raw.generate(x.numpy(), y.numpy()))
    assert (found != x).flatten(1).any(1).all()
    assert (trained.net(found).argmax(1) == y).all()
    for name in ("apgd-ce", "apgd-dlr"):
        tried = driven(catalogue.resolve(name, "linf", 0.01, {"steps": 5}), trained.net, x, y)
        assert torch.equal(tried.x_adv, x)


def test_apgd_asks_about_a_white_image_that_is_not_counted(trained) -> None:
    x, y = trained.x[:3], trained.y[:3]
    with attacked(trained.net, x, 0) as probe:
        raw_apgd(probe, (1, 8, 8), 10, "cross_entropy")
        assert probe.forwards.sum() == 1
    spec = catalogue.resolve("apgd-ce", "linf", 0.01, {"steps": 7})
    tried = driven(spec, trained.net, x, y)
    # A look before and after, one more at the start; a loss and a gradient a step.
    assert tried.forwards.tolist() == [3 + 2 * 7] * 3
    assert tried.backwards.tolist() == [7] * 3


def test_apgd_takes_shorter_steps_in_a_larger_batch() -> None:
    model, x, y = oracles.two_classes("l2", [0.4] * 8)
    model.weight.data *= 7.5  # a margin of some 26
    estimator = wrapped(model, oracles.SHAPE, 2)
    labels = nn.functional.one_hot(y, 2).float().numpy()
    lengths = [
        np.linalg.norm(estimator.loss_gradient(x[:n].numpy(), labels[:n])[0]) for n in (1, 8)
    ]
    assert lengths[0] < 1e-6  # beside the 1e-7 that ART adds to it
    assert lengths[1] < 0.2 * lengths[0]
    # Within reach: all must fall, however large the batch.
    spec = catalogue.resolve("apgd-ce", "l2", 0.45, {"steps": 20})
    assert (model(driven(spec, model, x, y, 2).x_adv).argmax(1) != y).all()


class Tied(nn.Module):
    """Three logits that are all alike."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1).mean(1, keepdim=True).expand(-1, 3).clone()


def test_dlr_is_not_a_number_where_three_logits_tie() -> None:
    x, y = torch.full((2, 1, 4, 4), 0.5), torch.zeros(2, dtype=torch.int64)
    raw = raw_apgd(Tied(), (1, 4, 4), 3, "difference_logits_ratio", eps=0.1, max_iter=2)
    labels = nn.functional.one_hot(y, 3).float().numpy()
    assert np.isnan(raw.estimator.compute_loss(x.numpy(), labels)).all()
    spec = catalogue.resolve("apgd-dlr", "linf", 0.1, {"steps": 3})
    assert driven(spec, Tied(), x, y, 3).x_adv.isfinite().all()


@pytest.mark.parametrize("toolkit", ["art", "torchattacks"])
def test_dlr_needs_three_classes(toolkit) -> None:
    model, x, y = oracles.two_classes("linf", [0.1])
    spec = catalogue.resolve("apgd-dlr", "linf", 0.1)
    with pytest.raises(UnsupportedAttack, match="2 classes, 3 are needed"):
        run_attack(spec, toolkit, model, Batch(x, y), num_classes=2, seed=0)
    assert "eot=2" in catalogue.refusal(quick("apgd-ce", "l2", eot=2), "art")


def test_square_asks_three_times_about_an_image(trained) -> None:
    x, y = trained.x[:4], trained.y[:4]
    with attacked(trained.net, x, 0) as probe:
        SquareAttack(wrapped(probe), eps=0.02, max_iter=40, verbose=False).generate(
            x.numpy(), y.numpy()
        )
        assert probe.forwards.min() >= 3 * 40
    tried = driven(catalogue.resolve("square", "linf", 0.02, {"queries": 40}), trained.net, x, y)
    assert tried.forwards.max() <= 42
    assert torch.equal(tried.x_adv, x)  # none found


def test_square_in_l2_divides_by_the_weight_of_its_window() -> None:
    """art/attacks/evasion/square_attack.py: `delta_new /= norm * weight`; so we go without it."""
    generator = torch.Generator().manual_seed(3)
    weight = torch.randn(10, 1, 20, 20, generator=generator)
    model = oracles.Linear(nn.functional.avg_pool2d(weight, 5, 1, 2).flatten(1)).eval()
    x = 0.3 + 0.4 * torch.rand(24, 1, 20, 20, generator=generator)
    y = model(x).argmax(1)
    eps = float(2 * oracles.distances(model, x, y, "l2").median())
    with attacked(model, x, 0) as probe, np.errstate(all="ignore"):
        raw = SquareAttack(
            wrapped(probe, (1, 20, 20)), norm=2, eps=eps, max_iter=200, verbose=False
        )
        found = torch.from_numpy(raw.generate(x.numpy(), y.numpy()))
    spec = catalogue.resolve("square", "l2", eps, {"queries": 200})
    theirs = run_attack(spec, "torchattacks", model, Batch(x, y), num_classes=10, seed=0).x_adv
    fallen = [(model(images).argmax(1) != y).sum() for images in (found, theirs)]
    assert fallen[0] < 0.8 * fallen[1]
    assert "should multiply" in catalogue.refusal(spec, "art")


def test_jsma_takes_targets_for_labels(trained) -> None:
    x, y = trained.x[:4], trained.y[:4]
    raw = SaliencyMapMethod(wrapped(trained.net), theta=1.0, verbose=False)
    assert (raw.generate(x.numpy(), y.numpy()) == x.numpy()).all()
    assert (driven(quick("jsma", "l0"), trained.net, x, y).x_adv != x).flatten(1).any(1).all()


def test_jsma_changes_more_values_than_gamma() -> None:
    model, x, y = oracles.grey(6.0, (1, 8, 8))
    attack = SaliencyMapMethod(wrapped(model, classes=2), theta=1.0, gamma=0.05, verbose=False)
    assert (attack.generate(x.numpy(), (1 - y).numpy()) != x.numpy()).sum() == 4 > 0.05 * 64
    spec = catalogue.resolve("jsma", "l0", None, {"gamma": "5/64"})
    assert torch.equal(driven(spec, model, x, y, 2).x_adv, x)  # four values are not enough
    spec = catalogue.resolve("jsma", "l0", None, {"gamma": "6/64"})
    assert (driven(spec, model, x, y, 2).x_adv != x).sum() == 6


def test_one_pixel_changes_other_pixels_by_rounding(trained) -> None:
    x = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    y = trained.net(x).argmax(1)
    raw = PixelAttack(wrapped(trained.net), th=1, max_iter=1)
    with seeded(0, x.device):
        found = raw.generate(x.numpy(), (y.numpy() + 1) % 10)  # it is of another class
    assert (found != x.numpy()).sum() > 1
    spec = catalogue.resolve("one-pixel", "l0", 1, {"population": 5, "generations": 1})
    assert (driven(spec, trained.net, x, y).x_adv != x).sum() == 1


class Constant(nn.Module):
    """A first logit that never moves, and a second that one pixel lifts above it."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        still = 0 * x[:, 0, 0, 0]
        return torch.stack([still + 1.0, 1.2 * x[:, 0, 2, 3], still], 1)


def test_one_pixel_minimises_the_labels_own_logit() -> None:
    x, y = torch.full((1, 1, 6, 6), 0.2), torch.zeros(1, dtype=torch.int64)
    raw = PixelAttack(wrapped(Constant(), (1, 6, 6), 3), th=1, max_iter=15)
    with seeded(0, x.device):
        found = raw.generate(x.numpy(), y.numpy())
    assert Constant()(torch.from_numpy(found)).argmax(1) == y
    spec = catalogue.resolve("one-pixel", "l0", 1, {"population": 400, "generations": 15})
    assert Constant()(driven(spec, Constant(), x, y, 3).x_adv).argmax(1) != y


def test_one_pixel_refuses_two_classes() -> None:
    model, x, y = oracles.grey(60.0, (1, 8, 8))
    with pytest.raises(ValueError, match="binary"):
        PixelAttack(wrapped(model, classes=2), th=1).generate(x.numpy(), y.numpy())
    spec = catalogue.resolve("one-pixel", "l0", 1, {"population": 5, "generations": 1})
    assert driven(spec, model, x, y, 2).iterations.tolist() == [1]


def test_boundary_is_targeted_unless_told_otherwise(trained) -> None:
    with pytest.raises(ValueError, match="need to be provided for a targeted"):
        BoundaryAttack(wrapped(trained.net), verbose=False).generate(trained.x[:1].numpy())


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_hopskipjump_gives_another_image_than_its_best(trained, norm) -> None:
    """It stops after a jump away from the boundary, and asks five times for a line in the log."""
    x, y, order = trained.x[:1], trained.y[:1], {"l2": 2, "linf": np.inf}[norm]
    shown = []

    class Noted(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            shown.append(images)
            return trained.net(images)

    with attacked(Noted(), x, 0) as probe, torch.no_grad():
        attack = HopSkipJump(wrapped(probe), norm=order, max_iter=4, init_eval=20, verbose=False)
        start = np.random.default_rng(0).uniform(size=x.shape).astype(np.float32)
        found = torch.from_numpy(attack.generate(x.numpy(), y.numpy(), x_adv_init=start))
    asked = torch.cat(shown)
    fooled = asked[trained.net(asked).argmax(1) != y]
    away = (fooled - x).flatten(1).norm(p=order, dim=1)
    assert (found - x).flatten(1).norm(p=order) > 1.1 * away.min()
    # The step between boundary and image, and how far around it is looked, as in the paper.
    assert attack.theta == pytest.approx(0.01 / (8 if norm == "l2" else 64))


def test_spatial_shifts_the_channels_of_images() -> None:
    """It takes the first two of (C, H, W) for height and width."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 3)).eval()
    attack = SpatialTransformation(
        wrapped(model, (1, 8, 8), 3), max_translation=40, num_translations=5, max_rotation=0,
        num_rotations=1, verbose=False,
    )  # fmt: skip
    attack.generate(np.random.default_rng(0).random((4, 1, 8, 8), np.float32))
    assert attack.attack_trans_x == 0 or attack.attack_trans_y == 0
    reason = catalogue.refusal(catalogue.resolve("spatial", "linf"), "art")
    assert "along channels" in reason


def test_autoattack_is_another_attack(trained) -> None:
    attack = AutoAttack(wrapped(trained.net), eps=0.1)
    kinds = [type(part).__name__ for part in attack.attacks]
    assert "DeepFool" in kinds
    assert not any(part.targeted for part in attack.attacks)
    spec = catalogue.resolve("autoattack", "linf", 0.1)
    assert "DeepFool for FAB" in catalogue.refusal(spec, "art")
