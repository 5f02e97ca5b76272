"""Options that several commands share, and completion of names in the shell. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import rich_click as click
from click.shell_completion import CompletionItem

from bench.spec import TOOLKITS

Command = Callable[..., Any]


def _complete(names: Callable[[], list[str]]) -> Callable[..., list[CompletionItem]]:
    def complete(ctx: click.Context, param: click.Parameter, start: str) -> list[CompletionItem]:
        return [CompletionItem(name) for name in names() if name.startswith(start)]

    return complete


def suite_names() -> list[str]:
    """Return the shipped suites, read off the folder so that no schema has to be imported."""
    folder = Path(__file__).parent.parent / "suites"
    return sorted(path.stem for path in folder.glob("*.toml"))


def model_names() -> list[str]:
    """Return the names of the shipped models."""
    from bench.zoo import MODELS

    return sorted(MODELS)


def toolkit_names() -> list[str]:
    """Return the toolkits."""
    return list(TOOLKITS)


def attack_names() -> list[str]:
    """Return the names of the attacks in the catalogue."""
    from bench.attacks.catalogue import listing

    return [record["name"] for record in listing()]


def suite_option(command: Command) -> Command:
    """Add --suite."""
    return click.option(
        "--suite",
        required=True,
        metavar="NAME|FILE",
        shell_complete=_complete(suite_names),
        help="A shipped suite (`bench ls suites`) or a path to a .toml file.",
    )(command)


def results_option(command: Command) -> Command:
    """Add --results."""
    return click.option(
        "--results",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path("results"),
        show_default=True,
        metavar="DIR",
        help="The folder of results.",
    )(command)


def data_option(command: Command) -> Command:
    """Add --data."""
    return click.option(
        "--data",
        type=click.Path(path_type=Path, file_okay=False),
        metavar="DIR",
        help="The folder of data sets, in torchvision's layout. Default: BENCH_DATA, else the cache.",
    )(command)


def device_option(command: Command) -> Command:
    """Add --device."""
    return click.option(
        "--device",
        type=click.Choice(["auto", "cpu", "cuda"]),
        default="auto",
        show_default=True,
        help="Where models compute.",
    )(command)


def plugin_option(command: Command) -> Command:
    """Add --plugin."""
    return click.option(
        "--plugin",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="A Python file that registers models of your own; it is run.",
    )(command)


def model_completion() -> Callable[..., list[CompletionItem]]:
    """Return the completion of model names."""
    return _complete(model_names)


def toolkit_completion() -> Callable[..., list[CompletionItem]]:
    """Return the completion of toolkit names."""
    return _complete(toolkit_names)


def attack_completion() -> Callable[..., list[CompletionItem]]:
    """Return the completion of attack names."""
    return _complete(attack_names)
