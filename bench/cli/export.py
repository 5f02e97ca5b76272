"""`bench export`: the adversarial images of a run, in the layouts that other programs read."""

from __future__ import annotations

import sys
from pathlib import Path

import rich_click as click

from bench.cli.options import plugin_option, results_option, run_option, suite_option
from bench.cli.stored import stored

#: As `bench.data.layouts` has them, without importing torch.
FORMATS = ("npz", "pt", "png", "robustbench", "autoattack", "torchattacks", "madry")

#: The option that messages name where a folder cannot be written.
_ELSEWHERE = "--adversarial OUT"


@click.command()
@suite_option
@results_option
@click.option(
    "--adversarial", "out", required=True, metavar="OUT",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder for the images: a file for each model and threat.",
)  # fmt: skip
@click.option(
    "--format", "layout", type=click.Choice(FORMATS), default="npz", show_default=True,
    help="npz and pt hold x_adv, y and index; png rounds to 8 bits, with a manifest.csv; robustbench is a bare "
    "tensor, autoattack a dictionary with adv_complete, torchattacks one with adv_inputs and labels, all in .pt; madry a "
    ".npy as the challenges take it.",
)  # fmt: skip
@run_option
@plugin_option
@click.pass_context
def export(
    ctx: click.Context, suite: str, results: Path, out: Path, layout: str, run: str | None
) -> None:
    """Write the adversarial images behind each robust accuracy of a run; computes nothing.

    Of each image of the split it writes the worst that any attack tried within the budget, and the clean image
    where the model is wrong without an attack. The run must have kept them: bench run --keep all. Each is
    compared with its row first. `bench judge` gives the same robust accuracy on them, but PNG rounds to 8 bits,
    which may lose some. Exit code 1: a figure was INVALID and has no images.
    """
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
    if len(written) < len(figures) or not written:
        ctx.exit(1)
