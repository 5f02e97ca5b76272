"""Adding images to the cells of undecided comparisons, until all are decided or the budget is spent.

After each step the outcomes are looked at again; that the verdicts are valid nevertheless is the business of
`bench.trust.added_images`. Each step is a run of the suite in which some cells have more images, so the log of the
last one names the cells as they are.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from math import isnan
from typing import Any

from bench.measure.outcomes import Outcomes
from bench.runner.compute import Event, one_by_one
from bench.runner.execute import Computing, Outcome, execute
from bench.runner.grown import grown, most_images
from bench.runner.next_images import Growing, Step, by_time, in_words, next_step, on_some_cell
from bench.runner.plan import Plan
from bench.runner.scope import Scope
from bench.store.added import Added, Ended, MoreImages
from bench.store.identity import cell_key
from bench.store.results import load_results
from bench.store.runlog import runs
from bench.store.store import Store
from bench.trust.claim_measures.registry import claim_measures_by_name
from bench.trust.claim_run import ClaimRun
from bench.trust.comparisons import Comparison, judged
from bench.trust.open_questions import open_questions
from bench.trust.verdicts import UNDECIDED

#: The part of the time left that a step may take: little at first, as long as the pace here is not known.
_FIRST, _LATER = 0.15, 0.5

#: Seconds that an image takes beside its attack, about.
_BESIDE = 2e-4

#: By how much the seconds in the rows may be wrong here.
_FASTEST, _SLOWEST = 0.2, 20.0

Tell = Callable[[Event], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long images are added, and up to how many.

    Attributes:
        budget: seconds.
        images: that a cell gets at most; None for all of its split.
    """

    budget: float
    images: int | None = None


def decide(
    plan: Plan,
    store: Store,
    run: str,
    limits: Limits,
    scope: Scope,
    on_event: Tell = lambda event: None,
    compute: Computing = one_by_one,
) -> str:
    """Add images to the cells of undecided comparisons, and return the name of the last run.

    Images that an earlier run of this suite in the same folder added are used from the start.

    Args:
        plan: of a run that has been computed.
        store: where its rows are.
        run: the name of that run.
        limits: how long images are added, and up to how many.
        scope: how many of the images tried are kept.
        on_event: called with the events of `execute` but for kept cells; with `look` after each look (how many of how many
            `comparisons` are `undecided`, how many `cells` get images next, how many `images` each then has, and in
            about how many `seconds`); with `more` (`titles` and `images` of the cells that get some, by key); and with `end` (why no more are added, and what is `left`).
        compute: computes the cells, as for `execute`.

    Raises:
        StoreError: rows cannot be saved; nothing saved before is lost.
    """
    adding = _Adding(plan, store, limits, scope, on_event, compute)
    adding.begin(run)
    while (step := adding.next_step()).counts:
        adding.take(step)
    return adding.log()


class _Adding:
    """How many images each cell has so far, and how fast they come.

    Attributes:
        counts: of the cells that have more images than in the first plan, by key there.
        failed: the keys there of cells that failed with more images.
        keys: of all cells as they are now, by key there; `by_key` is the other way round.
        compared: what the last look found.
        results: with all images so far.
        expected, taken: seconds that steps should have taken by what the rows say, and did.
        added: what the next run says of the images that were added.
    """

    def __init__(
        self,
        plan: Plan,
        store: Store,
        limits: Limits,
        scope: Scope,
        on_event: Tell,
        compute: Computing,
    ) -> None:
        self.began = time.monotonic()
        self.first, self.store, self.limits, self.scope = plan, store, limits, scope
        self.on_event, self.compute = on_event, compute
        self.added = Added(whole=_whole(plan), budget=limits.budget)
        self.failed: set[str] = set()
        self.expected = self.taken = 0.0
        self.compared: list[Comparison] = []
        self._grow(_of_earlier_runs(plan, store))

    def begin(self, run: str) -> None:
        """Read the results of a run, or those that it has with the images that earlier runs added."""
        run = self.log() if self.counts else run
        found = load_results(self.store.root, self.first.suite.name, self.first.content, run)
        self.results = dataclasses.replace(found, added=self.added)

    def next_step(self) -> Step:
        """Look at the outcomes, and return which images to add; none where it is over, and why in `added`."""
        began = time.monotonic()
        compared = self._look()
        growing = self._growing()
        questions = [on_some_cell(question, growing) for question in open_questions(compared)]
        looking = time.monotonic() - began
        left = self.limits.budget - (time.monotonic() - self.began) - looking
        step = next_step(questions, growing, left * (_LATER if self.taken else _FIRST), left)
        undecided = sum(comparison.verdict == UNDECIDED for comparison in compared)
        self.on_event({
            "event": "look", "undecided": undecided, "comparisons": len(compared),
            "cells": len(step.counts), "images": sorted(set(step.counts.values())),
            "seconds": round(step.seconds, 1),
        })  # fmt: skip
        if not step.counts:
            waiting = by_time(questions, growing)
            ended: Ended = "budget" if waiting else "images" if undecided else "decided"
            left_over = in_words(waiting[0], growing) if waiting else ""
            self.added = dataclasses.replace(self.added, ended=ended, left=left_over)
            self.on_event({"event": "end", "ended": ended, "left": left_over})
        return step

    def _look(self) -> list[Comparison]:
        """Return all comparisons; those that no image changes any more are not computed again."""
        waiting = {
            str(title)
            for comparison in self.compared
            for title in (comparison.case.left, comparison.case.right)
            if _may_change(comparison)
        }
        known = {
            (comparison.number, comparison.case): comparison.compared
            for comparison in self.compared
            if not _may_change(comparison)
        }
        results = self.results.of_models(waiting) if self.compared else self.results
        self.compared = judged(ClaimRun(Outcomes(results)), known)
        return self.compared

    def take(self, step: Step) -> None:
        """Add images."""
        before, pace, began = self.counts, self._pace(), time.monotonic()
        firsts = {self.by_key[key]: count for key, count in step.counts.items()}
        self._grow({**before, **firsts})
        more = {key: self.keys[first] for key, first in zip(step.counts, firsts, strict=True)}
        self.on_event({
            "event": "more",
            "titles": {key: self.now.cells[key].title() for key in more.values()},
            "images": {key: len(self.now.images_of(self.now.cells[key])) for key in more.values()},
        })  # fmt: skip
        failed = set(self._execute(more.values()).failed)
        self.expected += step.seconds / pace
        self.taken += time.monotonic() - began
        if failed:
            self.failed |= {self.by_key[key] for key in failed}
            kept = {first: count for first, count in firsts.items() if first not in self.failed}
            self._grow({**before, **kept})
            self.log()
        done = {key: now for key, now in more.items() if now not in failed}
        self.results = self.results.with_more(done, self.added)

    def log(self) -> str:
        """Log a run that computes nothing more, and return its name."""
        return self._execute(()).run

    def _execute(self, wanted: Collection[str]) -> Outcome:
        wanted = [key for key in wanted if not self.store.is_done(key)]
        return execute(
            self.now, self.store, self.scope, on_event=self._tell, wanted=wanted, added=self.added,
            compute=self.compute,
        )  # fmt: skip

    def _tell(self, event: Event) -> None:
        if event["event"] != "kept":
            self.on_event(event)

    def _pace(self) -> float:
        """Return how much longer images take here than the seconds in the rows say."""
        measured = self.taken / self.expected if self.expected else 1.0
        return min(max(measured, _FASTEST), _SLOWEST)

    def _grow(self, counts: Mapping[str, int]) -> None:
        """Give cells so many images."""
        self.counts, self.now = counts, grown(self.first, counts)
        self.keys = _keys(self.first, self.now, counts)
        self.by_key = {key: first for first, key in self.keys.items()}
        cells = {
            self.keys[first]: MoreImages(first=first, images=count)
            for first, count in counts.items()
        }
        self.added = dataclasses.replace(self.added, cells=cells)

    def _growing(self) -> dict[str, Growing]:
        """Return the cells that may get more images, by key."""
        cells = self.results.cells[self.results.cells["status"] == "done"]
        done: dict[Any, dict[Any, Any]] = cells.set_index("cell").to_dict("index")
        pace = self._pace()
        growing = {}
        for first, key in self.keys.items():
            if first in self.failed or key not in done:
                continue
            cell, planned = done[key], self.now.cells[key]
            title = planned.model.title()
            share = float(cell["correct"]) / float(cell["images"])
            an_image = 0.0 if isnan(cell["seconds"]) else float(cell["seconds"]) * share
            growing[key] = Growing(
                model=title,
                images=int(cell["images"]),
                most=min(self.added.whole[title], self.limits.images or self.added.whole[title]),
                together=planned.batch_size,
                seconds=(an_image + _BESIDE) * pace,
            )
        return growing


def _may_change(comparison: Comparison) -> bool:
    """Return whether more images may change what is shown of a comparison."""
    measure = claim_measures_by_name()[comparison.claim.measure]
    return measure.at_any_time and comparison.verdict == UNDECIDED


def _whole(plan: Plan) -> dict[str, int]:
    """Return on how many images each model can be attacked."""
    by_title = {cell.model.title(): cell for cell in plan.cells.values()}
    return {title: most_images(plan, cell) for title, cell in by_title.items()}


def _of_earlier_runs(plan: Plan, store: Store) -> dict[str, int]:
    """Return how many images earlier runs of a suite gave its cells, where those are done."""
    counts: dict[str, int] = {}
    for start in runs(store):
        added = Added.read(start.get("decide"))
        if added is None or start.get("content") != plan.content:
            continue
        for key, cell in added.cells.items():
            more = cell.first in plan.cells and cell.images > counts.get(cell.first, 0)
            if more and store.record(key) is not None:
                counts[cell.first] = cell.images
    return counts


def _keys(first: Plan, now: Plan, counts: Mapping[str, int]) -> dict[str, str]:
    """Return the keys of all cells now, by key in the first plan."""
    checksums = {cell.images: cell.checksum for cell in now.cells.values()}
    keys = {key: key for key in first.cells}
    for key, count in counts.items():
        cell = first.cells[key]
        images = dataclasses.replace(cell.images, count=count)
        keys[key] = cell_key(dataclasses.replace(cell, images=images, checksum=checksums[images]))
    return keys
