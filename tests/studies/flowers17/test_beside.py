"""Each published figure of the study of flowers stands beside ours, in its tables too."""

from __future__ import annotations

import dataclasses

import latex_checker
import numpy as np
import pymupdf
import pytest
from scenes import flowers17 as scene

from bench.measure.published import read_published
from bench.measure.statistics import wilson
from bench.measure.trainings import phases, trainings
from bench.report.blocks import Document, Section
from bench.report.document import origin
from bench.report.render import latex, pdf
from bench.studies.flowers17.report import STUDY

NUMBERS = ("1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "3.1")


@pytest.fixture(scope="module")
def tables(study):
    made = STUDY.tables(study.beside)
    return dict(zip(NUMBERS, made, strict=True))


def figure(study, further="", **wanted):
    """Return the one row of a published figure, or of one that is further to it."""
    beside, wanted = study.beside, {**wanted, "further": further}
    found = beside[np.logical_and.reduce([beside[name] == value for name, value in wanted.items()])]
    assert len(found) == 1, found
    return found.iloc[0]


def test_every_published_figure_has_one_row_that_counts(study):
    published = read_published(scene.PUBLISHED)
    counting = study.beside[study.beside["further"] == ""]
    assert len(counting) == len(published) == 152
    shares = published["unit"].to_numpy() == "fraction"
    assert counting["published"].to_numpy() == pytest.approx(
        np.where(shares, 100, 1) * published["value"].to_numpy()
    )
    assert study.beside.loc[study.beside["further"] != "", "published"].isna().all()


def test_accuracy_is_the_mean_over_trainings_by_validation_images_and_further_by_the_leak(study):
    known = trainings(study.results)
    known = known[known["configuration"] == "flowers17/mk-1-slim"]
    sound = figure(study, table="2", model="mk-1", metric="accuracy")
    mean = known["test_accuracy"].mean()
    assert sound["ours"] == pytest.approx(100 * mean)
    assert sound["spread"] == pytest.approx(100 * known["test_accuracy"].std(ddof=1))
    assert (sound["low"], sound["high"]) == pytest.approx(
        tuple(100 * end for end in wilson(round(340 * mean), 340))
    )
    assert (sound["trainings"], sound["n"], sound["printed"]) == (5, 340, "52.6")
    leaky = figure(study, "epoch chosen by test images", table="2", model="mk-1", metric="accuracy")
    assert leaky["ours"] == pytest.approx(100 * known["leaky_accuracy"].mean())


def test_losses_have_the_interval_of_student_over_trainings_and_a_single_one_has_none(study):
    known = trainings(study.results)
    losses = known.loc[known["configuration"] == "flowers17/mk-3-slim", "validation_loss"]
    loss = figure(study, table="2", model="mk-3", metric="validation_loss")
    assert loss["ours"] == pytest.approx(losses.mean())
    # t of 4 degrees of freedom at 0.975 is 2.7764.
    assert loss["high"] - loss["ours"] == pytest.approx(
        2.7764 * losses.std(ddof=1) / 5**0.5, rel=1e-4
    )
    single = figure(study, table="3", model="mk-2-aug-all", metric="train_accuracy")
    assert np.isnan(single["low"])
    assert single["trainings"] == 1


def test_stacking_counts_as_in_the_document_and_stands_further_as_it_should_be(study):
    leaky = figure(study, table="5", model="stacking-random-forest", metric="accuracy")
    assert (leaky["our_model"], leaky["ours"]) == (scene.LEAKY, 80)
    held_out = figure(
        study, "fitted on held-out images", table="5", model="stacking-random-forest",
        metric="accuracy",
    )  # fmt: skip
    assert (held_out["our_model"], held_out["ours"]) == (scene.STACKING, 75)
    assert figure(study, table="5", model="bagging")["ours"] == 78
    assert figure(study, "majority vote", table="5", model="bagging")["ours"] == 70


def test_importances_are_sums_over_classes_of_each_fit(study):
    assert figure(study, table="6", model="mk-2-aug-all")["ours"] == pytest.approx(40)
    held_out = figure(study, "fitted on held-out images", table="6", model="mk-5-aug-all")
    assert held_out["ours"] == pytest.approx(20)
    assert figure(study, table="6", model="mk-3-aug-all")["published"] == pytest.approx(29.4)


def test_classifiers_on_other_trunks_stand_beside_no_printed_figure(study):
    rows = study.beside[study.beside["table"] == "8"]
    assert rows.loc[rows["further"] == "", "ours"].isna().all()
    lite = figure(
        study,
        "trunk: EfficientNet-Lite0, ImageNet",
        table="8",
        model="mobilenet+logistic-regression",
    )
    assert (lite["our_model"], lite["ours"], lite["n"]) == (scene.features("logistic"), 93, 100)
    linear = figure(study, "trunk: CIFAR-10 CNN, linear", table="8", model="mobilenet+svm")
    assert linear["our_model"] == scene.features("linear-svm", "cifar10-cnn")


def test_a_tuned_head_is_measured_in_each_phase(study):
    known = phases(study.results)
    name = "flowers17/tuned-efficientnet-lite0-adam-bn"
    for phase, letter in ((1, "a"), (2, "b")):
        one = known[(known["configuration"] == name) & (known["phase"] == phase)].iloc[0]
        model = f"finetune-mobilenet-phase-{letter}-adam+bn"
        further = "trunk: EfficientNet-Lite0, ImageNet"
        found = figure(study, further, table="9", model=model)
        assert found["ours"] == pytest.approx(100 * one["test_accuracy"])
        leaky = figure(study, f"{further}, epoch chosen by test images", table="9", model=model)
        assert leaky["ours"] == pytest.approx(100 * one["leaky_accuracy"])


def test_counts_of_layers_and_parameters_equal_the_printed_ones(study):
    rows = study.beside
    rows = rows[rows["table"].isin(["1", "4"]) & (rows["further"] == "")]
    assert (rows["ours"] == rows["published"]).all()
    assert figure(study, table="7", model="inception-v3", metric="parameters")["cause"].startswith(
        "Keras'"
    )


def test_quoted_rates_have_an_attack_of_ours_beside_them(study):
    jsma = figure(study, "here", table="3.1", attack="jsma")
    assert jsma["our_model"] == "flowers17/mk-2-slim"
    assert (jsma["ours"], jsma["n"]) == (pytest.approx(100 * 30 / 90), 90)
    assert (
        len(
            study.beside[(study.beside["table"] == "3.1") & (study.beside["attack"] == "one-pixel")]
        )
        == 1
    )


def test_tables_have_the_published_shape(tables):
    two = tables["2"]
    assert two.data == (
        "training, loss",
        "training, accuracy (%)",
        "held-out, loss",
        "accuracy, (%)",
    )
    rows = two.groups[0][1]
    assert [row.model for row in rows[:2]] == ["Baseline, slim", "  epoch chosen by test images"]
    assert [one.published for one in rows[0].entries] == ["0.686", "80.9", "1.459", "54.1"]
    five = tables["5"].frame.set_index("model")
    assert five.loc["Stacking, forest, leak", "published (%)"] == "82.0"
    assert five.loc["Stacking, forest, fitted on held-out images", "ours (%)"].startswith("75.0 [")
    eight = tables["8"].frame.set_index("classifier")
    assert eight.loc["Support vector machine", "MobileNet, published (%)"] == "92.9 (a)"
    assert list(eight.columns) == [
        "VGG16, published (%)", "InceptionV3, published (%)", "MobileNet, published (%)",
        "Xception, published (%)", "ours: EfficientNet-Lite0, ImageNet (%)", "ours: CIFAR-10 CNN (%)",
    ]  # fmt: skip
    assert len(tables["9"].frame) == 16
    assert (
        tables["10"].frame["published (%)"].isin(["54.1", "76.4", "82.0", "94.4", "96.7"]).sum()
        == 5
    )


def test_tables_are_set_in_both_formats(study, tables):
    section = Section(label="published", title="Published and ours", blocks=tuple(tables.values()))
    whole = Document(
        origin=origin(study.results),
        cells=dict.fromkeys(("done", "failed", "missing"), 0),
        sections=(section,),
    )
    (made,) = pdf.render(whole).values()
    text = " ".join(" ".join(page.get_text() for page in pymupdf.open(stream=made)).split())
    for said in ("Published table 10.", "fitted on held-out images", "21,785,568 (a)"):
        assert said in text, said
    for name, source in latex.render(whole).items():
        if "table" in name:
            latex_checker.check(source.decode())


def test_a_run_without_trainings_and_ensembles_has_its_attacked_models_alone(study):
    results = dataclasses.replace(study.results, trainings=(), models=[])
    beside = STUDY.beside(results, study.measured, read_published(scene.PUBLISHED))
    rows = beside[(beside["table"] == "2") & (beside["metric"] == "accuracy")]
    assert list(rows["ours"]) == [90] * 4
    assert set(rows["trainings"]) == {0}
    assert beside.loc[beside["table"].isin(["6", "9"]), "ours"].isna().all()
