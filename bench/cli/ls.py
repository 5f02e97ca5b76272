"""`bench ls`: what there is. Imports no torch, so that it answers at once, but for runs and checks."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import rich_click as click

from bench.cli.ls_records import RECORDS, runs_of
from bench.cli.options import complete_attacks, plugin_option, results_option
from bench.errors import SpecError

_LISTED = [*RECORDS, "runs"]


@click.command()
@click.argument("what", type=click.Choice(_LISTED))
@click.argument("name", required=False, shell_complete=complete_attacks)
@plugin_option
@results_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def ls(what: str, name: str | None, results: Path, as_json: bool) -> None:
    """List models, attacks, suites and so on, those of plug-ins too, or the runs in a folder of results.

    `bench ls attacks NAME` tells of one attack: its parameters with their defaults, and what each
    toolkit takes.
    """
    if name is not None:
        _one(what, name, as_json)
        return
    records = runs_of(results) if what == "runs" else RECORDS[what]()
    if as_json:
        for record in records:
            click.echo(json.dumps(record))
        return
    _SCREENS.get(what, _screen)(records)


def _one(what: str, name: str, as_json: bool) -> None:
    """Print one attack."""
    from bench.attacks.described import described

    if what != "attacks":
        raise SpecError(f"bench ls {what} takes no name; leave {name} out")
    record = described(name)
    if as_json:
        click.echo(json.dumps(record))
    else:
        _screen_of_attack(record)


def _screen_of_attack(record: dict[str, Any]) -> None:
    from bench.cli.display import print_list, print_table

    print_list("", [(record["name"], record["note"])])
    where = ", ".join(f"{kit} {' '.join(norms)}" for kit, norms in record["where"].items())
    print_list("", [
        ("toolkits", where),
        *([("named", f"{', '.join(record['on_request'])}: {_ON_REQUEST}")]
          if record["on_request"] else []),
        ("kind", _KINDS.get(record["kind"], f"{record['kind']}: a measurement, and attacks nothing")),
        ("asks for", _ACCESS[record["access"]]),
        *([("goals", ", ".join(record["goals"]))] if record["goals"] else []),
    ])  # fmt: skip
    click.echo("\nParameters")
    print_table([
        {"name": one["name"], "default": _default(one["default"]), "values": one["values"],
         "meaning": one["meaning"]}
        for one in record["parameters"]
    ])  # fmt: skip
    print_list("What a toolkit takes otherwise", [
        (one["name"], why) for one in record["parameters"] for why in one["refused"].values()
    ])  # fmt: skip
    print_list("What a toolkit lacks or has wrong", [
        (" ".join([*_lacking(record, kit), f"({kit})"]), reason)
        for kit, reason in record["absent"].items()
    ])  # fmt: skip
    print_list("What must be installed first", list(record["unavailable"].items()))


_ON_REQUEST = "runs it where a suite names it, or in a norm that no other has"
_KINDS = {
    "fixed": "fixed: takes a radius and uses it",
    "minimal": "minimal: looks for the nearest adversarial image, and takes no radius",
    "certificate": "certificate: proves a radius, and attacks nothing",
}
_ACCESS = {
    "whole": "the whole model: its gradients, what is inside, its scores and decisions",
    "white": "gradients of the model",
    "score": "the scores of the model alone",
    "decision": "the decisions of the model alone",
    "none": "nothing: the images are made already",
}


def _default(value: Any) -> str:
    if value is None:
        return "to be given"
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


def _screen(records: list[dict[str, Any]]) -> None:
    from bench.cli.display import print_table

    print_table([{key: _plain(value) for key, value in record.items()} for record in records])


def _screen_of_models(records: list[dict[str, Any]]) -> None:
    """Print the models family by family, as the data sets come, then the forms of addresses."""
    from bench.addresses.address import SCHEMES
    from bench.cli.display import print_list, print_table

    order = list(dict.fromkeys((record["data"], record["family"]) for record in records))
    records = sorted(records, key=lambda record: order.index((record["data"], record["family"])))
    print_table(
        [
            {
                "model": record["name"],
                "clean (%)": _percent(record["clean_accuracy"]),
                "parameters": record["parameters"],
                "weights": record["weights"].replace("trained at", "at"),
                "family: surfaces": f"{record['family']}: {_plain(record['surfaces']) or 'none'}",
            }
            for record in records
        ],
        group="family: surfaces",
    )
    print_list("Models at addresses, and what must be installed for them", [
        (scheme.form, f"pip install 'crossfire-bench[{scheme.extra}]'" if scheme.extra else "nothing")
        for scheme in SCHEMES.values()
    ])  # fmt: skip


def _screen_of_suites(records: list[dict[str, Any]]) -> None:
    from bench.cli.display import print_list, print_table

    print_table([
        {"suite": record["name"], "images": record["images"], "models": len(record["models"]),
         "data": _plain(record["data"]), "title": record["title"]}
        for record in records
    ])  # fmt: skip
    print_list("Studies, and the documents that they repeat", [
        (record["name"], record["study"]) for record in records if record["study"]
    ])  # fmt: skip


def _screen_of_attacks(records: list[dict[str, Any]]) -> None:
    """Print which toolkit has an attack in which norms, then in words what each is and lacks."""
    from bench.cli.display import print_list, print_table
    from bench.cli.screen import fits, width_of
    from bench.spec import EVERY_TOOLKIT

    kits = [kit for kit in EVERY_TOOLKIT if any(kit in one["where"] for one in records)]
    known = [
        {"attack": one["name"], "kind": one["kind"], "access": one["access"],
         "targeted": "yes" if one["targeted"] else ""} for one in records
    ]  # fmt: skip
    norms = [
        {kit: " ".join(sorted(record["where"].get(kit, ()))) for kit in kits} for record in records
    ]
    rows = [one | where for one, where in zip(known, norms, strict=True)]
    if not fits(rows, width_of(sys.stdout)):
        said = (", ".join(f"{kit} {of_it}" for kit, of_it in one.items() if of_it) for one in norms)
        rows = [one | {"toolkits and norms": where} for one, where in zip(known, said, strict=True)]
    print_table(rows)
    print_list("What they do; the parameters of one: bench ls attacks NAME", [
        (record["name"], record["note"]) for record in records
    ])  # fmt: skip
    print_list("What a toolkit lacks or has wrong", [
        (" ".join([record["name"], *_lacking(record, kit), f"({kit})"]), reason)
        for record in records
        for kit, reason in record["absent"].items()
    ])  # fmt: skip
    print_list("What must be installed first", _installing(records))


def _installing(records: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Return each command that installs something once, with the attacks that need it."""
    needing: dict[tuple[str, str], list[str]] = {}
    for record in records:
        for kit, command in record["unavailable"].items():
            needing.setdefault((kit, command), []).append(record["name"])
    return [
        (f"{names[0] if len(names) == 1 else f'{len(names)} attacks'} ({kit})", command)
        for (kit, command), names in needing.items()
    ]


def _lacking(record: dict[str, Any], toolkit: str) -> list[str]:
    """Return the norms of an attack that a toolkit lacks; none where it has the attack in none."""
    there = record["where"].get(toolkit, ())
    return [norm for norm in record["norms"] if norm not in there] if there else []


def _screen_of_toolkits(records: list[dict[str, Any]]) -> None:
    from bench.cli.display import print_list, print_table

    print_table([
        {"toolkit": record["name"], "installed": record["installed"],
         "attacks": len(record["attacks"])}
        for record in records
    ])  # fmt: skip
    print_list("Attacks", [(record["name"], ", ".join(record["attacks"])) for record in records])
    print_list("Optional packages", [
        (package, words) for record in records for package, words in record["optional"].items()
    ])  # fmt: skip


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{100 * share:.1f}"


def _plain(value: Any) -> Any:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else value


def _screen_of_runs(records: list[dict[str, Any]]) -> None:
    from bench.cli.display import print_table
    from bench.report.formatting import date

    print_table([
        {"run": record["run"], "suite": record["suite"], "started": date(record["started"]),
         "cells": record["cells"], "asked for": record["asked"]}
        for record in records
    ])  # fmt: skip


_SCREENS = {
    "attacks": _screen_of_attacks,
    "models": _screen_of_models,
    "suites": _screen_of_suites,
    "toolkits": _screen_of_toolkits,
    "runs": _screen_of_runs,
}
