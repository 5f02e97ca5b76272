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
from rich.table import Column
from rich.text import Text

from bench.cli.screen import lay_out, width_of

if TYPE_CHECKING:
    import pandas as pd

    from bench.runner.estimate import Estimate
    from bench.runner.plan import Plan

Mode = Literal["rich", "plain", "none"]

#: Lines of words are no longer than this, however wide the terminal.
_WIDTH = 100


def say(line: str) -> None:
    """Print a line for people, on stderr; on a terminal its words are not broken."""
    width = width_of(sys.stderr) if sys.stderr.isatty() else None
    click.echo(line if width is None else _filled(line, width), err=True)


def _filled(line: str, width: int, hanging: str = "  ") -> str:
    return textwrap.fill(
        line, width, subsequent_indent=hanging, break_long_words=False, break_on_hyphens=False
    )


def print_table(
    rows: Sequence[Mapping[Any, Any]], to: TextIO | None = None, group: str | None = None
) -> None:
    """Print rows as a table that a terminal has room for.

    What goes into a file has a line a row, however long, unless COLUMNS says how wide it may be.

    Args:
        rows: all with the same keys.
        to: where; None for stdout.
        group: the column that may stand above the rows that share it; None for the first.
    """
    if not rows:
        return
    stream = to or sys.stdout
    console = Console(file=stream, width=10_000, soft_wrap=True, highlight=False)
    for line in lay_out(rows, width_of(stream), group):
        console.print(line)


def print_list(title: str, items: Sequence[tuple[str, str]]) -> None:
    """Print names with a sentence each under a title on stdout, in lines of a terminal's width."""
    if not items:
        return
    room = min(shutil.get_terminal_size((_WIDTH, 0)).columns, _WIDTH)
    indent = max(len(name) for name, _ in items) + 2
    if title:
        click.echo(f"\n{title}")
    for name, words in items:
        click.echo(_filled(name.ljust(indent) + words, room, " " * indent))


def print_events(event: str, table: pd.DataFrame) -> None:
    """Print the rows of a frame as JSON lines, which have no words for NaN and infinity: these become null."""
    known = table.notna() & ~table.isin([float("inf")])
    for record in table.astype(object).where(known, None).to_dict("records"):
        click.echo(json.dumps({"event": event, **record}, default=str))


class Display:
    """Receives the events of a run and shows them."""

    def __init__(self, mode: Mode, as_json: bool) -> None:
        self.mode = mode
        self.as_json = as_json
        console = Console(stderr=True)
        self.progress = Progress(
            # The title gives way where a line is short; the counts never do.
            TextColumn("{task.description}", table_column=Column(no_wrap=True, ratio=1)),
            BarColumn(bar_width=20 if console.width >= _WIDTH else 6),
            MofNCompleteColumn(table_column=Column(no_wrap=True)),
            TextColumn("images", table_column=Column(no_wrap=True)),
            TimeElapsedColumn(table_column=Column(no_wrap=True)),
            TextColumn("left", table_column=Column(no_wrap=True)),
            TimeRemainingColumn(table_column=Column(no_wrap=True)),
            console=console,
            expand=True,
            disable=mode != "rich",
        )
        self.task: Any = None
        self.titles: dict[str, str] = {}
        self.images: dict[str, int] = {}
        self.seen = 0
        self.within: dict[str, int] = {}  # by cell, of which workers compute several at once
        self.taken_over: dict[str, list[str]] = {}

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

    def _further(self, plan: Plan) -> None:
        """Show that attacks are added that the suite does not ask for."""
        self.titles |= {key: f"{cell.title()} (auto)" for key, cell in plan.cells.items()}
        self.images |= {key: len(plan.images_of(cell)) for key, cell in plan.cells.items()}
        figures = "one figure" if len(plan.cells) == 1 else f"{len(plan.cells)} figures"
        most = max(int(cell.attack.parameter("passes")) for cell in plan.cells.values())
        self.note(
            f"adaptive is added for {figures}, where the suite's own attacks may be too weak: up to {most:,} "
            f"passes for each image; --trust-budget makes it fewer"
        )
        if self.task is None:
            self.task = self.progress.add_task("", total=0)
        self.progress.update(self.task, total=sum(self.images.values()))

    def __call__(self, event: Mapping[str, Any]) -> None:
        """Show one event of `bench.runner.execute` or of `bench.runner.examine`."""
        if event["event"] == "note":
            self.note(event["note"])
            return
        if event["event"] in ("look", "more", "end"):
            self._of_added_images(event)
            return
        if event["event"] == "further":
            self._further(event["plan"])
            return
        kind, title = event["event"], self.titles[event["cell"]]
        if self.as_json and kind in ("taken over", "kept", "done", "failed"):
            click.echo(json.dumps({**event, "title": title}))
        if kind == "start":
            self.progress.update(self.task, description=title)
        elif kind == "taken over":
            self.taken_over.setdefault(event["cell"], []).append(
                f", {event['images']} images taken over from {event['from'][:12]}"
            )
        elif kind == "chunk":
            self.within[event["cell"]] = self.within.get(event["cell"], 0) + event["images"]
            self.progress.advance(self.task, event["images"])
        else:
            self.seen += 1
            within = self.within.pop(event["cell"], 0)
            self.progress.advance(self.task, self.images[event["cell"]] - within)
            if kind == "failed":
                self.note(f"[{self.seen}/{len(self.titles)}] {title}: FAILED: {event['error']}")
            elif self.mode == "plain":
                tail = "kept" if kind == "kept" else f"{event['seconds']:.1f} s"
                tail += "".join(self.taken_over.pop(event["cell"], ()))
                self.note(f"[{self.seen}/{len(self.titles)}] {title}: {tail}")

    def _of_added_images(self, event: Mapping[str, Any]) -> None:
        """Show what `bench.runner.decide` is about to do."""
        if event["event"] == "more":
            self.titles, self.images, self.seen = event["titles"], event["images"], 0
            self.progress.remove_task(self.task)
            self.task = self.progress.add_task("", total=sum(self.images.values()))
            return
        if self.as_json:
            click.echo(json.dumps(event))
        if event["event"] == "look" and event["cells"]:
            from bench.runner.estimate import duration

            undecided = f"{event['undecided']} of {event['comparisons']} comparisons are undecided"
            images = " to ".join(
                dict.fromkeys(str(n) for n in (event["images"][0], event["images"][-1]))
            )
            self.note(
                f"{undecided}: {event['cells']} cells get images, up to {images} each, "
                f"{duration(event['seconds'])}"
            )


@contextmanager
def make_display(mode: Mode | None, as_json: bool) -> Iterator[Display]:
    """Yield a display in a mode; None picks rich on a terminal and plain elsewhere."""
    display = Display(mode or ("rich" if sys.stderr.isatty() else "plain"), as_json)
    with display.progress:
        yield display
