import pytest
import torch
from digits_network import shipped
from threats import Behind, found, loud, rounded, threat

import bench


def test_noise_finds_nothing_that_pgd_missed_on_a_sound_network():
    made = threat(shipped(), steps=10)
    finding = found("noise", made)
    left = int(made.robust.sum())
    assert (finding.status, finding.value) == ("pass", 0)
    assert finding.sentence == (
        f"20 random draws around each image break 0 of {left} images that the run's attacks left"
    )
    assert finding.bound == (
        "the lower end of its 95 % interval is at most 0.5%; above 2.0% the check fails"
    )
    assert finding.remedy == ""


def test_noise_finds_what_a_hidden_gradient_hides():
    made = threat(Behind(rounded), eps="0.25", steps=10)
    finding = found("noise", made)
    assert finding.status == "fail"
    assert "which attacks along a true gradient would have found: the robust accuracy is about" in (
        finding.sentence
    )
    assert finding.remedy == (
        'add to the suite an [[attacks]] table with name = "adaptive", norm = "linf", eps = "0.25"'
    )


def test_an_image_without_an_answer_is_not_broken_by_noise():
    def lost(net, x):
        return torch.where(x.flatten(1).std(1, keepdim=True) > 0.4, torch.nan, net(x))

    made = threat(Behind(lost), attack=None)
    shown = made.x + 10 * (made.x > 0.5)
    assert not made.wrong(shown, made.y).any()


@pytest.mark.parametrize(("norm", "eps"), [("l2", "0.5"), ("l1", "0.5"), ("l0", "1")])
def test_noise_is_drawn_in_every_norm(norm, eps):
    attack = {"l2": "pgd", "l1": "apgd-ce", "l0": "one-pixel"}[norm]
    assert found("noise", threat(shipped(), norm=norm, eps=eps, attack=attack)).status == "pass"
    # Every image that withstood nothing falls to noise of half of its pixels.
    if norm == "l0":
        unseen = found("noise", threat(shipped(), norm=norm, eps="32", attack=None))
        assert unseen.status == "warn"
        assert ", so the search for pixels was too short: " in unseen.sentence
        assert (
            unseen.remedy == "search for longer, or add another attack in l0 (`bench ls attacks`)"
        )


def test_no_image_left_is_no_fault():
    made = threat(shipped(), eps="0.5", steps=10)
    for check in ("noise", "zero-gradient", "uphill", "doubled-steps", "black-box"):
        finding = found(check, made)
        assert finding.status == "not applicable"
        assert finding.sentence == "no image withstands the attacks of the run"


def test_an_attack_that_may_turn_images_grey_breaks_a_sound_network():
    finding = found("unbounded", threat(shipped(), attack=None))
    assert finding.status == "pass"
    assert finding.sentence == "10 steps of PGD within linf 0.5 leave 0 of 61 images right"
    assert found("unbounded", threat(shipped(), norm="l2", eps="0.5", attack=None)).status == "pass"


def test_an_attack_that_may_turn_images_grey_shows_a_hidden_gradient():
    finding = found("unbounded", threat(Behind(rounded), attack=None))
    assert finding.status == "fail"
    assert finding.value > 0.5
    assert "where a single answer is right for at most" in finding.sentence
    assert "the gradient does not lead to errors that are there" in finding.sentence
    assert found("unbounded", threat(Behind(loud), attack=None)).status == "fail"


def test_a_model_without_a_gradient_is_not_told_that_it_hides_one():
    net = shipped()
    made = threat(
        bench.wrap_predict(lambda x: net(x).detach(), 10, (1, 8, 8), scores="logits"), attack=None
    )
    for check in ("unbounded", "zero-gradient", "uphill", "other-losses", "each-target"):
        finding = found(check, made)
        assert (finding.status, finding.sentence) == (
            "not applicable",
            "the model has no gradient to follow",
        )
