import pytest
import torch
from digits_network import shipped
from threats import Behind, found, rounded, threat


def noisy(net, x):
    return net(x + 0.3 * torch.randn_like(x))


def test_a_model_that_repeats_its_answers_has_no_draws_to_average():
    for check in ("mean-of-draws", "same-draws"):
        finding = found(check, threat(shipped(), attack=None, images=8))
        assert (finding.status, finding.sentence) == (
            "not applicable",
            "the same images get the same answers",
        )


def test_a_run_through_the_mean_of_draws_needs_no_more_of_it():
    made = threat(Behind(noisy), images=16, steps=2)
    assert list(made.cells["surface"]) == ["expected"]
    finding = found("mean-of-draws", made)
    assert finding.status == "pass"
    assert finding.sentence == "the run attacked through the mean of 20 draws"


@pytest.mark.slow
def test_a_run_through_single_draws_is_shown_what_the_mean_finds():
    made = threat(Behind(noisy), eps="0.2", images=16, steps=2, step_size="0.01")
    made.cells["surface"] = ["one-draw"]
    finding = found("mean-of-draws", made)
    assert finding.status == "fail"
    assert "which were attacked through one draw at a time: the robust accuracy is about" in (
        finding.sentence
    )
    assert 'surface = "expected"' in finding.remedy
    made.cells["surface"] = ["predict"]
    assert found("mean-of-draws", made).status == "not applicable"


@pytest.mark.slow
def test_fixed_draws_are_the_easier_target_of_an_honest_gradient():
    finding = found("same-draws", threat(Behind(noisy), eps="0.2", images=16, attack=None))
    assert finding.status == "pass"
    assert " images with the draws held fixed and " in finding.sentence


@pytest.mark.slow
def test_fixed_draws_that_are_harder_to_attack_show_that_more_than_chance_is_in_the_way():
    def hides_in_some_draws(net, x):
        held = torch.initial_seed() == 1  # the draws that the check holds fixed
        return rounded(net, x) if held else noisy(net, x)

    made = threat(Behind(hides_in_some_draws), eps="0.2", images=16, attack=None)
    finding = found("same-draws", made)
    assert finding.status == "warn"
    assert finding.sentence.endswith(
        ", although fixed draws are the easier target: the gradient lies, not the chance alone"
    )
    assert 'name = "adaptive"' in finding.remedy
