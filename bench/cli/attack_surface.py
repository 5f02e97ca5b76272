"""What `bench attack` follows in a model: one of its surfaces, or a substitute that is trained first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from bench.errors import SpecError

if TYPE_CHECKING:
    from bench.spec import Adapter, SubstituteName
    from bench.train.substitutes import TrainedSubstitute

surface_option = click.option(
    "--surface", metavar="NAME",
    help="What attacks along a gradient follow: one of the model's surfaces (default: its first), or `substitute-500`, "
    "a small network that is trained first on the model's labels of 500 images (`substitute-500-scores`: scores).",
)  # fmt: skip


def surface_of(
    name: str | None, model: str, adapter: Adapter, data: Path | None
) -> str | TrainedSubstitute | None:
    """Return what the attacks follow, having trained it where it is a substitute; None for the first surface.

    Args:
        name: as the command gives it.
        model: name or address of the model.
        adapter: the model, as it is judged.
        data: the folder of data sets.

    Raises:
        SpecError: no such surface, or a data set that has no images to train a substitute on.
        PrerequisiteError: the data set is missing.
    """
    from bench.spec import SubstituteName

    wanted = None if name is None else SubstituteName.read(name)
    if name is not None and wanted is None and name not in adapter.surfaces():
        own = ", ".join(adapter.surfaces()) or "none"
        raise SpecError(
            f"--surface {name}: {model} has no such surface; it has {own}, or write substitute-500"
        )
    return name if wanted is None else _trained(wanted, model, adapter, data)


def _trained(
    wanted: SubstituteName, model: str, adapter: Adapter, data: Path | None
) -> TrainedSubstitute:
    """Return a substitute that is trained as those of a run are, but kept nowhere."""
    from bench.cli.display import say
    from bench.data.table import DATASETS
    from bench.model_names import MODELS
    from bench.paths import data_dir
    from bench.runner.substitutes import other_split, substitute_source
    from bench.spec import ImageSet
    from bench.substitute import train_substitute

    named = MODELS[model].facts["data"]
    split = "test" if "test" in DATASETS[named].splits else next(reversed(DATASETS[named].splits))
    attacked = ImageSet(data=named, split=split)
    if other_split(attacked) is None:
        raise SpecError(
            f"--surface: {named} has one split alone, and none to train a substitute on"
        )
    source = substitute_source(wanted, attacked, 0, data_dir(data))
    say(f"{model}: training {wanted.title()}")
    found = train_substitute(
        adapter, source.seeds.images, wanted.queries, answers=wanted.answers, held_out=source.held_out.images
    )  # fmt: skip
    if found.agreement is not None:
        say(
            f"{model}: {found.name} agrees with it on {found.agreement:.0%} of {found.decided} others"
        )
    return found
