"""`bench report`: tables and the PDF of a suite's last run, from stored rows alone."""

from __future__ import annotations

import sys
from pathlib import Path

import rich_click as click

from bench.cli.options import results_option, suite_option
from bench.errors import SpecError

FORMATS = ("pdf", "csv", "latex")


@click.command()
@suite_option
@results_option
@click.option(
    "--format", "formats", default="pdf,csv", show_default=True, metavar="LIST",
    help="Which to write, separated by commas: pdf, csv, latex.",
)  # fmt: skip
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("reports"),
    show_default=True, metavar="DIR", help="Where to write.",
)  # fmt: skip
def report(suite: str, results: Path, formats: str, out: Path) -> None:
    """Write the report of a suite's last run again; computes nothing."""
    wanted = tuple(part.strip() for part in formats.split(","))
    for name in wanted:
        if name not in FORMATS:
            raise SpecError(f"--format {name}: write some of {', '.join(FORMATS)}")
    from bench.cli.display import print_table
    from bench.measure.published import published_file
    from bench.report.pdf import write_report
    from bench.report.radius import radius_table
    from bench.report.tables import measure, names
    from bench.store.results import load_results

    found = load_results(results, Path(suite).stem)
    measured = measure(found)
    for paths in write_report(found, out, wanted, published_file(suite), measured).values():
        for path in paths:
            click.echo(path)
    # On stderr: a line of stdout is a file.
    print_table(radius_table(measured.radii, names(found)).to_dict("records"), to=sys.stderr)
