"""`bench show`: one stored cell: what came of it, its settings, or why it failed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from bench.cli.options import results_option
from bench.spec import BLACK_BOX_SURFACE

if TYPE_CHECKING:
    import pandas as pd

_ROWS = 20


@click.command()
@click.argument("cell")
@results_option
@click.option("--json", "as_json", is_flag=True, help="Print all that is stored of it as JSON.")
def show(cell: str, results: Path, as_json: bool) -> None:
    """Show what came of CELL, or why it failed; the first letters of its key will do."""
    from bench.cli.display import print_list, print_table
    from bench.measure.summary import summary
    from bench.report.formatting import parameters
    from bench.store.runlog import runs
    from bench.store.store import open_store

    store = open_store(results, create=False)
    key = store.find(cell)
    record, error = store.record(key), store.last_error(key)
    rows = None if record is None else store.rows(key)
    found = None if rows is None else summary(rows)
    # What failed is recorded in the log of the run that asked for it.
    asked = (cell for run in runs(store) for cell in run["cells"] if cell["cell"] == key)
    about = record or next(asked, None)
    if as_json:
        told = {"summary": found} if record is not None else {"error": error}
        click.echo(json.dumps({**(about or {"cell": key}), **told}, indent=2))
        return
    lines = [("cell", key)]
    if about is not None:
        attack = " ".join(str(about[part]) for part in ("attack", "norm", "eps") if about[part])
        click.echo(f"{about['model']} · {attack} · {about['toolkit']}")
        lines += [
            ("parameters", parameters(about["words"]) or "none"),
            ("climbed", _climbed(about)),
        ]
    if record is not None and rows is not None and found is not None:
        print_list("", [*lines, *_outcome(record, found), *_made(record)])
        _print_rows(rows)
    elif error is not None:
        print_list("", [*lines, ("FAILED", f"{error['type']}: {error['message']}"),
                        ("at", str(error["time"]))])  # fmt: skip
        click.echo(f"\n{error['traceback'].rstrip()}")
    else:
        print_table([dict(lines)])


def _climbed(about: Mapping[str, Any]) -> str:
    if about["surface"] == BLACK_BOX_SURFACE:
        return "nothing, the model is a black box to it"
    whose = f" of {about['climbed']}" if about["climbed"] else ""
    return f"{about['surface']}{whose}"


def _outcome(record: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what came of a cell, a line each."""
    from bench.report import formatting

    made_on = record["identity"]["images"]
    images = formatting.plural(found["images"], "image")
    where = f"{made_on['data']} ({made_on['split']})"
    yield "images", f"{images} of {where}, {found['correct']} right, {found['attacked']} attacked"
    if found["attacked"]:
        rate = formatting.rate(found["success_rate"], found["low"], found["high"])
        yield "success", f"{found['successes']} of {found['attacked']}: {rate} %"
    if "found" in found:
        what = "certified" if record["kind"] == "certify" else "labels that change"
        yield what, f"{found['found']} of {images}"
        if found["radius"]:
            yield "radius", _spread(found["radius"])
    for norm, spread in found["distances"].items():
        yield norm, f"{_spread(spread)}, of the successes"
    for reason, count in found["invalid"].items():
        yield "invalid", f"{count}: {reason}"
    for kind in ("borderline", "abstained"):
        if found[kind]:
            yield kind, str(found[kind])
    if found["attacked"]:
        passes = f"{formatting.count(found['forwards'])} forwards, {formatting.count(found['backwards'])} backwards"
        yield "cost", f"{passes}, {formatting.milliseconds(found['seconds'])} ms an image"


def _spread(spread: Mapping[str, float]) -> str:
    from bench.report.formatting import amount

    least, median, largest = (amount(spread[part]) for part in ("least", "median", "largest"))
    return f"median {median}, from {least} to {largest}"


def _made(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    from bench.report import formatting

    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    made = f"{formatting.date(record['started'])} on {record['host']}, {record['device']}"
    return [("made", made), ("with", versions)]


def _print_rows(rows: pd.DataFrame) -> None:
    from bench.cli.display import print_table, say

    columns = ["index", "label", "clean_label", "adv_label", "success", "invalid", "l0", "l1", "l2",
               "linf", "forwards", "backwards"]  # fmt: skip
    shown = rows[columns].head(_ROWS).round(4).astype(object)
    click.echo()
    print_table(shown.where(shown.notna(), None).to_dict("records"))
    if len(rows) > len(shown):
        say(f"and {len(rows) - len(shown)} more rows")
