"""Sections that somebody else has written, and gone wrong: one line that says which and where."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bench.errors import BenchError, PrerequisiteError, SpecError
from bench.report import rules
from bench.report.blocks import Column, Figure, Section, Table, Text
from bench.report.document import document, frames
from bench.report.document import origin as origin_of
from bench.report.findings import Findings
from bench.report.render import csv, latex, pdf
from bench.report.rules import SectionRule, register_section, section_rules
from bench.report.write import write_report
from bench.store.results import Results

HERE = Path(__file__).name
FRAME = pd.DataFrame({"a": ["1"]})
TABLE = Table(name="mine", caption="What.", columns=(Column("a"),), frame=FRAME)


@pytest.fixture(autouse=True)
def _forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "_REGISTERED", {})


def add(make: Any = lambda findings: None, name: str = "mine", place: Any = 1, **more: Any) -> None:
    register_section(SectionRule(name=name, place=place, make=make, **more))


def of(*blocks: Any, label: str = "mine") -> Callable[[Findings], Section]:
    """Return what makes a section of these blocks."""
    return lambda findings: Section(label=label, title="Mine", blocks=blocks)


def fails(findings: Findings) -> Any:
    print("on its way")  # noqa: T201
    raise ValueError("missing\nand more")


def leaves(findings: Findings) -> Any:
    sys.exit(3)


def refuses(findings: Findings) -> Any:
    raise PrerequisiteError("no weights; run this")


def test_a_section_that_fails_is_told_with_file_and_line(
    findings: Findings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    line = fails.__code__.co_firstlineno + 2
    told = rf"^section 'mine': {HERE}, line {line}: ValueError: missing$"
    add(fails)
    with pytest.raises(BenchError, match=told):
        document(findings)
    monkeypatch.setattr(rules, "_REGISTERED", {})
    add(frames=fails)
    with pytest.raises(BenchError, match=told):
        frames(findings)
    assert capsys.readouterr() == ("", "on its way\non its way\n")  # stdout is for data


def test_a_section_that_ends_the_program_fails(findings: Findings) -> None:
    add(leaves)
    with pytest.raises(BenchError, match=f"^section 'mine': {HERE}, line .*: SystemExit: 3"):
        document(findings)


def test_an_error_of_bench_keeps_its_exit_code(findings: Findings) -> None:
    add(refuses)
    with pytest.raises(PrerequisiteError, match=r"^section 'mine': no weights; run this$"):
        document(findings)


def _table(**other: Any) -> Callable[[Findings], Section]:
    return of(dataclasses.replace(TABLE, **other))


NAME = "a name is of letters, digits"
WRONG = {
    "list": (lambda findings: [TABLE], r"returned list; return bench\.report\.blocks\.Section"),
    "label": (of(TABLE, label=""), "the label is ''; give it words"),
    "blocks": (
        lambda findings: Section(label="a", title="b", blocks="text"),  # type: ignore[arg-type]
        "blocks is str; give a tuple of blocks",
    ),
    "block": (of(TABLE, "text"), "str is no block; blocks are Text, Facts, Table"),
    "kind": (
        _table(columns=(Column("a", "percent"),)),  # type: ignore[arg-type]
        "table 'mine': column 'a' has kind 'percent'; kinds are text, subject",
    ),
    "column": (_table(columns=("a",)), "table 'mine': 'a' is no column; give Column"),
    "frame": (_table(frame={"a": ["1"]}), "table 'mine': frame is dict; give a pandas DataFrame"),
    "titles": (_table(columns=(Column("b"),)), r"table 'mine': the columns of its frame are \['a'\], and the titles"),
    "path": (_table(name="../mine"), rf"a table is named '\.\./mine'; {NAME}"),
    "hidden": (_table(name=".mine"), rf"a table is named '\.mine'; {NAME}"),
    "unnamed": (_table(name=None), f"a table is named None; {NAME}"),
    "figure": (of(Figure(name="a/b", pdf=b"", caption="")), f"a figure is named 'a/b'; {NAME}"),
    "pdf": (
        of(Figure(pdf="x.pdf", caption="")),  # type: ignore[arg-type]
        "pdf of a figure is str; give the bytes",
    ),
    "twice": (of(*[Figure(name="a", pdf=b"", caption="")] * 2), "two figures are named 'a'"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_no_section_is_told(findings: Findings, case: str) -> None:
    make, told = WRONG[case]
    add(make)
    with pytest.raises(SpecError, match=f"^section 'mine': .*{HERE}, line [0-9]+: {told}"):
        document(findings)


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (FRAME, "returned DataFrame; return frames by name"),
        ({"rates": [1]}, "frame 'rates' is list; give a pandas DataFrame"),
        ({"../rates": FRAME}, f"a frame is named '../rates'; {NAME}"),
        ({".rates": FRAME}, f"a frame is named '.rates'; {NAME}"),
        ({1: FRAME}, f"a frame is named 1; {NAME}"),
    ],
)
def test_what_are_no_frames_is_told(findings: Findings, made: Any, told: str) -> None:
    add(frames=lambda findings: made)
    with pytest.raises(SpecError, match=f"^section 'mine': .*{HERE}, line [0-9]+: {told}"):
        frames(findings)


@pytest.mark.parametrize(
    ("make", "other", "what"),
    [
        (_table(name="Headline"), "headline", "table 'headline'"),
        (of(TABLE, label="protocol"), "protocol", "label 'protocol'"),
    ],
)
def test_a_name_is_of_one_section(findings: Findings, make: Any, other: str, what: str) -> None:
    add(make)
    told = f"^section '{other}' has a {what}, and so has section 'mine'; rename one$"
    with pytest.raises(SpecError, match=told):
        document(findings)


def test_a_frame_is_of_one_section(findings: Findings) -> None:
    add(frames=lambda findings: {"headline": FRAME})
    told = "^section 'headline' has a frame 'headline', and so has section 'mine'; rename one$"
    with pytest.raises(SpecError, match=told):
        frames(findings)


def test_a_frame_s_own_column_is_not_written_over(findings: Findings) -> None:
    origin = origin_of(findings.results)
    with pytest.raises(SpecError, match=r"^frame 'rates' has a column 'split', which in every"):
        csv.render(origin, {"rates": FRAME.assign(split="first half")})
    with pytest.raises(SpecError, match=r"^frame 'rates' has two columns 'a'; rename one"):
        csv.render(origin, {"rates": pd.concat([FRAME, FRAME], axis=1)})
    (same,) = csv.render(origin, {"rates": FRAME.assign(split=origin.split)}).values()
    assert same.startswith(b"a,split,suite,")  # says the same


@pytest.mark.slow
def test_what_cannot_be_printed_is_told_with_its_section(
    findings: Findings, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(of(Text(text=object())))  # type: ignore[arg-type]
    with pytest.raises(BenchError, match=r"^section 'mine' cannot be printed: TypeError: .*; give"):
        pdf.render(document(findings))
    monkeypatch.setattr(rules, "_REGISTERED", {})
    add(_table(notes=(1,)))
    with pytest.raises(BenchError, match=r"^section 'mine' cannot be printed: TypeError: .*; give"):
        latex.render(document(findings))


def test_a_report_is_never_half_new(results: Results, tmp_path: Path) -> None:
    add(frames=fails)
    with pytest.raises(BenchError, match="section 'mine'"):
        write_report(results, tmp_path / "out", ("latex", "csv"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ({}, r"bench\.register_section takes bench\.SectionRule\(.*\), not dict"),
        ({"name": ""}, "the name of a section is a word, not ''"),
        ({"place": "last"}, "the place of section 'mine' is 'last'; give a number"),
        ({"place": float("nan")}, "the place of section 'mine' is nan; give a number"),
        ({"place": True}, "the place of section 'mine' is True; give a number"),
        ({"place": 35}, "section 'mine' has the place 35 of section 'checks'; give another"),
        ({"place": 75}, "section 'mine' has the place 75 of section 'configurations'; give"),
        ({"make": None}, "'make' of section 'mine' is no function; write make=FUNCTION"),
        ({"frames": {}}, "'frames' of section 'mine' is no function; write frames=FUNCTION"),
        ({"name": "headline"}, "a section named 'headline' is there already, by .*; rename yours"),
    ],
)
def test_what_cannot_be_registered_is_told(rule: dict[str, Any], told: str) -> None:
    given: Any = {"name": "mine", "place": 157, "make": fails} | rule
    with pytest.raises(SpecError, match=told):
        register_section(SectionRule(**given) if rule else {})  # type: ignore[arg-type]
    assert "mine" not in {known.name for known in section_rules()}


def test_a_section_may_be_registered_again() -> None:
    add(fails)
    add(fails, place=158)
    assert [rule.place for rule in section_rules() if rule.name == "mine"] == [158]


def test_a_study_s_section_stands_beside_others_too(monkeypatch: pytest.MonkeyPatch) -> None:
    class Module:
        __file__ = "toy/section.py"
        SECTION = SectionRule(name="headline", place=157, make=fails)

    monkeypatch.setattr(rules, "study_modules", lambda name: [Module])
    with pytest.raises(SpecError, match="a section named 'headline' is there already"):
        section_rules()
    del Module.SECTION
    with pytest.raises(SpecError, match=r"^toy/section\.py: SECTION takes .*, not NoneType"):
        section_rules()


def test_our_own_sections_are_looked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    before = section_rules()
    monkeypatch.setattr(rules.pkgutil, "iter_modules", lambda path: pytest.fail("looked again"))
    assert section_rules() == before
    add(fails)
    assert len(section_rules()) == len(before) + 1
