"""`bench show`: one stored cell: what came of it, its settings, or why it failed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from bench.cli.options import plugin_option, results_option
from bench.spec import (
    BLACK_BOX_SURFACE,
    HANDED_IN_SURFACE,
    WHOLE_MODEL_SURFACE,
    SubstituteName,
    row_kind_named,
    transfer_source,
)

if TYPE_CHECKING:
    import pandas as pd

_ROWS = 20


@click.command()
@click.argument("cell")
@results_option
@plugin_option
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
    figures = None if rows is None else summary(rows)
    # What failed is recorded in the log of the run that asked for it.
    planned = (cell for run in runs(store) for cell in run["cells"] if cell["cell"] == key)
    about = record or next(planned, None)
    if as_json:
        outcome = {"summary": figures} if record is not None else {"error": error}
        click.echo(json.dumps({**(about or {"cell": key}), **outcome}, indent=2))
        return
    lines = [("cell", key)]
    if about is not None:
        attack = " ".join(str(about[part]) for part in ("attack", "norm", "eps") if about[part])
        made_by = [] if about["surface"] == HANDED_IN_SURFACE else [about["toolkit"]]
        click.echo(" · ".join([about["model"], attack, *made_by]))
        lines += [
            ("parameters", parameters(about["words"]) or "none"),
            ("surface", _surface(about)),
        ]
    if record is not None and rows is not None and figures is not None:
        print_list("", [*lines, *_outcome(record, figures), *_made(record)])
        _print_rows(rows)
    elif error is not None:
        print_list("", [*lines, ("FAILED", f"{error['type']}: {error['message']}"),
                        ("at", str(error["time"]))])  # fmt: skip
        click.echo(f"\n{error['traceback'].rstrip()}")
    else:
        print_table([dict(lines)])


def _surface(about: Mapping[str, Any]) -> str:
    if about["surface"] == BLACK_BOX_SURFACE:
        return "none: the attack sees the answers of the model alone"
    if about["surface"] == HANDED_IN_SURFACE:
        return "none: the images were handed in"
    if about["surface"] == WHOLE_MODEL_SURFACE:
        return (
            "whole model: the attack sees its gradients, what is inside, its scores and decisions"
        )
    substitute = SubstituteName.read(str(about["surface"]))
    if substitute is not None:
        asked = f"trained on the model's {substitute.answers} of {substitute.queries} images"
        known = about.get("substitute")
        if known is None or known["agreement"] is None:
            return f"{about['surface']}: {asked}"
        agreeing = f"agrees with it on {known['agreement']:.1%} of {known['decided']} others"
        return f"{about['surface']}: {asked}, {agreeing}"
    if transfer_source(str(about["surface"])) is not None:
        return f"{about['surface']}, on which the images were crafted"
    whose = f" of {about['climbed']}" if about["climbed"] else ""
    return f"{about['surface']}{whose}"


def _outcome(record: Mapping[str, Any], figures: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what came of a cell, a line each."""
    from bench.report import formatting

    made_on = record["identity"]["images"]
    measured = row_kind_named(record["identity"]["kind"]).measures
    images = formatting.plural(figures["images"], "image")
    where = f"{made_on['data']} ({made_on['split']})"
    yield (
        "images",
        f"{images} of {where}, {figures['correct']} right, {figures['attacked']} attacked",
    )
    if figures["attacked"]:
        rate = formatting.rate(figures["success_rate"], figures["low"], figures["high"])
        yield "success", f"{figures['successes']} of {figures['attacked']}: {rate} %"
    if measured is not None:
        yield measured.found, f"{figures['found']} of {images}"
        if figures[measured.name]:
            yield measured.name, _spread(figures[measured.name], "linf")
    for norm, spread in figures["distances"].items():
        yield norm, f"{_spread(spread, norm)}, of the successes"
    for reason, count in figures["invalid"].items():
        yield "invalid", f"{count}: {reason}"
    for kind in ("borderline", "abstained"):
        if figures[kind]:
            yield kind, str(figures[kind])
    if figures["attacked"]:
        passes = f"{formatting.count(figures['forwards'])} forwards, {formatting.count(figures['backwards'])} backwards"
        yield "cost", f"{passes}, {formatting.milliseconds(figures['seconds'])} ms an image"


def _spread(spread: Mapping[str, float], norm: str) -> str:
    from bench.report.formatting import distance

    parts = ("least", "median", "largest")
    least, median, largest = (distance(norm, spread[part]) for part in parts)
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
