"""`bench ls`: what there is. Imports no torch, so that it answers at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import rich_click as click

from bench.cli.options import plugin_option


@click.command()
@click.argument("what", type=click.Choice(["models", "attacks", "suites", "datasets", "toolkits"]))
@plugin_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def ls(what: str, plugin: Path | None, as_json: bool) -> None:
    """List models, attacks, suites, datasets or toolkits."""
    if plugin is not None:
        from bench.registry import load_plugin

        load_plugin(plugin)
    records = _RECORDS[what]()
    if as_json:
        for record in records:
            click.echo(json.dumps(record))
        return
    from bench.cli.display import print_table

    print_table([{key: _plain(value) for key, value in record.items()} for record in records])


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return f"{value:.4f}"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else value


def _models() -> list[dict[str, Any]]:
    from bench.zoo import listing

    return listing()


def _attacks() -> list[dict[str, Any]]:
    from bench.attacks.catalogue import listing

    return listing()


def _suites() -> list[dict[str, Any]]:
    from bench.runner.suite import load_suite, shipped_suites

    suites = [load_suite(name) for name in shipped_suites()]
    return [
        {
            "name": suite.name,
            "data": suite.images.data,
            "images": suite.images.count or "all",
            "models": [model.name for model in suite.models],
            "title": suite.title,
        }
        for suite in suites
    ]


def _datasets() -> list[dict[str, Any]]:
    from bench.data.table import DATASETS

    return [
        {
            "name": entry.name,
            "shape": list(entry.input_shape),
            "classes": len(entry.classes),
            "splits": [f"{name} {count}" for name, count in entry.splits.items()],
            "note": entry.note,
        }
        for entry in DATASETS.values()
    ]


def _toolkits() -> list[dict[str, Any]]:
    from bench.attacks.catalogue import install_command, installed, listing
    from bench.spec import TOOLKITS

    return [
        {
            "name": toolkit,
            "installed": "yes" if installed(toolkit) else f"no; run: {install_command(toolkit)}",
            "attacks": [entry["name"] for entry in listing() if toolkit in entry["toolkits"]],
        }
        for toolkit in TOOLKITS
    ]


_RECORDS = {
    "models": _models,
    "attacks": _attacks,
    "suites": _suites,
    "datasets": _datasets,
    "toolkits": _toolkits,
}
