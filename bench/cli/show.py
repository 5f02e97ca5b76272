"""`bench show`: one stored cell, its settings, its summary, or why it failed."""

from __future__ import annotations

import json
from pathlib import Path

import rich_click as click

from bench.cli.options import results_option


@click.command()
@click.argument("cell")
@results_option
def show(cell: str, results: Path) -> None:
    """Show what is stored of CELL; the first letters of its key will do."""
    from bench.cli.display import print_table, say
    from bench.report.words import parameters
    from bench.store.runlog import runs
    from bench.store.store import open_store

    store = open_store(results, create=False)
    key = store.find(cell)
    record, error = store.record(key), store.last_error(key)
    # What failed is recorded in the log of the run that asked for it.
    asked = (cell for run in runs(store) for cell in run["cells"] if cell["cell"] == key)
    about = record or next(asked, None)
    if about is not None:
        attack = " ".join(str(about[part]) for part in ("attack", "norm", "eps") if about[part])
        say(f"{about['model']} · {attack} · {about['toolkit']}")
        say(parameters(about["words"]) or "the attack has no words")
    if record is not None:
        click.echo(json.dumps(record, indent=2))
        rows = store.rows(key)
        columns = ["index", "label", "clean_label", "adv_label", "success", "invalid", "l0", "l1",
                   "l2", "linf", "forwards", "backwards"]  # fmt: skip
        shown = rows[columns].head(20).round(4).astype(object)
        print_table(shown.where(shown.notna(), None).to_dict("records"))
        if len(rows) > len(shown):
            say(f"and {len(rows) - len(shown)} more rows")
    if error is not None and record is None:
        click.echo(json.dumps(error, indent=2))
