"""What a user sees of a run: progress on stderr, tables and JSON lines on stdout."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, TextIO

import rich_click as click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from bench.runner.estimate import Estimate
    from bench.runner.plan import Plan

Mode = Literal["rich", "plain", "none"]

#: Lines of words are no longer than this, however wide the terminal.
_WIDTH = 100


def say(line: str) -> None:
    """Print a line for people, on stderr."""
    click.echo(line, err=True)


def print_table(rows: Sequence[Mapping[Any, Any]], to: TextIO | None = None) -> None:
    """Print rows as a table, one line each however long; on stdout where nothing else is said."""
    if not rows:
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in rows[0]:
        numeric = all(isinstance(row[name], int | float) for row in rows)
        table.add_column(name, justify="right" if numeric else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(Text("" if value is None else str(value)) for value in row.values()))
    # As wide as it takes: what is piped into a file must not be cut at a terminal's width.
    width = Console(width=10_000).measure(table).maximum
    Console(file=to or sys.stdout, width=width, soft_wrap=True).print(table)


def print_list(title: str, items: Sequence[tuple[str, str]]) -> None:
    """Print names with a sentence each under a title on stdout, in lines of a terminal's width."""
    if not items:
        return
    room = min(shutil.get_terminal_size((_WIDTH, 0)).columns, _WIDTH)
    indent = max(len(name) for name, _ in items) + 2
    click.echo(f"\n{title}")
    for name, words in items:
        click.echo(
            textwrap.fill(
                words, room, initial_indent=name.ljust(indent), subsequent_indent=" " * indent,
                break_long_words=False, break_on_hyphens=False,
            )
        )  # fmt: skip


class Display:
    """Receives the events of a run and shows them."""

    def __init__(self, mode: Mode, as_json: bool) -> None:
        self.mode = mode
        self.as_json = as_json
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("images"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=mode != "rich",
        )
        self.task: Any = None
        self.titles: dict[str, str] = {}
        self.images: dict[str, int] = {}
        self.seen = 0
        self.within = 0

    def note(self, line: str) -> None:
        """Show a line about what is going on."""
        if self.mode == "rich":
            self.progress.console.print(Text(line))
        elif self.mode == "plain":
            say(line)

    def begin(self, plan: Plan, expected: Estimate) -> None:
        """Show what is going to be done, and about how long it will take."""
        self.titles = {key: cell.title() for key, cell in plan.cells.items()}
        self.images = {key: len(plan.images_of(cell)) for key, cell in plan.cells.items()}
        for line in plan.left_out:
            self.note(f"left out: {line}")
        self.note(expected.line())
        if self.as_json:
            event = {"event": "plan", "cells": expected.cells, "images": max(expected.images),
                     "to_do": len(expected.seconds), "seconds": round(expected.total, 1)}  # fmt: skip
            click.echo(json.dumps(event))
        self.task = self.progress.add_task("", total=sum(self.images.values()))

    def __call__(self, event: Mapping[str, Any]) -> None:
        """Show one event of `bench.runner.execute`."""
        if event["event"] == "note":
            self.note(event["note"])
            return
        kind, title = event["event"], self.titles[event["cell"]]
        if self.as_json and kind in ("kept", "done", "failed"):
            click.echo(json.dumps({**event, "title": title}))
        if kind == "start":
            self.within = 0
            self.progress.update(self.task, description=title)
        elif kind == "chunk":
            self.within += event["images"]
            self.progress.advance(self.task, event["images"])
        else:
            self.seen += 1
            self.progress.advance(self.task, self.images[event["cell"]] - self.within)
            self.within = 0
            if kind == "failed":
                self.note(f"[{self.seen}/{len(self.titles)}] {title}: FAILED: {event['error']}")
            elif self.mode == "plain":
                tail = "kept" if kind == "kept" else f"{event['seconds']:.1f} s"
                self.note(f"[{self.seen}/{len(self.titles)}] {title}: {tail}")


@contextmanager
def make_display(mode: Mode | None, as_json: bool) -> Iterator[Display]:
    """Yield a display in a mode; None picks rich on a terminal and plain elsewhere."""
    display = Display(mode or ("rich" if sys.stderr.isatty() else "plain"), as_json)
    with display.progress:
        yield display
