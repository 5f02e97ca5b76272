"""What attacks cost, and through which model their passes are."""

import build
import pytest
from build import cell

from bench.measure.attack_rates import attack_rates
from bench.measure.outcomes import Outcomes
from bench.report.labels import attack_names
from bench.report.sections.cost import cost_table


@pytest.mark.parametrize(
    ("surface", "said"), [("network", False), ("of digits/mlp", True), ("substitute-500", True)]
)
def test_passes_through_another_model_are_said_to_be_that_one_s(surface, said):
    made = build.results([cell("m", "pgd", "0.1", range(4), surface=surface)])
    caption = cost_table(attack_rates(Outcomes(made)), attack_names(made)).caption
    assert ("the passes are those through that model" in caption) == said


def test_what_images_from_outside_cost_is_not_known():
    outside = cell("m", "external", "0.1", range(4), surface="handed in", parameters={"file": "a"})
    made = build.results([cell("m", "pgd", "0.1", range(4)), outside])
    table = cost_table(attack_rates(Outcomes(made)), attack_names(made))
    assert table.frame["attack"].tolist() == ["pgd"]
