"""`--tracker`: a run that is finished is logged to an experiment tracker."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from bench.cli.options import same_run
from bench.errors import PrerequisiteError
from bench.trackers.table import TRACKERS, check_installed, log_to

if TYPE_CHECKING:
    from bench.report.measured import Measured
    from bench.store.results import Results


def _there(ctx: click.Context, param: click.Parameter, named: tuple[str, ...]) -> tuple[str, ...]:
    if not ctx.resilient_parsing:
        check_installed(named)
    return named


tracker_option = click.option(
    "--tracker", "trackers", type=click.Choice([*TRACKERS]), multiple=True, callback=_there,
    help="Log headline and files there when all is done; may be given more than once. Its own environment "
    "variables say where (MLFLOW_TRACKING_URI, WANDB_PROJECT, ...).",
)  # fmt: skip


def track(
    results: Results, measured: Measured, written: Mapping[str, list[Path]], options: Mapping[str, Any]
) -> bool:  # fmt: skip
    """Log a run to the trackers that were asked for; return False where one fails, which costs nothing else.

    Args:
        results: of the run.
        measured: its figures.
        written: the files of its report, by format.
        options: of the command: `trackers`, `out`, `suite` and `results`.
    """
    trackers: Collection[str] = options["trackers"]
    if not trackers:
        return True
    from bench.cli.display import say
    from bench.trackers.tracked_run import tracked_run

    files = [file for made in written.values() for file in made]
    run = tracked_run(results, measured.headline, files, options["out"])
    failed = False
    for tracker in trackers:
        try:
            say(f"logged to {tracker}: {log_to(tracker, run)}")
        except PrerequisiteError as error:
            failed = True
            same = same_run(options["suite"], options["results"])
            again = f"bench report {same} --run {run.run} --tracker {tracker}"
            say(f"error: {error}; nothing is lost, log it later with: {again}")
    return not failed
