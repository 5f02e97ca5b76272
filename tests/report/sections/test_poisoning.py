"""Poisoned trainings in a report."""

import build
import pytest
from build import cell

from bench.report.findings import find
from bench.report.measured import measure
from bench.report.sections.poisoning import SECTION, poison_table
from bench.train.cards import poisoning

CELLS = [cell(model, "pgd", "0.1", ()) for model in ("plain", "flipped", "door")]
POISONED = {
    "flipped": {"poison": {"share": 0.2, "target": None}},
    "door": {
        "poison": {"share": 0.05, "target": 3, "backdoor_success": 0.9, "backdoor_images": 50}
    },
}


@pytest.fixture(scope="module")
def found():
    run = build.results(CELLS, models=POISONED, wrong={"flipped": range(50)})
    return find(run, measure(run))


def test_a_row_says_what_was_poisoned_and_how_often_the_back_door_opens(found):
    flipped, door = poison_table(found).frame.to_dict("records")
    assert flipped["poison"] == "flipped labels"
    assert flipped["images poisoned (%)"] == "20.0"
    assert flipped["clean accuracy (%)"].startswith("75.0 [")
    assert flipped["to the target (%)"] == "–"
    assert door["poison"] == "back door to class 3"
    assert door["clean accuracy (%)"].startswith("100.0 [")
    assert door["to the target (%)"].startswith("90.0 [78")
    assert door["of marked images"] == "50"


def test_a_run_without_such_models_has_no_such_section():
    run = build.results(CELLS[:1])
    assert SECTION.make(find(run, measure(run))) is None


def test_a_card_says_what_was_poisoned():
    recipe = {"poison": {"share": 0.05, "target": 0}}
    opened = {"backdoor_success": 0.5, "backdoor_images": 8}
    assert poisoning({"recipe": recipe, "bytes": 3, **opened}) == {
        "share": 0.05, "target": 0, **opened,
    }  # fmt: skip
    assert poisoning({"recipe": {"poison": None}}) is None
    assert poisoning({}) is None
