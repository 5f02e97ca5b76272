"""What `bench run` computes with: its own processes, or a Ray cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import rich_click as click

from bench.cli.options import plugins
from bench.errors import SpecError

if TYPE_CHECKING:
    from bench.runner.execute import Computing
    from bench.runner.loading import Setting
    from bench.runner.worker import Order


def _note_files(ctx: click.Context, param: click.Parameter, executor: str) -> str:
    """Begin to note which files are read, since the machines of a cluster need them."""
    if executor == "ray" and not ctx.resilient_parsing:
        from bench.runner.luggage import note_files

        note_files()
    return executor


def executor_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say what computes the cells."""
    executor = click.option(
        "--executor", type=click.Choice(["local", "ray"]), default="local", show_default=True,
        is_eager=True, callback=_note_files,  # before plug-ins are run
        help="Compute in processes of this machine, or in tasks of a Ray cluster, one core or GPU each.",
    )  # fmt: skip
    address = click.option(
        "--address", metavar="HOST:PORT|auto",
        help="The Ray cluster: the address of its head, or `auto` for the one that this machine is part of. Default: "
        "RAY_ADDRESS, else Ray is started on this machine for the run.",
    )  # fmt: skip
    return executor(address(command))


def check_executor(options: Mapping[str, Any]) -> None:
    """Check that the cells can be computed as asked, before anything is loaded.

    Raises:
        SpecError: options that do not go together.
        PrerequisiteError: Ray is not installed, no cluster answers, or too much would have to travel.
    """
    if options["executor"] != "ray":
        if options["address"] is not None:
            raise SpecError("--address goes with --executor ray")
        return
    if options["workers"] is not None:
        raise SpecError(
            "--workers goes with --executor local; Ray computes as many cells at once as have room"
        )
    if options["dry_run"]:
        return
    from bench.runner.luggage import never_travel, plugin_files
    from bench.runner.on_ray import check_ray

    plugin_files(plugins(), never_travel(options["results"], options["out"], options["data"]))
    check_ray(_address(options))


def driving(setting: Setting, options: Mapping[str, Any]) -> Setting:
    """Return how the command itself loads models: it needs no GPU where the machines of a cluster have them."""
    if options["executor"] == "ray" and setting.device == "cuda":
        return replace(setting, device="auto")
    return setting


def on_ray(order: Order, expected: Mapping[str, float], options: Mapping[str, Any]) -> Computing:
    """Return what computes cells on a Ray cluster.

    Args:
        order: what each task has to know.
        expected: seconds that cells are expected to take, by key.
        options: of the command.
    """
    from bench.paths import data_dir
    from bench.runner.luggage import luggage
    from bench.runner.on_ray import OnRay

    setting = replace(order.setting, data=data_dir(options["data"]).resolve())
    order = replace(order, setting=setting)
    travels = luggage(plugins(), options["results"], options["out"], options["data"])
    return OnRay(order=order, address=_address(options), luggage=travels, expected=expected)


def _address(options: Mapping[str, Any]) -> str:
    return options["address"] or os.environ.get("RAY_ADDRESS") or "local"
