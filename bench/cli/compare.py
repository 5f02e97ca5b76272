"""`bench compare`: what changed between two runs of a suite, and for which models it is worse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from bench.cli.options import complete_suites, plugin_option

if TYPE_CHECKING:
    from bench.measure.compared_runs import Comparison
    from bench.store.results import Results

_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command()
@click.argument("a", type=_FOLDER, metavar="RESULTS_A")
@click.argument("b", type=_FOLDER, metavar="RESULTS_B")
@click.option(
    "--suite", metavar="NAME|FILE", shell_complete=complete_suites,
    help="The suite whose last runs are compared. Default: the only one that both folders have.",
)  # fmt: skip
@click.option(
    "--fail-on", type=click.Choice(["worse"]),
    help="Exit with 1 where clean accuracy or robustness is significantly worse in B, or where B lacks a "
    "result that A has though it was asked for it.",
)  # fmt: skip
@click.option(
    "--junit", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Also write the comparison as JUnit XML: a test case for each cell and each accuracy.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@plugin_option
@click.pass_context
def compare(ctx: click.Context, /, a: Path, b: Path, suite: str | None, **options: Any) -> None:
    """Compare the last runs of a suite in two folders of results, A and B; computes nothing.

    Cells are matched by what they are (model, attack with its parameters, toolkit, surface, goal) and compared
    on the images that both runs have: by whether an image is robust or, where an attack looks for the
    nearest image, by whether it is broken at a distance that is smaller by more than 1 %. The tests are exact
    and paired (McNemar), adjusted by Holm's method: of two runs between which nothing changed, it calls
    something worse or better at most 5 times in 100. A robust accuracy is that of the attacks that have a result in both runs.

    The last line says `same` (all rows are equal), `differs by noise` (rows differ, none significantly) or
    `differs`, and for which models B is worse or better.
    """
    from bench.cli.display import say
    from bench.cli.stored import about
    from bench.comparison import last_runs
    from bench.measure.compared_runs import compare_runs
    from bench.measure.paired_runs import NO_RESULT_IN_B, WORSE

    runs = last_runs(a, b, suite)
    for name, folder, run in zip("AB", (a, b), runs, strict=True):
        for line in run.notes:
            say(f"{name}: {line}")
        say(f"{name}: {folder}: suite {run.suite}, {about(run)}")
    compared = compare_runs(*runs)
    for line in compared.notes:
        say(line)
    if options["junit"] is not None:
        _write_junit(options["junit"], compared, runs)
    if options["as_json"]:
        _print_json(compared, runs)
    else:
        _print(compared, runs)
    if options["fail_on"] and (compared.changed(WORSE) or compared.changed(NO_RESULT_IN_B)):
        ctx.exit(1)


def _write_junit(path: Path, compared: Comparison, runs: tuple[Results, Results]) -> None:
    from bench.cli.compare_tables import CellNames, cases
    from bench.cli.junit import junit
    from bench.store.files import atomic_write

    title = f"bench compare: {runs[1].suite}"
    atomic_write(path, junit(title, cases(compared, CellNames(runs))), "--junit FILE")


def _print_json(compared: Comparison, runs: tuple[Results, Results]) -> None:
    from bench.cli.compare_tables import closing_line
    from bench.cli.display import print_events
    from bench.measure.paired_runs import BETTER, WORSE

    print_events("made", compared.made)
    print_events("model", compared.models)
    print_events("cell", compared.cells)
    a, b = runs
    last = {
        "event": "verdict", "verdict": compared.verdict, "worse": compared.changed(WORSE),
        "better": compared.changed(BETTER), "line": closing_line(compared), "suite": b.suite,
        "run_a": a.run, "run_b": b.run,
    }  # fmt: skip
    click.echo(json.dumps(last))


def _print(compared: Comparison, runs: tuple[Results, Results]) -> None:
    """Print what was made differently, the models, the cells that are not all the same, and the verdict."""
    from bench.cli.compare_tables import (
        CellNames,
        cell_rows,
        closing_line,
        made_rows,
        model_rows,
        uncompared_rows,
    )
    from bench.cli.display import print_table

    names = CellNames(runs)
    for title, rows in (
        ("Made differently", made_rows(compared)),
        ("Models", model_rows(compared)),
        ("Cells whose rows differ", cell_rows(compared, names)),
        ("Cells not compared", uncompared_rows(compared, names)),
    ):
        if rows:
            click.echo(title)
            print_table(rows)
            click.echo()
    click.echo(closing_line(compared))
