from __future__ import annotations

import dataclasses
from pathlib import Path

import build
import pandas as pd
import pymupdf
import pytest
from build import cell, claim
from scenes import stored_run

from bench.measure.outcomes import Outcomes
from bench.report.document import document, frames
from bench.report.findings import Findings
from bench.report.measured import measure
from bench.report.sections.claims import claim_table
from bench.report.sections.comparisons import compact, comparison_table
from bench.report.write import write_report
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
