"""Confidence reduction: at least as often as another label, and never farther away."""

from __future__ import annotations

import dataclasses

import oracles
import pytest
import torch
from torch import nn

import bench
from bench.attacks import catalogue
from bench.attacks.run_attack import AttackResult
from bench.runner.cell import chunk_seed
from bench.runner.confidence_reduction import bisect_to_boundary, plain
from bench.runner.judge import Attempt, confidence
from bench.spec import Prediction
from bench.store.identity import cell_key

WAYS = [("pgd", "linf", "0.05", {"steps": 5}), ("deepfool", "l2", None, {"steps": 10})]


class Times(nn.Module):
    """A network whose logits are so many times as large: surer of the same labels."""

    def __init__(self, net: nn.Module, factor: float) -> None:
        super().__init__()
        self.net, self.factor = net, factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.factor * self.net(x)


def parity_of(net: nn.Module) -> nn.Module:
    """Return a model of two classes: whether a digit is odd."""

    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            shares = self.net(x).log_softmax(1)
            return torch.stack([shares[:, 0::2].logsumexp(1), shares[:, 1::2].logsumexp(1)], 1)

    return Odd()


@pytest.fixture(scope="module")
def digits():
    x, y = bench.load_data("digits", images=30)
    return bench.load_model("digits/mlp").module, x, y


@pytest.mark.parametrize("toolkit", ["art", "foolbox", "torchattacks"])
@pytest.mark.parametrize(("name", "norm", "eps", "words"), WAYS)
@pytest.mark.parametrize("kind", ["mlp", "five times the logits", "two classes"])
def test_it_succeeds_wherever_misclassification_does_and_no_farther(
    digits, kind, name, norm, eps, words, toolkit
) -> None:
    net, x, y = digits
    module, labels, classes = net, y, 10
    if kind == "five times the logits":
        module = Times(net, 5)
    elif kind == "two classes":
        module, labels, classes = parity_of(net), y % 2, 2
    model = bench.wrap(module, classes, (1, 8, 8))
    options = {"norm": norm, "eps": eps, "toolkit": toolkit, **words}
    plainly = bench.attack(model, x, labels, name, **options).rows
    rows = bench.attack(model, x, labels, name, **options, goal="confidence-reduction").rows
    assert plainly.success.any()
    assert rows.success[plainly.success].all()
    at = plainly.success
    assert (rows[norm][at] <= plainly[norm][at] + 1e-6).all()
    if eps is None:
        assert rows[norm][at].mean() < plainly[norm][at].mean()


def test_of_two_classes_it_ends_at_the_boundary_itself() -> None:
    """There the label is lost before half of the confidence is: no need to overshoot as DeepFool does."""
    net, x, y = oracles.two_classes("l2", [0.2, 0.4])
    model = bench.wrap(net, 2, oracles.SHAPE)
    options = {"norm": "l2", "toolkit": "foolbox"}
    plainly = bench.attack(model, x, y, "deepfool", **options).rows
    rows = bench.attack(model, x, y, "deepfool", **options, goal="confidence-reduction").rows
    assert rows.success.all()
    assert plainly.l2.tolist() == pytest.approx([0.2041, 0.4081], rel=1e-3)
    assert rows.l2.tolist() == pytest.approx([0.2, 0.4], rel=1e-3)


class Shares:
    """A judge of ten classes that says how sure it is of class 0 by the first pixel."""

    spec = dataclasses.replace(
        bench.wrap(nn.Flatten(), 10, (1, 1, 10)).spec, scores="probabilities"
    )

    def __init__(self) -> None:
        self.asked = 0

    def predict(self, x: torch.Tensor) -> Prediction:
        self.asked += 1
        own = 0.9 - 0.5 * x[:, 0, 0, 0]
        rest = ((1 - own) / 9)[:, None].expand(-1, 9)
        scores = torch.cat([own[:, None], rest], 1)
        return Prediction(scores.argmax(1), scores)


def test_a_label_that_holds_to_the_end_is_drawn_back_too_and_each_question_counts() -> None:
    spec = catalogue.resolve("deepfool", "l2", None, {"goal": "confidence-reduction"})
    x, y = torch.zeros(2, 1, 1, 10), torch.zeros(2, dtype=torch.int64)
    x_adv = x.clone()
    x_adv[0, 0, 0, 0], x_adv[1, 0, 0, 0] = 1.0, 0.5
    judge = Shares()
    before = confidence(judge.predict(x), judge.spec)
    none = torch.zeros(2, dtype=torch.int64)
    tried = AttackResult(x_adv, none, none, None, 0.0)
    made = bisect_to_boundary(judge, Attempt(spec, x, y, before), tried)
    # 0.9 - 0.5 p is half of 0.9 at p = 0.9; the second does not come as far, and stays as it was.
    assert float(made.x_adv[0, 0, 0, 0]) == pytest.approx(0.9, abs=1e-4)
    assert torch.equal(made.x_adv[1], x_adv[1])
    assert made.forwards.tolist() == [judge.asked - 1] * 2 == [16, 16]
    # With a budget the image found is kept whole, without a question.
    spec = catalogue.resolve("fgsm", "linf", 1, {"goal": "confidence-reduction"})
    assert bisect_to_boundary(judge, Attempt(spec, x, y, before), tried) is tried


def test_it_begins_where_misclassification_does(tiny_suite) -> None:
    from bench.runner.plan import make_plan
    from bench.runner.suite import load_suite

    cell = next(
        one
        for one in make_plan(load_suite(str(tiny_suite))).cells.values()
        if one.attack.name == "pgd"
    )
    words = {**dict(cell.attack.parameters), "goal": "confidence-reduction"}
    spec = catalogue.resolve("pgd", "linf", cell.attack.eps, words)
    reduced = dataclasses.replace(cell, attack=spec)
    assert plain(spec) == cell.attack
    assert chunk_seed(reduced, 0) == chunk_seed(cell, 0)
    assert cell_key(reduced) != cell_key(cell)
