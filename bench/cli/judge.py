"""`bench judge`: adversarial images that others made, judged as an attack's are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from bench.cli.options import (
    complete_models,
    data_option,
    device_option,
    plugin_option,
    results_option,
    same_run,
)
from bench.spec import NORMS

if TYPE_CHECKING:
    import pandas as pd

    from bench.runner.loading import Setting
    from bench.spec import AttackSpec, Suite
    from bench.store.results import Results


@click.command()
@click.argument("model", shell_complete=complete_models)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--norm", type=click.Choice(NORMS), required=True, help="Norm of the budget.")
@click.option(
    "--eps", required=True, metavar="EPS",
    help="The budget, in units of [0, 1], such as 8/255.",
)  # fmt: skip
@click.option(
    "--split", default="test", show_default=True, metavar="NAME",
    help="The split of the model's data set that the images were made from.",
)  # fmt: skip
@results_option
@data_option
@device_option
@plugin_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines on stdout.")
@click.pass_context
def judge(
    ctx: click.Context, /, model: str, file: Path, norm: str, eps: str, split: str,
    results: Path, data: Path | None, device: str, as_json: bool,
) -> None:  # fmt: skip
    """Judge the adversarial images in FILE on MODEL: clean accuracy and robust accuracy.

    FILE is a .pt (a tensor, or a dictionary as AutoAttack's, torchattacks' or ours), a .npz, a .npy, or a
    folder of PNG with a manifest.csv; nothing in it is unpickled. The images are those of the split in its
    order, or say their places (`index`). One that is not in [0, 1], or over the budget, breaks nothing; one
    that is missing shows nothing. Rows are kept in the results as those of an attack `external`, which a suite
    can name too: name = "external", file = "FILE". Exit code 1: there is no valid figure.
    """
    from bench.attacks.catalogue import resolve
    from bench.cli.display import say
    from bench.measure.handed_in import fates
    from bench.report.measured import measure
    from bench.runner.loading import Setting

    spec = resolve("external", norm, eps, {"file": str(file)})
    setting = Setting(device=device, data=data)
    suite, values = _suite(model, file, spec, split, setting)
    found = _judged(suite, setting, results)
    if found.cells["status"].iloc[0] != "done":
        say(f"error: {found.cells['error'].iloc[0]}")
        ctx.exit(1)
    figures = measure(found).headline
    _show(found, figures, fates(found.rows, values), as_json)
    say(f"bench report {same_run(suite.name, results)} writes the report")
    if figures["robust_accuracy"].isna().any():
        ctx.exit(1)


def _suite(
    model: str, file: Path, spec: AttackSpec, split: str, setting: Setting
) -> tuple[Suite, int]:
    """Return a suite of these images alone, and how many values an image has.

    Raises:
        SpecError: no such model or split, or a file that cannot be read.
        PrerequisiteError: the data set is missing.
    """
    import math

    from bench.cli.attack_files import stem
    from bench.data.datasets import load
    from bench.data.table import DATASETS
    from bench.model_names import MODELS
    from bench.runner.cell_inputs import handed_in_for
    from bench.spec import AttackRequest, ImageSet, ModelRequest, Suite

    named = MODELS[model].facts["data"]
    whole, shape = ImageSet(data=named, split=split), DATASETS[named].input_shape
    extent = handed_in_for(spec, shape, whole, setting.data).extent
    every = extent == len(load(named, split, setting.data))
    suite = Suite(
        # Without a dot, after which the name of a suite would end.
        name=stem("judge", file.name if file.is_dir() else file.stem).replace(".", "-"),
        title=f"{file.name} on {model}",
        images=(whole if every else whole.of(extent),),
        seed=0,
        models=(ModelRequest(name=model),),
        attacks=(AttackRequest(spec=spec),),
    )
    return suite, math.prod(shape)


def _judged(suite: Suite, setting: Setting, results: Path) -> Results:
    """Judge the images, keep the rows, and return what the run left."""
    from bench.cli.display import say
    from bench.runner.execute import execute
    from bench.runner.plan import make_plan
    from bench.runner.selection import Selection
    from bench.store.results import load_results
    from bench.store.store import open_store

    titles = tuple(request.title() for request in suite.models)
    plan = make_plan(suite, Selection(models=titles), setting, note=say)
    outcome = execute(plan, open_store(results))
    return load_results(results, suite.name, run=outcome.run)


def _show(results: Results, figures: pd.DataFrame, counts: dict[str, int], as_json: bool) -> None:
    """Print the accuracies, and what became of the images."""
    from bench.cli.display import print_events, print_table
    from bench.report.sections.headline import headline_table

    if as_json:
        print_events("headline", figures)
        click.echo(json.dumps({"event": "images", "run": results.run, **counts}))
        return
    print_table(headline_table(results, figures).frame.to_dict("records"))
    click.echo()
    print_table(
        [{"images": count, "what became of them": fate} for fate, count in counts.items() if count]
    )
