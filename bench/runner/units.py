"""Units of work: cells that judge the same images, and the order in which workers take them."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench.spec import Cell
from bench.store.identity import cell_key

if TYPE_CHECKING:
    from bench.runner.plan import Plan


@dataclass(frozen=True, slots=True)
class Unit:
    """Cells that one worker computes.

    Attributes:
        models: the titles of the models under attack.
        keys: the cells, in the plan's order.
        cells: what they are, by key, with the one that crafts their images if that is in the plan; a worker
            needs it of those that the suite does not have.
    """

    models: tuple[str, ...]
    keys: tuple[str, ...]
    cells: Mapping[str, Cell] = field(default_factory=dict)


def units_of(
    plan: Plan, wanted: Sequence[str], expected: Mapping[str, float] | None = None
) -> list[Unit]:
    """Return the units of some cells of a plan: those of cells that judge the same images are together.

    Args:
        plan: of the run.
        wanted: the keys of the cells.
        expected: seconds that each is expected to take. The longest units come first, so that at the end no
            worker waits long for another; None for the plan's order.
    """
    groups: dict[str, list[str]] = {}
    for key in wanted:
        groups.setdefault(cell_key(plan.cells[key].source()), []).append(key)
    units = []
    for source, keys in groups.items():
        # The cell that crafted the images is in the plan of a worker where it is in the whole one.
        needed = dict.fromkeys([source, *keys] if source in plan.cells else keys)
        cells = {key: plan.cells[key] for key in needed}
        titles = dict.fromkeys(cell.model.title() for cell in cells.values())
        units.append(Unit(tuple(titles), tuple(keys), cells))
    seconds = {} if expected is None else expected
    return sorted(units, key=lambda unit: -sum(seconds.get(key, 0.0) for key in unit.keys))


class Queue:
    """Units that wait for a worker; one that has loaded their models takes them first."""

    def __init__(self, units: Sequence[Unit]) -> None:
        self._waiting: dict[tuple[str, ...], deque[Unit]] = {}
        for unit in units:
            self._waiting.setdefault(unit.models, deque()).append(unit)

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def take(self, loaded: tuple[str, ...], elsewhere: Collection[tuple[str, ...]]) -> Unit | None:
        """Return the next unit, which leaves the queue; None if none waits.

        Args:
            loaded: the models that the worker has loaded; no other has to load them for it.
            elsewhere: those that the other workers have loaded, which are left to them as long as there are
                others; then the worker helps where most is left.
        """
        if not self._waiting:
            return None
        free = [models for models in self._waiting if models not in elsewhere]
        if loaded in self._waiting:
            models = loaded
        elif free:
            models = free[0]
        else:
            models = max(self._waiting, key=lambda one: len(self._waiting[one]))
        unit = self._waiting[models].popleft()
        if not self._waiting[models]:
            del self._waiting[models]
        return unit

    def put_back(self, unit: Unit) -> None:
        """Let a unit be the next of its models."""
        self._waiting.setdefault(unit.models, deque()).appendleft(unit)
