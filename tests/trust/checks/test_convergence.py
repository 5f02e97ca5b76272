from dataclasses import replace

import pandas as pd
import pytest
import torch
from digits_network import shipped
from threats import Behind, found, loud, rounded, threat

import bench
from bench.trust.checks.convergence import strongest


def test_twice_the_steps_find_little_more_once_an_attack_has_converged():
    made = threat(shipped(), steps=20)
    finding = found("doubled-steps", made)
    assert finding.status == "pass"
    assert finding.sentence.startswith("pgd with 40 steps, twice as many as in the run, breaks ")
    assert finding.remedy == ""


def test_twice_the_steps_show_an_attack_that_had_too_few():
    made = threat(shipped(), eps="0.2", steps=2, step_size="0.02")
    finding = found("doubled-steps", made)
    assert finding.status == "fail"
    assert "pgd with 4 steps, twice as many as in the run, breaks " in finding.sentence
    assert ": the robust accuracy is about " in finding.sentence
    assert finding.remedy == "set steps = 4 or more for pgd in the suite"
    assert finding.value * len(made.y) == pytest.approx(
        int(made.attack("pgd", toolkit="torchattacks", surface="network", steps=4,
                        step_size="0.02").broken.sum())
    )  # fmt: skip


def test_where_no_attack_took_steps_pgd_does():
    made = threat(shipped(), eps="0.1", attack="fgsm")
    finding = found("doubled-steps", made)
    assert finding.status != "pass"
    assert finding.sentence.startswith(
        "no attack of the run takes steps along the gradient; pgd with 40 breaks "
    )
    assert finding.remedy == (
        'add to the suite an [[attacks]] table with name = "pgd", norm = "linf", eps = "0.1", steps = 40'
    )


@pytest.mark.slow
def test_other_starts_find_little_more_on_a_sound_network():
    finding = found("more-starts", threat(shipped(), steps=20))
    assert finding.status == "pass"
    assert finding.sentence.startswith("pgd from 5 more random starts breaks ")


def test_other_starts_show_an_attack_that_got_stuck_at_the_image():
    # The gradient at the clean image is zero, at most others it is not.
    x = threat(shipped(), attack=None).x

    def flat(net, z):
        at_image = (torch.cdist(z.flatten(1), x.flatten(1)).amin(1) == 0)[:, None]
        return torch.where(
            at_image, net(z).detach() + 0 * z.flatten(1).sum(1, keepdim=True), net(z)
        )

    made = threat(Behind(flat), eps="0.2", steps=5, random_start=False)
    assert made.robust.equal(made.correct)
    finding = found("more-starts", made)
    assert finding.status == "fail"
    assert finding.remedy == "set restarts = 10, random_start = true for pgd in the suite"


def test_the_attack_that_is_made_again_is_the_strongest_that_counts():
    made = threat(shipped(), steps=5)
    one = made.cells.iloc[0].to_dict()
    rows = [
        {**one, "cell": "weak", "broken": 1},
        {**one, "cell": "strong", "broken": 9},
        {**one, "cell": "invalid", "broken": 30, "flag": "INVALID: did no better than noise"},
        {**one, "cell": "elsewhere", "broken": 30, "surface": "from other", "crafted_on": "other"},
        {**one, "cell": "answers", "broken": 30, "access": "score"},
        {**one, "cell": "stepless", "broken": 30, "attack": "fgsm", "parameters": {}},
    ]
    with_all = replace(made, cells=pd.DataFrame(rows))
    assert strongest(with_all, "steps")["cell"] == "strong"
    assert strongest(with_all, "restarts")["cell"] == "strong"
    assert strongest(replace(made, cells=pd.DataFrame(rows[2:])), "steps") is None


@pytest.mark.slow
def test_another_loss_finds_what_saturation_hides():
    finding = found("other-losses", threat(Behind(loud), steps=5))
    assert finding.status == "fail"
    assert finding.sentence.startswith("apgd-dlr with 20 steps (apgd-ce breaks ")
    assert 'name = "apgd-dlr"' in finding.remedy
    sound = found("other-losses", threat(shipped(), steps=20))
    assert sound.status == "pass"


def test_a_loss_that_two_classes_do_not_have_is_no_fault():
    net = Behind(lambda net, x: net(x)[:, :2])
    adapter = bench.wrap(net, 2, (1, 8, 8))
    made = threat(adapter, attack=None)
    made = replace(made, y=torch.zeros_like(made.y))
    for check in ("other-losses", "each-target"):
        finding = found(check, made)
        assert finding.status == "not applicable"
        assert "classes" in finding.sentence


@pytest.mark.slow
def test_aiming_at_each_class_finds_what_an_untargeted_attack_missed():
    finding = found("each-target", threat(shipped(), eps="0.2", steps=1, step_size="0.02"))
    assert finding.status == "fail"
    assert finding.sentence.startswith("apgd-t, which aims at 9 other classes in turn, breaks ")


def test_the_scores_alone_show_a_hidden_gradient():
    finding = found("black-box", threat(Behind(rounded), eps="0.2", steps=5))
    assert finding.status == "fail"
    assert finding.sentence.startswith(
        "Square, which goes by the scores alone (500 queries), breaks "
    )
    assert (
        finding.remedy
        == 'add to the suite an [[attacks]] table with name = "square", norm = "linf", eps = "0.2"'
    )


@pytest.mark.slow
def test_the_scores_alone_find_little_more_on_a_sound_network():
    bounds = {"black-box.queries": 50}
    finding = found("black-box", threat(shipped(), steps=20, bounds=bounds))
    assert finding.status == "pass"
    assert "(50 queries)" in finding.sentence
