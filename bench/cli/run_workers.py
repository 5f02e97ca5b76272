"""What computes the cells of `bench run`: its own process, or several."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import rich_click as click

from bench.cli.options import plugins

if TYPE_CHECKING:
    from bench.runner.execute import Computing
    from bench.runner.loading import Setting
    from bench.runner.plan import Plan
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
    asked: Suite, plan: Plan, scope: Scope, seconds: float, options: Mapping[str, Any]
) -> Computing:
    """Return what computes the cells of a plan.

    Args:
        asked: the suite, from which each worker makes its part of the plan again.
        plan: the whole plan.
        scope: which of its cells are computed.
        seconds: that they are expected to take one process.
        options: of the command.
    """
    from bench.runner.compute import one_by_one
    from bench.runner.worker import Order
    from bench.runner.workers import Workers, cores, cuda_devices, worker_count

    devices = cuda_devices() if plan.device == "cuda" else ()
    count = options["workers"] or worker_count(seconds, len(devices))
    if count == 1:
        return one_by_one
    selection, setting = narrowing(options)
    order = Order(
        suite=asked, selection=selection, setting=setting,
        plugins=tuple(file.resolve() for file in plugins()), results=options["results"].resolve(),
        scope=scope, threads=max(1, cores() // count),
    )  # fmt: skip
    return Workers(order=order, count=count, devices=devices)
