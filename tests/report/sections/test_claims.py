from __future__ import annotations

import dataclasses
from dataclasses import replace
from pathlib import Path

import build
import numpy as np
import pandas as pd
import pymupdf
import pytest
from build import cell, claim
from scenes import stored_run

from bench.measure.outcomes import Outcomes
from bench.report.blocks import Document
from bench.report.document import document, frames, origin
from bench.report.findings import Findings
from bench.report.measured import measure
from bench.report.render import pdf
from bench.report.sections import claims as claims_section
from bench.report.sections import comparisons as comparisons_section
from bench.report.sections.claims import claim_table
from bench.report.sections.comparisons import compact, comparison_table
from bench.report.write import write_report
from bench.spec import Setting
from bench.store.results import Results
from bench.trust.claims import claims
from bench.trust.comparisons import comparisons

A, B = stored_run.MODELS
CLAIMS = (
    claim(says="wide is more robust", left="{data}/wide", right="{data}/cnn",
          eps=("0", "8/255", "24/255")),
    claim(says="noise is weaker than pgd", left="digits/*", right=None, attacks=("noise",),
          right_attacks=("pgd",), eps=("24/255",)),
    claim(says="trees are alike", left="digits/oak", right="digits/elm", attacks=("pgd",),
          eps=("8/255",), expect="left = right", within=5.0),
)  # fmt: skip


@pytest.fixture(scope="module")
def claimed(results: Results) -> Results:
    return dataclasses.replace(results, claims=CLAIMS)


@pytest.fixture(scope="module")
def report(claimed: Results, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    return write_report(claimed, tmp_path_factory.mktemp("claims"), ("pdf", "csv", "latex"))


def judged(results: Results) -> pd.DataFrame:
    """Return what became of the claims of a run."""
    return claims(results, comparisons(Outcomes(results)))


def test_a_row_a_claim_in_words(claimed: Results) -> None:
    table = claim_table(judged(claimed)).frame
    assert list(table["claim"]) == [one.says for one in CLAIMS]
    assert list(table["threat"]) == ["linf 0, 8/255, 24/255", "linf 24/255", "linf 8/255"]
    assert list(table["study's attack"]) == ["pgd", "noise against pgd", "pgd"]
    assert table["verdict"].iloc[2] == "not judged"
    assert table["its comparisons"].iloc[2] == "no model of this run for the left and the right"


def test_a_row_a_comparison_with_both_attacks() -> None:
    cells = [cell("a", "pgd", "0.1", [1]), cell("b", "pgd", "0.1", range(40))]
    cells += [cell("a", "bim", "0.1", range(60)), cell("b", "bim", "0.1", [])]
    asked = [claim(eps=("0", "0.1")), claim(left="*", right=None, right_attacks=("bim",))]
    run = build.results(cells, *asked)
    table = comparison_table(comparisons(Outcomes(run)), run.claims).frame
    row = table.iloc[1]
    assert (row["left"], row["right"], row["threat"], row["n"]) == ("a", "b", "linf 0.1", "200")
    assert (row["left (%)"], row["right (%)"]) == ("99.5", "80.0")
    assert row["difference"].startswith("+19.5 [")
    assert (row["Holm p"], row["strongest Holm p"]) == ("<0.001", "<0.001")
    assert row["strongest difference"].startswith("-10.0 [")
    assert row["verdict"] == "holds only against weaker attacks"
    clean = table.iloc[0]
    assert (clean["threat"], clean["difference"][:4], clean["strongest difference"]) == (
        "clean",
        "0.0 ",
        "–",
    )
    assert (table["left"].iloc[2], table["right"].iloc[2]) == ("a under pgd", "a under bim")
    assert table.map(lambda value: isinstance(value, str)).all(axis=None)


def test_the_compact_table_leaves_out_what_its_headings_say(claimed: Results) -> None:
    made = compact(comparisons(Outcomes(claimed)), claimed.claims)
    assert [group.tests for group in made.groups] == [
        "wide > cnn",
        "digits/… under noise > digits/… under pgd",
        "digits/oak = digits/elm within 5 points",
    ]
    assert [row[0] for row in made.groups[1].rows] == ["cnn", "wide"]
    assert made.groups[2].rows[0][-1].startswith("not judged (")
    assert made.caption.endswith("Each on 40 images.")


def test_what_all_cases_of_a_claim_share_is_left_out_where_it_is_long() -> None:
    members = "-".join(["member"] * 8)
    cells = [cell(model, "pgd", "0.1", [1]) for model in (f"both-{members}", "one-a", "one-b")]
    run = build.results(
        cells, claim(left="both-*", right="one-*"), claim(left="one-*", right="both-m*")
    )
    found = comparisons(Outcomes(run))
    assert found["case"].iloc[0] == f"{members}, a"
    made = compact(found, run.claims)
    assert [row[0] for row in made.groups[0].rows] == ["a", "b"]


def test_every_format_has_the_claims(claimed: Results, report: dict[str, list[Path]]) -> None:
    names = {kind: {path.name for path in paths} for kind, paths in report.items()}
    assert {"fake-claims.csv", "fake-comparisons.csv"} < names["csv"]
    assert {"fake-claims.tex", "fake-comparisons.tex"} < names["latex"]
    out = report["csv"][0].parent
    read = pd.read_csv(out / "fake-comparisons.csv")
    assert len(read) == 6
    assert list(pd.read_csv(out / "fake-claims.csv")["claim"]) == [1, 2, 3]
    made = (out / "fake-comparisons.tex").read_text()
    assert "\nclean & its own attack & " in made
    assert r"$\ell_{\infty}$ 24/255" in made


def test_pdf_has_the_claims_after_the_headline_and_their_comparisons(
    claimed: Results, report: dict[str, list[Path]]
) -> None:
    pages = [page.get_text() for page in pymupdf.open(report["pdf"][0])]
    text = " ".join(" ".join(pages).split())
    order = [
        "Robust accuracy Table", "Claims The comparisons that each claim is made of are in Section",
        "Claims, one comparison at a time Table",
    ]  # fmt: skip
    places = [text.index(words) for words in order]
    assert places == sorted(places)
    for row in claim_table(judged(claimed)).frame.to_dict("records"):
        said = " ".join((row["no."], row["claim"], row["study's attack"]))
        assert said in text
    assert "under the study’s attack" in text
    # A caption stays with its table.
    first = next(page for page in pages if "Each claim, tested on the same images" in page)
    assert "wide is more robust" in first


def test_a_suite_without_claims_has_no_such_sections(results: Results) -> None:
    findings = Findings(results=results, measured=measure(results))
    labels = {section.label for section in document(findings).sections}
    assert not labels & {"claims", "comparisons"}
    assert not frames(findings).keys() & {"claims", "comparisons"}


def planted_study() -> Findings:
    """Return a study with claims about perturbations, of which one comparison is printed."""
    known = {"clean_l2": 1.0}
    few, many = np.arange(40) / 4000, (np.arange(40) + 10) / 4000
    cells = [
        cell("a", "fgsm", "0.1", range(30), images=40, columns={**known, "changed_values": many}),
        cell("b", "fgsm", "0.1", range(10), images=40, columns={**known, "changed_values": few}),
        *(cell(model, "deepfool", None, (), norm="l2", images=40,
               columns={**known, "changed_values": many, "iterations": [steps, steps + 1] * 20})
          for model, steps in (("a", 3), ("b", 1))),
    ]  # fmt: skip
    fgsm = Setting(attack="fgsm", norm="linf", eps="0.1", figure="fooling")
    near = Setting(attack="deepfool", norm="l2", figure="iterations")
    plain = {"attacks": ("fgsm",), "measure": "perturbation"}
    asked = [
        claim(settings=((fgsm, fgsm),), **plain),
        claim(settings=((near, near),), norm="l2", eps=(), **plain),
        claim(settings=((replace(fgsm, figure="median_values"),) * 2,), **plain),
        claim(settings=((fgsm, None),), bound=0.9, right=None, expect="left < bound", **plain),
        claim(settings=((fgsm, replace(near, figure="fooling")),), right=None, **plain),
        claim(settings=((fgsm, near),), right=None, left="*", expect="same order",
              **{**plain, "measure": "order"}),
    ]  # fmt: skip
    results = build.results(cells, *asked, images=40)
    printed = pd.DataFrame([
        {"data": "digits", "model": "a", "attack": "fgsm", "norm": "linf", "published": value,
         "metric": "fooling_rate", "figure": "fooling", "cell": key, "scale": 100.0}
        for key, value in (("cell-0", 20.0), ("cell-1", 60.0))
    ])  # fmt: skip
    return Findings(results=results, measured=measure(results), beside=printed)


def test_figures_of_perturbations_in_their_units() -> None:
    findings = planted_study()
    table = comparison_table(findings.comparisons, findings.results.claims).frame
    assert table["left figure"].tolist() == ["75.0 %", "3.50", "0.74 %", "75.0 %", "75.0 %", "–"]
    assert table["right figure"].tolist() == ["25.0 %", "1.50", "0.49 %", "90.0 %", "0.0 %", "–"]
    # Where all are in percent, the head says so.
    shares = findings.comparisons[findings.comparisons["claim"] != 2]
    in_percent = comparison_table(shares, findings.results.claims).frame
    assert in_percent["left (%)"].tolist() == ["75.0", "0.74", "75.0", "75.0", "–"]
    assert [words.split(" ")[0] for words in table["difference"]] == [
        "+50.0", "+2", "+0.25", "-15.0", "+75.0", "–",
    ]  # fmt: skip
    assert table["threat"].tolist() == ["linf 0.1", "l2 minimal", *["linf 0.1"] * 3, ""]
    assert table["left"].tolist()[:5] == ["a", "a", "a", "a", "a under fgsm linf 0.1"]
    assert table["left"].iloc[5] == "* under fgsm linf 0.1"
    assert table["right"].tolist()[3:] == ["–", "a under deepfool l2", "* under deepfool l2"]
    assert table["in print"].tolist() == [
        "fails", "not printed", "not printed", "holds", "not printed", "not printed"
    ]  # fmt: skip


def test_compact_comparisons_without_a_strongest_attack_have_the_verdict_in_print() -> None:
    findings = planted_study()
    made = compact(findings.comparisons, findings.results.claims)
    assert (made.strongest, made.printed) == (False, True)
    assert [group.tests for group in made.groups] == [
        "fooling rate, a > b", "mean iterations, a > b", "median share of changed values, a > b",
        "fooling rate, a < 90 %", "fooling rate, a: left > right",
        "same order of fooling rate and mean iterations, each model",
    ]  # fmt: skip
    assert made.groups[0].rows[0][1:3] == ("linf 0.1", "75.0 : 25.0")
    assert made.groups[0].rows[0][-2:] == ("fails", "holds")
    assert made.groups[5].rows[0][0] == "fgsm linf 0.1 : deepfool l2"


def test_claims_of_a_study_have_the_verdict_in_print_in_every_format() -> None:
    findings = planted_study()
    table = claim_table(findings.claims)
    assert table.frame["in print"].tolist()[:2] == ["fails", "not printed"]
    assert "In print:" in table.caption
    assert "in print" not in claim_table(findings.measured.claims).frame
    made = tuple(
        section(findings) for section in (claims_section.section, comparisons_section.section)
    )
    whole = Document(
        origin=origin(findings.results), cells={"done": 4, "failed": 0, "missing": 0}, sections=made
    )
    (content,) = pdf.render(whole).values()
    text = " ".join(page.get_text() for page in pymupdf.open(stream=content))
    assert text.count("in print") >= 2
    assert "under the strongest attack" not in text
    written = claims_section.frames(findings) | comparisons_section.frames(findings)
    assert written["comparisons"]["in_print"].tolist()[:2] == ["fails", "not printed"]
    assert written["claims"].loc[0, "in_print"] == "fails"
