"""Two runs compared: planted results, of which it is known what is worse on which images."""

import numpy as np
import pandas as pd
import pytest
from build import cell, describe, results
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from bench.errors import PrerequisiteError, SpecError
from bench.measure.compared_runs import compare_runs

SWAPPED = {
    "worse": "better", "better": "worse", "only in A": "only in B", "only in B": "only in A",
    "no result in A": "no result in B", "no result in B": "no result in A",
}  # fmt: skip


def one_model(broken, **more):
    """Return a run of one attack on one model, that broke these images of 100."""
    return results([cell("m", "pgd", "0.1", broken, **more)], images=100)


def changes(compared):
    return [*compared.models["change"], *compared.cells["change"]]


def test_a_run_compared_with_itself_is_the_same():
    def run(**columns):
        return results([
            cell("m", "pgd", "0.1", range(30), invalid=[90], columns=columns),
            cell("m", "deepfool", None, range(50), norm="l2", columns=columns),
            cell("s", "certify", None, [], certified=[0.0, 0.2] * 100, columns=columns),
            cell("m", "fgsm", "0.1", [], status="failed", error="no"),
        ])  # fmt: skip

    # A seed follows from the key of a cell, and seconds from the machine.
    compared = compare_runs(run(seed=1), run(seed=7, seconds=9.0))
    assert compared.verdict == "same"
    assert list(compared.cells["change"]) == ["same", "same", "same", "no result"]
    assert compared.cells["note"].iloc[3] == "in A: did not run: no; in B: did not run: no"
    assert list(compared.cells["rows_differ"].dropna()) == [0, 0, 0]
    assert (compared.cells["adjusted_p"].dropna() == 1).all()
    assert compared.made.empty


def test_a_cell_that_broke_more_images_is_worse_by_the_exact_test_of_both_families():
    compared = compare_runs(one_model(range(20)), one_model(range(5, 40)))
    found = compared.cells.iloc[0]
    assert (found["n"], found["figure"], found["a"], found["b"]) == (100, "robust images", 80, 65)
    assert (found["successes_a"], found["successes_b"]) == (20, 35)
    assert (found["worse_on"], found["better_on"], found["rows_differ"]) == (20, 5, 25)
    assert found["columns"] == "adv_label, success"
    p = binomtest(5, 25).pvalue
    assert found["p"] == pytest.approx(p)
    assert found["adjusted_p"] == pytest.approx(2 * p)
    assert found["change"] == "worse"
    clean, robust = compared.models.to_dict("records")
    assert (clean["figure"], clean["a"], clean["change"]) == ("clean accuracy", 1.0, "same")
    assert (robust["figure"], robust["norm"], robust["eps"]) == ("robust accuracy", "linf", "0.1")
    assert (robust["a"], robust["b"], robust["change"]) == (0.8, 0.65, "worse")
    assert robust["difference"] == pytest.approx(-0.15)
    assert robust["low"] < -0.15 < robust["high"] < 0
    assert compared.verdict == "differs"
    assert (compared.changed("worse"), compared.changed("better")) == (("m",), ())


def test_holm_counts_the_cells_in_which_an_image_changed():
    def run(more):
        names = [f"m{turn}" for turn in range(3)]
        return results(
            [cell(name, "pgd", "0.1", range(more if name < "m2" else 0)) for name in names]
        )

    compared = compare_runs(run(0), run(7))
    p = 2 / 2**7
    assert list(compared.cells["adjusted_p"]) == pytest.approx([2 * 2 * p] * 2 + [1.0])
    assert set(compared.cells["change"]) == {"noise", "same"}
    assert compared.verdict == "differs by noise"


def test_other_digits_of_a_confidence_are_noise_and_told():
    compared = compare_runs(one_model([]), one_model([], columns={"adv_confidence": 0.81}))
    found = compared.cells.iloc[0]
    assert (found["change"], found["rows_differ"]) == ("noise", 100)
    assert (found["columns"], found["p"]) == ("adv_confidence", 1.0)


def test_a_search_for_the_nearest_image_is_compared_by_its_distances():
    def run(near, nearly, wrong):
        cells = []
        for model, least in (("near", near), ("nearly", nearly), ("wrong", 0.2)):
            distance = dict.fromkeys(range(100), 0.2) | dict.fromkeys(range(40), least)
            cells.append(cell(model, "deepfool", None, range(90), norm="l2", distance=distance))
        return results(cells, images=100, wrong={"wrong": wrong})

    compared = compare_runs(run(0.2, 0.2, []), run(0.19, 0.1981, [3, 95]))
    near, nearly, wrong = compared.cells.to_dict("records")
    assert (near["figure"], near["worse_on"], near["better_on"]) == ("median distance", 40, 0)
    assert (near["a"], near["b"], near["change"]) == (0.2, 0.2, "worse")
    # By less than one percent: rows differ, but no image counts as nearer.
    assert (nearly["worse_on"], nearly["rows_differ"], nearly["change"]) == (0, 40, "noise")
    # What the model gets wrong is nearer than all that is broken, and what is never broken the farthest.
    assert (wrong["worse_on"], wrong["change"]) == (2, "noise")
    assert list(compared.models["figure"]) == ["clean accuracy"] * 3
    assert list(compared.models["worse_on"]) == [0, 0, 2]


def test_certificates_are_compared_by_their_radii():
    a, b = (
        results([cell("s", "certify", None, [], certified=[low] * 9 + [0.5])], images=10)
        for low in (0.25, 0.3)
    )
    found = compare_runs(a, b).cells.iloc[0]
    assert (found["figure"], found["a"], found["b"]) == ("median certified radius", 0.25, 0.3)
    assert (found["better_on"], found["worse_on"], found["change"]) == (9, 0, "better")


def test_only_images_of_both_runs_count_also_in_accuracies():
    small = results([cell("m", "pgd", "0.1", range(5), images=20)], images=20, wrong={"m": [0]})
    large = results([cell("m", "pgd", "0.1", range(60))], images=100, wrong={"m": range(20, 40)})
    compared = compare_runs(small, large)
    found = compared.cells.iloc[0]
    assert (found["n"], found["a"], found["b"]) == (20, 15, 0)
    clean, robust = compared.models.to_dict("records")
    assert (clean["n"], clean["a"], clean["b"]) == (20, 0.95, 1.0)
    assert (robust["n"], robust["a"], robust["b"]) == (20, 0.75, 0.0)


def test_the_worst_case_is_over_the_attacks_that_both_runs_have():
    shared = cell("m", "pgd", "0.1", range(10))
    other = cell("m", "fgsm", "0.1", range(90))
    failed = cell("m", "fgsm", "0.1", [], status="failed", error="no")
    a, more, broke = (results([shared, *added], images=100) for added in ((), (other,), (failed,)))
    compared = compare_runs(a, more)
    assert list(compared.cells["change"]) == ["same", "only in B"]
    assert list(compared.models["b"]) == [1.0, 0.9]
    assert compared.models["note"].iloc[1] == "without 1 of 2 attacks"
    assert compared.verdict == "same"
    compared = compare_runs(more, broke)
    assert list(compared.cells["change"]) == ["same", "no result in B"]
    assert compared.cells["note"].iloc[1] == "in B: did not run: no"
    assert list(compared.models["change"]) == ["same", "same"]
    assert (compared.verdict, compared.changed("no result in B")) == ("differs", ("m",))


def test_an_attack_that_counts_on_one_side_alone_makes_nothing_better():
    def run(broken, spoilt):
        cells = [cell("m", "pgd", "0.1", broken, invalid=range(spoilt)),
                 cell("n", "pgd", "0.1", [], invalid=range(spoilt // 2)),
                 cell("o", "noise", "0.1", [], toolkit="native")]  # fmt: skip
        return results(cells, images=100)

    compared = compare_runs(run(range(90), 0), run([], 100))
    assert list(compared.cells["change"]) == ["no result in B", "noise", "same"]
    assert compared.cells["note"].iloc[0] == "in B: gave no valid image"
    # Of `n` half of the images have no evidence, and noise alone gives no robust accuracy.
    figures = list(zip(compared.models["model"], compared.models["change"], strict=True))
    assert figures == [
        ("m", "same"), ("m", "no result in B"), ("n", "same"), ("n", "no result in B"), ("o", "same"),
    ]  # fmt: skip
    assert compared.models["note"].iloc[3] == "no valid attack on 50 of 100 images in B"
    assert compared.verdict == "differs"


def test_a_random_model_is_compared_by_the_shares_of_its_draws():
    def run(share):
        drawn = {"draws": 32, "clean_share": 1.0, "share": share, "chosen_share": share}
        return results([cell("m", "pgd", "0.1", [], columns=drawn)], images=20)

    clean, robust = compare_runs(run(0.75), run(0.5)).models.to_dict("records")
    assert (clean["change"], clean["a"]) == ("same", 1.0)
    assert (robust["a"], robust["b"], robust["worse_on"]) == (0.75, 0.5, 20)
    assert robust["change"] == "worse"
    assert pd.isna(robust["low"])


def identity(**images):
    images = {"data": "digits", "split": "test", "count": 100, "checksum": "c", **images}
    return {"model": {"fingerprint": "w"}, "images": images, "seed": 0}


def test_other_images_are_never_compared():
    a, b = (
        results([cell("m", "pgd", "0.1", [], identity=identity(checksum=sum)),
                 cell("n", "pgd", "0.1", [], identity=identity())], images=100)
        for sum in ("c1", "c2")
    )  # fmt: skip
    compared = compare_runs(a, b)
    assert list(compared.cells["change"]) == ["other images", "same"]
    assert list(compared.models["model"].unique()) == ["n"]
    assert compared.notes == ("1 of 2 cells are of other images in B, and not compared",)
    # Labels tell it too, where a set is larger.
    moved = one_model([], columns={"label": 1, "clean_label": 1})
    with pytest.raises(SpecError, match="no image in common"):
        compare_runs(one_model([]), moved)


def test_notes_on_suites_numbers_of_images_and_what_is_unfinished():
    a = results([cell("m", "pgd", "0.1", [], identity=identity()), cell("m", "fgsm", "0.1", [])],
                images=100, content="c1")  # fmt: skip
    few = cell("m", "pgd", "0.1", [], identity=identity(count=20, checksum="d"), images=20)
    b = results([few, cell("m", "fgsm", "0.1", [], status="missing")], images=20, content="c2")
    compared = compare_runs(a, b)
    assert compared.notes == (
        "the suite has other content in B than in A: the cells that both have are compared",
        "B is unfinished: 1 of 2 cells did not run yet",
        "A has 100 images and B 20: those that both have are compared",
    )
    assert list(compared.cells["change"]) == ["same", "no result in B"]


def test_runs_with_nothing_to_compare_are_an_error():
    with pytest.raises(SpecError, match="no cell of A"):
        compare_runs(one_model([]), one_model([], toolkit="art"))
    with pytest.raises(PrerequisiteError, match="has no finished cell"):
        compare_runs(one_model([]), one_model([], status="missing"))


@st.composite
def runs(draw):
    """Return a run of two models under attacks that are there or not, and broke some images."""
    images = 40
    some = st.sets(st.integers(0, images - 1))
    cells = []
    for model in ("m", "n"):
        for attack, eps, norm in (
            ("pgd", "0.1", "linf"),
            ("fgsm", "0.2", "linf"),
            ("deepfool", None, "l2"),
            ("fmn", None, "linf"),
        ):
            state = draw(st.sampled_from(["done", "done", "done", "failed", "absent"]))
            if state != "absent":
                cells.append(cell(model, attack, eps, draw(some), norm=norm, status=state,
                                  invalid=draw(st.sampled_from([(), range(images)]))))  # fmt: skip
    cells.append(cell("m", "bim", "0.1", draw(some)))  # so that the runs have one in common
    models = {model: describe(model) for model in ("m", "n")}
    wrong = {"m": draw(some), "n": draw(some)}
    return results(cells, images=images, wrong=wrong, models=models)


@pytest.mark.slow
@settings(max_examples=40)
@given(runs(), runs())
def test_swapping_two_runs_swaps_worse_and_better_and_one_run_is_the_same_as_itself(a, b):
    assert compare_runs(a, a).verdict == "same"
    forth, back = compare_runs(a, b), compare_runs(b, a)
    assert forth.verdict == back.verdict
    assert set(forth.changed("worse")) == set(back.changed("better"))
    for there, again, named in (
        (forth.cells, back.cells, ["model", "attack"]),
        (forth.models, back.models, ["model", "figure", "norm"]),
    ):
        there, again = (frame.set_index(named).sort_index() for frame in (there, again))
        expected = [SWAPPED.get(change, change) for change in there["change"]]
        assert expected == list(again["change"])
        np.testing.assert_allclose(there["adjusted_p"], again["adjusted_p"])
        assert list(there["worse_on"].fillna(-1)) == list(again["better_on"].fillna(-1))
