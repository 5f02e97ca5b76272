"""Reports of two runs that take the place of each other; what is in their files is made beforehand, once."""

from __future__ import annotations

import pickle
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from scenes import stormy

FORMATS = ("pdf", "csv", "latex")

#: So many cells the two runs have. The report of the larger one has files that the other lacks.
SMALL, LARGE = 1, 2


def make(calm: Path) -> None:
    """Run one attack of the suite in a folder `reported`, then both, and keep what their reports hold."""
    from bench.report.document import document, frames, origin
    from bench.report.findings import find
    from bench.report.measured import measure
    from bench.report.render import csv, latex, pdf
    from bench.runner.execute import execute
    from bench.runner.loading import Setting
    from bench.runner.plan import make_plan
    from bench.runner.selection import Selection
    from bench.runner.suite import load_suite
    from bench.store.results import load_results
    from bench.store.store import open_store

    suite, root = calm / f"{stormy.NAME}.toml", calm / "reported"
    setting = Setting(batch_size=4, device="cpu")
    small = make_plan(load_suite(str(suite)), Selection(attacks=["one-pixel"]), setting)
    for plan in (small, stormy.plan(suite)):
        run = execute(plan, open_store(root)).run
        results = load_results(root, stormy.NAME, run=run)
        found = find(results, measure(results), None)
        made = {
            "pdf": pdf.render(document(found)),
            "csv": csv.render(origin(results), frames(found)),
            "latex": latex.render(document(found)),
        }
        (calm / f"report-{len(plan.cells)}").write_bytes(pickle.dumps((run, made)))


@cache
def _made(calm: Path, cells: int) -> tuple[Any, dict[str, dict[str, bytes]]]:
    from bench.store.results import load_results

    run, made = pickle.loads((calm / f"report-{cells}").read_bytes())
    return load_results(calm / "reported", stormy.NAME, run=run), made


def files_of(calm: Path, cells: int) -> dict[str, bytes]:
    return {
        name: content for files in _made(calm, cells)[1].values() for name, content in files.items()
    }


def write(calm: Path, cells: int, out: Path) -> None:
    """Write the report of the run of so many cells as a command does."""
    from bench.report.write import write_findings

    results, made = _made(calm, cells)
    renderers = {
        name: SimpleNamespace(render=lambda *parts, files=files: files)
        for name, files in made.items()
    }
    nothing = {"document": lambda found: None, "frames": lambda found: None}
    with mock.patch.multiple("bench.report.write", **renderers, **nothing):
        write_findings(SimpleNamespace(results=results), out, FORMATS)


def read(out: Path) -> dict[str, bytes]:
    """Return the files of a report, without the record beside it and without unfinished ones."""
    paths = (
        path for path in out.glob("*") if not path.name.startswith(".") and path.suffix != ".json"
    )
    return {path.name: path.read_bytes() for path in paths}
