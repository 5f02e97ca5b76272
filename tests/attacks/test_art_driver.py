"""Faults of ART 1.20.1, each shown raw and put right by the driver."""

from __future__ import annotations

import numpy as np
import oracles
import pytest
import torch
from art.attacks.evasion import (
    CarliniL2Method,
    DeepFool,
    ElasticNet,
    FastGradientMethod,
    HopSkipJump,
)
from art.estimators.classification import PyTorchClassifier
from attack_cases import quick
from torch import nn

from bench.attacks import catalogue
from bench.attacks.drive import drive
from bench.attacks.instrument import attacked
from bench.errors import UnsupportedAttack


def driven(spec, model, x, y, num_classes: int = 10):
    return drive(spec, "art", model, x, y, target=None, num_classes=num_classes, seed=0)


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
