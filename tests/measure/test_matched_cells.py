"""Which cell of a run is which of another."""

import build
import pytest

from bench.measure.matched_cells import matched_cells


def match(a, b):
    """Return keys of the matched cells of two runs, with the notes."""
    found = matched_cells(build.results(a).cells, build.results(b).cells)
    return [(one.a and one.a["cell"], one.b and one.b["cell"], one.note) for one in found]


def test_cells_are_the_same_whatever_their_order_and_the_spelling_of_eps():
    pgd = {"parameters": {"steps": 10, "step_size": "2/255"}}
    a = [build.cell("m", "fgsm", "0.1", []), build.cell("m", "pgd", "1/4", [], **pgd),
         build.cell("n", "deepfool", None, [], norm="l2")]  # fmt: skip
    b = [build.cell("n", "deepfool", None, [], norm="l2"), build.cell("m", "pgd", "0.25", [], **pgd),
         build.cell("m", "fgsm", "1/10", [])]  # fmt: skip
    assert match(a, b) == [
        ("cell-0", "cell-2", ""), ("cell-1", "cell-1", ""), ("cell-2", "cell-0", ""),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "other",
    [
        {"model": "n"}, {"attack": "bim"}, {"eps": "0.2"}, {"eps": None}, {"norm": "l2"},
        {"toolkit": "art"}, {"surface": "mean"}, {"goal": "targeted"}, {"crafted_on": "n"},
    ],
)  # fmt: skip
def test_what_makes_another_cell(other):
    one = {"model": "m", "attack": "fgsm", "eps": "0.1", "broken": []}
    assert match([build.cell(**one)], [build.cell(**one | other)]) == [
        ("cell-0", None, ""), (None, "cell-0", ""),
    ]  # fmt: skip


def test_other_parameters_make_another_cell_and_are_told():
    a = build.cell("m", "pgd", "0.1", [], parameters={"steps": 10, "loss": "ce"})
    b = build.cell("m", "pgd", "0.1", [], parameters={"steps": 40, "loss": "ce", "restarts": 2})
    assert match([a], [b]) == [
        ("cell-0", None, "restarts not given, in B 2; steps 10, in B 40"),
        (None, "cell-0", "restarts 2, in A not given; steps 40, in A 10"),
    ]
    # Which of two it would be is not known.
    assert match([a], [b, build.cell("m", "pgd", "0.1", [], parameters={"steps": 20})])[0][2] == ""


def test_of_several_the_nearest_parameters_are_told():
    def run(step_size):
        given = [{"steps": steps, "step_size": step_size} for steps in (10, 40)]
        return [build.cell("m", "pgd", "0.1", [], parameters=parameters) for parameters in given]

    notes = [note for _, _, note in match(run("eps/4"), run("eps/10"))]
    assert notes == [
        *["step_size eps/4, in B eps/10"] * 2, *["step_size eps/10, in A eps/4"] * 2,
    ]  # fmt: skip


def test_of_an_attack_that_is_there_twice_one_batch_size_goes_together():
    a = [build.cell("m", "fgsm", "0.1", [], batch_size=size) for size in (10, 100)]
    b = [build.cell("m", "fgsm", "0.1", [], batch_size=size) for size in (100, 50)]
    assert match(a, b) == [("cell-0", "cell-1", ""), ("cell-1", "cell-0", "")]
