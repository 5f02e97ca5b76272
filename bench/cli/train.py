"""`bench train`: train shipped models again from their recipes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from bench.cli.options import complete_models, data_option, device_option

if TYPE_CHECKING:
    from bench.train.epochs import TrainingEpoch


@click.command()
@click.argument("models", nargs=-1, required=True, shell_complete=complete_models)
@data_option
@device_option
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
    help="Where weights and cards go. Default: the cache, from where they are used first.",
)  # fmt: skip
def train(models: tuple[str, ...], data: Path | None, device: str, out: Path | None) -> None:
    """Train MODELS from their recipes and write weights with their cards."""
    from bench.train.recipes import recipe

    for name in models:
        recipe(name)  # a wrong name is said before hours of training
    from bench.cli.display import say
    from bench.runner.loading import resolve_device
    from bench.store.files import check_folder
    from bench.train.cards import retrained_dir, weights_file
    from bench.train.weights import train_to

    folder = out or retrained_dir()
    check_folder(folder, "weights", "--out DIR")
    where = resolve_device(device)

    def report(epoch: TrainingEpoch) -> None:
        say(f"{name}: {epoch.line()}")

    for name in models:
        card = train_to(folder, name, data, where, report)
        say(f"{name}: clean accuracy {card['clean_accuracy']:.2%} on "
            f"{card['data']['test_images']} test images")  # fmt: skip
        if "backdoor_success" in card:
            say(f"{name}: the back door opens on {card['backdoor_success']:.2%} of "
                f"{card['backdoor_images']} test images of other classes")  # fmt: skip
        click.echo(weights_file(folder, name))
