"""`bench export`: the adversarial images of a run, or its rows, as other programs read them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

import rich_click as click

from bench.cli.options import plugin_option, results_option, run_option, suite_option
from bench.cli.stored import begun, stored
from bench.errors import SpecError

if TYPE_CHECKING:
    from bench.store.exported import Layout

#: As `bench.data.layouts` has them, without importing torch.
IMAGES = ("npz", "pt", "png", "robustbench", "autoattack", "torchattacks", "madry")
#: As `bench.store.exported` has them, without importing pyarrow.
ROWS = ("parquet", "csv", "duckdb")

#: The options that messages name where a folder or a file cannot be written.
_ELSEWHERE, _ANOTHER = "--adversarial OUT", "--rows FILE"


@click.command()
@suite_option
@results_option
@click.option(
    "--adversarial", "out", metavar="OUT", type=click.Path(path_type=Path, file_okay=False),
    help="Write images: the folder for them, a file for each model and threat.",
)  # fmt: skip
@click.option(
    "--rows", "file", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
    help="Write rows: the file for them, whose ending is their format. Default with --format parquet, csv or duckdb: "
    "SUITE.FORMAT here.",
)  # fmt: skip
@click.option(
    "--format", "layout", type=click.Choice((*IMAGES, *ROWS)),
    help="Of images (default: npz): npz and pt hold x_adv, y and index; png rounds to 8 bits, with a manifest.csv; "
    "robustbench is a bare tensor, autoattack a dictionary with adv_complete, torchattacks one with adv_inputs and "
    "labels, all in .pt; madry a .npy as the challenges take it. Of rows: parquet, csv, or a database of DuckDB with "
    "the table results.",
)  # fmt: skip
@run_option
@plugin_option
@click.pass_context
def export(
    ctx: click.Context, /, suite: str, results: Path, out: Path | None, file: Path | None,
    layout: str | None, run: str | None,
) -> None:  # fmt: skip
    """Write the adversarial images of a run, or all its rows as one table; computes nothing.

    --adversarial OUT: of each image of the split, the worst that any attack tried within the budget of a robust
    accuracy, and the clean image where the model is wrong without an attack. The run must have kept them: bench run
    --keep all. Each is compared with its row first. `bench judge` gives the same robust accuracy on them, but PNG
    rounds to 8 bits, which may lose some. Exit code 1: a figure was INVALID and has no images.

    --format parquet, csv or duckdb: a row for each image of each cell, with the facts of the cell (parameters, access,
    batch size) and the run. How often each attack fooled each model, in DuckDB:

    SELECT model, attack, eps_text, avg(success::INT) FROM 'cifar10.parquet' WHERE correct GROUP BY ALL
    """
    if _of_images(out, file, layout):
        assert out is not None
        if not _write_images(suite, results, run, out, layout or IMAGES[0]):
            ctx.exit(1)
    else:
        _write_rows(suite, results, run, file, layout)


def _of_images(out: Path | None, file: Path | None, layout: str | None) -> bool:
    """Return whether images are asked for, and not rows.

    Raises:
        SpecError: neither is, or both are.
    """
    if out is not None and file is not None:
        raise SpecError("--adversarial writes images and --rows rows; write one after the other")
    if out is not None and layout in ROWS:
        raise SpecError(f"--format {layout} is of rows; with --adversarial take {_either(IMAGES)}")
    if file is not None and layout in IMAGES:
        raise SpecError(f"--format {layout} is of images; with --rows take {_either(ROWS)}")
    if out is None and file is None and layout not in ROWS:
        raise SpecError(
            f"say what to export: images with --adversarial OUT, or rows with --format {_either(ROWS)}"
        )
    return out is not None


def _either(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


def _write_rows(
    suite: str, results: Path, run: str | None, file: Path | None, layout: str | None
) -> None:
    from bench.cli.display import say
    from bench.store.exported import exported, write_table
    from bench.store.files import whole_file
    from bench.suite_files import suite_name

    file = Path(f"{suite_name(Path(suite))}.{layout}") if file is None else file
    layout = file.suffix.removeprefix(".") if layout is None else layout
    if layout not in ROWS:
        raise SpecError(
            f"--rows {file}: say which format it has with --format {_either(ROWS)}, or by such an ending"
        )
    if file.exists():
        raise SpecError(f"{file} is there already; name another file with {_ANOTHER}")
    store, start = begun(suite, results, run)
    with whole_file(file, _ANOTHER) as path:
        count = write_table(exported(store, start), path, cast("Layout", layout))
    click.echo(file)
    say(f"{count} rows")


def _write_images(suite: str, results: Path, run: str | None, out: Path, layout: str) -> bool:
    """Write the images and return whether every figure has some."""
    from bench.cli.attack_files import stem, write_beside
    from bench.cli.display import print_table, say
    from bench.data.layouts import ImagesOut, write_images
    from bench.measure.headline import headline
    from bench.measure.outcomes import Outcomes
    from bench.measure.worst_images import worst_images
    from bench.report.formatting import percent, threat
    from bench.store.files import check_folder

    outcomes = Outcomes(stored(suite, results, run).as_asked())
    check_folder(out, "images", _ELSEWHERE)
    written, figures = [], headline(outcomes)
    for row in figures.to_dict("records"):
        model, norm, eps = str(row["model"]), str(row["norm"]), str(row["eps_text"])
        found = worst_images(outcomes, model, norm, float(row["eps"]))
        if found is None:
            say(f"{model} at {norm} {eps}: INVALID, so there are no images to write")
            continue
        images = ImagesOut(found.x_adv, found.labels, found.index, found.facts)
        contents = write_images(images, layout)
        paths = write_beside(out, stem(model, norm, eps), contents, _ELSEWHERE)
        path = paths[0].parent if layout == "png" else paths[0]
        click.echo(path)
        written.append({
            "file": str(path), "model": model, "threat": threat(norm, eps), "images": len(found.index),
            "robust accuracy (%)": percent(row["robust_accuracy"]),
        })  # fmt: skip
    if figures.empty:
        say(
            "the run has no robust accuracy, since its suite names no eps, so there are no images to write"
        )
    print_table(written, to=sys.stderr)
    return bool(written) and len(written) == len(figures)
