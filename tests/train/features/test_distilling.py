"""The network that stands in for a forest."""

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier

from bench.adapters.estimators import read_estimator
from bench.train.features import distilling
from bench.train.features.distilling import distil, kept_distilled


@pytest.fixture(scope="module")
def clouds():
    """A forest of three clouds, and its training features."""
    labels = np.arange(300) % 3
    centres = np.array([[0, 0, 0, 0], [4, 0, 0, 4], [0, 4, 4, 0]])
    features = (centres[labels] + np.random.default_rng(0).normal(size=(300, 4))).astype(np.float32)
    forest = RandomForestClassifier(20, random_state=0).fit(features, labels)
    return read_estimator(forest).top, torch.tensor(features)


def test_it_decides_as_the_forest_and_has_a_gradient(clouds):
    forest, features = clouds
    net, agreement = distil(forest, features)
    assert (net(features).argmax(1) == forest(features).argmax(1)).float().mean() > 0.95
    assert 0.8 < agreement <= 1
    x = features.clone().requires_grad_()
    assert (torch.autograd.grad(net(x).amax(1).sum(), x)[0].abs().amax(1) > 0).all()


def test_the_same_forest_gives_the_same_network_from_the_cache(clouds, monkeypatch, tmp_path):
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path))
    forest, features = clouds
    before = torch.get_rng_state()
    net, agreement = kept_distilled(forest, features)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(
        torch.equal(a, b)
        for a, b in zip(net.buffers(), distil(forest, features)[0].buffers(), strict=True)
    )
    monkeypatch.setattr(distilling, "distil", lambda *words: pytest.fail("it was kept"))
    again, same = kept_distilled(forest, features)
    assert same == agreement
    assert torch.equal(again(features), net(features))
    monkeypatch.undo()
