"""`bench run MODEL`: a suite for a single model is made from a threat, and kept in the folder of results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from bench.cli.options import complete_models
from bench.errors import SpecError

if TYPE_CHECKING:
    from bench.runner.made_suite import MadeSuite
    from bench.runner.single_model import SingleModel

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
    made = _made(model, options)
    left = {**options, "data": made.folder, "models": (made.name,), "eps": ()}
    return str(made.suite.path), made.suite, left


def keep(made: MadeSuite, dry_run: bool) -> None:
    """Print a suite that was made, unless it was printed before, and write its file, unless nothing is to run."""
    from bench.cli.display import say

    if made.kept:
        say(f"suite {made.path.stem}: {made.path}")
        return
    if dry_run:
        say(f"suite {made.path.stem}, which a run would write to {made.path}:")
    else:
        from bench.runner.made_suite import write

        write(made)
        say(f"suite {made.path.stem}, written to {made.path}:")
    say(f"\n{made.text}")


def _made(model: str, options: Mapping[str, Any]) -> SingleModel:
    """Return a model with the suite that is made for it."""
    from bench.runner.single_model import single_model

    for name, wanted in (("norm", "linf"), ("eps", "8/255")):
        if not options[name]:
            raise SpecError(
                f"{model}: say how it is attacked with --{name}, such as --{name} {wanted}"
            )
    if options["models"]:
        raise SpecError("--model chooses models of a suite; leave it out beside MODEL")
    return single_model(model, options["norm"], options["eps"], options["data"], options["results"])


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
