import pytest
import torch
from digits_network import shipped
from threats import Behind, found, rounded
from torch.nn import functional as F

import bench
from bench.trust.checked_model import CheckedModel


def model(net):
    return CheckedModel(bench.wrap(net, 10, (1, 8, 8)), "digits")


def moved(net, x, differentiate):
    with torch.enable_grad():
        inner = x.detach().clone().requires_grad_()
        slope = differentiate(F.cross_entropy(net(inner), net(x).argmax(1)), inner)
    return net(x - 0.01 * slope.sign())


def by_backward(loss, inner):
    loss.backward()
    return inner.grad


@pytest.mark.parametrize("differentiate", [
    lambda loss, inner: torch.autograd.grad(loss, inner)[0], by_backward
])  # fmt: skip
def test_a_model_that_takes_gradients_while_it_predicts_is_told_from_others(differentiate):
    finding = found("inner-gradient", model(Behind(lambda net, x: moved(net, x, differentiate))))
    assert (finding.status, finding.value) == ("warn", 1)
    assert finding.sentence.startswith("it takes gradients itself while it predicts, ")
    finding = found("inner-gradient", model(shipped()))
    assert (finding.status, finding.sentence) == ("pass", "it takes no gradient while it predicts")


def test_scores_are_finite_beside_the_test_images_too():
    finding = found("finite-scores", model(shipped()))
    assert (finding.status, finding.sentence) == (
        "pass",
        "finite for noisy, black and white images too",
    )


def test_scores_that_are_not_finite_beside_the_test_images_are_said():
    def divides(net, x):
        return net(x) / (x.flatten(1).amax(1, keepdim=True) > 0)

    finding = found("finite-scores", model(Behind(divides)))
    assert finding.status == "fail"
    assert finding.sentence == (
        "scores of 1 of 2 black and white images are not finite, so no attack can count there"
    )


def test_noise_too_small_to_see_changes_little_of_a_smooth_network_and_much_of_a_rounded_one():
    finding = found("unstable", model(shipped()))
    assert (finding.status, finding.bound) == ("pass", "at most 10%")
    finding = found("unstable", model(Behind(rounded)))
    assert finding.status == "warn"
    assert finding.sentence == (
        f"noise of at most 4/255 changes the margin of the true class by {finding.value:.1%} on average"
    )
