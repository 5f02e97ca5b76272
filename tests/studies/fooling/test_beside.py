"""Each published figure of the study of fooling stands beside ours of the same thing."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from build import cell
from scenes import fooling
from scenes.fooling import rows_of

from bench.measure.published import read_published
from bench.measure.statistics import wilson
from bench.report.findings import find
from bench.report.measured import measure
from bench.report.sections.opening import used

RESNET, MOBILE = "cifar10/resnet50-slim", "cifar10/mobilenetv2-slim"
NATURAL = cell(
    "imagenet/efficientnet-lite0", "fgsm", "0.01", (), parameters={"loss": "logit", "eot": 1}
)


@pytest.fixture(scope="module")
def run():
    results = fooling.results(NATURAL)
    return results, measure(results)


@pytest.fixture(scope="module")
def study(run):
    return find(*run, fooling.PUBLISHED)


@pytest.fixture(scope="module")
def beside(study):
    return study.beside


def figure(beside, table, metric, model="resnet50", further="", **wanted):
    """Return the one row of a published figure."""
    wanted = {"table": table, "metric": metric, "model": model, "further": further, **wanted}
    found = beside[np.logical_and.reduce([beside[name] == value for name, value in wanted.items()])]
    assert len(found) == 1, found
    return found.iloc[0]


def relative(rows, size, whole):
    return (rows[size] / rows[whole]).mean()


#: A figure of the study and, from the rows of the cell it is of, ours by a direct computation.
UNIVERSAL = {"norm": "l2", "eps": "3", "fit": fooling.FIT, "fitted_on": "itself"}
KINDS = {
    "fooling rate": (
        ("12.1", "fooling_rate", {"eps": "0.05"}),
        ("fgsm", {"eps": "0.05", "loss": "logit"}),
        lambda rows: 100 * rows["success"].mean(),
    ),
    "confidence of the fooled": (
        ("12.1", "mean_confidence", {"eps": "0.05"}),
        ("fgsm", {"eps": "0.05", "loss": "logit"}),
        lambda rows: 100 * rows.loc[rows["success"], "adv_confidence"].mean(),
    ),
    "confidence of all": (
        ("12.1", "mean_confidence", {"eps": "0.05", "further": "all tried"}),
        ("fgsm", {"eps": "0.05", "loss": "logit"}),
        lambda rows: 100 * rows["adv_confidence"].mean(),
    ),
    "by cross-entropy": (
        ("12.1", "fooling_rate", {"eps": "0.05", "further": "by cross-entropy"}),
        ("fgsm", {"eps": "0.05", "loss": None}),
        lambda rows: 100 * rows["success"].mean(),
    ),
    "milliseconds of one image": (
        ("12.1", "time_per_sample", {}),
        ("fgsm", {"eps": "0.01", "batch_size": 1}),
        lambda rows: 1000 * rows["seconds"].mean(),
    ),
    "fooling rate before the clip": (
        ("12.2", "fooling_rate", {"eps": "0.1", "note": "unclipped"}),
        ("fgsm", {"eps": "0.1", "loss": "logit"}),
        lambda rows: 100 * (rows["unclipped_label"] != rows["label"]).mean(),
    ),
    "size before the clip": (
        ("12.2", "mean_l2", {"eps": "0.1", "note": "unclipped"}),
        ("fgsm", {"eps": "0.1", "loss": "logit"}),
        lambda rows: rows["unclipped_l2"].mean(),
    ),
    "reduction of the fooling rate": (
        ("12.2", "fooling_rate_reduction", {"eps": "0.1"}),
        ("fgsm", {"eps": "0.1", "loss": "logit"}),
        lambda rows: 100 - 100 * rows["success"].sum() / (rows["unclipped_label"] == 1).sum(),
    ),
    "reduction of the size": (
        ("12.2", "mean_l2_reduction", {"eps": "0.1"}),
        ("fgsm", {"eps": "0.1", "loss": "logit"}),
        lambda rows: 100 - 100 * rows["l2"].sum() / rows["unclipped_l2"].sum(),
    ),
    "DeepFool l2": (
        ("12.3", "empirical_robustness", {}),
        ("deepfool", {"norm": "l2", "clip": "end"}),
        lambda rows: rows["l2"].mean(),
    ),
    "DeepFool with a clip at every step": (
        ("12.3", "empirical_robustness", {"further": "clipped at every step"}),
        ("deepfool", {"norm": "l2", "clip": None}),
        lambda rows: rows["l2"].mean(),
    ),
    "relative to the image less its means": (
        ("12.3", "relative_robustness", {}),
        ("deepfool", {"norm": "l2", "clip": "end"}),
        lambda rows: relative(rows, "l2", "centred_l2"),
    ),
    "relative to the image": (
        ("12.3", "relative_robustness", {"further": "by the whole image"}),
        ("deepfool", {"norm": "l2", "clip": "end"}),
        lambda rows: relative(rows, "l2", "clean_l2"),
    ),
    "seconds of one image": (
        ("12.3", "time_per_sample", {}),
        ("deepfool", {"norm": "l2", "clip": "end", "batch_size": 1}),
        lambda rows: rows["seconds"].mean(),
    ),
    "iterations": (
        ("12.3", "mean_iterations", {}),
        ("deepfool", {"norm": "l2", "clip": "end"}),
        lambda rows: rows["iterations"].mean(),
    ),
    "DeepFool's fooling rate before the clip": (
        ("12.4", "fooling_rate", {}),
        ("deepfool", {"norm": "l2", "clip": "end"}),
        lambda rows: 100 * (rows["unclipped_label"] != rows["label"]).mean(),
    ),
    "relative before the clip": (
        ("12.4", "relative_robustness", {"note": "unclipped"}),
        ("deepfool", {"norm": "l2", "clip": "end"}),
        lambda rows: relative(rows, "unclipped_l2", "centred_l2"),
    ),
    "reduction of DeepFool's size": (
        ("12.4", "empirical_robustness_reduction", {}),
        ("deepfool", {"norm": "l2", "clip": "end"}),
        lambda rows: 100 - 100 * rows["l2"].sum() / rows["unclipped_l2"].sum(),
    ),
    "DeepFool linf": (
        ("12.5", "relative_robustness", {}),
        ("deepfool", {"norm": "linf", "clip": "end"}),
        lambda rows: relative(rows, "linf", "centred_linf"),
    ),
    "changed values": (
        ("12.6", "median_pixels_perturbed", {}),
        ("sparsefool", {"lambda": "3", "box": "1"}),
        lambda rows: 100 * rows["changed_values"].median(),
    ),
    "changed pixels": (
        ("12.6", "median_pixels_perturbed", {"further": "pixels, not values"}),
        ("sparsefool", {"lambda": "3", "box": "1"}),
        lambda rows: 100 * rows["changed_pixels"].median(),
    ),
    "one pixel": (
        ("12.7", "mean_l2", {}),
        ("one-pixel", {"eps": "1", "population": 100, "stop": "0.1"}),
        lambda rows: rows["l2"].mean(),
    ),
    "seconds of a search": (
        ("12.7", "time_per_sample", {}),
        ("one-pixel", {"eps": "1", "population": 100, "stop": "0.1"}),
        lambda rows: rows["seconds"].mean(),
    ),
    "universal": (
        ("12.8", "fooling_rate", {"eps": "3", "eps_published": "15"}),
        ("universal", UNIVERSAL),
        lambda rows: 100 * (rows["unclipped_label"] != rows["label"]).mean(),
    ),
    "universal after a clip": (
        ("12.8", "fooling_rate", {"further": "clipped"}),
        ("universal", UNIVERSAL),
        lambda rows: 100 * rows["success"].mean(),
    ),
    "universal linf": (
        ("12.9", "fooling_rate", {"eps": "0.1", "eps_published": "0.5"}),
        ("universal", UNIVERSAL | {"norm": "linf", "eps": "0.1"}),
        lambda rows: 100 * (rows["unclipped_label"] != rows["label"]).mean(),
    ),
    "fitted on itself": (
        ("12.10", "fooling_rate", {"attack": "universal-from-resnet50"}),
        ("universal", UNIVERSAL),
        lambda rows: 100 * (rows["unclipped_label"] != rows["label"]).mean(),
    ),
    "fitted on another": (
        ("12.10", "fooling_rate", {"attack": "universal-from-mobilenet-v2"}),
        ("universal", UNIVERSAL | {"fitted_on": MOBILE}),
        lambda rows: 100 * (rows["unclipped_label"] != rows["label"]).mean(),
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_figure_is_that_of_its_cell(run, beside, kind):
    results, measured = run
    (table, metric, wanted), (attack, parameters), by_hand = KINDS[kind]
    row = figure(beside, table, metric, **wanted)
    rows = rows_of(results, RESNET, attack, **parameters)
    assert row["ours"] == pytest.approx(by_hand(rows))
    assert (row["cell"], row["our_model"]) == (rows["cell"].iloc[0], RESNET)
    if kind == "seconds of a search":  # of images attacked together there is one time
        assert pd.isna(row["low"])
    else:
        assert row["low"] <= row["ours"] <= row["high"]
        assert row["low"] < row["high"]
    assert (row["n"], row["cells"], row["planned"]) == (18, 1, 1)
    # The contract with claims: a figure of perturbations, times the scale.
    found = measured.perturbations.set_index("cell").loc[row["cell"], row["figure"]]
    assert row["ours"] == pytest.approx(row["scale"] * found)


def test_every_published_figure_has_ours_in_a_whole_run(beside, study):
    published = read_published(fooling.PUBLISHED)
    counted = beside[beside["further"] == ""]
    assert len(published) == len(counted) == 216
    assert counted["ours"].notna().all()
    assert counted["published"].tolist() == published["value"].tolist()
    assert used(study) == "216 of 216 published figures have ours beside them."
    assert not beside["our_model"].str.contains("efficientnet").any()


def test_figures_of_models_that_a_run_lacks_and_of_cells_without_a_result_say_so():
    results = fooling.results(leave_out=["cifar10/densenet169-slim"])
    lost = results.cells["attack"] == "sparsefool"
    results = dataclasses.replace(
        results,
        cells=results.cells.assign(status=results.cells["status"].mask(lost, "missing")),
        rows=results.rows[~results.rows["cell"].isin(results.cells.loc[lost, "cell"])],
    )
    made = find(results, measure(results), fooling.PUBLISHED)
    absent = made.beside[(made.beside["further"] == "") & made.beside["ours"].isna()]
    published = read_published(fooling.PUBLISHED)
    of_it = (published["model"] == "densenet169") & (published["metric"] != "parameters")
    sparse = (published["attack"] == "sparsefool") & ~of_it
    donor = published["attack"] == "universal-from-densenet169"
    assert len(absent) == (of_it | sparse).sum()
    # The scale is known without a result, by which claims read the printed figures.
    assert set(absent.loc[absent["unit"] == "ms", "scale"]) == {1000}
    said = used(made)
    assert f"{of_it.sum()} of models that this run does not have" in said
    assert f"{sparse.sum()} that were planned and have no result that counts (table 12.6)" in said
    assert (donor & ~of_it).sum() == 3


def test_both_widths_of_mobilenet_stand_beside_it(run, beside):
    slim = figure(beside, "12.3", "empirical_robustness", "mobilenet-v2")
    full = figure(beside, "12.3", "empirical_robustness", "mobilenet-v2", "full width")
    assert (slim["our_model"], full["our_model"]) == (MOBILE, "cifar10/mobilenetv2")
    assert slim["published"] == full["published"] == 4.58
    rows = rows_of(run[0], "cifar10/mobilenetv2", "deepfool", norm="l2", clip="end")
    assert full["ours"] == pytest.approx(rows["l2"].mean())
    # Only the slim one was timed image by image.
    times = beside[(beside["metric"] == "time_per_sample") & (beside["further"] != "")]
    assert times.empty


def test_what_was_not_printed_is_no_published_figure(beside):
    further = beside[(beside["further"] != "") & ~beside["further"].isin(["full width", "slim"])]
    assert further["published"].isna().all()
    assert not further["apart"].any()
    assert set(further["table"]) == {"12.1", "12.2", "12.3", "12.4", "12.5", "12.6", "12.7", "12.8", "12.9"}  # fmt: skip


@pytest.mark.parametrize(("table", "norm", "eps"), [("12.8", "l2", "3"), ("12.9", "linf", "0.1")])
def test_figures_of_a_fit_are_those_of_its_record(run, beside, table, norm, eps):
    results, _ = run
    rows = rows_of(results, RESNET, "universal", **UNIVERSAL | {"norm": norm, "eps": eps})
    record = results.fit(rows["cell"].iloc[0])
    share = figure(beside, table, "fooling_rate_on_fit_set")
    low, high = wilson(round(100 * record["fooling"]), 100)
    assert (share["ours"], share["n"]) == (pytest.approx(100 * record["fooling"]), 100)
    assert (share["low"], share["high"]) == (pytest.approx(100 * low), pytest.approx(100 * high))
    passes = figure(beside, table, "iterations")
    assert passes["ours"] == record["passes"]
    seconds = figure(beside, table, "time_per_iteration")
    assert seconds["ours"] == pytest.approx(record["seconds"] / record["passes"])
    assert pd.isna(seconds["low"])
    assert seconds["scale"] == pytest.approx(1 / record["passes"])


def test_accuracy_is_that_of_all_clean_images(beside):
    row = figure(beside, "11.4", "accuracy")
    low, high = wilson(18, 20)
    assert (row["ours"], row["n"]) == (90, 20)
    assert (row["low"], row["high"]) == (pytest.approx(100 * low), pytest.approx(100 * high))


def test_parameters_are_counted_and_are_those_published(beside):
    counts = beside[(beside["metric"] == "parameters") & (beside["further"] == "")]
    assert len(counts) == 8
    assert counts["ours"].tolist() == counts["published"].tolist()
    slim = beside[beside["further"] == "slim"].set_index("model")["ours"]
    assert slim["resnet50"] == 838_390
    assert len(slim) == 4


def test_reductions_of_the_file_are_those_of_its_own_figures():
    published = read_published(fooling.PUBLISHED)
    kinds = {
        "fooling_rate_reduction": "fooling_rate", "mean_l2_reduction": "mean_l2",
        "empirical_robustness_reduction": "empirical_robustness",
    }  # fmt: skip
    reductions = published[published["metric"].isin(kinds)]
    assert len(reductions) == 12
    for row in reductions.to_dict("records"):
        same = published[
            (published["table"] == row["table"])
            & (published["model"] == row["model"])
            & (published["eps"] == row["eps"])
            & (published["metric"] == kinds[row["metric"]])
        ].set_index("note")["value"]
        expected = 100 * (same["unclipped"] - same["clipped"]) / same["unclipped"]
        assert row["value"] == pytest.approx(expected, abs=0.011), row


def test_a_size_of_the_fit_or_of_the_search_does_not_matter(run):
    """A run whose fits and image counts are smaller than the suite's has the same figures beside it."""
    results, measured = run
    smaller = [
        {**given, "fit": "train 20"} if given.get("fit") == fooling.FIT else given
        for given in results.cells["parameters"]
    ]
    changed = dataclasses.replace(results, cells=results.cells.assign(parameters=smaller))
    made = find(changed, measured, fooling.PUBLISHED)
    pd.testing.assert_frame_equal(made.beside, find(*run, fooling.PUBLISHED).beside)
