"""`bench run MODEL`: a suite for a single model is made from a threat, and kept in the folder of results."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from bench.cli.options import complete_models
from bench.errors import SpecError

if TYPE_CHECKING:
    from bench.runner.made_suite import MadeSuite

NORMS = ("linf", "l2", "l1", "l0")


def model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the argument and the options by which a single model is evaluated without a suite file."""
    options = [
        click.argument("model", required=False, shell_complete=complete_models),
        click.option(
            "--norm", type=click.Choice(NORMS),
            help="With MODEL: the norm of its attacks; --eps gives their radii.",
        ),
        click.option(
            "--data", metavar="DIR|NAME",
            help="The folder of data sets, in torchvision's layout; default: BENCH_DATA, else the cache. With "
            "MODEL also the name of the data set it classifies, where the model does not say it.",
        ),
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def asked_for(
    model: str | None, suite: str | None, options: dict[str, Any]
) -> tuple[str, MadeSuite | None, dict[str, Any]]:
    """Return the suite to run, what was made for a single model, and the options that are left for it.

    Args:
        model: a name or an address; None for a suite.
        suite: a name or a path; None for a model.
        options: of the command; `data` as text.

    Raises:
        SpecError: neither or both are given, options that do not go together, or no such model or data set.
    """
    if model is None and suite is None:
        raise SpecError(
            "say what to run: --suite NAME|FILE, or a model and its threat, as in bench run MODEL --norm linf "
            "--eps 8/255"
        )
    if model is not None and suite is not None:
        raise SpecError(
            f"give MODEL or --suite, not both; of suite {suite} alone this model: --suite {suite} --model {model}"
        )
    if model is None:
        assert suite is not None
        if options["norm"] is not None:
            raise SpecError("--norm goes with MODEL; a suite file names the norms of its attacks")
        return suite, None, {**options, "data": _folder_for_suite(options["data"])}
    made, folder = _made(model, options)
    left = {**options, "data": folder, "models": (made[0],), "eps": ()}
    return str(made[1].path), made[1], left


def keep(made: MadeSuite, dry_run: bool) -> None:
    """Print a suite that was made, unless it was printed before, and write its file, unless nothing is to run."""
    from bench.cli.display import say

    if made.kept:
        say(f"suite {made.path.stem}: {made.path}")
        return
    if dry_run:
        say(f"suite {made.path.stem}, which a run would write to {made.path}:")
    else:
        from bench.store.files import atomic_write

        atomic_write(made.path, made.text.encode(), "--results DIR")
        say(f"suite {made.path.stem}, written to {made.path}:")
    say(f"\n{made.text}")


def _made(model: str, options: Mapping[str, Any]) -> tuple[tuple[str, MadeSuite], Path | None]:
    """Return the model's name with its data set, the suite made for it, and the folder of data sets."""
    from bench.runner.made_suite import Evaluation, make_suite
    from bench.runner.sketch import sketched
    from bench.spec import ModelRequest

    for name, wanted in (("norm", "linf"), ("eps", "8/255")):
        if not options[name]:
            raise SpecError(
                f"{model}: say how it is attacked with --{name}, such as --{name} {wanted}"
            )
    if options["models"]:
        raise SpecError("--model chooses models of a suite; leave it out beside MODEL")
    data, folder = _data_or_folder(options["data"])
    name, data_set = _with_data(model, data)
    adapter = sketched(ModelRequest(name=name), device="cpu", data=folder)
    evaluation = Evaluation(
        model=name, data=data_set, norm=options["norm"], eps=options["eps"],
        gradient=bool(adapter.surfaces()),
    )  # fmt: skip
    words = ["bench", "run", name, "--norm", options["norm"]]
    for radius in options["eps"]:
        words += ["--eps", radius]
    return (name, make_suite(evaluation, options["results"], shlex.join(words))), folder


def _with_data(model: str, data: str) -> tuple[str, str]:
    """Return the name of a model, with the data set that an address lacks, and that data set.

    Raises:
        SpecError: no such model, or one of another data set.
    """
    from bench.addresses.address import Address, is_address
    from bench.model_names import MODELS
    from bench.runner.suite import look_up
    from bench.suite_files import known_suites

    if model.endswith(".toml") or model in known_suites():
        raise SpecError(f"{model} is a suite, no model; run: bench run --suite {model}")
    if data and is_address(model) and not Address.read(model).data:
        model = f"{model}{'&' if '?' in model else '?'}data={data}"
    look_up(MODELS.__getitem__, model)
    own: str = MODELS[model].facts["data"]
    if data and data != own:
        raise SpecError(f"--data {data}: {model} classifies {own}; leave --data out")
    return model, own


def _data_or_folder(text: str | None) -> tuple[str, Path | None]:
    """Return a data set or the folder of data sets, whichever a text names.

    Raises:
        SpecError: it looks like the name of a data set, but there is none.
    """
    from bench.data.table import DATASETS
    from bench.registry import unknown

    if text is None:
        return "", None
    if text in DATASETS:
        return text, None
    if not Path(text).is_dir() and (":" in text or Path(text).name == text):
        reason = unknown("data set", text, list(DATASETS))
        raise SpecError(f"--data: {reason}; a folder that is still to be made is written ./{text}")
    return "", Path(text)


def _folder_for_suite(text: str | None) -> Path | None:
    """Return the folder of data sets.

    Raises:
        SpecError: it is no folder but the name of a data set.
    """
    from bench.data.table import DATASETS

    if text is None:
        return None
    if not Path(text).exists() and text in DATASETS:
        raise SpecError(
            f"--data {text}: a suite names its data sets itself, so that --data is the folder where they lie; a "
            f"folder of that name is written ./{text}"
        )
    return Path(text)
