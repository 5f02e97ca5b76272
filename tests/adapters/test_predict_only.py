import numpy as np
import pytest
import torch

import bench
from bench.errors import AdapterError, SpecError
from bench.spec import Adapter

SHAPE = (1, 2, 2)


def scores_of(x):
    brightness = x.flatten(1).mean(1)
    return torch.stack([1 - brightness, brightness], 1)


@pytest.mark.parametrize("form", [torch.Tensor.clone, torch.Tensor.numpy, torch.Tensor.tolist])
def test_scores_may_come_as_tensor_array_or_list(form):
    model = bench.wrap_predict(lambda x: form(scores_of(x)), 2, SHAPE)
    x = torch.tensor([0.1, 0.9]).view(2, 1, 1, 1).expand(2, *SHAPE)
    prediction = model.predict(x)
    assert isinstance(model, Adapter)
    assert prediction.labels.tolist() == [0, 1]
    assert torch.allclose(prediction.scores, scores_of(x))


def test_labels_alone_become_one_hot_scores_and_minus_one_abstains():
    model = bench.wrap_predict(lambda x: np.array([1, -1])[: len(x)], 2, SHAPE)
    prediction = model.predict(torch.rand(2, *SHAPE))
    assert prediction.labels.tolist() == [1, -1]
    assert prediction.scores.tolist() == [[0.0, 1.0], [0.0, 0.0]]


def test_there_is_no_gradient():
    model = bench.wrap_predict(scores_of, 2, SHAPE)
    assert model.surfaces() == {}
    with pytest.raises(SpecError, match="can only predict"):
        model.gradient(torch.rand(1, *SHAPE), torch.tensor([0]))


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda x: torch.zeros(len(x), 3), "must give"),
        (lambda x: torch.full((len(x), 2), torch.inf), "not finite"),
        (lambda x: torch.full((len(x),), 7), "labels from 7 to 7"),
    ],
)
def test_what_is_not_a_prediction_is_refused_at_once(function, words):
    with pytest.raises(AdapterError, match=words):
        bench.wrap_predict(function, 2, SHAPE)


def test_fingerprint_follows_code_and_behaviour():
    def made(weight):
        return bench.wrap_predict(lambda x: (x.flatten(1).mean(1) > weight).long(), 2, SHAPE)

    assert made(0.5).fingerprint() == made(0.5).fingerprint()
    assert made(0.5).fingerprint() != made(0.4).fingerprint()
    named = bench.wrap_predict(scores_of, 2, SHAPE, fingerprint="weights-1")
    other = bench.wrap_predict(scores_of, 2, SHAPE, fingerprint="weights-2")
    assert named.fingerprint() != other.fingerprint()
