"""`bench run --decide`: images are added until every comparison of the claims is decided."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import rich_click as click

from bench.errors import SpecError
from bench.spec import whole

if TYPE_CHECKING:
    from bench.cli.display import Display
    from bench.runner.decide import Limits
    from bench.runner.execute import Computing
    from bench.runner.plan import Plan
    from bench.runner.scope import Scope
    from bench.store.store import Store

_SECONDS = {"s": 1, "m": 60, "h": 3600}
_BUDGET = "30m"


def decide_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options by which images are added to undecided comparisons."""
    options = [
        click.option(
            "--decide", is_flag=True,
            help="After the run, add images to the cells of undecided comparisons, until all are decided or the "
            "budget is spent.",
        ),
        click.option(
            "--budget", metavar="TIME",
            help=f"With --decide: for how long images are added, such as 90s, 30m or 2h. Default: {_BUDGET}.",
        ),
        click.option(
            "--images-up-to", "images_up_to", metavar="N|all",
            help="With --decide: how many images a cell gets at most. Default: all of its split.",
        ),
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def limits_of(options: Mapping[str, Any]) -> Limits | None:
    """Return how long images are to be added, and up to how many; None where none are.

    Raises:
        SpecError: an amount that cannot be read, or an option that does not go with the others.
    """
    if not options["decide"]:
        for name in ("budget", "images_up_to"):
            if options[name] is not None:
                raise SpecError(f"--{name.replace('_', '-')} goes with --decide")
        return None
    for name, wanted in (("shard", None), ("overwrite", "missing")):
        if options[name] != wanted:
            raise SpecError(
                f"--decide looks at all cells of a run; leave out --{name}, which computes only some of them"
            )
    from bench.runner.decide import Limits

    return Limits(
        budget=_seconds(options["budget"] or _BUDGET), images=_most(options["images_up_to"])
    )


def add_images(
    plan: Plan,
    store: Store,
    run: str,
    limits: Limits,
    scope: Scope,
    display: Display,
    compute: Computing,
) -> str:
    """Add images to undecided comparisons, and return the name of the last run."""
    from bench.runner.decide import decide

    if not plan.suite.claims:
        display.note(what_it_would_do(plan, limits))
        return run
    return decide(plan, store, run, limits, scope, display, compute)


def what_it_would_do(plan: Plan, limits: Limits) -> str:
    """Return in a line what is decided after the run of a plan."""
    from bench.report.formatting import plural

    claims = len(plan.suite.claims)
    if not claims:
        return f"suite {plan.suite.name} has no claims, so there is nothing to decide"
    return (
        f"then images are added to undecided comparisons of {plural(claims, 'claim')}, for at most "
        f"{limits.budget / 60:g} minutes"
    )


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text)
    if found is None or not float(found[1]):
        raise SpecError(f"--budget {text}: write a time such as 90s, 30m or 2h")
    return float(found[1]) * _SECONDS[found[2]]


def _most(text: str | None) -> int | None:
    if text in (None, "all"):
        return None
    number = whole(str(text))
    if not number:
        raise SpecError(f"--images-up-to {text}: write a number from 1, or all")
    return number
