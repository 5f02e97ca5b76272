"""Random models: draws that belong to an image, whatever else is asked."""

import random

import numpy as np
import pytest
import torch
from torch import nn

import bench
from bench.adapters.random import RandomAdapter
from bench.spec import Adapter


class Noisy(nn.Module):
    """Two classes by the first pixel plus noise, drawn by `draw` for a batch."""

    def __init__(self, draw):
        super().__init__()
        self.draw = draw

    def forward(self, x):
        pixel = x[:, 0, 0, 0] + self.draw(x)
        return torch.stack([0.5 - pixel, pixel - 0.5], 1) * 20


def gaussian(x):
    return 0.1 * torch.randn(len(x))


def one_a_call(x):
    return 0.1 * torch.randn(1)


def numpys(x):
    return torch.as_tensor(0.1 * np.random.randn(len(x))).float()


def pythons(x):
    return torch.tensor([random.gauss(0, 0.1) for _ in x])


def model(draw=gaussian, **settings):
    inner = bench.wrap(Noisy(draw), 2, (1, 2, 2))
    return RandomAdapter(**{"inner": inner, "per_call": draw is one_a_call} | settings)


def images(n=40):
    return torch.rand(n, 1, 2, 2, generator=torch.Generator().manual_seed(0))


DRAWS = [gaussian, one_a_call, numpys, pythons]


def test_it_is_an_adapter():
    assert isinstance(model(), Adapter)
    assert model().spec.scores == "probabilities"
    assert list(model().surfaces()) == ["expected", "one-draw"]


@pytest.mark.parametrize("draw", DRAWS)
def test_an_image_is_judged_alike_in_any_batch_order_and_state(draw):
    adapter, x = model(draw), images()
    whole = adapter.predict(x)
    torch.manual_seed(7)
    order = torch.randperm(len(x))
    mixed = adapter.predict(x[order])
    assert torch.equal(mixed.labels, whole.labels[order])
    assert torch.equal(mixed.scores, whole.scores[order])
    for size in (1, 7):
        parts = [adapter.predict(part) for part in torch.split(x, size)]
        assert torch.equal(torch.cat([part.labels for part in parts]), whole.labels)
        assert torch.equal(torch.cat([part.scores for part in parts]), whole.scores)
    assert torch.equal(adapter.answers(x, "judge")[:, order], adapter.answers(x[order], "judge"))


@pytest.mark.parametrize("draw", DRAWS)
def test_draws_are_independent_of_each_other_and_of_other_purposes(draw):
    x = torch.full((1, 1, 2, 2), 0.5)
    answers = model(draw, draws=400).answers(x, "judge")
    assert answers.shape == (400, 1)
    assert answers.dtype == torch.int64
    assert 150 < int(answers.sum()) < 250
    other = model(draw, draws=400).answers(x, "another")
    assert 150 < int((answers == other).sum()) < 250


def test_a_decision_is_that_of_most_draws_and_scores_are_mean_probabilities():
    adapter, x = model(), images()
    answers, said = adapter.answers(x, "judge"), adapter.predict(x)
    assert torch.equal(said.labels, (answers.sum(0) > adapter.draws / 2).long())
    assert torch.allclose(said.scores.sum(1), torch.ones(len(x)), atol=1e-6)
    # The mean over noise of a steep sigmoid is a flat one, not the sigmoid of the mean.
    middle = torch.full((1, 1, 2, 2), 0.53)
    exact = torch.sigmoid(40 * (0.03 + 0.1 * torch.randn(100_000))).mean()
    found = model(draws=4000).predict(middle).scores[0, 1]
    assert abs(float(found - exact)) < 0.03


def test_a_tie_goes_to_the_lowest_class_and_a_class_comes_before_none():
    turns = {"labels": [2, 1, -1, 1, 2, -1]}
    function = bench.wrap_predict(
        lambda x: np.resize(turns["labels"], len(x)), 3, (1, 2, 2), fingerprint="turns"
    )
    adapter = RandomAdapter(inner=function, per_call=False, draws=6)
    assert adapter.predict(images(2)).labels.tolist() == [1, 1]
    turns["labels"] = [-1, -1, 2]
    assert adapter.predict(images(1)).labels.tolist() == [-1]
    turns["labels"] = [-1, 2]
    assert adapter.predict(images(1)).labels.tolist() == [2]


def test_generators_are_put_back():
    with_numpy, with_random = model(numpys), model(pythons)
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    with_numpy.predict(images(3))
    with_random.answers(images(3), "judge")
    assert torch.equal(before[0], torch.get_rng_state())
    assert (before[1] == np.random.get_state()[1]).all()
    assert before[2] == random.getstate()


@pytest.mark.parametrize("draw", [gaussian, one_a_call])
def test_the_expected_gradient_is_the_mean_of_that_of_draws(draw):
    x, y = images(8) * 0.2 + 0.4, torch.zeros(8, dtype=torch.int64)

    def spread(surface):
        torch.manual_seed(0)
        found = [model(draw).gradient(x, y, surface=surface)[:, 0, 0, 0] for _ in range(200)]
        return torch.stack(found)

    one, many = spread("one-draw"), spread("expected")
    assert (many.std(0) < one.std(0) / 2).all()
    assert not torch.equal(many[0], many[1])


def test_where_one_call_draws_once_the_expected_surface_calls_for_each_draw():
    x = torch.full((1, 1, 2, 2), 0.5)

    def spread(per_call):
        torch.manual_seed(0)
        adapter = RandomAdapter(inner=model(one_a_call).inner, per_call=per_call)
        net = adapter.surfaces()["expected"]
        return torch.stack([net(x).exp()[0, 0] for _ in range(100)]).std()

    # Of 20 draws the mean varies a fifth as much as a single one.
    assert spread(per_call=True) < spread(per_call=False) / 3


def test_a_model_without_surfaces_stays_without():
    function = bench.wrap_predict(lambda x: (x[:, 0, 0, 0] > 0.5).long(), 2, (1, 2, 2))
    adapter = RandomAdapter(inner=function, per_call=False)
    assert adapter.surfaces() == {}
    with pytest.raises(bench.errors.SpecError, match="can only predict"):
        adapter.gradient(images(1), torch.zeros(1, dtype=torch.int64))


def test_its_fingerprint_is_not_that_of_a_single_draw_and_changes_with_the_draws():
    adapter = model()
    prints = [adapter.inner.fingerprint(), adapter.fingerprint(), model(draws=16).fingerprint()]
    assert len(set(prints)) == 3
    assert model().fingerprint() == adapter.fingerprint()


def test_nothing_is_asked_of_no_images():
    assert model().answers(images(0), "judge").shape == (32, 0)
    assert model().predict(images(0)).scores.shape == (0, 2)
