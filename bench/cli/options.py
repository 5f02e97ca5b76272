"""Options that several commands share, and completion of names in the shell. Imports no torch."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import rich_click as click
from click.shell_completion import CompletionItem

from bench.spec import EVERY_TOOLKIT, Scalar, scalar
from bench.suite_files import known_suites, made_suites, suite_in

#: The folder of results where none is named.
RESULTS = Path("results")

#: Where a command keeps which plug-ins it was given.
_PLUGINS = "bench.plugins"

Completion = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def completion(names: Callable[[], list[str]]) -> Completion:
    """Return a completion from names that are looked up when the shell asks."""

    def complete(ctx: click.Context, param: click.Parameter, start: str) -> list[CompletionItem]:
        return [CompletionItem(name) for name in names() if name.startswith(start)]

    return complete


def _suites() -> list[str]:
    return list(known_suites())


def _models() -> list[str]:
    from bench.model_names import MODELS

    return sorted(MODELS)


def _attacks() -> list[str]:
    from bench.attacks.catalogue import listing

    return [record["name"] for record in listing()]


complete_suites = completion(_suites)
complete_models = completion(_models)
complete_attacks = completion(_attacks)
complete_toolkits = completion(lambda: list(EVERY_TOOLKIT))

_FOLDER = click.Path(path_type=Path, file_okay=False)


def _file_of(ctx: click.Context, param: click.Parameter, named: str | None) -> str | None:
    return None if named is None else suite_in(ctx.params["results"], named)


def _suite_option(required: bool) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return click.option(
        "--suite", required=required, metavar="NAME|FILE", shell_complete=complete_suites,
        callback=_file_of,
        help="A shipped suite (`bench ls suites`), one that `bench run MODEL` or `bench judge` made, or a path to a .toml file.",
    )  # fmt: skip


suite_option = _suite_option(required=True)
#: Of `bench run`, which takes a model in its place.
suite_or_model_option = _suite_option(required=False)
# Eager, since the folder says which suites there are.
results_option = click.option(
    "--results", type=_FOLDER, default=RESULTS, show_default=True, metavar="DIR", is_eager=True,
    help="The folder of results.",
)  # fmt: skip
run_option = click.option(
    "--run", metavar="ID",
    help="The run, or how its name begins; `bench ls runs`. Default: the last started.",
)  # fmt: skip
out_option = click.option(
    "--out", type=_FOLDER, default=Path("reports"), show_default=True, metavar="DIR",
    help="The folder of reports.",
)  # fmt: skip
force_option = click.option(
    "--force", is_flag=True, help="Write over the report of a run that asked for more."
)
data_option = click.option(
    "--data", type=_FOLDER, metavar="DIR",
    help="The folder of data sets, in torchvision's layout. Default: BENCH_DATA, else the cache.",
)  # fmt: skip


def _device(ctx: click.Context, param: click.Parameter, named: str) -> str:
    """Return auto, cpu or cuda; GPUs that are named are the only ones that this command sees from now on."""
    if named in ("auto", "cpu", "cuda"):
        return named
    numbers = [re.fullmatch(r"cuda:(\d+)", part.strip()) for part in named.split(",")]
    wanted = [found[1] for found in numbers if found is not None]
    if len(wanted) < len(numbers) or len(set(wanted)) < len(wanted):
        raise click.BadParameter(f"{named}: write auto, cpu, cuda, or GPUs such as cuda:0,cuda:1")
    if not ctx.resilient_parsing:
        seen = os.environ.get("CUDA_VISIBLE_DEVICES")
        there = seen.split(",") if seen else []
        missing = [number for number in wanted if there and int(number) >= len(there)]
        if missing:
            raise click.BadParameter(
                f"cuda:{missing[0]}: CUDA_VISIBLE_DEVICES has {len(there)}, counted from 0"
            )
        names = [there[int(number)].strip() if there else number for number in wanted]
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(names)
    return "cuda"


device_option = click.option(
    "--device", default="auto", show_default=True, callback=_device,
    metavar="auto|cpu|cuda|cuda:N,...",
    help="Where models compute: cuda is any GPU, cuda:0,cuda:1 these alone (one worker each).",
)  # fmt: skip


def _scalars(
    ctx: click.Context, param: click.Parameter, given: tuple[str, ...]
) -> dict[str, Scalar]:
    """Return the options of a model by name, sorted."""
    for text in given:
        if "=" not in text:
            raise click.BadParameter(f"{text!r} is not NAME=VALUE")
    pairs = (text.partition("=") for text in sorted(given))
    return {name: scalar(value) for name, _, value in pairs}


model_option_option = click.option(
    "--option", "model_options", multiple=True, metavar="NAME=VALUE", callback=_scalars,
    help="An option of the model, as a suite gives it; may be given more than once.",
)  # fmt: skip


def _load_plugins(ctx: click.Context, param: click.Parameter, files: tuple[Path, ...]) -> None:
    if not ctx.resilient_parsing:  # no code is run for a completion
        from bench.registry import load_installed, load_plugin

        load_installed()
        for file in files:
            load_plugin(file)
        ctx.meta[_PLUGINS] = files


def plugins() -> tuple[Path, ...]:
    """Return the plug-ins that the present command was given."""
    context = click.get_current_context(silent=True)
    files: tuple[Path, ...] = context.meta.get(_PLUGINS, ()) if context else ()
    return files


def same_run(suite: str, results: Path) -> str:
    """Return the options by which another command finds a run of the present one: suite, results, plug-ins."""
    made = Path(suite).parent == made_suites(results)
    words = ["--suite", Path(suite).stem if made else suite]
    if results != RESULTS:
        words += ["--results", str(results)]
    for file in plugins():
        words += ["--plugin", str(file)]
    return shlex.join(words)


plugin_option = click.option(
    "--plugin", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    multiple=True, callback=_load_plugins, expose_value=False,
    help="A Python file that registers models, attacks, studies or sections of your own; it is run first. May be "
    "given more than once.",
)  # fmt: skip

trust_budget_option = click.option(
    "--trust-budget", type=click.IntRange(min=50), metavar="N",
    help="Forward and backward passes for each image of the attack `adaptive`, which is added where checks "
    "find that the others may have been misled. Default: as many as `bench ls attacks adaptive` says.",
)  # fmt: skip
