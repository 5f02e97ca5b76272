"""An estimate of a run's duration: passes through the model times the time of a pass."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch

from bench.adapters.abilities import MayWait
from bench.adapters.generators import device_of, seeded
from bench.attacks.catalogue import row_of
from bench.attacks.members import read_members
from bench.data.table import fits
from bench.errors import StoreError
from bench.runner.cell import fit_identity
from bench.runner.kinds import KINDS
from bench.runner.plan import Plan
from bench.runner.substitutes import substitute_key
from bench.runner.taken_over import siblings_in
from bench.runner.task import own_surface
from bench.runner.training import counted
from bench.spec import BLACK_BOX_SURFACE, HANDED_IN_SURFACE, Cell, ModelRequest
from bench.store.identity import canonical_json, cell_key
from bench.store.store import Store

#: About how long a cell takes besides its attack: judging, hashing, and syncing files.
CELL_SECONDS = 0.05

#: CPU seconds that a timed pass may take (a slow model gets fewer images), wall seconds for all passes of
#: a kind, and how many are timed.
_PATIENCE = 0.1
_LIMIT = 2.0
_TRIES = 200
_FEW = 3
_TICK = 1e-6  # the shortest time measured, so that nothing is divided by 0

#: Attacks that end once the label flips, on the shipped networks mostly within this many of their steps;
#: those of universal are of DeepFool on one image.
_STEPS_UNTIL_A_FLIP = {"deepfool": 4, "sparsefool": 5, "universal": 2}

#: A machine is called busy if passes take this many times their CPU time.
_BUSY = 1.5

#: About the share of images that are attacked if the model has to be sure of them.
_SURE = 0.25

#: The fields of a cell's record that distinguish kinds of work.
_WORK = ("model", "surface", "toolkit", "attack", "norm")
Work = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run is about to do.

    Attributes:
        cells: number of cells in the plan.
        images: numbers of images per cell, each once, ascending.
        seconds: for each cell to be computed, about how long it will take.
        busy: how many times longer passes take now than on an idle machine; included in the seconds.
        later: number of cells whose time is not known until something else is done.
        first: what has to be done first, in words.
    """

    cells: int
    images: tuple[int, ...]
    seconds: Mapping[str, float]
    busy: float = 1.0
    later: int = 0
    first: str = ""

    @property
    def total(self) -> float:
        """Return about how many seconds all cells will take."""
        return sum(self.seconds.values())

    def line(self) -> str:
        """Return the estimate in words: `68 cells of 200 images, 12 to do, about 4 min`."""
        images = " or ".join(map(str, self.images)) + (
            " image" if self.images == (1,) else " images"
        )
        words = f"{self.cells} cell{'' if self.cells == 1 else 's'} of {images}"
        if self.later:
            words += f", of which {self.later} after {self.first}"
        words += f", {len(self.seconds)} {'others ' if self.later else ''}to do"
        if not self.seconds:
            return words
        assumed = " while the machine is as busy as now" if self.busy >= _BUSY else ""
        return f"{words}, {duration(self.total)}{assumed}"


@dataclass(frozen=True, slots=True)
class Pass:
    """The time of one image's pass on an idle machine.

    Attributes:
        used: CPU seconds of all timed passes.
        clock: wall seconds of all timed passes, which are longer on a busy machine.
    """

    seconds: float
    used: float = 0.0
    clock: float = 0.0


def duration(seconds: float) -> str:
    """Return a duration as roughly as it is known: `under 10 s`, `about 4 min`, `about 3 h`."""
    if seconds < 10:
        return "under 10 s"
    if seconds < 55:
        return f"about {round(seconds / 5) * 5} s"
    minutes = max(1, round(seconds / 60))
    if minutes < 60:
        return f"about {minutes} min"
    hours = seconds / 3600
    return f"about {hours:.1f} h" if hours < 9.95 else f"about {round(hours)} h"


def passes(name: str, parameters: Mapping[str, Any], num_classes: int) -> int:
    """Return about how many passes through the model an image takes.

    The kind of its rows may say so. Else it is the product of the attack's counts (steps, restarts, ...)
    except those with `constant_cost`, less the steps that are skipped once the label has changed.

    Args:
        name: of the attack.
        parameters: its parameters.
        num_classes: of the model.
    """
    attack = row_of(name)
    passes_of_kind = KINDS[attack.rows].passes
    if passes_of_kind is not None:
        return passes_of_kind(parameters)
    if "members" in parameters:
        # Norm and radius make no difference to the passes.
        asked = read_members(parameters["members"], next(iter(attack.norms)), "1")
        return sum(passes(spec.name, dict(spec.parameters), num_classes) for spec, _ in asked)
    scaling = [
        parameter
        for parameter, rule in attack.parameters.items()
        if rule.kind == "count" and not rule.constant_cost
    ]
    counts = {
        parameter: int(parameters[parameter]) for parameter in scaling if parameter in parameters
    }
    if name in _STEPS_UNTIL_A_FLIP:
        counts["steps"] = min(counts["steps"], _STEPS_UNTIL_A_FLIP[name])
    product = math.prod(counts.values())
    return product * (num_classes if attack.every_class else 1)


def work(cell: Cell) -> Work:
    """Return the kind of work of a cell; radius, parameters and image set make no difference."""
    spec = cell.attack
    return cell.model.title(), cell.surface, cell.toolkit, spec.name, spec.norm


def estimate(plan: Plan, store: Store, wanted: Collection[str], *, anew: bool = False) -> Estimate:
    """Return an estimate of how long the wanted cells of a plan will take.

    If the store holds a cell with the same attack, toolkit and model, the time of a pass is taken from
    it; else a few images are sent through the model.

    Args:
        plan: the plan to run.
        store: the results folder.
        wanted: keys of the cells to compute.
        anew: whether no rows are taken over, see `bench.runner.scope.Scope`.
    """
    classes = {
        work(plan.cells[key]): plan.adapters[plan.cells[key].model].spec.num_classes
        for key in wanted
    }
    paces = _stored(store, plan.device, classes)
    siblings = siblings_in(plan, store, () if anew else wanted)
    measured: dict[tuple[ModelRequest, str, int, str], Pass] = {}
    stored, new = {}, {}
    fits: set[str] = set()
    crafted: set[str] = set()
    for key in wanted:
        cell = plan.cells[key]
        kind = work(cell)
        source = cell_key(cell.source())
        if cell.source() != cell and (source in plan.cells or source in crafted):
            stored[key] = 0.0  # the images are crafted for another cell
            continue
        crafted.add(source)
        left = siblings.left(key)
        if not left:
            stored[key] = 0.0  # all rows are taken over
            continue
        batch, images = _together(plan, key, left, fits)
        view = cell.source().model, cell.surface, batch, cell.kind
        count = images * passes(cell.attack.name, dict(cell.attack.parameters), classes[kind])
        if cell.substitute is not None:
            # The model answers once for all cells of a substitute, whose own passes take little.
            view = cell.model, BLACK_BOX_SURFACE, batch, cell.kind
            count = _answers(plan, key, fits)
        elif kind in paces:
            stored[key] = count * paces[kind]
            continue
        if view not in measured:
            measured[view] = _measured(plan, *view)
        new[key] = count * measured[view].seconds
    busy = _busy(list(measured.values()))
    seconds = {
        key: busy * (CELL_SECONDS + new[key]) if key in new else CELL_SECONDS + stored[key]
        for key in wanted
    }
    cells = [*plan.cells.values(), *plan.later]
    counts = {len(plan.images_of(cell)) for cell in cells}
    return Estimate(
        len(cells), tuple(sorted(counts)), seconds, busy, len(plan.later), _before(plan)
    )


def _busy(measured: Collection[Pass]) -> float:
    """Return the ratio of wall time to CPU time of the passes, at least 1."""
    used, clock = sum(each.used for each in measured), sum(each.clock for each in measured)
    return max(1.0, clock / used) if used else 1.0


def _before(plan: Plan) -> str:
    """Return what has to be done before the whole plan is known: `training 60 models`."""
    steps = []
    if plan.untrained:
        steps.append(f"training {counted(plan.untrained)}")
    if plan.unembedded:
        steps.append(f"embedding the training images of {counted(plan.unembedded)}")
    if plan.uncombined:
        steps.append(f"predictions of the members of {counted(plan.uncombined)}")
    return " and ".join(steps)


def _answers(plan: Plan, key: str, shared: set[str]) -> int:
    """Return how many answers a substitute asks its model for; 0 if another cell waits for the same one.

    Args:
        plan: of the run.
        key: of the cell.
        shared: keys of the substitutes of other cells, to which that of this cell is added.
    """
    name, source = substitute_key(plan.cells[key]), plan.substitutes[key]
    asked = 0 if name in shared else source.name.queries + len(source.held_out)
    shared.add(name)
    return asked


def _together(plan: Plan, key: str, left: int, fits: set[str]) -> tuple[int, int]:
    """Return how many images of a cell are attacked together, and how many in all.

    What takes long of a fitted attack is its fit, and cells that share one wait for it once.

    Args:
        plan: of the run.
        key: of the cell.
        left: how many of its images have no rows to be taken over.
        fits: identities of the fits of other cells, to which that of this cell is added.
    """
    cell = plan.cells[key]
    images = math.ceil(left * _SURE) if cell.attack.least_confidence else left
    if cell.fit is not None:
        shared = canonical_json(fit_identity(cell))
        fitted = shared in fits or left < len(plan.images_of(cell))
        images = 0 if fitted else len(plan.sources[key].images)
        fits.add(shared)
        return min(int(cell.attack.parameter("batch")), max(images, 1)), images
    one_by_one = cell.toolkit in row_of(cell.attack.name).image_by_image
    return 1 if one_by_one else min(cell.batch_size, images), images


def _stored(store: Store, device: str, classes: Mapping[Work, int]) -> dict[Work, float]:
    """Return the seconds per image and pass, from the newest finished cell of each kind of work."""
    newest: dict[Work, dict[str, Any]] = {}
    for path in store.root.glob("cells/*/*/cell.json") if classes else ():
        with suppress(StoreError):  # a damaged record is skipped
            record = store.record(path.parent.name) or {}
            kind = tuple(str(record.get(name)) for name in _WORK)
            if "fit" in record:  # the seconds of its rows are those of an addition
                continue
            if kind in classes and record["device"] == device:
                newest_so_far = newest.get(kind, record)
                newest[kind] = max(newest_so_far, record, key=lambda cell: str(cell["finished"]))
    paces = {}
    for kind, record in newest.items():
        with suppress(StoreError):
            taken = float(store.rows(record["cell"])["seconds"].mean())
            paces[kind] = taken / passes(record["attack"], record["words"], classes[kind])
    return paces


def _measured(plan: Plan, model: ModelRequest, surface: str, batch: int, kind: str) -> Pass:
    """Return the time of a pass through a model: a gradient, an answer or a noisy copy."""
    adapter = plan.adapters[model]
    sets = [
        images for wanted, images in plan.images.items() if fits(wanted.data, adapter.spec.data)
    ]
    few = max(sets, key=len).first(batch)
    device = device_of(adapter)
    x, y = few.images.to(device), few.labels.to(device)
    # The CPU time of this thread, which takes part in everything that torch computes, does not depend on
    # what else the machine does. On a GPU, or for a function that may wait, only wall time counts.
    waits = isinstance(adapter, MayWait) and adapter.may_wait
    own = not (x.is_cuda or waits)

    timed = KINDS[kind].timed
    passes_at_once = 1

    def ask(count: int) -> tuple[float, float]:
        nonlocal passes_at_once
        began, used = time.perf_counter(), time.thread_time()
        if timed is not None:
            passes_at_once = timed(adapter, x[:count])
        elif surface in (BLACK_BOX_SURFACE, HANDED_IN_SURFACE) or not adapter.surfaces():
            adapter.predict(x[:count])
        else:
            adapter.gradient(x[:count], y[:count], surface=own_surface(adapter, surface))
        if x.is_cuda:
            torch.cuda.synchronize(device)
        clock = time.perf_counter() - began
        return time.thread_time() - used if own else clock, clock

    # Timing must not change the draws of a random model in the run. A model that fails is no error yet:
    # its cells will fail and report why.
    with seeded(0, device), suppress(Exception):
        ask(1)  # the first pass is slower
        single = min(ask(1), ask(1))[0]
        count = max(1, min(len(x), int(_PATIENCE / max(single, _TICK))))
        taken = [ask(count)]
        while len(taken) < _TRIES and sum(clock for _, clock in taken) < _LIMIT:
            if sum(used for used, _ in taken) >= _PATIENCE and len(taken) >= _FEW:
                break
            taken.append(ask(count))
        used, clock = (sum(times) for times in zip(*taken, strict=True))
        least = min(used for used, _ in taken) / (count * passes_at_once)
        return Pass(least, used, clock)
    return Pass(0.0)
