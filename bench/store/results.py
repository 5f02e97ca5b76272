"""The cells that a run of a suite asked for, with the rows of the finished ones: all that reports read."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from bench.errors import StoreError
from bench.spec import Claim, Setting, number
from bench.store import columns
from bench.store.added import Added
from bench.store.chosen import chosen_in
from bench.store.findings import Checked, checked
from bench.store.fits import read_perturbation
from bench.store.frames import filled, to_pandas
from bench.store.identity import canonical_json
from bench.store.parts import MEND
from bench.store.runlog import events
from bench.store.store import Store
from bench.suite_files import suite_name

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

_PLANNED = (
    "cell", "model", "family", "data", "attack", "norm", "eps", "toolkit", "surface", "crafted_on",
    "goal", "targeted", "parameters", "kind", "access", "batch_size", "auto",
)  # fmt: skip
_MADE = ("versions", "device", "host", "threads")
_TEXT = [name for name in _PLANNED if name not in ("parameters", "batch_size", "auto")]
#: How many threads read cells, and how many cells they read before the rows go on.
_AT_ONCE, _BATCH = 4, 64

#: The names of columns in logs that have other names there.
_LOGGED = {"parameters": "words", "crafted_on": "climbed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """The cells of a run of a suite.

    Attributes:
        run: the run's name.
        content: of the suite, see `suite_content`; None in the logs of older versions.
        asked: how much of the suite the run asked for, as `bench.runner.requested` records it, and
            `answers` (the total number of images of all cells); None in the logs of older versions.
        notes: what a reader has to know of the choice of this run and of its rows, a line each.
        made: what made the rows of the finished cells, the most frequent first: `cells` (how many),
            `versions`, `device`, `host`, `threads` (None if not recorded).
        started: when the run started, ISO 8601 in UTC.
        protocol: data (names), split, images (of the largest set), seed, batch_size (a list where cells
            differ), device, versions, host.
        cells: one row per planned cell, in the plan's order: `cell, model, family, data, attack, norm,
            eps` (text, null for a minimal-norm attack), `toolkit, surface, crafted_on` (the model that
            images are crafted on, null for the cell's own), `goal, targeted, parameters` (dict),
            `kind` (fixed, minimal, or certify for a cell that attacks nothing), `access, batch_size`
            (images attacked together), `auto` (whether nobody asked for it: a check found that the others
            may have been misled), `radius` (eps as a number), `status` (done, failed or missing), `error` (last line of the error message),
            `images, correct, successes, invalid` (counts), `seconds, forwards, backwards` (means over
            the images attacked). The counts and means are null if the cell is not done.
        rows: all rows of the finished cells, `spec.COLUMNS`.
        models: one dict per model: `model, family, data, clean_accuracy` (from its card, may be None),
            `options` and `f_score` of a model of local learning (else None), `sigma` (of a smoothed
            model's noise, else None), `moments` (None, or `labels` and `epochs`: by epoch points (x, y),
            the embedding of a few test images during training), `surrogate` (how often its
            differentiable vote agrees with the vote, as returned by `agreement_of`; None for other
            families), `random` (whether its answers vary), `draws` (how many judge an image; None if a
            single answer does) and `notes` (sentences that a reader of its figures has to know); old
            logs lack the last three. `request` (its `name` in the suite, and the `options` given there;
            missing in old logs), `filters` (None, or `shape` and `epochs`: by epoch base64 of uint8
            pictures of that shape), `curves` (learning curves, see `bench.train.cards.learning_curves`;
            None or missing where there are none), `poison` (likewise, see `bench.train.cards.poisoning`),
            `threats` (norm and eps of the attacks that the suite makes on it, eps None for minimal-norm ones;
            missing in old logs), `classes` (names of the classes of a data set that Crossfire does not list), and
            other facts of the adapter.
        asked_images: of the cells that the run gave more images than the suite asks for, how many it asks
            for, by cell.
        trainings: those that the suite names, attacked or not, one dict each: `name`, `configuration` (the
            name without its seed), `data`, `seed`, `parameters`, `clean_accuracy`, `trunk` (the model that
            its weights started from, or None), `phases` (the epochs of each; empty for one phase) and
            `curves`, see `bench.train.cards.learning_curves`. Empty in old logs.
        bounds: of checks, those that the suite replaces by its own, by name.
        checked: what the checks of models and threats found, so far as they were made.
        without_pictures: keys of finished cells that kept none.
        left_out: a line for each thing the suite names that could not be planned.
        claims: of the suite, in its order.
        store: holds the pictures.
        added: what the run says of the images that it added to undecided comparisons; None where all numbers
            of images were fixed beforehand.
    """

    suite: str
    title: str
    started: str
    protocol: dict[str, Any]
    cells: pd.DataFrame
    rows: pd.DataFrame
    models: list[dict[str, Any]]
    left_out: list[str]
    claims: tuple[Claim, ...]
    store: Store
    run: str = ""
    content: str | None = None
    asked: dict[str, Any] | None = None
    notes: tuple[str, ...] = ()
    made: tuple[dict[str, Any], ...] = ()
    trainings: tuple[dict[str, Any], ...] = ()
    bounds: Mapping[str, float] = field(default_factory=dict)
    asked_images: Mapping[str, int] = field(default_factory=dict)
    added: Added | None = None
    checked: Checked = field(default_factory=Checked)
    without_pictures: frozenset[str] = frozenset()

    def as_asked(self) -> Results:
        """Return the results on the images that the suite asks for alone.

        Which cells a run gave more images, and how many, depends on what came of the first ones: only tests
        that may be looked at any time can use them all.
        """
        if not self.asked_images:
            return self
        asked = self.rows["cell"].map(self.asked_images)
        rows = self.rows[asked.isna() | (self.rows["index"] < asked)].reset_index(drop=True)
        cells = _counted(self.cells[[*_PLANNED, "status", "error", "radius"]], rows)
        return dataclasses.replace(self, cells=cells, rows=rows, asked_images={})

    def with_more(self, cells: Mapping[str, str], added: Added) -> Results:
        """Return the results in which some cells were given more images.

        Args:
            cells: by key, the cell with more images, which is done.
            added: what the run says of all images that it added.

        Raises:
            StoreError: a file is missing or damaged.
        """
        more = to_pandas([table for key in cells.values() for table in self.store.tables(key)])
        rows = pd.concat([self.rows[~self.rows["cell"].isin(cells)], more], ignore_index=True)
        planned = self.cells[[*_PLANNED, "status", "error", "radius"]]
        keys = planned["cell"].map(lambda key: cells.get(key, key)).astype("str")
        counted = _counted(planned.assign(cell=keys), rows)
        return dataclasses.replace(self, cells=counted, rows=rows, added=added)

    def of_models(self, models: Collection[str]) -> Results:
        """Return the results with the rows of some models alone."""
        rows = self.rows[self.rows["model"].isin(models)].reset_index(drop=True)
        return dataclasses.replace(self, rows=rows)

    def without_added(self) -> Results:
        """Return the results without the attacks that nobody asked for (`auto`).

        Whoever compares models, runs or attacks needs sides that were attacked alike.
        """
        if "auto" not in self.cells or not self.cells["auto"].any():
            return self
        kept = self.cells[~self.cells["auto"]]
        rows = self.rows[self.rows["cell"].isin(kept["cell"])]
        return dataclasses.replace(
            self, cells=kept.reset_index(drop=True), rows=rows.reset_index(drop=True)
        )

    def pictures(self, cell: str) -> dict[str, torch.Tensor]:
        """Return the pictures kept for a finished cell; see `Store.pictures`."""
        return {} if cell in self.without_pictures else self.store.pictures(cell)

    def trace(self, cell: str) -> pd.DataFrame | None:
        """Return how near its goal each image of a cell was, a row an image and step.

        `index, step, value`, see `bench.store.traces.trace_table`; None for a cell that is not done or
        whose attack keeps none.

        Raises:
            StoreError: a file is missing or damaged.
        """
        return None if self.store.record(cell) is None else self.store.trace(cell)

    def fit(self, cell: str) -> dict[str, Any] | None:
        """Return the record of the fit of a cell's perturbation; None if there is none.

        `images, passes, fooling` (share of those images), `forwards, backwards` (totals), `seconds`, and
        the names of its `file` and `picture` in the cell's folder `arrays`.
        """
        record = self.store.record(cell)
        fit: dict[str, Any] | None = None if record is None else record.get("fit")
        return fit

    def substitute(self, cell: str) -> dict[str, Any] | None:
        """Return what is recorded of the substitute that a cell is attacked through; None if there is none.

        The facts of `bench.train.substitutes.TrainedSubstitute`: `name, queries, seeds, rounds, agreement,
        decided, held_out, seconds`.
        """
        record = self.store.record(cell)
        found: dict[str, Any] | None = None if record is None else record.get("substitute")
        return found

    def perturbation(self, cell: str) -> NDArray[np.float32] | None:
        """Return the perturbation that a done cell adds to every image, float32 (C, H, W).

        None for a cell that is not done or whose attack has no such perturbation.

        Raises:
            StoreError: its file is missing or damaged.
        """
        fit = self.fit(cell)
        if fit is None:
            return None
        v: NDArray[np.float32] = read_perturbation(self.store.folder(cell), fit).numpy()
        return v


def load_results(
    root: str | Path, suite: str, content: str | None = None, run: str | None = None
) -> Results:
    """Return the cells that a run of a suite asked for, with their rows.

    Args:
        root: the results folder.
        suite: the suite's name, or a path ending in `.toml`.
        content: of the suite's file, see `suite_content`; None to identify the suite by its name.
        run: the run's name, or the start of it; None for the run started last.

    Raises:
        SpecError: there is no such run, or it is of another suite.
        PrerequisiteError: the folder has no run of the suite.
        StoreError: the folder has another schema, or a file in it is missing or damaged.
    """
    store, chosen = chosen_in(root, suite, content, run)
    start = chosen.start
    planned = {cell["cell"]: _planned(cell, start["protocol"]) for cell in start["cells"]}
    records = {key: store.record(key) for key in planned}
    done = {key: record for key, record in records.items() if record is not None}
    for key, cell in planned.items():
        if key in done:
            cell |= {"status": "done", "error": None}
        else:
            error = store.last_error(key)
            cell |= {"status": "failed" if error else "missing", "error": error and _why(error)}
    rows = _rows(store, done)
    return Results(
        suite=suite_name(Path(suite)),
        title=start["title"],
        started=start["started"],
        protocol=start["protocol"],
        cells=_cells(list(planned.values()), rows),
        rows=rows,
        models=start["models"],
        left_out=start["left_out"],
        claims=tuple(_claim(fields) for fields in start["claims"]),
        store=store,
        run=start["run"],
        content=start.get("content"),
        asked=start.get("asked"),
        notes=(*chosen.notes, *_older(rows)),
        made=_made(done.values()),
        trainings=tuple(start.get("trainings", ())),
        bounds=start.get("bounds", {}),
        asked_images={
            cell["cell"]: cell["asked_images"] for cell in start["cells"] if "asked_images" in cell
        },
        added=Added.read(start.get("decide")),
        checked=checked(store.root, events(store, start["run"])),
        without_pictures=frozenset(key for key in done if done[key].get("pictures") == 0),
    )


def _rows(store: Store, done: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Return the rows of finished cells, by their records; a few files are read at once."""
    cells = list(done.items())
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        batches = (cells[at : at + _BATCH] for at in range(0, len(cells), _BATCH))
        read = (pool.map(lambda cell: store.tables(*cell), batch) for batch in batches)
        tables = (table for batch in read for of_cell in batch for table in of_cell)
        try:
            return filled(tables, sum(int(record["rows"]) for record in done.values()))
        except ValueError as error:
            raise StoreError(
                f"rows of {store.root} cannot be read: {error}; {MEND} always"
            ) from error


def _planned(cell: Mapping[str, Any], protocol: Mapping[str, Any]) -> dict[str, Any]:
    """Return a planned cell from a log; those of older versions have the batch size of their run."""
    logged = {"batch_size": protocol["batch_size"], "auto": False, **cell}
    return {name: logged[_LOGGED.get(name, name)] for name in _PLANNED}


def _made(records: Iterable[Mapping[str, Any]]) -> tuple[dict[str, Any], ...]:
    """Return what made the cells (versions, device, host), the most frequent first.

    A cell made by several machines counts for each. Parts of older versions do not record what made them;
    for these the record of the cell is used, which says what finished it.
    """
    makers: dict[str, dict[str, Any]] = {}
    for record in records:
        for part in record.get("made") or [None]:
            facts = {name: (part or record).get(name) for name in _MADE}
            maker = makers.setdefault(canonical_json(facts), {"cells": 0, **facts})
            maker["cells"] += 1
    return tuple(sorted(makers.values(), key=lambda maker: -maker["cells"]))


def _older(rows: pd.DataFrame) -> list[str]:
    """Return a note if rows of an older version do not record why images came back unchanged."""
    unsaid = columns.attacked(rows) & rows["invalid"].isna() & rows["adv_margin"].isna()
    still = rows.loc[unsaid & (rows["l0"] == 0), "cell"].nunique() if unsaid.any() else 0
    if not still:
        return []
    note = (
        f"{still} of {len(columns.places(rows['cell']))} cells are of an older version, which did not record why an "
        "image came back unchanged: no evidence that it is robust; bench run --overwrite always computes "
        "them again"
    )
    return [note]


def _claim(fields: dict[str, Any]) -> Claim:
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()
    }
    pairs = values.pop("settings", ())
    settings = tuple((_setting(left), right and _setting(right)) for left, right in pairs)
    return Claim(**values, settings=settings)


def _setting(fields: dict[str, Any]) -> Setting:
    parameters = tuple((name, value) for name, value in fields["parameters"])
    return Setting(**(fields | {"parameters": parameters}))


def _why(error: dict[str, Any]) -> str:
    lines = error["message"].strip().splitlines()
    return f"{error['type']}: {lines[-1]}" if lines else str(error["type"])


def _cells(planned: list[dict[str, Any]], rows: pd.DataFrame) -> pd.DataFrame:
    cells = pd.DataFrame(planned, columns=[*_PLANNED, "status", "error"])
    cells = cells.astype(dict.fromkeys([*_TEXT, "status", "error"], "str") | {"auto": "bool"})
    cells = columns.told_toolkit(cells)
    cells["radius"] = [
        number(eps) if isinstance(eps, str) else float("nan") for eps in cells["eps"]
    ]
    return _counted(cells, rows)


def _counted(cells: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Return cells with their counts, and means over the images attacked."""
    of_cell = columns.cell_of(rows)
    counted = rows[["index", "correct", "success"]].assign(invalid=rows["invalid"].notna())
    counts = counted.groupby(of_cell).agg(
        images=("index", "size"),
        correct=("correct", "sum"),
        successes=("success", "sum"),
        invalid=("invalid", "sum"),
    )
    tried = columns.attacked(rows)
    passes = rows.loc[tried, ["seconds", "forwards", "backwards"]]
    means = passes.groupby(of_cell[tried]).mean().astype("float64")
    found = counts.astype("Int64").join(means)
    return cells.merge(
        found.set_axis(found.index.astype("str")), how="left", left_on="cell", right_index=True
    )
