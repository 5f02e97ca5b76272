"""A run whose claims are tested: what comparisons look up repeatedly, computed once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import pandas as pd

from bench.measure.outcomes import Outcomes
from bench.measure.perturbations import image_values
from bench.measure.radius import critical_eps
from bench.measure.threats import data_sets
from bench.measure.trainings import trainings
from bench.store.added import Added
from bench.trust.faced import FacedCell

#: The columns of a cell that comparisons read; more text columns would make each look-up slow.
_READ = [
    "cell", "model", "family", "norm", "attack", "toolkit", "surface", "goal", "radius", "parameters",
    "kind", "flag", "shows_robust", "batch_size", "images",
]  # fmt: skip


@dataclass(frozen=True, eq=False)
class ClaimRun:
    """A run with claims; each part is computed when it is first used, and kept.

    Attributes:
        outcomes: what every cell did to every image.
        known_radii: the result of `bench.measure.radius.critical_eps`, if computed before.
        known_asked: the run on the images that its suite asks for, if at hand.
        faced_cells: by key, the cells of comparisons made so far, as `bench.trust.faced` reads them.
    """

    outcomes: Outcomes
    known_radii: pd.DataFrame | None = None
    known_asked: ClaimRun | None = None
    faced_cells: dict[str, FacedCell] = field(default_factory=dict, init=False)

    @property
    def added(self) -> Added | None:
        """What the run says of the images that it added; see `bench.trust.added_images`."""
        return self.outcomes.results.added

    @cached_property
    def as_asked(self) -> ClaimRun:
        """The run on the images that its suite asks for: this one, unless it added some."""
        if self.known_asked is not None:
            return self.known_asked
        asked = self.outcomes.results.as_asked()
        return self if asked is self.outcomes.results else ClaimRun(Outcomes(asked))

    @cached_property
    def data(self) -> Mapping[str, str]:
        """The data set of each model, by title, in the order of the suite."""
        return data_sets(self.outcomes.results)

    @cached_property
    def radii(self) -> pd.DataFrame:
        """The critical eps of models; see `bench.measure.radius.critical_eps`."""
        if self.known_radii is not None:
            return self.known_radii
        return critical_eps(self.outcomes.results)

    @cached_property
    def trainings(self) -> pd.DataFrame:
        """The figures of trainings; see `bench.measure.trainings.trainings`."""
        return trainings(self.outcomes.results)

    @cached_property
    def image_values(self) -> Mapping[str, pd.DataFrame]:
        """What each image adds to the figures of perturbations, by cell, indexed by image."""
        groups = image_values(self.outcomes).set_index("index").groupby("cell", sort=False)
        return {str(cell): of_cell for cell, of_cell in groups}

    @cached_property
    def surfaces(self) -> Mapping[str, frozenset[str]]:
        """All surfaces through which the run attacks a model, by model."""
        cells = self.outcomes.results.cells
        return {
            str(model): frozenset(surfaces) for model, surfaces in cells.groupby("model")["surface"]
        }

    def cells(self, model: str, norm: str) -> pd.DataFrame:
        """Return the cells that attack a model in a norm, checked; see `Outcomes.cells`."""
        return self._cells.get((model, norm), self.outcomes.cells[_READ].iloc[:0])

    @cached_property
    def _cells(self) -> Mapping[tuple[str, str], pd.DataFrame]:
        cells = self.outcomes.cells[_READ]
        texts = [name for name in cells.columns if pd.api.types.is_string_dtype(cells[name])]
        # As Python's own texts, which are looked up one by one in far less time.
        groups = cells.astype(dict.fromkeys(texts, object)).groupby(["model", "norm"], sort=False)
        return {(str(model), str(norm)): cells for (model, norm), cells in groups}
