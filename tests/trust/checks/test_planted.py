import pytest
import torch
from digits_network import shipped
from threats import Behind, found, leaky, rounded, threat
from torch import nn


@pytest.mark.parametrize(
    ("norm", "eps"), [("linf", "0.1"), pytest.param("l2", "0.5", marks=pytest.mark.slow)]
)
def test_pgd_finds_every_error_that_is_planted_in_a_sound_network(norm, eps):
    finding = found("planted-error", threat(shipped(), eps=eps, norm=norm, steps=10))
    assert finding.status == "pass"
    assert finding.value == 1
    assert finding.sentence.startswith("pgd finds ")
    assert " errors that were planted inside the ball, random points find " in finding.sentence
    assert finding.bound == "at least 95%, by the upper end of its 95 % interval"


@pytest.mark.parametrize("change", [rounded, pytest.param(leaky, marks=pytest.mark.slow)])
def test_an_attack_without_a_direction_finds_none(change):
    finding = found("planted-error", threat(Behind(change), eps="0.2", steps=10))
    assert finding.status == "fail"
    assert finding.value == 0
    assert finding.sentence.endswith(": it misses errors that are certainly there")


@pytest.mark.slow
def test_one_step_that_is_too_short_finds_few_of_them():
    made = threat(shipped(), steps=1, step_size="0.001", random_start=False)
    assert found("planted-error", made).status in ("warn", "fail")


def test_without_a_linear_layer_the_scores_are_the_features():
    net = nn.Sequential(
        nn.Flatten(), nn.Unflatten(1, (64, 1, 1)), nn.Conv2d(64, 10, 1), nn.Flatten()
    )
    torch.manual_seed(0)
    nn.init.normal_(net[2].weight)
    made = threat(net, steps=10)
    assert made.correct.any()
    assert found("planted-error", made).status == "pass"


def test_where_no_error_can_be_planted_that_is_said():
    noisy = Behind(lambda net, x: net(x + 0.1 * torch.randn_like(x)))
    finding = found("planted-error", threat(noisy, attack=None, images=8))
    assert finding.status == "not applicable"
    assert finding.sentence == "the model has no features of its own that could be frozen"
    finding = found("planted-error", threat(shipped(), attack=None))
    assert finding.sentence == "no attack of the run follows a gradient in steps"
