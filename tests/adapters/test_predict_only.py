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


def test_a_function_of_arrays_is_told_how_to_get_them():
    with pytest.raises(
        AdapterError, match=r"test_predict_only.py, line .*NumPy arrays, give lambda"
    ):
        bench.wrap_predict(lambda x: x.astype(float).mean((1, 2)), 2, SHAPE)


def test_fingerprint_follows_code_and_behaviour():
    def made(weight):
        return bench.wrap_predict(lambda x: (x.flatten(1).mean(1) > weight).long(), 2, SHAPE)

    assert made(0.5).fingerprint() == made(0.5).fingerprint()
    assert made(0.5).fingerprint() != made(0.4).fingerprint()
    named = bench.wrap_predict(scores_of, 2, SHAPE, fingerprint="weights-1")
    other = bench.wrap_predict(scores_of, 2, SHAPE, fingerprint="weights-2")
    assert named.fingerprint() != other.fingerprint()


LOGITS = torch.tensor([[2.0, 1.0, 0.5], [0.1, 3.0, 0.2]])


@pytest.mark.parametrize(("given", "declared", "words"), [
    (LOGITS.log_softmax(1), "probabilities", "log-probabilities.*scores=\"logits\""),
    (LOGITS, "probabilities", "run from 0.1 to 3.*scores=\"logits\""),
    (-LOGITS, "probabilities", "run from -3 to -0.1"),
    (LOGITS.sigmoid(), "probabilities", "sigmoids"),
    (LOGITS.softmax(1), "logits", "are probabilities"),
])  # fmt: skip
def test_scores_that_are_not_what_they_are_said_to_be_are_refused(given, declared, words):
    with pytest.raises(AdapterError, match=words):
        bench.wrap_predict(lambda x: given[: len(x)], 3, SHAPE, scores=declared)


@pytest.mark.parametrize(("given", "declared"), [
    (LOGITS, "logits"), (LOGITS.log_softmax(1), "logits"), (LOGITS.softmax(1), "probabilities"),
    (LOGITS.softmax(1).bfloat16(), "probabilities"), (LOGITS.softmax(1).double(), "probabilities"),
    (LOGITS.argmax(1), "probabilities"), (torch.tensor([-1, 2]), "probabilities"),
])  # fmt: skip
def test_scores_that_are_what_they_are_said_to_be_are_taken(given, declared):
    model = bench.wrap_predict(lambda x: given[: len(x)], 3, SHAPE, scores=declared)
    assert model.predict(torch.rand(2, *SHAPE)).scores.dtype == torch.float32


@pytest.mark.parametrize(("given", "words"), [
    (lambda x: (scores_of(x), None), "returns a tuple; return its scores"),
    (lambda x: {"scores": scores_of(x)}, "returns a dict"),
    (lambda x: np.array(["3"] * len(x)), "'3' and the like"),
    (lambda x: [[1], [1, 2]], "neither scores nor integer labels"),
])  # fmt: skip
def test_answers_that_are_no_scores_are_named(given, words):
    with pytest.raises(AdapterError, match=words):
        bench.wrap_predict(given, 2, SHAPE)


def test_scores_that_are_not_finite_under_attack_are_given_as_they_are():
    model = bench.wrap_predict(
        lambda x: torch.where(x.flatten(1)[:, :1] == 0.123, torch.nan, scores_of(x)), 2, SHAPE
    )
    x = torch.rand(2, *SHAPE)
    x[1, 0, 0, 0] = 0.123
    assert model.predict(x).scores.isfinite().all(1).tolist() == [True, False]


def test_a_function_that_writes_into_its_images_gets_a_copy():
    def predict(x):
        x.mul_(0)
        return scores_of(x)

    x = torch.rand(2, *SHAPE)
    before = x.clone()
    bench.wrap_predict(predict, 2, SHAPE).predict(x)
    assert torch.equal(x, before)
