"""What the attacks on each model did within each radius, side by side: what checks of stored rows go by."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd

from bench.attacks.rows import ATTACKS
from bench.measure.access import (
    DECISIONS,
    EXACT,
    SCORES,
    SUBSTITUTE,
    TRANSFER,
    UNKNOWN,
    with_access,
)
from bench.measure.outcomes import Flags, Group, Outcomes, broken
from bench.measure.threats import same_radius, threats
from bench.spec import FIXED, MINIMAL, PLUGIN
from bench.store.identity import canonical_json
from bench.trust.checks.registry import Finding, Status

#: Surfaces that need no mention, since a model has no other.
_PLAIN = ("network", "exact", "predict")

#: The attack that takes as many passes as it is given.
REMEDY = "adaptive"

#: So many images may always be exceptions, whatever share of them a bound allows.
FEW = 2

#: On fewer images two attacks are not compared.
FEWEST = 20


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TriedCell:
    """A cell of an attack, as its row of `Outcomes.cells` has it.

    Attributes:
        key: of the cell.
        access: what the attack knows of the model, see `bench.measure.access`.
        kind: fixed or minimal.
        flag: why it cannot count; empty where it can.
        shows_robust: whether an image that withstands it can be called robust.
        correct: how many images the model gets right; 0 for a cell that is not done.
        successes: on how many of them the attack reached its goal.
        passes: forward and backward ones, mean over the images attacked; NaN where none was.
    """

    key: str
    attack: str
    toolkit: str
    surface: str
    crafted_on: str
    goal: str
    targeted: str
    access: str
    kind: str
    status: str
    flag: str
    shows_robust: bool
    parameters: Mapping[str, Any]
    correct: int
    successes: int
    passes: float

    @property
    def name(self) -> str:
        """Return what the cell is called in a sentence, such as `pgd (torchattacks, soft-knn)`."""
        if self.access == UNKNOWN:
            return f"{self.attack} ({Path(str(self.parameters['file'])).name})"
        surface = "" if self.surface in _PLAIN else f", {self.surface}"
        return f"{self.attack} ({self.toolkit}{surface})"

    @property
    def steps(self) -> int:
        """Return how many steps the attack takes; 1 where it has no such parameter.

        Of a user's attack without one, as many as its passes are enough for, forward and back.
        """
        if self.toolkit == PLUGIN and "steps" not in self.parameters:
            return max(1, int(self.passes // 2)) if self.passes > 0 else 1
        row = ATTACKS.get(self.attack)
        rule = None if row is None else row.parameters.get("steps")
        default = 1 if rule is None else rule.default
        return int(self.parameters.get("steps", default))

    @property
    def by_steps(self) -> bool:
        """Return whether the attack takes several steps for each image."""
        several = self.steps > 1 or self.kind == MINIMAL or self.attack == REMEDY
        return several and not self.fitted

    @property
    def fitted(self) -> bool:
        """Return whether it adds one perturbation to all images, which is fitted on others."""
        return "fit" in self.parameters

    def alike(self, without: Collection[str]) -> str:
        """Return a text that is the same for cells that are alike but for radius and some parameters."""
        kept = {name: str(given) for name, given in self.parameters.items() if name not in without}
        return canonical_json(
            [self.attack, self.toolkit, self.surface, self.crafted_on, self.goal, kept]
        )


Cells = Sequence[TriedCell]


@dataclass(frozen=True, eq=False)
class Tried:
    """The attacks on one model within one radius, and what they did to its images.

    Attributes:
        suite: the name of the run's suite.
        model: its title.
        norm: of the threat.
        eps: its radius.
        eps_text: the same as the suite writes it.
        planned: the attacks of this radius and the minimal-norm ones, whatever their goal; without noise.
        group: what all cells of the model and norm did.
    """

    suite: str
    model: str
    norm: str
    eps: float
    eps_text: str
    planned: Cells
    group: Group

    @property
    def random(self) -> bool:
        """Return whether the model's answers vary, so that single images differ by chance."""
        return bool(self.group.draws)

    @property
    def threat(self) -> str:
        """Return the threat as it is written, such as `linf 8/255`."""
        return f"{self.norm} {self.eps_text}"

    @cached_property
    def cells(self) -> Cells:
        """The attacks that ran and had something to go by."""
        return [cell for cell in self.planned if cell.flag == ""]

    @cached_property
    def untargeted(self) -> Cells:
        """Those of them that can show that an image is robust."""
        return [cell for cell in self.cells if cell.shows_robust]

    @cached_property
    def gradient(self) -> Cells:
        """The untargeted attacks that follow a gradient of the model or of a surface made for it."""
        others = (SUBSTITUTE, TRANSFER, SCORES, DECISIONS, UNKNOWN)
        return [cell for cell in self.untargeted if cell.access not in others]

    @cached_property
    def transferred(self) -> Cells:
        """The untargeted attacks made on another network: one of the suite, or a substitute."""
        return [cell for cell in self.untargeted if cell.access in (TRANSFER, SUBSTITUTE)]

    @cached_property
    def asking(self) -> Cells:
        """The untargeted attacks that only ask the model for its answers."""
        return [cell for cell in self.untargeted if cell.access in (SCORES, DECISIONS)]

    @property
    def exact(self) -> bool:
        """Return whether some attack followed the gradient of the model itself."""
        return any(cell.access == EXACT for cell in self.gradient)

    def attacked_by(self, *cells: TriedCell) -> Flags:
        """Return which images, (N,), the model gets right and all of some cells have rows for."""
        known = self.group.attacked_by_all(cell.key for cell in cells)
        return np.asarray((self.group.least >= 0) & known, dtype=bool)

    def broken_by(self, *cells: TriedCell) -> Flags:
        """Return which images, (N,), any of some cells broke within the radius."""
        distances = self.group.distances[:, self.group.columns(cell.key for cell in cells)]
        inside = broken(distances, self.eps) & (distances >= 0)
        return np.asarray(inside.any(axis=1), dtype=bool)

    def status(self, faulty: Cells) -> Status:
        """Return `fail` where all attacks along a gradient are at fault, `warn` where others are left.

        The worst case over several attacks is at least as low as under the best of them, so that a fault of one
        alone makes no figure wrong.
        """
        keys = {cell.key for cell in faulty}
        return "fail" if all(cell.key in keys for cell in self.gradient) else "warn"

    def found(self, status: Status, sentence: str, **more: Any) -> Finding:
        """Return a finding about this model and threat; `more` are other fields of it."""
        return Finding(
            status=status, sentence=sentence, model=self.model, norm=self.norm, eps=self.eps, **more
        )  # fmt: skip


_KEPT: WeakKeyDictionary[Outcomes, tuple[Tried, ...]] = WeakKeyDictionary()


def tried(outcomes: Outcomes) -> tuple[Tried, ...]:
    """Return what was tried under each threat of a run that some attack of a fixed budget has, model by model.

    It is made once for all checks of a run.
    """
    if outcomes not in _KEPT:
        _KEPT[outcomes] = tuple(_tried(outcomes))
    return _KEPT[outcomes]


def _tried(outcomes: Outcomes) -> Iterator[Tried]:
    attacks = with_access(outcomes.cells)
    for (model, norm), cells in attacks.groupby(["model", "norm"], sort=False):
        group = outcomes.groups[str(model), str(norm)]
        made = _cells(cells)
        for threat in threats(cells[cells["kind"] == FIXED]).to_dict("records"):
            there = same_radius(cells["radius"], threat["radius"]) | (cells["kind"] == MINIMAL)
            planned = [cell for cell, chosen in zip(made, there, strict=True) if chosen]
            yield Tried(
                suite=outcomes.results.suite, model=str(model), norm=str(norm),
                eps=float(threat["radius"]), eps_text=str(threat["eps"]), planned=planned, group=group,
            )  # fmt: skip


def _cells(cells: pd.DataFrame) -> list[TriedCell]:
    """Return rows of `Outcomes.cells` with `access` as cells."""
    counts = cells[["correct", "successes"]].astype("float64").fillna(0)
    passes = cells["forwards"].astype("float64") + cells["backwards"].astype("float64").fillna(0)
    texts = (
        "attack", "toolkit", "surface", "crafted_on", "goal", "targeted", "access", "kind", "status", "flag",
    )  # fmt: skip
    return [
        TriedCell(
            key=str(cell["cell"]), **{name: str(cell[name]) for name in texts},
            shows_robust=bool(cell["shows_robust"]), parameters=cell["parameters"], correct=int(right),
            successes=int(reached), passes=float(spent),
        )
        for cell, right, reached, spent in zip(
            cells.to_dict("records"), counts["correct"], counts["successes"], passes, strict=True
        )
    ]  # fmt: skip


def allowed(share: float, n: int) -> int:
    """Return how many of n images may be exceptions: a share of them, and two in any case."""
    return max(FEW, int(share * n + 1e-9))


def at_most(share: float, n: int) -> str:
    """Return in words how many of n images may be exceptions."""
    return f"at most {allowed(share, n)} of {images(n)}"


def images(n: int) -> str:
    """Return a number of images in words."""
    return "1 image" if n == 1 else f"{n} images"


def names(cells: Iterable[TriedCell], most: int = 3) -> str:
    """Return the attacks of some cells, each once, such as `fgsm, pgd and 2 others`."""
    each = list(dict.fromkeys(cell.attack for cell in cells))
    if len(each) > most:
        left = len(each) - most
        each = [*each[:most], f"{left} other{'s' if left > 1 else ''}"]
    return " and ".join(filter(None, [", ".join(each[:-1]), *each[-1:]]))


def added(at: Tried, attack: str) -> str:
    """Return the line by which a suite makes one more attack within a radius."""
    asked = f'name = "{attack}", norm = "{at.norm}", eps = "{at.eps_text}"'
    return f"add to the suite an [[attacks]] table with {asked}"


def looked_at(at: Tried, cell: TriedCell) -> str:
    """Return the commands that show what an attack did, alone and beside that of other toolkits."""
    return f"see what it did with `bench show {cell.key[:12]}`, and other toolkits with `bench parity --suite {at.suite}`"


def in_short(findings: Sequence[Finding], compared: int, fine: str, nothing: str) -> list[Finding]:
    """Return the findings of a check that found fault; else one that it found none.

    A run has hundreds of models and threats, of which only those at fault need a line.

    Args:
        findings: those of models and threats at fault.
        compared: under how many threats something could be compared.
        fine: what holds where nothing is at fault.
        nothing: why nothing could be compared.
    """
    if not compared:
        return [Finding(status="not applicable", sentence=nothing)]
    if findings:
        return list(findings)
    times = "under one threat" if compared == 1 else f"{compared} times, a model and threat each"
    return [Finding(status="pass", sentence=f"{fine} (compared {times})")]
