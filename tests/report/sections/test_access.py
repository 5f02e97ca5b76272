"""Accuracy by what attacks know of a model: which runs have the figure, and what it shows."""

from __future__ import annotations

import dataclasses

import build
import pymupdf
import pytest
from build import cell

from bench.report.findings import Findings
from bench.report.measured import measure
from bench.report.sections.access import frames, section
from bench.report.study import Study

CELLS = (
    cell("digits/forest", "pgd", "0.1", range(10), surface="distilled"),
    cell("digits/forest", "square", "0.1", range(5, 30), surface="predict"),
    cell("digits/cnn", "pgd", "0.1", range(50)),
    cell("digits/cnn", "square", "0.1", range(20), surface="predict"),
)


def findings(*cells):
    made = build.results(cells, images=100)
    access = made.cells["attack"].map({"square": "score"}).fillna("white")
    made = build.replace(made, cells=made.cells.assign(access=access))
    return Findings(results=made, measured=measure(made))


@pytest.fixture(scope="module")
def hidden():
    return findings(*CELLS)


def test_a_model_attacked_through_something_in_its_place_has_a_panel(hidden):
    made = section(hidden)
    (figure,) = made.blocks
    text = pymupdf.open(stream=figure.pdf)[0].get_text()
    assert "digits/forest" in text
    assert "digits/cnn" not in text
    for said in ("gradient of a surrogate", "its scores alone", "worst case of all attacks"):
        assert text.count(said) == 1, said
    assert "its own gradient" not in text
    assert "n = 100 images a panel" in figure.caption
    assert "trained substitute" not in figure.caption
    assert set(frames(hidden)["access"]["model"]) == {"digits/forest", "digits/cnn"}


def test_a_caption_says_why_a_line_is_missing(hidden):
    unmoved = cell("digits/forest", "square", "0.1", (), surface="predict", invalid=range(30))
    (figure,) = section(findings(CELLS[0], unmoved)).blocks
    said = "No marker: too many images without a valid attack."
    assert said in figure.caption
    (figure,) = section(hidden).blocks
    assert said not in figure.caption


def test_plain_networks_have_none():
    plain = findings(*CELLS[2:])
    assert section(plain) is None
    assert not frames(plain)


def test_a_brief_study_draws_its_own(hidden):
    assert section(dataclasses.replace(hidden, study=Study(brief=True))) is None
