import dataclasses
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.attacks.catalogue import resolve
from bench.runner.judge import Attempt, confidence, judge, margins, readable
from bench.spec import ModelSpec, Prediction

MODEL = ModelSpec(name="m", family="network", data="d", input_shape=(1, 2, 2), num_classes=3)
FIXED = resolve("fgsm", "linf", "0.1")
MINIMAL = resolve("deepfool", "l2")


def predicted(*labels):
    scores = torch.zeros(len(labels), 3)
    for i, label in enumerate(labels):
        scores[i, label] = 4.0
    return Prediction(torch.tensor(labels), scores)


def verdict(x_adv, labels, spec=FIXED, y=0, target=None, sure=None):
    x = torch.full((len(labels), 1, 2, 2), 0.5)
    truth = torch.full((len(labels),), y)
    sure = torch.ones(len(labels)) if sure is None else sure
    return judge(Attempt(spec, x, truth, sure, target), MODEL, x_adv, predicted(*labels))


def test_another_label_within_the_budget_is_a_success():
    x_adv = torch.full((2, 1, 2, 2), 0.6)
    found = verdict(x_adv, [1, 0])
    assert found.success == [True, False]
    assert found.invalid == [None, None]
    assert found.adv_label == [1, 0]
    assert found.distances["linf"] == pytest.approx([0.1, 0.1])
    assert found.distances["l0"] == [4, 4]


def test_a_targeted_attack_must_reach_its_target():
    x_adv = torch.full((2, 1, 2, 2), 0.55)
    found = verdict(x_adv, [1, 2], target=torch.tensor([2, 2]))
    assert found.success == [False, True]


def test_confidence_reduction_leaves_at_most_half_of_the_labels_or_another_label():
    reducing = resolve("fgsm", "linf", "0.1", {"goal": "confidence-reduction"})
    x_adv = torch.full((4, 1, 2, 2), 0.55)
    own = float(confidence(predicted(0), MODEL))
    before = torch.tensor([2 * own, 1.99 * own, 2 * own, 3 * own])
    found = verdict(x_adv, [0, 0, 1, 0], spec=reducing, sure=before)
    assert found.success == [True, False, True, True]


@pytest.mark.parametrize(("value", "reason"), [
    (torch.nan, "not finite"), (torch.inf, "not finite"), (1.2, r"outside \[0, 1\] by 0.2"),
    (-0.01, r"outside \[0, 1\] by 0.01"), (0.65, r"over budget: linf 0.15 > 0.1"),
])  # fmt: skip
def test_what_breaks_the_rules_is_a_failure_with_a_reason(value, reason):
    x_adv = torch.full((1, 1, 2, 2), 0.5)
    x_adv[0, 0, 0, 0] = value
    found = verdict(x_adv, [1])
    assert found.success == [False]
    assert re.search(reason, found.invalid[0])


def test_the_norm_of_a_failure_is_that_of_the_image_tried():
    found = verdict(torch.full((1, 1, 2, 2), 0.9), [1])
    assert found.success == [False]
    assert found.distances["linf"] == pytest.approx([0.4])


def test_an_image_that_is_not_finite_has_no_label_and_no_norm():
    x_adv = torch.full((1, 1, 2, 2), torch.nan)
    found = verdict(x_adv, [1])
    assert (found.adv_label, found.adv_confidence) == ([None], [None])
    assert found.distances["l2"] == [None]


def test_a_wrong_shape_is_a_failure_of_every_image():
    x = torch.zeros(2, 1, 2, 2)
    x_adv = torch.zeros(2, 1, 3, 3)
    assert readable(x, x_adv) is None
    found = judge(Attempt(FIXED, x, torch.tensor([0, 0]), torch.ones(2)), MODEL, x_adv, None)
    assert found.success == [False, False]
    assert "shape (1, 3, 3) instead of (1, 2, 2)" in found.invalid[0]


def test_unreadable_images_are_shown_as_their_clean_ones():
    x = torch.rand(2, 1, 2, 2)
    x_adv = x + 0.1
    x_adv[1, 0, 0, 0] = torch.nan
    shown = readable(x, x_adv)
    assert torch.equal(shown[0], x_adv[0])
    assert torch.equal(shown[1], x[1])


def test_a_minimal_norm_attack_has_no_budget():
    assert verdict(torch.ones(1, 1, 2, 2), [1], MINIMAL).success == [True]


@given(st.integers(-12, 12))
@settings(max_examples=25)
def test_the_budget_has_the_slack_it_says_and_no_more(ulps):
    eps = 0.1
    limit = eps * (1 + 1e-5) + 1e-6
    x_adv = torch.full((1, 1, 2, 2), 0.5, dtype=torch.float64)
    x_adv[0, 0, 0, 0] += limit + ulps * 1e-9
    x = torch.full((1, 1, 2, 2), 0.5, dtype=torch.float64)
    found = judge(Attempt(FIXED, x, torch.tensor([0]), torch.ones(1)), MODEL, x_adv, predicted(1))
    assert found.success == [bool(float(x_adv[0, 0, 0, 0] - 0.5) <= limit)]


def test_a_margin_below_a_ten_thousandth_is_borderline():
    prediction = Prediction(torch.tensor([0, 0]), torch.tensor([[1.0, 1 - 5e-5], [1.0, 0.99]]))
    x = torch.zeros(2, 1, 2, 2)
    two = ModelSpec(name="m", family="network", data="d", input_shape=(1, 2, 2), num_classes=2)
    found = judge(Attempt(FIXED, x, torch.tensor([1, 1]), torch.ones(2)), two, x, prediction)
    assert found.borderline == [True, False]


def test_abstaining_is_marked():
    prediction = Prediction(torch.tensor([-1]), torch.zeros(1, 3))
    x = torch.zeros(1, 1, 2, 2)
    found = judge(Attempt(FIXED, x, torch.tensor([0]), torch.ones(1)), MODEL, x, prediction)
    assert found.abstained == [True]
    assert found.adv_label == [-1]
    assert found.adv_confidence == [None]


@pytest.mark.parametrize(("family", "counts"), [
    ("neighbours", True), ("features", True), ("smoothed", False),
])  # fmt: skip
def test_whether_no_label_is_a_success_is_the_familys_rule(family, counts):
    model = dataclasses.replace(MODEL, family=family, scores="probabilities")
    prediction = Prediction(torch.tensor([-1, 1]), torch.tensor([[0.5, 0.5, 0], [0, 1, 0]]))
    x = torch.zeros(2, 1, 2, 2)
    found = judge(Attempt(FIXED, x, torch.zeros(2).long(), torch.ones(2)), model, x, prediction)
    assert found.success == [counts, True]
    assert found.abstained == [True, False]


def test_confidence_is_the_softmax_of_logits_and_the_score_of_probabilities():
    scores = torch.tensor([[2.0, 0.0, -1.0]])
    prediction = Prediction(torch.tensor([0]), scores)
    logits = np.exp([2.0, 0.0, -1.0])
    assert float(confidence(prediction, MODEL)) == pytest.approx(logits[0] / logits.sum())
    shares = ModelSpec(
        name="m", family="features", data="d", input_shape=(1, 2, 2), num_classes=3,
        scores="probabilities",
    )  # fmt: skip
    certain = Prediction(torch.tensor([1]), torch.tensor([[0.2, 0.7, 0.1]]))
    assert float(confidence(certain, shares)) == pytest.approx(0.7)
    assert float(margins(certain)) == pytest.approx(0.5)


def test_confidence_reduction_is_about_the_true_class_not_the_one_decided_on():
    """A label that holds by a tied vote's rule may have any confidence; that of the true class counts."""
    reducing = resolve("fgsm", "linf", "0.1", {"goal": "confidence-reduction"})
    shares = dataclasses.replace(MODEL, scores="probabilities")
    scores = torch.tensor([[0.4, 0.6, 0.0], [0.45, 0.3, 0.25], [0.46, 0.3, 0.24]])
    prediction = Prediction(torch.zeros(3, dtype=torch.int64), scores)
    x = torch.zeros(3, 1, 2, 2)
    before = torch.full((3,), 0.9)
    found = judge(Attempt(reducing, x, torch.zeros(3).long(), before), shares, x, prediction)
    assert found.success == [True, True, False]


def test_an_image_over_budget_reduces_no_confidence():
    reducing = resolve("fgsm", "linf", "0.1", {"goal": "confidence-reduction"})
    assert verdict(torch.full((1, 1, 2, 2), 0.7), [1], spec=reducing).success == [False]
