"""What a run writes into its log: its protocol, its cells and its models.

Facts of a model itself (the accuracy on its card, how well its surrogate agrees, snapshots of its training)
are in the log and not in the store, since no row depends on them; reports read them from here.
"""

from __future__ import annotations

import platform
from dataclasses import asdict
from functools import cache
from importlib import metadata
from typing import Any

import torch

from bench.adapters.abilities import TellsFacts, WeighsMembers
from bench.addresses.address import is_address, loaded_with
from bench.attacks.catalogue import access, attacking_kind, row_of
from bench.attacks.toolkits import ADDED
from bench.data.address import is_data_address
from bench.data.table import DATASETS, fits
from bench.data.users import READERS
from bench.model_names import MODELS
from bench.runner.kinds import KINDS
from bench.runner.plan import Plan
from bench.spec import Adapter, Cell, ModelRequest, Suite, in_short
from bench.store.added import Added
from bench.train.cards import learning_curves, poisoning, read_card, snapshots_file, weights_folder
from bench.train.families import family_named
from bench.trust.behaviour import Behaviour
from bench.version import __version__

#: Facts that only some families have, see `bench.store.results.Results`; null for the others.
_OPTIONAL_FACTS = dict.fromkeys(
    (
        "sigma",
        "moments",
        "filters",
        "surrogate",
        "draws",
        "trunk",
        "curves",
        "importances",
        "poison",
        "loaded_with",
    )
)

#: What is used of a model that is attacked through a substitute, by the answers that it is asked for.
_ACCESS = {"labels": "decision", "scores": "score"}

_VERSIONED = {
    "art": "adversarial-robustness-toolbox",
    "foolbox": "foolbox",
    "torchattacks": "torchattacks",
    "adv-lib": "adv-lib",
    "torch": "torch",
    "numpy": "numpy",
}


@cache
def versions() -> dict[str, str]:
    """Return the installed versions that results may depend on."""
    # Crossfire's own is not read from package metadata, which a checkout on the path does not have.
    installed = {"python": platform.python_version(), "crossfire": __version__}
    for name, distribution in _VERSIONED.items():
        try:
            installed[name] = metadata.version(distribution)
        except metadata.PackageNotFoundError:
            if name not in ADDED:
                installed[name] = "absent"
    return installed


def made_by(device: str) -> dict[str, Any]:
    """Return what computes the rows: `versions`, `device`, `host` and `threads` (of torch)."""
    return {
        "versions": versions(),
        "device": device,
        "host": f"{platform.system()} {platform.machine()}",
        "threads": torch.get_num_threads(),
    }


def manifest(plan: Plan, shard: str | None, added: Added | None = None) -> dict[str, Any]:
    """Return the first entry of a run's log; `bench.store.results.Results` explains each part.

    Args:
        plan: of the run.
        shard: `I/N` if the run computes one share of the plan.
        added: the images that it added to undecided comparisons; None where numbers of images are fixed beforehand.
    """
    suite = plan.suite
    return {
        "suite": suite.name,
        "content": plan.content,
        "asked": {**plan.asked, "answers": _answers(plan)},
        "title": suite.title,
        "protocol": {
            "data": [wanted.data for wanted in suite.images],
            "split": suite.images[0].split,
            **_orders(suite),
            "images": _images(plan),
            "seed": suite.seed,
            "batch_size": _batch_size(plan),
            **made_by(plan.device),
        },
        "cells": [
            cell_facts(key, cell, plan.adapters[cell.model].spec.family)
            | ({"asked_images": plan.asked_images[key]} if key in plan.asked_images else {})
            for key, cell in plan.cells.items()
        ],
        "models": [
            _model_facts(request, plan.adapters[request], plan.behaviours.get(request, Behaviour()))
            | _data_facts(plan.adapters[request], suite)
            | {"threats": _threats(request, suite)}
            for request in suite.models
        ],
        "trainings": list(plan.trainings),
        "bounds": dict(suite.bounds),
        "left_out": list(plan.left_out),
        "claims": [asdict(claim) for claim in suite.claims],
        "shard": shard,
        **({} if added is None else {"decide": added.logged()}),
    }


def _orders(suite: Suite) -> dict[str, str]:
    """Return which images come first, where that is not the order of the file."""
    order = in_short(suite.images[0].order)
    return {"order": order} if order else {}


def _batch_size(plan: Plan) -> int | list[int]:
    """Return how many images of a cell are attacked together; each number once, if cells differ."""
    sizes = sorted({cell.batch_size for cell in plan.cells.values()})
    return sizes[0] if len(sizes) == 1 else sizes


def _kind(cell: Cell) -> str:
    """Return `fixed` or `minimal`, or the kind of rows of a cell that attacks nothing."""
    kind = KINDS[cell.kind].rows
    return attacking_kind(row_of(cell.attack.name)) if kind.attacks else kind.name


def cell_facts(key: str, cell: Cell, family: str) -> dict[str, Any]:
    """Return a description of a cell for logs and records.

    Args:
        key: of the cell.
        cell: the planned cell.
        family: of its model.
    """
    spec = cell.attack
    return {
        "cell": key,
        "model": cell.model.title(),
        "family": family,
        "data": cell.images.data,
        "attack": spec.name,
        "norm": spec.norm,
        "eps": spec.eps,
        "toolkit": cell.toolkit,
        "surface": cell.surface,
        "climbed": None if cell.source() == cell else cell.source().model.title(),
        "goal": spec.goal,
        "targeted": spec.targeted,
        "words": dict(spec.parameters),
        "batch_size": cell.batch_size,
        "kind": _kind(cell),
        "access": access(spec.name)
        if cell.substitute is None
        else _ACCESS[cell.substitute.answers],
    }


def _answers(plan: Plan) -> int:
    """Return the total number of images of all cells."""
    return sum(len(plan.images_of(cell)) for cell in plan.cells.values())


def _images(plan: Plan) -> int:
    """Return the number of images in the suite's largest set."""
    counts = {wanted: len(images) for wanted, images in plan.images.items()}
    own = [counts[wanted] for wanted in plan.suite.images if wanted in counts]
    return max(own or counts.values())  # the largest, if every attack gives its own number


def _model_facts(request: ModelRequest, adapter: Adapter, behaviour: Behaviour) -> dict[str, Any]:
    """Return the facts of a model: from its registration, its card, its training and the model itself."""
    folder, family = (
        weights_folder(request.name),
        family_named(MODELS[request.name].facts["family"]),
    )
    card = (read_card(folder, request.name) if folder else None) or {}
    return {
        **_OPTIONAL_FACTS,
        **_snapshots(request.name),
        "curves": learning_curves(card),
        "poison": poisoning(card),
        **({"loaded_with": loaded_with(request.name)} if is_address(request.name) else {}),
        **(adapter.facts() if isinstance(adapter, TellsFacts) else {}),
        **({"importances": adapter.importances()} if isinstance(adapter, WeighsMembers) else {}),
        "model": request.title(),
        "request": {"name": request.name, "options": dict(request.options)},
        "family": adapter.spec.family,
        "clean_accuracy": card.get("clean_accuracy"),
        "options": family.options_named(request.name),
        "f_score": card.get("f_score"),
        "random": behaviour.random,
        "notes": behaviour.notes(),
    }


def _data_facts(adapter: Adapter, suite: Suite) -> dict[str, Any]:
    """Return the data set that a model is attacked on; of one that Crossfire does not list, its classes too.

    Whoever reads the log may not have that data set.
    """
    name = next(images.data for images in suite.images if fits(images.data, adapter.spec.data))
    known = DATASETS[name]
    own = is_data_address(name) or name in READERS
    return {"data": name, **({"classes": list(known.classes)} if own else {})}


def _threats(request: ModelRequest, suite: Suite) -> list[list[str | None]]:
    """Return norm and eps of the attacks that a suite makes on a model, each once; of minimal-norm ones no eps."""
    specs = (attack.spec for attack in suite.attacks if attack.is_on(request))
    return [list(threat) for threat in dict.fromkeys((spec.norm, spec.eps) for spec in specs)]


def _snapshots(name: str) -> dict[str, Any]:
    """Return the snapshots of a model's training, read by its family; empty if there are none."""
    folder = weights_folder(name)
    path = snapshots_file(folder, name) if folder else None
    facts = MODELS[name].facts
    if path is None or not path.is_file() or not facts["recipe"]:
        return {}
    return family_named(facts["family"]).read_snapshots(path.read_bytes())
