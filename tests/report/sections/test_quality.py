"""The section on the quality of attacks: who shares a row, and where there is nothing to say."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import build
from build import cell

from bench.measure.outcomes import Outcomes
from bench.report.findings import Findings
from bench.report.sections.quality import frames, section
from bench.report.study import Study


def findings(*cells):
    """Return the findings of a run of ten images, of whose figures the section reads the outcomes alone."""
    results = build.results(cells, images=10)
    return Findings(results=results, measured=SimpleNamespace(of_suite=Outcomes(results)))


def two_models():
    """Return FGSM, PGD by two toolkits and DeepFool on two models of ten images."""
    return findings(
        *(
            made
            for model, broken in (("m", {0, 1}), ("k", {0, 1, 2, 3}))
            for made in (
                cell(model, "fgsm", "0.1", {0}),
                cell(model, "pgd", "0.1", broken, toolkit="art", steps=9),
                cell(model, "pgd", "0.1", broken, toolkit="foolbox", steps=9),
                cell(model, "deepfool", None, {0, 9}, distance={0: 0.1, 9: 0.5}, steps=20),
            )
        )
    )


def test_toolkits_that_agree_share_a_row_and_scores_are_means_over_models() -> None:
    optimality, at_radii, figure = section(two_models()).blocks
    assert at_radii.frame[["attack", "toolkit", "models", "passes"]].to_numpy().tolist() == [
        ["fgsm", "torchattacks", "2", "4"],
        ["pgd", "art, foolbox", "2", "20"],
        ["deepfool", "torchattacks", "2", "42"],
    ]
    assert at_radii.frame["of the best (%)"].tolist() == [
        "37.5 (25.0 to 50.0)", "100.0 (100.0 to 100.0)", "37.5 (25.0 to 50.0)",
    ]  # fmt: skip
    assert at_radii.frame["at equal passes (%)"].tolist() == ["100.0", "100.0", "37.5"]
    (row,) = optimality.frame.to_dict("records")
    # Of 0.4 and of 0.4 for each image that PGD breaks at 0.1: one of two, and one of four.
    assert row["optimality (%)"] == "37.5 (25.0 to 50.0)"
    assert (row["broken (%)"], row["points a pass"]) == ("20.0", "0.89")
    assert optimality.caption.startswith("Global optimality")
    assert figure.pdf.startswith(b"%PDF")


def test_the_file_has_a_row_a_model_and_toolkit() -> None:
    (found,) = frames(two_models()).values()
    assert found[["model", "attack", "toolkit"]].to_numpy().tolist() == [
        [model, attack, toolkit]
        for model in ("m", "k")
        for attack, toolkit in (
            ("fgsm", "torchattacks"), ("pgd", "art"), ("pgd", "foolbox"), ("deepfool", "torchattacks"),
        )
    ]  # fmt: skip


def test_one_model_has_local_optimality_and_its_flag() -> None:
    made = section(findings(
        cell("m", "deepfool", None, {0, 1}, distance={0: 0.1, 1: 0.2}),
        cell("m", "cw", None, (), invalid=range(10)),
        cell("m", "ddn", None, {1}, distance={1: 0.2}),
    ))  # fmt: skip
    table, figure = made.blocks
    assert table.caption.startswith("Local optimality")
    assert table.frame["optimality (%)"].tolist() == ["100.0", "0.0", "0.0"]
    assert table.frame["note"].tolist() == ["", "INVALID: gave no valid image", ""]
    assert "median distance" in figure.caption


def test_without_several_attacks_or_in_brief_there_is_no_section() -> None:
    alone = findings(cell("m", "pgd", "0.1", {0}), cell("m", "pgd", "0.2", {0, 1}))
    brief = dataclasses.replace(two_models(), study=Study(brief=True))
    for found in (alone, brief):
        assert section(found) is None
        assert frames(found) == {}


def test_an_attack_without_passes_has_no_points_a_pass() -> None:
    none = {"forwards": 0, "backwards": 0}
    found = findings(
        cell("m", "fgsm", "0.1", {0}, columns=none),
        *(cell("m", name, "0.1", {0, 1}) for name in ("pgd", "bim")),
    )
    table, figure = section(found).blocks
    assert table.frame["points a pass"].tolist() == ["–", "25", "25"]
    assert figure.pdf.startswith(b"%PDF")
