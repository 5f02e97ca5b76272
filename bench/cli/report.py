"""`bench report`: tables and the PDF of a run of a suite, from stored rows alone."""

from __future__ import annotations

import sys
from pathlib import Path

import rich_click as click

from bench.cli.options import (
    force_option,
    out_option,
    plugin_option,
    results_option,
    run_option,
    suite_option,
)
from bench.cli.stored import stored
from bench.cli.track import track, tracker_option
from bench.errors import PrerequisiteError, SpecError

FORMATS = ("pdf", "csv", "latex")


@click.command()
@suite_option
@results_option
@click.option(
    "--format", "formats", default="pdf,csv", show_default=True, metavar="LIST",
    help="Which to write, separated by commas: pdf, csv, latex.",
)  # fmt: skip
@run_option
@out_option
@force_option
@tracker_option
@plugin_option
@click.pass_context
def report(
    ctx: click.Context, /, suite: str, results: Path, formats: str, run: str | None, out: Path,
    force: bool, trackers: tuple[str, ...],
) -> None:  # fmt: skip
    """Write the report of a run of a suite again; computes nothing.

    The run is the last that was started of the suite as its file is now, filtered or not; which that
    is, and how much of the suite it asked for, is said, and stands in the report.
    """
    wanted = tuple(part.strip() for part in formats.split(","))
    for name in wanted:
        if name not in FORMATS:
            raise SpecError(f"--format {name}: write some of {', '.join(FORMATS)}")
    from bench.cli.display import print_table, say
    from bench.report.kept import fuller, replaced
    from bench.report.labels import attack_names
    from bench.report.measured import measure
    from bench.report.sections.radius import radius_table
    from bench.report.write import write_report
    from bench.store.files import check_folder
    from bench.suite_files import published_file

    found = stored(suite, results, run)
    left = None if force else fuller(found, out, wanted)
    if left is not None:
        raise SpecError(f"{left} and is left; write with --force, or elsewhere with --out DIR")
    check_folder(out, "the report", "--out DIR")
    measured, other = measure(found), replaced(found, out, wanted)
    written = write_report(found, out, wanted, published_file(suite), measured)
    if other is not None:
        say(other)
    for paths in written.values():
        for path in paths:
            click.echo(path)
    # On stderr: a line of stdout is a file.
    radii = radius_table(measured.radii, attack_names(found)).frame
    print_table(radii.to_dict("records"), to=sys.stderr)
    options = {"trackers": trackers, "out": out, "suite": suite, "results": results}
    if not track(found, measured, written, options):
        ctx.exit(PrerequisiteError.exit_code)
