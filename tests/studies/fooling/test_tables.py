"""The tables of the study of fooling have the published shape, and can be set."""

from __future__ import annotations

import dataclasses

import latex_checker
import pymupdf
import pytest
from scenes import fooling
from scenes.fooling import rows_of

from bench.measure.differences import UNKNOWN
from bench.report.blocks import PublishedTable, Table
from bench.report.document import document, frames
from bench.report.findings import find
from bench.report.measured import measure
from bench.report.render import latex, pdf
from bench.report.sections.headline import brief_headlines
from bench.studies.fooling.methods import METHODS, methods_table
from bench.studies.fooling.names import called, shown, stands_for

NUMBERS = (
    "10.1", "11.1", "11.2", "11.3", "11.2.4", "11.4", "12.1", "12.2", "12.3", "12.4", "12.5", "12.6",
    "12.7", "12.8", "12.9", "12.10",
)  # fmt: skip


@pytest.fixture(scope="module")
def run():
    results = fooling.results()
    return results, measure(results)


@pytest.fixture(scope="module")
def study(run):
    return find(*run, fooling.PUBLISHED)


@pytest.fixture(scope="module")
def tables(study):
    made = study.study.tables(study.beside)
    return {
        one.number if isinstance(one, PublishedTable) else one.name.removeprefix("table-"): one
        for one in made
    }


def rows(table: PublishedTable) -> dict[str, tuple]:
    """Return the rows by their title, with what each is below in front of further ones."""
    named, subject = {}, ""
    for row in table.groups[0][1]:
        subject = subject if row.model.startswith("  ") else row.model
        further = row.model.strip() if row.model.startswith("  ") else ""
        named[subject, further] = row.entries
    return named


def test_every_table_is_there_in_order(tables):
    assert tuple(tables) == NUMBERS
    assert all(isinstance(tables[number], Table) for number in NUMBERS[:5])


def test_a_row_is_a_model_and_a_column_a_figure(tables, run):
    table = tables["12.3"]
    assert table.data == ("fooled, (%)", "size", "relative, size", "time, (s)", "iterations")
    found = rows(table)
    subjects = list(dict.fromkeys(subject for subject, _ in found))
    assert subjects == [
        "ResNet-50, slim", "DenseNet-169, slim", "MobileNetV2, slim", "MobileNetV2, full width",
        "InceptionV3, slim",
    ]  # fmt: skip
    resnet = found["ResNet-50, slim", ""]
    assert [one.published for one in resnet] == ["93.04", "1.34", "0.10", "0.32", "1.51"]
    of_cell = rows_of(run[0], "cifar10/resnet50-slim", "deepfool", norm="l2", clip="end")
    assert resnet[1].ours.startswith(f"{of_cell['l2'].mean():#.3g}".rstrip("."))
    steps = found["ResNet-50, slim", "clipped at every step"]
    assert [one.published for one in steps] == ["–"] * 5
    assert [one.ours == "–" for one in steps] == [False, False, False, True, False]
    whole = found["ResNet-50, slim", "by the whole image"]
    assert [one.ours != "–" for one in whole] == [False, False, True, False, False]


def test_radii_clips_and_reductions_have_columns_of_their_own(tables):
    assert tables["12.1"].data[:3] == (
        "accuracy, (%)", "fooled, (%), ε = 0.01", "confidence, (%), ε = 0.01",
    )  # fmt: skip
    assert len(tables["12.1"].data) == 8
    assert tables["12.2"].data == (
        "fooled, (%), clipped", "fooled, (%), no clip", "fewer, fooled (%)", "size, clipped",
        "size, no clip", "smaller, by (%)",
    )  # fmt: skip
    assert [subject for subject, further in rows(tables["12.2"]) if not further] == [
        "ε = 0.005", "ε = 0.01", "ε = 0.05", "ε = 0.1"
    ]  # fmt: skip
    assert "smaller, by (%)" in tables["12.4"].data


def test_transfer_is_a_square_of_networks(tables):
    table = tables["12.10"]
    assert table.subject == "fitted on"
    assert table.data == ("on, ResNet-50", "on, DenseNet-169", "on, MobileNetV2", "on, InceptionV3")
    found = rows(table)
    assert [one.published for one in found["MobileNetV2, slim", ""]] == [
        "50.98", "45.17", "85.48", "60.00",
    ]  # fmt: skip
    assert all(one.ours != "–" for entries in found.values() for one in entries)
    assert (
        "ξ = 15 as printed, in units of normalised images, is 3 in those of [0, 1]" in table.caption
    )
    assert "ξ = 0.5 as printed" in tables["12.9"].caption


def test_a_letter_gives_the_cause_of_a_difference(tables, study):
    beside = study.beside
    apart = beside[(beside["table"] == "12.5") & beside["apart"]]
    assert len(apart)
    notes = " ".join(tables["12.5"].notes)
    for cause in set(apart["cause"]):
        assert f") {cause}." in notes
    marked = [one for row in tables["12.5"].groups[0][1] for one in row.entries if "(" in one.ours]
    assert len(marked) == len(apart)
    assert UNKNOWN in set(beside["cause"])


def test_how_many_images_ours_are_of_is_said(tables):
    assert "Ours: of 18 images." in tables["12.8"].notes
    assert "X: of 100 images." in tables["12.8"].notes
    assert "Ours: of 20 images." in tables["11.4"].notes


def test_networks_come_with_both_counts_and_the_mistakes_of_their_table(tables):
    table = tables["11.3"]
    assert table.notes[0] == (
        "Parameters: CIFAR-10 2,236,682 (published 2,236,682); slim 250,922; ImageNet 3,504,872 "
        "(published 3,504,872)."
    )
    assert "omits bottleneck 7" in table.notes[1]
    found = table.frame.set_index("stage")
    assert found.loc["bottleneck 2", "output"] == "32x32"
    assert found.loc["bottleneck 2", "output on ImageNet"] == "56x56"


def test_methods_are_told_as_the_catalogue_has_them():
    frame = methods_table().frame.set_index("method")
    assert len(frame) == len(METHODS) == 6
    assert frame["targeted"].to_dict() == {
        "L-BFGS": "can be", "FGSM": "can be", "DeepFool": "no", "SparseFool": "no",
        "one-pixel attack": "can be", "universal perturbation": "no",
    }  # fmt: skip
    assert "probabilities" in frame.loc["one-pixel attack", "uses"]
    assert frame.loc["universal perturbation", "uses"].startswith("many images")
    assert frame.loc["SparseFool", "parameters"].startswith("lambda: how far beyond")
    assert not frame.isin([""]).to_numpy().any()


def test_names_of_ours_and_of_the_published_networks():
    assert called("inceptionv3-slim") == "InceptionV3, slim"
    assert called("mobilenet-v2") == called("mobilenetv2") == "MobileNetV2"
    assert called("cnn") == "cnn"
    assert stands_for("cifar10/mobilenetv2-slim") == "cifar10/mobilenet-v2"
    assert stands_for("cifar10/mobilenetv2") == "cifar10/mobilenet-v2"
    assert stands_for("cifar10/cnn") == "cifar10/cnn"
    assert shown("cnn")
    assert not shown("efficientnet-lite0")


def test_of_many_radii_the_headline_has_a_row_a_radius(study):
    table = brief_headlines(study)[0]
    assert [column.title for column in table.columns[:3]] == ["data", "threat", "ResNet-50, slim"]
    assert list(table.frame["threat"])[:2] == ["clean", "linf 0.005"]
    found = study.measured.headline.set_index(["model", "norm", "eps_text"])["robust_accuracy"]
    said = table.frame.set_index("threat").loc["linf 0.01", "DenseNet-169, slim"]
    assert said.startswith(f"{100 * found['cifar10/densenet169-slim', 'linf', '0.01']:.1f} [")


def test_it_is_set_in_every_format(study):
    # The figures have tests of their own; these results have no pictures.
    bare = dataclasses.replace(study, study=dataclasses.replace(study.study, figures=lambda _: ()))
    whole = document(bare)
    (pdf_file,) = pdf.render(whole).values()
    pages = pymupdf.open(stream=pdf_file)
    text = " ".join(" ".join(page.get_text() for page in pages).split())
    assert "216 of 216 published figures have ours beside them" in text
    for said in ("Published table 10.1.", "Published table 12.10.", "MobileNetV2, full width", "78.54",
                 "by cross-entropy", "DenseNet-169: convolutions", "stage 5",
                 "What the figures depend on"):  # fmt: skip
        assert said in text, said
    made = latex.render(whole)
    for number in NUMBERS:
        latex_checker.check(made[f"fooling-table-{number}.tex"].decode())
    source = made["fooling-table-12.3.tex"].decode()
    assert r"ResNet-50, slim & published & 93.04 & 1.34 & 0.10" in source
    assert r"\shortstack{relative \\ size}" in source
    written = frames(bare)["published"]
    assert {"cause", "cell", "scale", "figure"} <= set(written.columns)
    assert (written["further"] == "").sum() == 216
