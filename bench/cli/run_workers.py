"""What computes the cells of `bench run`: its own process, several, or a Ray cluster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import rich_click as click

from bench.cli.options import plugins
from bench.cli.run_ray import on_ray

if TYPE_CHECKING:
    from bench.runner.execute import Computing
    from bench.runner.loading import Setting
    from bench.runner.scope import Scope
    from bench.runner.selection import Selection
    from bench.spec import Suite

workers_option = click.option(
    "--workers", type=click.IntRange(min=1), metavar="N",
    help="Compute in N processes. Default: one a core, or one a GPU, where the run takes more than a minute; "
    "else one.",
)  # fmt: skip


def narrowing(options: Mapping[str, Any]) -> tuple[Selection, Setting]:
    """Return which part of the suite is run, and how and where."""
    from bench.runner.loading import Setting
    from bench.runner.selection import Selection

    part = {name: options[name] for name in ("models", "attacks", "toolkits", "images")}
    setting = {name: options[name] for name in ("batch_size", "device", "data")}
    return Selection(**part), Setting(**setting)


def computing(
    asked: Suite, scope: Scope, expected: Mapping[str, float], options: Mapping[str, Any]
) -> Computing:
    """Return what computes the cells of a run, and those that are added to it.

    Args:
        asked: the suite, from which each worker makes its part of the plan again.
        scope: which of its cells are computed.
        expected: seconds that they are expected to take one process, by key.
        options: of the command.
    """
    from bench.runner.worker import Order
    from bench.runner.workers import workers_for

    selection, setting = narrowing(options)
    order = Order(
        suite=asked, selection=selection, setting=setting,
        plugins=tuple(file.resolve() for file in plugins()), results=options["results"].resolve(),
        scope=scope,
    )  # fmt: skip
    if options["executor"] == "ray":
        return on_ray(order, expected, options)
    return workers_for(order, options["workers"], expected)
