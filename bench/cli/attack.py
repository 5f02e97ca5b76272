"""`bench attack`: single images under attack, with a table, pictures and the attacked images."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from bench.cli.attack_surface import surface_of, surface_option
from bench.cli.options import (
    complete_attacks,
    complete_models,
    complete_toolkits,
    data_option,
    device_option,
    plugin_option,
)
from bench.errors import INTERRUPTED, BenchError, StoreError
from bench.spec import NORMS

if TYPE_CHECKING:
    from PIL import Image

    from bench.cli.attack_trials import AttackedModel, LabelledImage, Trial
    from bench.cli.attack_words import AskedAttack
    from bench.data.image_files import SingleImage
    from bench.spec import Adapter


@click.command()
@click.argument("model", shell_complete=complete_models)
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@click.option(
    "--attack", "names", multiple=True, required=True, metavar="NAME",
    shell_complete=complete_attacks,
    help="An attack (`bench ls attacks`), which may come with its own norm and eps: 'pgd l2 0.5'. May be "
    "given more than once.",
)  # fmt: skip
@click.option(
    "--norm", type=click.Choice(NORMS),
    help="Norm of the attacks. Default: linf for those within a radius, l2 for those that look for the "
    "nearest image, where they have it.",
)  # fmt: skip
@click.option("--eps", metavar="EPS", help="Radius of the attacks that take one, such as 8/255.")
@click.option(
    "--set", "settings", multiple=True, metavar="PARAMETER=VALUE",
    help="A parameter of the attacks that have it (`bench ls attacks NAME`), such as steps=20 or "
    "targeted=cat. May be given more than once.",
)  # fmt: skip
@click.option(
    "--toolkit", metavar="NAME", shell_complete=complete_toolkits,
    help="The toolkit that attacks. Default: native where it has the attack, else the first that has it.",
)  # fmt: skip
@click.option(
    "--label", "labels", multiple=True, metavar="NAME|NUMBER",
    help="The true class of the files: once for all of them, or once for each in their order. Default: "
    "what the model says.",
)  # fmt: skip
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("attacks"),
    show_default=True, metavar="DIR", help="The folder of pictures and attacked images.",
)  # fmt: skip
@surface_option
@plugin_option
@data_option
@device_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines on stdout.")
@click.pass_context
def attack(
    ctx: click.Context, /, model: str, images: tuple[str, ...], out: Path, **options: Any
) -> None:
    """Attack MODEL on single images and show the result.

    IMAGE is a picture file, or an image of the model's data set with its label: `test:7`. A file is scaled
    until it covers what the model takes, and its middle is kept.

    Written to `attacks/` (`--out`): a picture (original, perturbation, attacked image; a sheet of several), and
    each attacked image twice: `...-attacked.npy` holds it exactly (float32, channels first), while
    `...-attacked.png` is rounded to 8 bits and may no longer fool the model; the table says whether it does.
    No existing file is overwritten. In kitty, iTerm2 and WezTerm the picture is shown at once.

    The exit code is 1 where an attack failed or no image was attacked.
    """
    from bench.cli.attack_files import ELSEWHERE
    from bench.cli.attack_trials import AttackedModel
    from bench.cli.attack_words import AttackWords, asked_attacks
    from bench.cli.display import say
    from bench.data.table import DATASETS
    from bench.model_names import MODELS
    from bench.store.files import check_folder

    words = AttackWords(
        names=options["names"], norm=options["norm"], eps=options["eps"],
        settings=options["settings"], toolkit=options["toolkit"],
    )  # fmt: skip
    # What is wrong with the words is said before anything is loaded or trained.
    asked_attacks(words, DATASETS[MODELS[model].facts["data"]].classes)
    check_folder(out, "pictures", ELSEWHERE)
    adapter, classes = _model(model, options)
    asked = asked_attacks(words, classes)
    for one in asked:
        one.runner(adapter.spec)
    adapter, singles = _images(model, adapter, images, options)
    labelled = _labelled(adapter, singles, options["labels"], classes)
    surface = surface_of(options["surface"], model, adapter, options["data"])
    trials, stopped = _trials(AttackedModel(adapter, classes, surface), labelled, asked, out)
    errors = [trial.error for trial in trials if trial.error is not None]
    if errors and len(errors) == len(trials) and isinstance(errors[0], BenchError):
        raise errors[0]
    _print(trials, classes, options["as_json"])
    picture = _picture(model, trials, classes)
    if picture is not None:
        _show(picture, model, trials, out, options["as_json"])
    if isinstance(stopped, KeyboardInterrupt):
        say("interrupted; what was written stays")
        ctx.exit(INTERRUPTED)
    if stopped is not None:
        raise stopped
    if errors or picture is None:
        ctx.exit(1)


def _model(model: str, options: Mapping[str, Any]) -> tuple[Adapter, Sequence[str]]:
    """Return a model and the names of its classes; no names if these are not those of its data set."""
    from bench.data.table import class_names
    from bench.runner.loading import resolve_device
    from bench.zoo import load_model

    adapter = load_model(model, device=resolve_device(options["device"]), data=options["data"])
    return adapter, class_names(adapter.spec.data, adapter.spec.num_classes)


def _images(
    model: str, adapter: Adapter, names: Sequence[str], options: Mapping[str, Any]
) -> tuple[Adapter, list[SingleImage]]:
    """Return the model in the form in which it is judged, and the images for it."""
    from bench.cli.attack_trials import observed
    from bench.cli.display import say
    from bench.data.image_files import read_single
    from bench.model_names import MODELS

    singles = [read_single(name, adapter.spec, options["data"]) for name in names]
    if not MODELS[model].facts["ours"]:
        adapter, notes = observed(adapter, singles)
        for line in notes:
            say(f"{model}: {line}")
    return adapter, singles


def _labelled(
    adapter: Adapter, singles: Sequence[SingleImage], labels: Sequence[str], classes: Sequence[str]
) -> list[LabelledImage]:
    """Return the images with their labels, and say where they are the model's own answers."""
    from bench.cli.attack_trials import labelled
    from bench.cli.display import say

    found = labelled(adapter, singles, labels, classes)
    by_model = [one.called for one in found if one.label_from == "model"]
    if by_model:
        say(
            f"{', '.join(by_model)}: the true class is not known, so the model's own answer is used as the label "
            f"(--label gives another)"
        )
    return found


def _trials(
    model: AttackedModel, images: Sequence[LabelledImage], asked: Sequence[AskedAttack], out: Path
) -> tuple[list[Trial], BaseException | None]:
    """Return what came of each image and attack, having saved it, and what ended this early, if anything."""
    from bench.cli.attack_rows import result_of, written
    from bench.cli.attack_trials import tried
    from bench.cli.display import say
    from bench.report.formatting import join

    trials: list[Trial] = []
    count = len(images) * len(asked)
    try:
        for image, one in itertools.product(images, asked):
            trials.append(tried(model, image, one))
            trials[-1] = _saved(trials[-1], model.adapter.spec.name, out)
            if count > 1:
                title = f"{image.called}, {one.spec.title()}"
                told = join(result_of(trials[-1], model.classes), written(trials[-1]))
                say(f"[{len(trials)}/{count}] {title}: {told}")
    except (StoreError, KeyboardInterrupt) as stopped:
        return trials, stopped
    return trials, None


def _saved(trial: Trial, model: str, out: Path) -> Trial:
    """Return a trial whose attacked image is written, without loss and in 8 bits."""
    from bench.cli.attack_files import attacked_files, write_beside

    if trial.x_adv is None:
        return trial
    written = write_beside(out, _begin(trial, model), attacked_files(trial.x_adv))
    return dataclasses.replace(trial, files=tuple(written))


def _begin(trial: Trial, model: str) -> str:
    """Return how the names of a trial's files begin."""
    from bench.cli.attack_files import stem

    spec = trial.asked.spec
    image = Path(trial.image.called).with_suffix("")
    return stem(model, str(image), spec.name, spec.norm, spec.eps or "")


def _print(trials: Sequence[Trial], classes: Sequence[str], as_json: bool) -> None:
    """Print a row a trial, and what needs a sentence."""
    from bench.cli.attack_rows import json_event, reason_of, table, written
    from bench.cli.display import print_table, say

    if as_json:
        for trial in trials:
            click.echo(json.dumps(json_event(trial, classes)))
    else:
        print_table(table(trials, classes))
    for trial in trials:
        why = reason_of(trial, classes)
        if why is not None:
            say(f"{trial.image.called}, {trial.asked.spec.title()}: {why}")
    if len(trials) == 1 and trials[0].files:  # of several it was said as they were written
        say(written(trials[0]))


def _picture(model: str, trials: Sequence[Trial], classes: Sequence[str]) -> Image.Image | None:
    """Return the picture of all trials; None where nothing was attacked."""
    from bench.report.one_image import UnderAttack, draw

    if all(trial.x_adv is None for trial in trials):
        return None
    shown = []
    for _, group in itertools.groupby(trials, lambda trial: id(trial.image)):
        of_image = list(group)
        image = of_image[0].image
        shown.append(
            UnderAttack(
                name=image.called,
                x=image.image.x.numpy(),
                attempts=tuple(trial.attempt for trial in of_image),
            )
        )
    return draw(model, shown, classes)


def _show(
    picture: Image.Image, model: str, trials: Sequence[Trial], out: Path, as_json: bool
) -> None:
    """Write the picture, and show it where the terminal can."""
    from bench.cli.attack_files import stem, write_beside
    from bench.cli.display import say
    from bench.cli.terminal_picture import show_picture
    from bench.report.one_image import DPI
    from bench.report.pixels import png_bytes

    if not as_json:
        show_picture(picture, sys.stdout, os.environ)
    begin = _begin(trials[0], model) if len(trials) == 1 else stem(model, "sheet")
    (path,) = write_beside(out, begin, {".png": png_bytes(picture, DPI)})
    if as_json:
        click.echo(json.dumps({"event": "picture", "file": str(path)}))
    say(f"wrote {path}")
