from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import build
import numpy as np
import pandas as pd
import pymupdf
import pytest
from scenes import stored_run

from bench.errors import SpecError
from bench.measure.quality import quality
from bench.report.findings import Findings
from bench.report.measured import Measured
from bench.report.pictures import picture_grid
from bench.report.sections.gallery import gallery
from bench.report.sections.headline import headline_table
from bench.report.write import write_report
from bench.store.results import Results
from bench.trust.run_findings import TOLD

FORMATS = ("pdf", "csv", "latex")


@pytest.fixture(scope="module")
def report(results: Results, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    return write_report(results, tmp_path_factory.mktemp("report") / "new", FORMATS)


@pytest.fixture(scope="module")
def small(results: Results) -> Results:
    """One model, one norm, one toolkit."""
    cells = results.cells
    few = cells[
        (cells["model"] == stored_run.MODELS[0])
        & (cells["attack"] == "pgd")
        & (cells["toolkit"] == "foolbox")
    ]
    return dataclasses.replace(
        results,
        cells=few.reset_index(drop=True),
        rows=results.rows[results.rows["cell"].isin(few["cell"])],
        models=results.models[:1],
        left_out=[],
    )


def _text(path: Path) -> str:
    """Return the words of a PDF, spaces and lines made alike."""
    return " ".join(" ".join(page.get_text() for page in pymupdf.open(path)).split())


def test_every_format_is_written_under_the_suite_s_name(report: dict[str, list[Path]]) -> None:
    names = {kind: [path.name for path in paths] for kind, paths in report.items()}
    assert names == {
        "pdf": ["fake.pdf"],
        "csv": [
            f"fake-{name}.csv" for name in ("headline", "checks", "parity", "attacks", "quality")
        ],
        "latex": [
            f"fake-{name}.tex"
            for name in ("headline", "checks", "parity", "attacks", "optimality", "cost")
        ],
    }
    assert all(path.is_file() for paths in report.values() for path in paths)


def test_pdf_says_the_protocol_and_the_headline(
    results: Results, measured: Measured, report: dict[str, list[Path]]
) -> None:
    text = _text(report["pdf"][0])
    assert results.title in text
    assert "digits, split test, first 40 images (smoke: n < 100)" in text
    assert "27 of 28 done, 1 failed" in text
    assert "nowhere cpu, 2 threads" in text
    assert f"{results.run}: how much of the suite it asked for was not recorded" in text
    for name, version in build.VERSIONS.items():
        assert f"{name} {version}" in text
    for line in results.left_out:
        assert line in text
    for row in headline_table(results, measured.headline).frame.to_dict("records"):
        assert f"{row['clean accuracy (%)']} {row['robust accuracy (%)']}" in text


def test_pdf_shows_flags_failures_and_verdicts(report: dict[str, list[Path]]) -> None:
    text = _text(report["pdf"][0])
    assert "Without a result: 1 of 28 cells (1 failed, 0 missing)" in text
    assert "try --batch-size 8" in text
    assert "INVALID: did not run" in text
    assert (
        "24 of 26 comparisons of two toolkits came out as expected; 2 could not be judged" in text
    )
    assert "original" in text
    assert "added × 5" in text
    assert "random_start no" in text


def test_pdf_has_its_pictures_and_only_its_own_fonts(
    findings: Findings, report: dict[str, list[Path]]
) -> None:
    results = findings.results
    document = pymupdf.open(report["pdf"][0])
    pictures = {image[0] for page in document for image in page.get_images()}
    grid, sheets = picture_grid(results, findings.attack_names), gallery(results)
    assert grid is not None
    placed = [picture.png for picture in (*grid.originals, *(sheet.original for sheet in sheets))]
    placed += [one.png for column in grid.columns for pair in column.pairs for one in pair]
    placed += [png for sheet in sheets for it in sheet.panels for png in (it.tried.png, it.added)]
    assert len(pictures) == len(set(placed))  # what is alike is stored once
    fonts = {
        font[3].partition("+")[2].removesuffix("-Identity-H")
        for page in document
        for font in page.get_fonts()
    }
    assert fonts <= {
        "LibertinusSerif-Regular", "LibertinusSerif-Semibold", "LibertinusSerif-Italic",
        "LibertinusSerif-Bold", "STIXGeneral-Regular", "STIXGeneral-Italic",
    }  # fmt: skip


def test_same_store_same_bytes(
    results: Results, report: dict[str, list[Path]], tmp_path: Path
) -> None:
    again = write_report(results, tmp_path, FORMATS)
    for kind in FORMATS:
        assert report[kind]
        for first, second in zip(report[kind], again[kind], strict=True):
            assert first.read_bytes() == second.read_bytes(), first.name


def test_a_table_over_two_pages_repeats_its_head(
    results: Results, measured: Measured, tmp_path: Path
) -> None:
    long = dataclasses.replace(measured, attacks=pd.concat([measured.attacks] * 2))
    path = write_report(results, tmp_path, ["pdf"], measured=long)["pdf"][0]
    pages = [page.get_text() for page in pymupdf.open(path)]
    attacks = [turn for turn, text in enumerate(pages) if "median\ndistance" in text]
    assert len(attacks) == 2
    assert "digits/wide" in pages[attacks[1]]  # and names its group again


def test_csv_holds_the_raw_numbers(
    results: Results, measured: Measured, findings: Findings, report: dict[str, list[Path]]
) -> None:
    scores = quality(findings.contests).drop(columns="data")
    told = measured.checks[[*TOLD]]
    frames = (measured.headline, told, measured.parity, measured.attacks, scores)
    whence = {
        "suite": "fake", "dataset": "digits", "split": "test", "run_seed": 0,
        "run_started": results.started, "version": "0.1.0",
    }  # fmt: skip
    for path, frame in zip(report["csv"], frames, strict=True):
        read = pd.read_csv(path)
        named = [{"worst": "strongest", "flag": "note"}.get(name, name) for name in frame.columns]
        assert list(read.columns) == [*named, *whence]
        numbers = frame.select_dtypes("float64").columns
        np.testing.assert_array_equal(read[numbers], frame[numbers])
        assert (read[list(whence)] == pd.Series(whence)).all(axis=None)


def test_a_row_of_a_file_names_its_model_s_data_set(results: Results, tmp_path: Path) -> None:
    several = dataclasses.replace(
        results,
        models=[{**model, "data": data} for model, data in zip(results.models, "ab", strict=True)],
        protocol={**results.protocol, "data": ["a", "b"]},
    )
    (path,) = (
        one for one in write_report(several, tmp_path, ["csv"])["csv"] if "attacks" in one.name
    )
    read = pd.read_csv(path)
    assert set(zip(read["model"], read["dataset"], strict=True)) == {
        ("digits/cnn", "a"), ("digits/wide", "b"),
    }  # fmt: skip


def _write(results: Results, out: Path) -> str:
    return _text(write_report(results, out, ["pdf"])["pdf"][0])


def test_run_of_which_nothing_finished(results: Results, tmp_path: Path) -> None:
    none = {"status": "missing", "error": None}
    text = _write(
        dataclasses.replace(results, rows=results.rows.head(0), cells=results.cells.assign(**none)),
        tmp_path,
    )
    assert "Without a result: 28 of 28 cells" in text
    assert "INVALID" in text
    assert "There is no accuracy against eps" in text
    assert "No pictures" in text
    assert "No cell has finished" in text


def test_run_without_any_cell(results: Results, tmp_path: Path) -> None:
    text = _write(
        dataclasses.replace(results, rows=results.rows.head(0), cells=results.cells.head(0)),
        tmp_path,
    )
    assert "No attack was planned" in text
    assert "No attack of this run was made by two toolkits" in text


def test_one_model_one_norm_one_toolkit(small: Results, tmp_path: Path) -> None:
    text = _write(small, tmp_path)
    assert "No attack of this run was made by two toolkits" in text
    assert "Left out" not in text
    assert "Cells without a result" not in text
    assert re.search(r"Figure 1. Accuracy against the ℓ∞ radius, digits/cnn[ (a-z)]*, n = 40", text)


def test_a_gallery_goes_on_where_a_page_is_full(
    small: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (sheet,) = gallery(small)
    full = dataclasses.replace(sheet, panels=sheet.panels * 90, without=("fab", "square"))
    monkeypatch.setattr("bench.report.sections.gallery.gallery", lambda results: [full])
    path = write_report(small, tmp_path, ["pdf"])["pdf"][0]
    pages = [page.get_text().count("foolbox\nℓ∞") for page in pymupdf.open(path)]
    assert sum(pages) == 90  # what has no room on a page is on the next
    assert sum(panels > 6 for panels in pages) > 1
    assert "No picture of this image: fab, square." in _text(path)
    assert "digits/cnn, continued" in _text(path)


def test_names_are_words_never_program(small: Results, tmp_path: Path) -> None:
    odd = '#panic("x") *a* _b_ $c$ @d <e> \\ "quoted" // no'
    text = _write(dataclasses.replace(small, title=odd, left_out=[odd]), tmp_path)
    assert text.count('#panic("x") *a* _b_ $c$ @d <e> \\') >= 2


def test_a_long_address_stays_on_the_page(small: Results, tmp_path: Path) -> None:
    long = "onnx:net.onnx?mean=0.4914000034332,0.4821999967098,0.4465000033378&std=0.2469999939203,0.2434999942779,0.26159&data=cifar10"
    _write(dataclasses.replace(small, title=long, left_out=[f"{long}: no file"]), tmp_path)
    pages = list(pymupdf.open(tmp_path / "fake.pdf"))
    ends = [word[2] for page in pages for word in page.get_text("words")]
    margin = 2.3 / 2.54 * 72
    assert max(ends) <= pages[0].rect.width - margin + 2


def test_unknown_format_is_refused_before_anything_is_written(
    results: Results, tmp_path: Path
) -> None:
    with pytest.raises(SpecError, match="no report format named 'pfd'; did you mean pdf"):
        write_report(results, tmp_path / "out", ["csv", "pfd"])
    assert not (tmp_path / "out").exists()
