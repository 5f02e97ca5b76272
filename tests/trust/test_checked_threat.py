import pytest
import torch
from digits_network import shipped
from threats import threat
from torch import nn

import bench
from bench.errors import UnsupportedAttack
from bench.runner.judge import decision
from bench.trust.behaviour import Behaviour
from bench.trust.checked_model import CheckedModel
from bench.trust.checks.registry import all_checks


def test_what_an_attack_found_is_what_the_judge_says_of_the_images_tried():
    made = threat(shipped(), attack=None)
    tried = made.attack("pgd", made.right(20), steps=10)
    assert tried.places.tolist() == made.correct.nonzero().squeeze(1)[:20].tolist()
    labels = decision(made.judge, tried.x_adv).labels
    assert tried.broken.tolist() == (labels != made.y[tried.places]).tolist()
    assert 0 < tried.share < 1
    assert (tried.margins < 0).tolist() == tried.broken.tolist()
    assert (tried.x_adv - made.x[tried.places]).abs().max() <= 0.1 + 1e-6
    assert tried.guided.all()


def test_an_attack_is_made_once_and_its_passes_are_counted():
    made = threat(shipped(), attack=None)
    at = made.right(8)
    first = made.attack("pgd", at, steps=3)
    # three steps, each forward and backward, and the judge
    assert first.passes == made.passes == 8 * (2 * 3 + 1)
    assert made.attack("pgd", at, steps=3) is first
    assert made.passes == first.passes
    other = made.attack("pgd", at, steps=3, draw=1)
    assert not torch.equal(other.x_adv, first.x_adv)
    assert made.passes == 2 * first.passes
    made.predict(made.x[:5])
    made.count(7)
    assert made.passes == 2 * first.passes + 12


def test_an_image_counts_as_broken_only_within_the_radius():
    made = threat(shipped(), eps="0.05", attack=None)
    at = made.right(20)
    assert made.attack("pgd", at, eps="0.3", steps=10).share == 1
    far = made.attack("deepfool", at, steps=20)
    distance = (far.x_adv - made.x[at]).flatten(1).abs().amax(1)
    assert far.broken.tolist() == (distance <= 0.05 + 1e-6).tolist()
    assert 0 < far.share < 1


def test_a_check_may_attack_through_a_module_of_its_own():
    made = threat(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), attack=None)
    at = torch.arange(2)
    blind = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    nn.init.zeros_(blind[1].weight)
    assert not made.attack("pgd", at, surface=blind, steps=2).guided.any()
    assert made.attack("pgd", at, steps=2).guided.all()


def test_what_a_model_cannot_be_attacked_with_is_said():
    net = shipped()
    only_answers = bench.wrap_predict(lambda x: net(x).detach(), 10, (1, 8, 8), scores="logits")
    made = threat(only_answers, attack=None)
    with pytest.raises(UnsupportedAttack, match="model has no gradient, which pgd needs"):
        made.attack("pgd", made.right(2))
    assert len(made.attack("noise", made.right(2)).places) == 2
    assert made.attack("noise", made.right(0)).passes == 0


def test_a_behaviour_that_a_run_has_observed_is_not_observed_again():
    adapter, known = bench.wrap(shipped(), 10, (1, 8, 8)), Behaviour(batch_dependent=0.5)
    model = CheckedModel(adapter, "digits", observed=known)
    assert model.behaviour is known
    assert model.judge is adapter


def test_the_quick_checks_together_cost_less_than_pgd_with_40_steps_on_64_images():
    made = threat(shipped(), attack=None)
    quick = [
        check
        for check in all_checks().values()
        if (check.needs, check.level) == ("threat", "quick")
    ]
    for check in quick:
        check.findings(made)
    assert len(quick) >= 5
    assert 1000 < made.passes < 64 * 2 * 40
