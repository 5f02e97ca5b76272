"""What `bench ls` lists, as plain records. Imports no torch, but for runs, checks and sections."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from bench.errors import SpecError

if TYPE_CHECKING:
    from bench.measure.source import Source


def _models() -> list[dict[str, Any]]:
    from bench.model_list import listing

    return listing()


def _attacks() -> list[dict[str, Any]]:
    from bench.attacks.catalogue import listing

    return listing()


def _suites() -> list[dict[str, Any]]:
    from bench.runner.suite import load_suite
    from bench.suite_files import known_suites

    files = known_suites()
    suites = [load_suite(name) for name in files]
    sources = {name: _source(file) for name, file in files.items()}
    return [
        {
            "name": suite.name,
            "data": ", ".join(one.data for one in suite.images),
            "images": suite.images[0].count or "all",
            "models": list(dict.fromkeys(model.name for model in suite.models)),
            "title": suite.title,
            "study": source.reference() if (source := sources[suite.name]) else None,
        }
        for suite in suites
    ]


def _source(file: Path) -> Source | None:
    """Return the document of a suite; None where it has none, or one that is broken, which is said."""
    from bench.measure.source import read_source
    from bench.suite_files import document_file

    try:
        return read_source(document_file(file))
    except SpecError as error:
        click.echo(f"error: {error}", err=True)
        return None


def _datasets() -> list[dict[str, Any]]:
    from bench.data.listing import listing

    return listing()


def _toolkits() -> list[dict[str, Any]]:
    from bench.attacks.catalogue import listing
    from bench.attacks.toolkits import install_command, installed
    from bench.spec import TOOLKITS

    return [
        {
            "name": toolkit,
            "installed": "yes" if installed(toolkit) else f"no; run: {install_command(toolkit)}",
            "attacks": [entry["name"] for entry in listing() if toolkit in entry["toolkits"]],
            "optional": _optional(toolkit),
        }
        for toolkit in TOOLKITS
    ]


def _checks() -> list[dict[str, Any]]:
    from bench.trust.checks.registry import all_checks

    return [
        {"id": check.id, "needs": check.needs, "level": check.level, "title": check.title}
        for check in all_checks().values()
    ]


def _sections() -> list[dict[str, Any]]:
    from bench.report.rules import origin, section_rules

    return [
        {
            "name": rule.name,
            "place": rule.place,
            "from": "Crossfire" if rule.make.__module__.startswith("bench.") else origin(rule.make),
        }
        for rule in section_rules()
    ]


def _families() -> list[dict[str, Any]]:
    from bench.model_names import FAMILY_ORIGINS, MODELS
    from bench.train.families import FAMILIES

    held = [MODELS[name].facts["family"] for name in MODELS]
    return [
        {"name": name, "models": held.count(name), "from": FAMILY_ORIGINS.get(name, "Crossfire")}
        for name in FAMILIES
    ]


def runs_of(results: Path) -> list[dict[str, Any]]:
    """Return the runs of a folder, the last started first."""
    from bench.store.chosen import asked_in_words, is_whole
    from bench.store.runlog import runs
    from bench.store.store import open_store

    return [
        {
            "run": start["run"],
            "suite": start["suite"],
            "started": start["started"],
            "cells": len(start["cells"]),
            "whole": is_whole(start.get("asked")),
            "asked": asked_in_words(start.get("asked")),
            "content": start.get("content"),
        }
        for start in runs(open_store(results, create=False))
    ]


def _optional(toolkit: str) -> dict[str, str]:
    """Return which packages some attacks of a toolkit need beside it, and whether they are here."""
    from bench.attacks.catalogue import optional
    from bench.attacks.toolkits import here

    found = {}
    for package, attacks in optional().items():
        named = ", ".join(name for name, kit in attacks if kit == toolkit)
        if named:
            state = "installed" if here(package) else f"not installed; run: pip install {package}"
            found[package] = f"{state}; for {toolkit}'s {named}"
    return found


#: What lists the things of each kind, but for runs, which lie in a folder.
RECORDS = {
    "models": _models,
    "attacks": _attacks,
    "suites": _suites,
    "datasets": _datasets,
    "toolkits": _toolkits,
    "checks": _checks,
    "sections": _sections,
    "families": _families,
}
