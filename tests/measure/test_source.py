from __future__ import annotations

import json

import pytest

from bench.errors import SpecError
from bench.measure.published import read_published
from bench.measure.source import Cause, read_source
from bench.runner.suite import load_suite
from bench.store.identity import suite_content
from bench.suite_files import document_file, known_suites, published_file, suite_path

STUDIES = [name for name in known_suites() if published_file(name)]
BARE = {
    "title": "On Attacks", "authors": [], "kind": "report", "institution": None, "year": None,
    "cites": 2020,
}  # fmt: skip


def written(path, **given):
    (path / "my.json").write_text(json.dumps(BARE | given))
    return path / "my.json"


def test_every_study_names_its_document():
    assert len(STUDIES) >= 3
    for name in STUDIES:
        source = read_source(document_file(suite_path(name)))
        assert source is not None
        assert source.title in source.reference()
        # A suite and its figures lead to the same document.
        assert read_source(document_file(published_file(name))) == source


@pytest.mark.parametrize("name", STUDIES)
def test_every_cause_is_of_a_published_figure(name):
    figures = read_published(published_file(name)).to_dict("records")
    causes = read_source(document_file(suite_path(name))).causes
    assert causes
    for cause in causes:
        where = {column: said for column, said in cause.where.items() if column != "eps_published"}
        if "eps_published" in cause.where:
            where["eps"] = cause.where["eps_published"]
        known = [
            one
            | {"data": one["dataset"], "published": 0, "ours": -1 if cause.ours == "lower" else 1}
            for one in figures
        ]
        bare = Cause(where=where, ours=cause.ours, cause=cause.cause)
        assert any(map(bare.explains, known)), cause


def test_a_reference_tells_what_the_document_leaves_out(tmp_path):
    assert read_source(written(tmp_path)).reference() == (
        "On Attacks. Report. It names no author and no institution and no year. The latest work that it "
        "cites is of 2020."
    )
    full = {"authors": ["A. Author", "B. Author"], "institution": "A University", "year": 2021}
    assert read_source(written(tmp_path, **full)).reference() == (
        "A. Author, B. Author. On Attacks. Report, A University, 2021."
    )


def test_a_cause_is_of_its_figures_in_its_direction():
    cause = Cause(where={"model": "dl-*", "eps": "0.02"}, ours="lower", cause="why")
    figure = {"model": "dl-a", "eps": "0.02", "published": 50.0, "ours": 40.0}
    assert cause.explains(figure)
    assert not cause.explains(figure | {"ours": 60.0})
    assert not cause.explains(figure | {"model": "dml-a"})
    assert not cause.explains(figure | {"eps": "0.01"})
    assert Cause(where={}, cause="why").explains(figure | {"ours": 60.0})


def test_a_study_without_a_document_and_a_broken_one(tmp_path):
    assert read_source(tmp_path / "my.json") is None
    with pytest.raises(SpecError, match=r"my.json: title: .*at least 1 character"):
        read_source(written(tmp_path, title=""))
    with pytest.raises(SpecError, match=r"my.json: causes.0.wher: Extra inputs .*: take it out"):
        read_source(written(tmp_path, causes=[{"where": {}, "wher": {}, "cause": "x"}]))
    (tmp_path / "my.json").write_text("{}")
    with pytest.raises(SpecError, match=r"my.json: title: Field required; write it"):
        read_source(tmp_path / "my.json")
    (tmp_path / "my.json").write_text("{")
    with pytest.raises(SpecError, match=r"my.json: Invalid JSON: .* line 1 .*; put it right there"):
        read_source(tmp_path / "my.json")


def test_a_document_is_no_part_of_the_suite(tmp_path):
    text = suite_path("digits").read_text(encoding="utf-8")
    (tmp_path / "my.toml").write_text(text, encoding="utf-8")
    before = suite_content(load_suite(str(tmp_path / "my.toml")))
    written(tmp_path)
    assert suite_content(load_suite(str(tmp_path / "my.toml"))) == before
