"""Tables for LaTeX: what they say, and that LaTeX takes them."""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pymupdf
import pytest
from latex_checker import check
from scenes import defences, local_learning

from bench.report import formatting
from bench.report.blocks import Block, Column, Document, Section, Table
from bench.report.document import document, origin
from bench.report.findings import Findings, find
from bench.report.measured import Measured, measure
from bench.report.render.latex import longtable, render
from bench.report.render.latex_text import first, latex
from bench.report.sections.attacks import attack_table
from bench.report.sections.headline import matrices
from bench.report.write import write_report
from bench.store.results import Results

STEM = "WideResNet-28-10_Gowal2021Improving_ddpm_100m_linf_8_255_seed"
#: Names that LaTeX would read as something else, or has no font for.
ODD = {
    "digits/cnn": r"[ours] a_b & 50 % {x} $1 #2 ~ ^ \ <3 | a--b \"q\" ``",
    "digits/wide": "*best* σ τ ‡ † ≥ ≤ × é ß 模",
}


def renamed(results: Results, called: dict[str, str], suite: str) -> Results:
    """Return a run whose models and suite are called otherwise."""
    names = {"model": called}
    return dataclasses.replace(
        results,
        suite=suite,
        title=f"A title with % and\na second line of {suite}",
        cells=results.cells.replace(names),
        rows=results.rows.replace(names),
        models=[{**model, "model": called[model["model"]]} for model in results.models],
    )


def headline_latex(results: Results, measured: Measured) -> str:
    """Return the file of the headline."""
    made = rendered(results, *matrices(Findings(results=results, measured=measured)))
    return made[f"{results.suite}-headline.tex"]


def rendered(results: Results, *blocks: Block) -> dict[str, str]:
    """Return the LaTeX files of a document of these blocks."""
    section = Section(label="x", title="X", blocks=blocks)
    made = Document(origin=origin(results), cells={}, sections=(section,))
    return {name: content.decode() for name, content in render(made).items()}


@pytest.fixture(scope="module")
def odd(results: Results) -> Results:
    return renamed(results, ODD, "top-10%")


def _rows(made: str) -> list[list[str]]:
    body = made[made.index(r"\midrule") : made.index(r"\bottomrule")]
    return [line.removesuffix(r" \\").split(" & ") for line in body.splitlines() if "&" in line]


def test_the_headline_has_a_row_a_model_and_a_column_a_threat(
    results: Results, measured: Measured
) -> None:
    made = headline_latex(results, measured)
    assert "longtable" not in made
    found = measured.headline
    rows = _rows(made)
    assert len(rows) == found["model"].nunique()
    assert {len(row) for row in rows} == {2 + found[["norm", "eps"]].drop_duplicates().shape[0]}
    for row in rows:
        mine = found[found["model"] == row[0]]
        assert row[1] == formatting.percent(mine["clean_accuracy"].iloc[0])
        for cell, truth in zip(row[2:], mine.itertuples(), strict=True):
            assert formatting.percent(truth.robust_accuracy) in cell
            interval = f"{formatting.percent(truth.low)}, {formatting.percent(truth.high)}"
            assert f"\\interval{{{interval}}}" in cell
    assert r"\multicolumn{2}{c}{$\ell_{\infty}$}" in made
    assert r"\caption{Clean accuracy and robust accuracy (\%)" in made
    assert r"\label{tab:fake-headline}" in made


def test_the_best_of_a_column_is_bold_unless_all_are_alike(
    results: Results, measured: Measured
) -> None:
    shares = {"digits/cnn": (0.5, 0.25), "digits/wide": (0.75, 0.25)}
    found = measured.headline.assign(flag="", attacks=3, planned=3, trust="believable", reasons="")
    found["robust_accuracy"] = [
        shares[row.model][int(row.eps > 0.05)] for row in found.itertuples()
    ]
    made = headline_latex(results, dataclasses.replace(measured, headline=found))
    assert re.findall(r"\\textbf\{(.*?)\}", made) == ["75.0"]


def test_what_is_to_be_known_of_a_figure_stands_below(results: Results, measured: Measured) -> None:
    found = measured.headline.assign(flag="", attacks=3, planned=3, trust="believable", reasons="")
    found.loc[0, ["robust_accuracy", "low", "high"]] = np.nan
    found.loc[0, ["flag", "attacks"]] = ["INVALID: 3 of 3 attacks did not run", 0]
    found.loc[1, "attacks"] = 2
    made = headline_latex(results, dataclasses.replace(measured, headline=found))
    assert r"invalid\rlap{\textsuperscript{a}}" in made
    assert r"\textsuperscript{a}~3 of 3 attacks did not run; 0 of 3 attacks count." in made
    assert r"\textsuperscript{b}~2 of 3 attacks count." in made
    assert made.count(r"\rlap") == 2


@pytest.mark.slow
def test_every_table_says_where_it_is_from(odd: Results) -> None:
    made = render(document(find(odd, measure(odd))))
    assert len(made) == 6
    for name, content in made.items():
        lines = content.decode().splitlines()
        assert lines[0] == (
            "% Made by `bench report --suite top-10% --format latex`, Crossfire 0.1.0."
        )
        assert lines[1].startswith("% A title with % and a second line of top-10%; run of ")
        assert "40 images of digits (test), seed 0." in lines[1]
        assert "booktabs" in lines[2]
        label = next(line for line in lines if "\\label" in line)
        table = name.removeprefix("top-10%-").removesuffix(".tex")
        assert re.search(rf"\\label{{tab:top-10--{table}}}", label)


def test_an_appendix_has_the_table_s_rows(findings: Findings, measured: Measured) -> None:
    table = attack_table(measured.attacks, findings.attack_names)
    made = "\n".join(longtable(table, "tab:x"))
    assert made.count(r"\begin{longtable}") == made.count(r"\end{longtable}") == 1
    rows = _rows(made[made.index(r"\endhead") :].replace(r"\endhead", r"\midrule", 1))
    assert len(rows) == len(table.frame)
    assert [row[4] for row in rows] == [latex(text) for text in table.frame["success (%)"]]


def test_norms_are_symbols() -> None:
    columns = (Column("threat", "threat"), Column("n", "number"))
    frame = pd.DataFrame({"threat": ["linf 8/255", "l2 minimal"], "n": ["1", "2"]})
    made = "\n".join(longtable(Table(caption="50 %", columns=columns, frame=frame), "tab:x"))
    assert r"$\ell_{\infty}$ 8/255 & 1 \\" in made
    assert r"$\ell_{2}$ minimal & 2 \\" in made
    assert r"\caption{50 \%}" in made
    assert r"{lr}" in made


def test_figures_below_0_have_a_minus_sign_and_norms_above_rows_are_symbols() -> None:
    columns = (Column("norm", "norm"), Column("name"), Column("difference", "number"))
    rows = [
        ("linf", "a-1", "-4.4 [-5, 1]"),
        ("linf", "b", "+1"),
        ("l2", "c", "0"),
        ("l2", "d", "1"),
    ]
    frame = pd.DataFrame(rows, columns=["norm", "name", "difference"])
    made = "\n".join(
        longtable(Table(caption="", columns=columns, frame=frame, group="norm"), "tab:x")
    )
    assert r"\emph{$\ell_{\infty}$}" in made
    assert r"a-1 & $-$4.4 [$-$5, 1]" in made


@pytest.mark.parametrize(
    ("cell", "safe"), [("[x]", "{}[x]"), ("*x*", "{}*x*"), ("x", "x"), ("", "")]
)
def test_a_row_does_not_begin_with_an_option(cell: str, safe: str) -> None:
    assert first(cell) == safe


@pytest.mark.parametrize("source", [
    "σ", "τ", "‡", "\\sigma", "$\\sigma", "{", "}", "\\frobnicate", "\\begin{tabular}{l}", "50 %", "a^b",
    "\\begin{longtable}{lr}\na & b & c \\\\\n\\end{longtable}",
])  # fmt: skip
def test_the_checker_refuses_what_latex_would(source: str) -> None:
    with pytest.raises(AssertionError):
        check(source)


SIGNS = 'σ τ ε ‡ † ± ² ³ × ≤ ≥ ≠ ≈ ∞ ℓ − → · – — … ’ “ ” é ß 模 < > | " -- [x] *y*'


def test_every_sign_is_one_that_latex_sets(results: Results) -> None:
    frame = pd.DataFrame({"model": ["m"] * 2, "note": [SIGNS, ODD["digits/cnn"]]})
    columns = (Column("model"), Column("note", share=1))
    (made,) = rendered(
        results, Table(name="x", caption=SIGNS, columns=columns, frame=frame)
    ).values()
    check(made)
    for sign in (r"$\sigma$", r"$\tau$", r"\ddag{}", r"\dag{}"):
        assert sign in made


@pytest.mark.slow
def test_latex_takes_every_file_of_a_run(odd: Results, tmp_path: Path) -> None:
    made = write_report(odd, tmp_path, ["latex"])["latex"]
    assert {path.name for path in made} == {
        f"top-10%-{name}.tex"
        for name in ("headline", "checks", "parity", "attacks", "optimality", "cost")
    }
    for path in made:
        check(path.read_text("utf-8"))


@pytest.mark.slow
@pytest.mark.parametrize("study", [defences, local_learning], ids=["defences", "local-learning"])
def test_latex_takes_every_file_of_a_study(
    study: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.measure.radius._REPLICATES", 3)
    made = write_report(study.results(), tmp_path, ["latex"], study.PUBLISHED)["latex"]
    texts = {path.name: path.read_text("utf-8") for path in made if path.suffix == ".tex"}
    for text in texts.values():
        check(text)
    if study is defences:  # its models have a sigma, and one surface a mark
        assert r"$\sigma$" in texts["defences-headline.tex"]
        assert r"\ddag{}" in texts["defences-table-1.tex"]


@pytest.fixture(scope="session")
def pdflatex() -> str:
    """Return the command, where it and the packages that the tables need are installed."""
    command, search = shutil.which("pdflatex"), shutil.which("kpsewhich")
    if command is None or search is None:
        pytest.skip("no pdflatex here; Debian has it in texlive-latex-base")
    for package in ("booktabs.sty", "longtable.sty"):
        if subprocess.run([search, package], capture_output=True, check=False).returncode:
            pytest.skip(f"no {package} here; Debian has it in texlive-latex-recommended")
    return command


def _compiled(command: str, folder: Path, made: str, columns: str) -> tuple[str, str]:
    """Return LaTeX's log of a table in an article, and the text it printed."""
    (folder / "made.tex").write_text(made, encoding="utf-8")
    (folder / "paper.tex").write_text(
        f"\\documentclass[{columns}]{{article}}\\usepackage{{booktabs,longtable}}"
        "\\begin{document}x\\input{made}\\end{document}"
    )
    run = subprocess.run(
        [command, "-interaction=nonstopmode", "-halt-on-error", "paper.tex"],
        cwd=folder, capture_output=True, check=False,
    )  # fmt: skip
    log = run.stdout.decode(errors="replace")
    assert run.returncode == 0, log[-2000:]
    return log, " ".join(page.get_text() for page in pymupdf.open(folder / "paper.pdf"))


@pytest.mark.parametrize("called", [ODD, {"digits/cnn": f"{STEM}0", "digits/wide": f"{STEM}1"}])
def test_a_paper_in_two_columns_takes_the_headline(
    results: Results, called: dict[str, str], pdflatex: str, tmp_path: Path
) -> None:
    run = renamed(results, called, "top-10%")
    log, text = _compiled(pdflatex, tmp_path, headline_latex(run, measure(run)), "twocolumn")
    assert "Overfull \\hbox" not in log
    for row in measure(run).headline.to_dict("records"):
        assert formatting.percent(row["robust_accuracy"]) in text
    ends = ("seed0", "seed1") if called is not ODD else ("[ours]", "*best*")
    assert all(end in "".join(text.split()) for end in ends)


def test_a_headline_of_many_threats_fits_the_page(
    results: Results, measured: Measured, pdflatex: str, tmp_path: Path
) -> None:
    one = measured.headline.head(1)
    many = pd.concat([
        one.assign(norm=norm, eps=turn / 255, eps_text=f"{turn}/255")
        for norm in ("linf", "l2", "l1")
        for turn in range(1, 13)
    ])  # fmt: skip
    made = headline_latex(results, dataclasses.replace(measured, headline=many))
    assert made.count(r"\begin{tabular}") > 1
    log, text = _compiled(pdflatex, tmp_path, made, "twocolumn")
    assert "Overfull \\hbox" not in log
    assert text.count("12/255") == 3


@pytest.mark.slow
def test_an_appendix_takes_every_table(odd: Results, pdflatex: str, tmp_path: Path) -> None:
    made = write_report(odd, tmp_path / "out", ["latex"])["latex"]
    assert {path.name for path in made} == {
        f"top-10%-{name}.tex"
        for name in ("headline", "checks", "parity", "attacks", "optimality", "cost")
    }
    for path in made[1:]:
        log, text = _compiled(pdflatex, tmp_path, path.read_text("utf-8"), "onecolumn")
        assert "Overfull \\hbox" not in log, path.name
        assert "Table 1" in text


def test_long_text_breaks_its_lines(results: Results, pdflatex: str, tmp_path: Path) -> None:
    frame = pd.DataFrame({
        "model": ["m"] * 3, "attack": ["pgd"] * 3, "note": ["words of a note " * 12] * 2 + [""],
        "success (%)": ["50.0 [40.0, 60.0]"] * 3,
    })  # fmt: skip
    columns = (
        Column("model"), Column("attack", "subject"), Column("note", share=1),
        Column("success (%)", "rate"),
    )  # fmt: skip
    table = Table(name="x", caption="50 %", columns=columns, frame=frame)
    (made,) = rendered(results, table).values()
    log, text = _compiled(pdflatex, tmp_path, made, "onecolumn")
    assert "Overfull \\hbox" not in log
    assert " ".join(text.split()).count("words of a note") == 24
