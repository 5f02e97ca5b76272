"""A run as a notebook shows it."""

from __future__ import annotations

import dataclasses
from xml.etree import ElementTree

import pandas as pd
import pytest

from bench.finished_run import Run
from bench.report import notebook
from bench.report.measured import Measured
from bench.report.notebook import run_html
from bench.runner.execute import Outcome
from bench.store.results import Results

SVG = "{http://www.w3.org/2000/svg}"
LINK = "{http://www.w3.org/1999/xlink}href"


@pytest.fixture(scope="module")
def page(results: Results) -> str:
    """Return what `Run` gives to a notebook."""
    return Run(results, Outcome(results.run, (), (), ()))._repr_html_()


@pytest.fixture(scope="module")
def tree(page: str) -> ElementTree.Element:
    return ElementTree.fromstring(page)  # which fails where a tag is not closed


def rows(table: ElementTree.Element) -> list[list[str]]:
    return [[cell.text or "" for cell in row] for row in table.iter("tr")]


def test_the_headline_is_there_row_by_row(tree: ElementTree.Element, measured: Measured) -> None:
    head, *body = rows(next(tree.iter("table")))
    assert {"threat", "clean accuracy (%)", "robust accuracy (%)"} <= set(head)
    threats = [row for row in body if len(row) > 1]
    assert len(threats) == len(measured.headline)
    at = head.index("robust accuracy (%)")
    for row, known in zip(threats, measured.headline.to_dict("records"), strict=True):
        if pd.notna(known["robust_accuracy"]):
            assert row[at].split()[0] == f"{100 * known['robust_accuracy']:.1f}"


def test_there_is_a_drawing_for_each_norm_with_what_stands_under_it(
    tree: ElementTree.Element,
) -> None:
    figures = list(tree.iter("figure"))
    assert [len(figure.findall(f"{SVG}svg")) for figure in figures] == [1, 1]
    captions = [str(figure.findtext("figcaption")) for figure in figures]
    assert [text.split()[3] for text in captions] == ["linf", "l2"]


def test_it_needs_no_other_file_and_is_small(page: str, tree: ElementTree.Element) -> None:
    links = {element.get(LINK, "#") for element in tree.iter()}
    assert all(link.startswith("#") for link in links)
    assert not [element for element in tree.iter() if element.get("src") or element.get("href")]
    assert not list(tree.iter("script"))
    assert len(page) < 300_000


def test_it_is_the_same_each_time(page: str, results: Results) -> None:
    assert Run(results, Outcome(results.run, (), (), ()))._repr_html_() == page


def test_names_cannot_break_it(results: Results, measured: Measured) -> None:
    named = dataclasses.replace(results, title="a < b & <script>")
    page = run_html(named, measured.headline, measured.claims)
    assert ElementTree.fromstring(page).findtext("h3") == "a < b & <script>"


def test_of_many_rows_the_first_are_shown(
    results: Results, measured: Measured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notebook, "_ROWS", 1)
    page = run_html(results, measured.headline, measured.claims)
    left = len(measured.headline) - 1
    assert left > 1
    assert f"{left} more rows: .headline()" in page


def test_a_run_without_a_radius_says_so(results: Results, measured: Measured) -> None:
    page = run_html(results, measured.headline.head(0), measured.claims.head(0))
    assert "No attack of this run was given a radius." in page
