"""Checks what sections return, since a section may be a user's code and all share one report."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, get_args

import pandas as pd

from bench.errors import BenchError, SpecError
from bench.registry import first_line, users_code, where
from bench.report.blocks import (
    Block,
    Column,
    ColumnKind,
    Figure,
    PublishedTable,
    Section,
    Table,
    ThreatMatrix,
)
from bench.report.findings import Findings
from bench.report.rules import SectionRule, origin, section_rules

#: Names that are part of the name of a file.
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")


def made_sections(findings: Findings) -> list[Section]:
    """Return the sections that a run has something for, in order.

    Raises:
        BenchError: a section fails or makes something that cannot be printed.
        SpecError: two sections have the same label, or tables or figures of the same name.
    """
    found: list[Section] = []
    labels: dict[str, str] = {}
    named: dict[str, str] = {}
    for rule in section_rules():
        section = _called(rule, rule.make, findings)
        if section is None:
            continue
        if problem := _wrong_section(section):
            raise SpecError(f"section {rule.name!r}: {origin(rule.make)}: {problem}")
        if not section.blocks:
            continue
        _take(labels, rule, "label", section.label)
        for what, name in dict.fromkeys(_names(section)):
            _take(named, rule, what, name)
        found.append(section)
    return found


def made_frames(findings: Findings) -> dict[str, pd.DataFrame]:
    """Return the raw numbers of a run by the names of their files, in the order of the sections.

    Raises:
        BenchError: a section fails, or gives something else than frames by name.
        SpecError: two sections have frames of the same name.
    """
    found: dict[str, pd.DataFrame] = {}
    taken: dict[str, str] = {}
    for rule in section_rules():
        frames = _called(rule, rule.frames, findings)
        if problem := _wrong_frames(frames):
            raise SpecError(f"section {rule.name!r}: {origin(rule.frames)}: {problem}")
        for name in frames:
            _take(taken, rule, "frame", name)
        found |= frames
    return found


def _called(rule: SectionRule, function: Callable[[Findings], Any], findings: Findings) -> Any:
    """Return what a function of a section returns."""
    try:
        with users_code():
            return function(findings)
    except BenchError as error:
        raise type(error)(f"section {rule.name!r}: {error}") from error
    except (Exception, SystemExit) as error:  # a section is anybody's code
        raise BenchError(f"section {rule.name!r}: {where(error)}: {first_line(error)}") from error


def _take(taken: dict[str, str], rule: SectionRule, what: str, name: str) -> None:
    """Note whose a name is; some systems take `a` and `A` for one file."""
    held = taken.setdefault(name.casefold(), rule.name)
    if held != rule.name:
        raise SpecError(
            f"section {rule.name!r} has a {what} {name!r}, and so has section {held!r}; rename one"
        )


def _names(section: Section) -> Iterator[tuple[str, str]]:
    """Yield what is written as a file of its own, with its name."""
    for block in section.blocks:
        if isinstance(block, PublishedTable):
            yield "table", f"table-{block.number}"
        elif isinstance(block, Table | ThreatMatrix | Figure) and block.name:
            yield "figure" if isinstance(block, Figure) else "table", block.name


def _wrong_section(section: object) -> str:
    """Return in words what is wrong with a section; empty if nothing is."""
    if not isinstance(section, Section):
        return (
            f"returned {type(section).__name__}; return bench.report.blocks.Section(label=..., "
            f"title=..., blocks=...) or None"
        )
    for attribute in ("label", "title"):
        if not isinstance(getattr(section, attribute), str) or not getattr(section, attribute):
            return f"the {attribute} is {getattr(section, attribute)!r}; give it words"
    blocks: object = section.blocks
    if not isinstance(blocks, tuple | list):
        return f"blocks is {type(blocks).__name__}; give a tuple of blocks"
    problems = (_wrong_block(block) for block in blocks)
    figures = [name for what, name in _names(section) if what == "figure"]
    twice = next((name for name in figures if figures.count(name) > 1), None)
    found = next(filter(None, problems), "")
    return found or (f"two figures are named {twice!r}; rename one" if twice else "")


def _wrong_block(block: object) -> str:
    if not isinstance(block, get_args(Block)):
        known = ", ".join(kind.__name__ for kind in get_args(Block))
        return f"{type(block).__name__} is no block; blocks are {known}"
    if isinstance(block, Table | ThreatMatrix | Figure) and block.name != "":
        kind = "figure" if isinstance(block, Figure) else "table"
        if problem := _wrong_name(kind, block.name):
            return problem
    content: object = block.pdf if isinstance(block, Figure) else b""
    if not isinstance(content, bytes):
        return f"pdf of a figure is {type(content).__name__}; give the bytes of the file"
    return _wrong_table(block) if isinstance(block, Table) else ""


def _wrong_name(what: str, name: object) -> str:
    if isinstance(name, str) and _NAME.fullmatch(name):
        return ""
    return (
        f"a {what} is named {name!r}; a name is of letters, digits, '-', '_' and '.', and does not "
        f"begin with '.'"
    )


def _wrong_table(table: Table) -> str:
    called = f"table {table.name or table.caption!r}"
    columns: object = table.columns
    frame: object = table.frame
    if not isinstance(columns, tuple | list):
        return f"{called}: columns is {type(columns).__name__}; give a tuple of Column(title, kind)"
    for column in columns:
        if not isinstance(column, Column) or not isinstance(column.title, str):
            return f"{called}: {column!r} is no column; give Column(title, kind)"
        if column.kind not in get_args(ColumnKind):
            kinds = ", ".join(get_args(ColumnKind))
            return f"{called}: column {column.title!r} has kind {column.kind!r}; kinds are {kinds}"
    if not isinstance(frame, pd.DataFrame):
        return f"{called}: frame is {type(frame).__name__}; give a pandas DataFrame"
    titles = [column.title for column in columns]
    if list(frame.columns) != titles or len(set(titles)) < len(titles):
        return (
            f"{called}: the columns of its frame are {list(frame.columns)}, and the titles "
            f"{titles}; make them the same, each once"
        )
    return ""


def _wrong_frames(frames: object) -> str:
    """Return in words what is wrong with raw numbers; empty if nothing is."""
    if not isinstance(frames, Mapping):
        return (
            f"returned {type(frames).__name__}; return frames by name, such as {{'rates': rates}}"
        )
    for name, frame in frames.items():
        if problem := _wrong_name("frame", name):
            return problem
        if not isinstance(frame, pd.DataFrame):
            return f"frame {name!r} is {type(frame).__name__}; give a pandas DataFrame"
    return ""
