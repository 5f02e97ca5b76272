"""Checks of the images that a run kept; here planted beside the rows of a run made by hand."""

from dataclasses import replace

import build
import pandas as pd
import pytest
import torch
from digits_network import shipped
from threats import found, threat

from bench.measure.outcomes import Outcomes


@pytest.fixture(scope="module")
def attacked():
    """A network under a threat whose first cell kept the images it tried, of all 64."""
    made = threat(shipped(), eps="0.2", steps=10)
    tried = made.attack("pgd", made.right(64), steps=10)
    at, broken = tried.places, tried.places[tried.broken].tolist()
    wrong = (~made.correct).nonzero().squeeze(1).tolist()
    results = build.results(
        [build.cell("model", "pgd", "0.2", broken), build.cell("other", "pgd", "0.2", broken)],
        wrong={"model": wrong}, images=64,
    )  # fmt: skip
    x_adv = made.x.clone()
    x_adv[at] = tried.x_adv
    kept = {"index": torch.arange(64), "x": made.x, "x_adv": x_adv}
    made.cells["kind"], made.cells["broken"] = "fixed", len(broken)
    return replace(made, outcomes=Outcomes(results), pictures=lambda cell: kept), broken


def test_what_broke_a_model_in_a_run_breaks_it_again(attacked):
    made, broken = attacked
    finding = found("kept-images", made)
    assert finding.status == "pass"
    n = len(broken)
    assert finding.sentence == (
        f"{n} of {n} kept images that broke the model in the run break it again"
    )


def test_what_breaks_a_model_no_longer_is_said(attacked):
    made, broken = attacked
    kept = dict(made.pictures("cell-0"))
    kept["x_adv"] = kept["x_adv"].clone()
    kept["x_adv"][broken[:3]] = made.x[broken[:3]]
    finding = found("kept-images", replace(made, pictures=lambda cell: kept))
    assert (finding.status, finding.value) == ("fail", 3 / len(broken))
    assert "; 3 do not, in batches of 7: the model's answers have changed since" in finding.sentence
    assert finding.remedy == "bench run --overwrite always computes the cells again"


def test_images_of_a_run_that_starts_elsewhere_are_found_by_their_index(attacked):
    made, broken = attacked
    half = replace(
        made, x=made.x[32:], y=made.y[32:], correct=made.correct[32:], robust=made.robust[32:],
        index=torch.arange(32, 64),
    )  # fmt: skip
    finding, n = found("kept-images", half), sum(place >= 32 for place in broken)
    assert finding.status == "pass"
    assert finding.sentence.startswith(f"{n} of {n} kept images")


def test_a_run_that_kept_nothing_has_nothing_to_repeat(attacked):
    made, _ = attacked
    for check in ("kept-images", "eight-bits"):
        finding = found(check, replace(made, pictures=lambda cell: {}))
        assert (finding.status, finding.sentence) == (
            "not applicable",
            "the run kept no image that broke the model",
        )
        assert found(check, replace(made, outcomes=None)).status == "not applicable"


def test_pictures_of_eight_bits_break_the_model_as_well(attacked):
    made, broken = attacked
    finding, n = found("eight-bits", made), len(broken)
    assert finding.status == "pass"
    assert finding.sentence.endswith("kept images that broke the model still do as 8-bit pictures")
    assert f" of {n} kept images" in finding.sentence


def test_images_that_live_from_less_than_a_grey_value_are_noted(attacked):
    made, broken = attacked
    kept = dict(made.pictures("cell-0"))
    # From the clean image, whose values are sixteenths, by less than half a step of 1/255.
    kept["x_adv"] = (made.x * 255).round() / 255 + 1e-4
    cells = made.cells.assign(broken=len(broken))
    finding = found("eight-bits", replace(made, pictures=lambda cell: kept, cells=cells))
    assert finding.status == "warn"
    assert finding.sentence.endswith(
        "; the rest depend on differences smaller than a picture file can hold"
    )


def test_images_of_another_model_break_what_direct_attacks_left(attacked):
    made, broken = attacked
    survives = made.correct.clone()  # as if attacks on the model itself had found nothing
    finding = found("transfer", replace(made, robust=survives))
    assert finding.status == "fail"
    assert finding.sentence.startswith(f"images crafted on other models break {len(broken)} of ")
    assert "where attacks on the model itself failed: the robust accuracy is about" in (
        finding.sentence
    )


def test_images_of_another_model_break_nothing_more_of_a_sound_network(attacked):
    made, _ = attacked
    kept = dict(made.pictures("cell-0")) | {"x_adv": made.x}
    finding = found("transfer", replace(made, robust=made.correct, pictures=lambda cell: kept))
    assert (finding.status, finding.value) == ("pass", 0)


def test_images_of_another_model_count_only_within_the_radius(attacked):
    made, _ = attacked
    kept = dict(made.pictures("cell-0")) | {"x_adv": 1 - made.x}
    finding = found("transfer", replace(made, robust=made.correct, pictures=lambda cell: kept))
    assert (finding.status, finding.value) == ("pass", 0)


def test_without_another_model_nothing_is_transferred(attacked):
    made, _ = attacked
    alone = Outcomes(build.results([build.cell("model", "pgd", "0.2", [])], images=64))
    finding = found("transfer", replace(made, robust=made.correct, outcomes=alone))
    assert finding.status == "not applicable"
    assert finding.sentence == "the run kept no images of other models under this threat"
    assert isinstance(alone.cells, pd.DataFrame)
