"""What every attack of a run did to every image, computed once: the rules under every figure.

An attack *breaks* an image at the distance

    d = -1          if the model gets the clean image wrong
    d = |x' - x|    in the attack's norm, if the attack took the right label away or made the model
                    abstain, whatever the goal of the attack was
    d = infinity    otherwise

An image is broken within eps if d < 0, or if eps > 0 and d <= eps (1 + 1e-5) + 1e-6. The judge allows
the same slack, so an attack that used its whole budget counts.

An image that no attack broke is robust only if some attack was valid on it
(`bench.measure.validity`).

For a random model the outcome on an image is the share of its draws that are still right about the
image tried. If several images were tried, one set of draws chooses the worst of them and another set
gives its share, because the least of several measured shares would be too low.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from bench.measure.statistics import wilson
from bench.measure.validity import (
    flagged_cells,
    label_lost,
    recorded,
    scores_not_finite,
    valid_rows,
)
from bench.spec import measuring, predicting
from bench.store.columns import by_image, places
from bench.store.results import Results

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

#: A figure is INVALID if more than this share of the images attacked has no valid attack, or if scores
#: were not finite on more than this share of all images.
INVALID_ABOVE = 0.05


@dataclass(frozen=True, eq=False)
class Outcomes:
    """What a run's cells did to its images; each part is computed when it is first used, and kept.

    The mappings are by done cell, their series by image index. Nothing in here may be changed.
    """

    results: Results

    @cached_property
    def cells(self) -> pd.DataFrame:
        """The planned cells that attack; see `flagged_cells`."""
        return flagged_cells(self.results)

    @cached_property
    def clean(self) -> Mapping[str, pd.Series[bool]]:
        """Whether each model gets each clean image right, by model, indexed by image."""
        rows = self.results.rows
        rows = rows.loc[rows["kind"].isin(predicting()), ["model", "index", "correct"]]
        return {model: said["correct"] for model, said in by_image(rows, ["correct"]).items()}

    @cached_property
    def lost(self) -> pd.Series[bool]:
        """Whether an attack took the right label away, by row of the results; see `label_lost`."""
        return label_lost(self.results.rows)

    @cached_property
    def break_distances(self) -> Mapping[str, pd.Series[float]]:
        """The distance at which each cell breaks each image; the rule is at the head of this file."""
        rows = self.results.rows
        distance = np.where(self.lost, in_norm_of_cell(rows), np.inf)
        distance[~rows["correct"].to_numpy(dtype=bool)] = -1.0
        return by_cell(rows, distance)

    @cached_property
    def evidence(self) -> Mapping[str, pd.Series[bool]]:
        """Whether a cell is evidence about an image: its attack was valid on the image or broke it."""
        rows = self.results.rows
        tells = valid_rows(rows) | self.lost | ~rows["correct"]
        return by_cell(rows, tells.to_numpy(dtype=bool))

    @cached_property
    def not_finite(self) -> Mapping[str, pd.Series[bool]]:
        """Whether the model's scores were not finite, on the image tried or on the clean one."""
        rows = self.results.rows
        return by_cell(rows, scores_not_finite(rows).to_numpy(dtype=bool))

    @cached_property
    def draws(self) -> Mapping[str, pd.DataFrame]:
        """The draws of random models, by image; cells of other models are not in it.

        Columns: `count` (of the draws), `distance` (of the image tried), and shares of draws that are
        right: `clean` (about the clean image), `share` and `choosing` (about the image tried; the
        latter from the draws that choose the worst of several images).
        """
        rows = self.results.rows
        drawn = rows[recorded(rows, "draws")]  # of most runs none
        return {
            str(cell): pd.DataFrame({
                "count": of_cell["draws"].to_numpy(float), "distance": in_norm_of_cell(of_cell),
                "clean": of_cell["clean_share"].to_numpy(float), "share": of_cell["share"].to_numpy(float),
                "choosing": of_cell["chosen_share"].to_numpy(float),
            }, index=of_cell["index"].to_numpy())
            for cell, of_cell in drawn.groupby("cell", sort=False)
        }  # fmt: skip

    @cached_property
    def certified_radii(self) -> Mapping[str, pd.Series[float]]:
        """The radius that each cell of certificates certifies for each image.

        0 where the model abstains or is wrong, so an image is certified within eps if it is above eps.
        """
        rows = self.results.rows
        rows = rows.loc[
            rows["kind"].isin(measuring("certified_radius")),
            ["cell", "index", "correct", "certified_radius"],
        ]
        radii = rows["certified_radius"].where(rows["correct"], 0.0).to_numpy(dtype=float)
        return by_cell(rows, radii)

    @cached_property
    def groups(self) -> Mapping[tuple[str, str], Group]:
        """What all cells of each model and norm did together, by the model's title and the norm."""
        return {
            (str(model), str(norm)): self._made_group(
                [cell for cell in cells["cell"] if cell in self.break_distances]
            )
            for (model, norm), cells in self.cells.groupby(["model", "norm"], sort=False)
        }

    @cached_property
    def _whole_groups(self) -> Mapping[str, Group]:
        """The group of all cells of the model and norm of each cell."""
        return {cell: group for group in self.groups.values() for cell in group.column}

    def group(self, cells: Iterable[str]) -> Group:
        """Return what some cells of one model and norm did together; cells that are not done left out."""
        done = [cell for cell in cells if cell in self.break_distances]
        whole = self._whole_groups.get(done[0]) if done else None
        part = None if whole is None else whole.part(done)
        return self._made_group(done) if part is None else part

    def _made_group(self, done: list[str]) -> Group:
        images, distances = _side_by_side([self.break_distances[cell] for cell in done])
        not_finite = _flags_by_image(self.not_finite, done, images).any(axis=1)
        return Group(
            images=images,
            column={cell: place for place, cell in enumerate(done)},
            distances=distances,
            evidence=_flags_by_image(self.evidence, done, images),
            least=np.where(np.isnan(distances), np.inf, distances).min(axis=1, initial=np.inf),
            not_finite=np.asarray(not_finite, dtype=bool),
            draws=[self.draws[cell].reindex(images) for cell in done if cell in self.draws],
            alike=not np.isnan(distances).any(),
        )


class Group(NamedTuple):
    """What some cells of one model and norm did to its N images, side by side.

    Attributes:
        images: their indices.
        column: the column of each cell in the arrays below.
        distances: float (N, cells), the distance at which a cell breaks an image; NaN where the cell
            has no row for the image.
        evidence: bool (N, cells); see `Outcomes.evidence`.
        least: float (N,), the least distance at which any of the cells breaks an image.
        not_finite: bool (N,), whether scores were not finite under any of the cells.
        draws: for a random model, a frame for each cell, by image; see `Outcomes.draws`.
        alike: whether each cell has a row for each image.
    """

    images: pd.Index[Any]
    column: Mapping[str, int]
    distances: Floats
    evidence: Flags
    least: Floats
    not_finite: Flags
    draws: list[pd.DataFrame]
    alike: bool

    def only(self, images: pd.Index[Any]) -> Group:
        """Return the group with those of its images alone that are among some."""
        kept = np.asarray(self.images.isin(images), dtype=bool)
        return Group(
            images=self.images[kept],
            column=self.column,
            distances=self.distances[kept],
            evidence=self.evidence[kept],
            least=self.least[kept],
            not_finite=self.not_finite[kept],
            draws=[frame[kept] for frame in self.draws],
            alike=self.alike,
        )

    def part(self, cells: Sequence[str]) -> Group | None:
        """Return what some of the cells did; None where that is not told by what all of them did."""
        if self.draws or self.not_finite.any() or not self.alike:
            return None
        if not self.column.keys() >= set(cells):
            return None
        at = self.columns(cells)
        distances = self.distances[:, at]
        return self._replace(
            column={cell: place for place, cell in enumerate(cells)},
            distances=distances,
            evidence=self.evidence[:, at],
            least=distances.min(axis=1, initial=np.inf),
        )

    def columns(self, cells: Iterable[str]) -> list[int]:
        """Return the columns of those of some cells that are done."""
        return [self.column[cell] for cell in cells if cell in self.column]

    def attacked_by_all(self, cells: Iterable[str]) -> Flags:
        """Return which images, (N,), each of some cells has a row for."""
        if self.alike:
            return np.ones(len(self.images), dtype=bool)
        distances = self.distances[:, self.columns(cells)]
        return np.asarray(~np.isnan(distances).any(axis=1), dtype=bool)

    def within(
        self, eps: float, showing: Iterable[str], required: Iterable[str] | None = None
    ) -> WorstCase:
        """Return which images withstand all cells of the group within a radius.

        Args:
            eps: the radius.
            showing: the cells that can show that an image is robust at this radius.
            required: only images that each of these cells has are kept; None for `showing`.
        """
        showing = list(showing)
        kept = self.attacked_by_all(showing if required is None else required)
        least = self.least[kept]
        lost = np.asarray(broken(least, eps), dtype=bool)
        share = self._shares(eps, kept) if self.draws else np.where(lost, 0.0, 1.0)
        not_finite = self.not_finite[kept] & (~lost | (least < 0))
        evidence = self.evidence[kept][:, self.columns(showing)].any(axis=1)
        untested = ~lost & ~np.asarray(evidence) & (eps > 0)
        return WorstCase(
            robust=pd.Series(np.where(not_finite, 0.0, share), index=self.images[kept]),
            untested=int(untested.sum()),
            not_finite=int(not_finite.sum()),
            attacked=int((least >= 0).sum()),
        )

    def _shares(self, eps: float, kept: Flags) -> Floats:
        """Return the share of a random model's draws that are right about the worst image within eps.

        Args:
            eps: the radius.
            kept: which images count, (N,).

        An image that the model usually gets wrong counts as broken, as for all other models.
        """
        clean = np.stack([frame["clean"].to_numpy(float) for frame in self.draws])
        # NaN where a cell has no row for an image.
        clean_share = worst_share = np.where(np.isnan(clean), 0.0, clean).max(axis=0)
        lowest = np.full(len(self.images), np.inf)
        for frame in self.draws:
            inside = broken(frame["distance"].fillna(np.inf).to_numpy(float), eps)
            lower = inside & (frame["choosing"].fillna(np.inf).to_numpy(float) < lowest)
            lowest = np.where(lower, frame["choosing"].to_numpy(float), lowest)
            worst_share = np.where(lower, frame["share"].to_numpy(float), worst_share)
        attacked, unattacked = (
            np.where(self.least < 0, 0.0, share)[kept] for share in (worst_share, clean_share)
        )
        # The clean image lies within every radius, so an attack never raises the accuracy.
        return attacked if attacked.sum() <= unattacked.sum() else unattacked


class WorstCase(NamedTuple):
    """The worst case of some attacks within a radius, image by image.

    Attributes:
        robust: by image 1 or 0, whether it withstands them; for a random model the share of its draws.
        untested: how many images no attack broke and no attack was valid on.
        not_finite: how many images no attack broke, but with scores that are not finite, on the clean
            image or on one tried; they count as not robust.
        attacked: how many images the model gets right.
    """

    robust: pd.Series[float]
    untested: int
    not_finite: int
    attacked: int

    @property
    def notes(self) -> list[str]:
        """Return notes on images without a valid attack or with scores that are not finite, if any."""
        notes = []
        if self.untested:
            notes.append(f"no valid attack on {self.untested} of {self.attacked} images")
        if self.not_finite:
            notes.append(f"scores not finite on {self.not_finite} of {len(self.robust)} images")
        return notes

    @property
    def invalid(self) -> bool:
        """Return whether there are too many such images for a figure."""
        return (
            self.untested > INVALID_ABOVE * self.attacked
            or self.not_finite > INVALID_ABOVE * len(self.robust)
        )

    def figures(self) -> dict[str, float]:
        """Return `accuracy, low, high` (95 % Wilson), `n`; NaN where the figure would be invalid."""
        n = len(self.robust)
        if self.invalid or not n:
            return {**dict.fromkeys(("accuracy", "low", "high"), float("nan")), "n": n}
        low, high = wilson(round(float(self.robust.sum())), n)
        return {"accuracy": float(self.robust.mean()), "low": low, "high": high, "n": n}


def broken(distance: Floats, eps: float) -> Flags:
    """Return which images are broken within eps, from their break distances."""
    within: Flags = distance < 0 if eps == 0 else distance <= eps * (1 + 1e-5) + 1e-6
    return within


def side_by_side(distances: Mapping[str, pd.Series[float]], cells: Iterable[str]) -> pd.DataFrame:
    """Return the break distances of images (rows) under some cells (columns).

    Cells that are not done are left out. NaN where a cell has no row for an image.
    """
    return pd.DataFrame({cell: distances[cell] for cell in cells if cell in distances})


def _side_by_side(distances: Sequence[pd.Series[float]]) -> tuple[pd.Index[Any], Floats]:
    """Return the images of some cells, and the distances at which these break them, (images, cells)."""
    first = distances[0].index if distances else pd.RangeIndex(0)
    if all(one.index is first or one.index.equals(first) for one in distances):
        columns = [one.to_numpy() for one in distances]
        return first, np.array(columns, dtype=float).reshape(len(columns), len(first)).T
    table = pd.DataFrame(dict(enumerate(distances)))
    return table.index, table.to_numpy(float)


def attacked_by_all(distances: pd.DataFrame, cells: Iterable[str]) -> pd.DataFrame:
    """Keep the images that every listed cell attacked.

    Args:
        distances: of `side_by_side`.
        cells: the cells that must have a row for an image. Any other cell without a row for the image
            counts as not breaking it.
    """
    return distances.dropna(subset=[cell for cell in cells if cell in distances]).fillna(np.inf)


def by_cell(rows: pd.DataFrame, values: npt.NDArray[Any]) -> dict[str, pd.Series[Any]]:
    """Return a value for each row as a series for each cell, indexed by image."""
    images = rows["index"].to_numpy()
    return {
        cell: pd.Series(values[at], index=images[at]) for cell, at in places(rows["cell"]).items()
    }


def in_norm_of_cell(rows: pd.DataFrame) -> Floats:
    """Return the size of the change in each row, in the norm of its cell."""
    distances = np.full(len(rows), np.nan)
    for norm, at in places(rows["norm"]).items():
        distances[at] = rows[norm].to_numpy(dtype=float)[at]
    return distances


def _flags_by_image(
    flags: Mapping[str, pd.Series[bool]], cells: list[str], images: pd.Index[Any]
) -> Flags:
    """Return the flags of some cells side by side, (images, cells); False where there is none."""
    matrix: Flags = np.zeros((len(images), len(cells)), dtype=bool)
    for column, cell in enumerate(cells):
        of_cell = flags[cell]
        same = of_cell.index is images or of_cell.index.equals(images)
        matrix[:, column] = (
            of_cell if same else of_cell.reindex(images, fill_value=False)
        ).to_numpy()
    return matrix
