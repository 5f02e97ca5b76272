import pytest
import torch
from digits_network import shipped
from threats import Behind, found, leaky, loud, rounded, threat

import bench
from bench.trust.checks.registry import all_checks


def test_images_that_withstand_pgd_on_a_sound_network_have_a_gradient():
    made = threat(shipped(), steps=10)
    finding = found("zero-gradient", made)
    assert finding.status == "pass"
    assert finding.sentence == (
        f"it is not zero at any of {int(made.robust.sum())} images that the run's attacks left"
    )


def test_a_rounded_image_has_none():
    finding = found("zero-gradient", threat(Behind(rounded), steps=5))
    assert finding.status == "fail"
    assert "the gradient is zero for every loss at " in finding.sentence
    assert "so an attack that follows it has no direction there" in finding.sentence


def test_where_attacks_without_a_gradient_were_made_none_is_no_fault():
    made = threat(Behind(rounded), steps=5)
    square = made.cells.assign(access="score", surface="predict", attack="square")
    for column in square:
        made.cells[column] = square[column]
    finding = found("zero-gradient", made)
    assert finding.status == "warn"
    assert finding.sentence.endswith("; the run also made attacks that need no gradient")


def test_saturation_is_told_from_a_hidden_gradient():
    finding = found("zero-gradient", threat(Behind(loud), steps=5))
    assert finding.status == "fail"
    assert "the gradient of the cross-entropy is zero at " in finding.sentence
    assert "that of another loss is not: a softmax rounds to 0 and 1 there" in finding.sentence
    assert "for every loss" not in finding.sentence


def test_a_gradient_that_cannot_be_taken_is_said():
    class Raises(type(bench.wrap(shipped(), 10, (1, 8, 8)))):
        def gradient(self, x, y, loss="ce", surface=None):
            raise RuntimeError("no graph")

    adapter = bench.wrap(shipped(), 10, (1, 8, 8))
    broken = Raises(adapter.spec, adapter.module, adapter.differentiable)
    finding = found("zero-gradient", threat(broken, attack=None))
    assert (finding.status, finding.sentence) == ("fail", "cannot be taken: RuntimeError: no graph")


@pytest.mark.parametrize(("norm", "eps"), [("linf", "0.1"), ("l2", "0.5")])
def test_a_step_along_the_gradient_of_a_sound_network_raises_its_loss(norm, eps):
    made = threat(shipped(), norm=norm, eps=eps, steps=5)
    finding, n = found("uphill", made), int(made.robust.sum())
    assert finding.status == "pass"
    assert finding.sentence == (
        f"a step of a tenth of eps along the gradient raises the loss of {n} of {n} images"
    )


def test_a_step_along_a_gradient_that_lies_does_not():
    made = threat(Behind(leaky), eps="0.2", steps=5)
    finding = found("uphill", made)
    assert finding.status == "fail"
    assert finding.value > 0.5
    assert finding.sentence.endswith("elsewhere it leads nowhere, so attacks that follow it fail")
    # The gradient itself is right for steps as small as finite differences take.
    (small,) = all_checks()["gradient"].findings(made.model)
    assert small.status == "pass"


def test_a_step_is_not_measured_where_there_is_no_gradient_or_no_fixed_score():
    finding = found("uphill", threat(Behind(rounded), attack=None))
    assert (finding.status, finding.sentence) == (
        "not applicable",
        "the gradient is zero everywhere",
    )
    noisy = Behind(lambda net, x: net(x + 0.05 * torch.randn_like(x)))
    finding = found("uphill", threat(noisy, attack=None, images=8))
    assert finding.status == "not applicable"
    assert "too coarse for small steps" in finding.sentence


def test_a_model_whose_answers_depend_on_the_batch_is_left_alone():
    coupled = Behind(lambda net, x: net(x) - net(x).mean(0))
    finding = found("noise", threat(coupled, attack=None))
    assert finding.status == "not applicable"
    assert finding.sentence.startswith("answers depend on the other images of the batch")
