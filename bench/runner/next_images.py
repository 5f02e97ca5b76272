"""Which cells get more images next, so that a budget of time decides as many comparisons as it can."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.runner.estimate import duration
from bench.trust.open_questions import Question

#: A question gets a little more images than it seems to need, at most twice as many as it has.
_MORE, _GROWTH = 1.25, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Growing:
    """A cell that may get more images.

    Attributes:
        model: its title.
        images: how many it has.
        most: how many it may have.
        together: how many are attacked together.
        seconds: about how long an image takes.
    """

    model: str
    images: int
    most: int
    together: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The images that are added next.

    Attributes:
        counts: how many images a cell gets, by key.
        seconds: about how long they take.
        questions: that they are added for, the first first.
    """

    counts: Mapping[str, int]
    seconds: float
    questions: tuple[Question, ...] = ()


def next_step(
    questions: Sequence[Question], cells: Mapping[str, Growing], room: float, left: float
) -> Step:
    """Return the images to add next: for the questions that are decided soonest, as many as there is room for.

    Args:
        questions: those that are open, with their `cells`.
        cells: by key, those that may get more images.
        room: seconds that the step may take.
        left: seconds that there are in all; the first question may use these alone.

    Returns:
        A step without counts where there is time for none.
    """
    counts: dict[str, int] = {}
    seconds = 0.0
    chosen: list[Question] = []
    in_turn = by_time(questions, cells)
    hopeful = [question for question in in_turn if math.isfinite(question.needed)]
    for question in hopeful or in_turn:
        more = _counts(question, cells, left - seconds if not chosen else room - seconds, counts)
        more_seconds = _seconds(more, cells, counts)
        if not more or (chosen and seconds + more_seconds > room):
            continue
        counts |= more
        seconds += more_seconds
        chosen.append(question)
    if not chosen and hopeful and len(hopeful) < len(in_turn):
        return next_step([one for one in in_turn if one not in hopeful], cells, room, left)
    return Step(counts=counts, seconds=seconds, questions=tuple(chosen))


def by_time(questions: Sequence[Question], cells: Mapping[str, Growing]) -> list[Question]:
    """Return questions that can get images, those first that take least time until they are decided."""

    def key(question: Question) -> tuple[float, float]:
        pace = sum(cells[cell].seconds for cell in question.cells)
        hopeless = math.isinf(question.needed)
        return math.inf if hopeless else question.needed * pace, question.images * pace

    able = [
        question for question in questions
        if question.cells and all(cell in cells and cells[cell].most > question.images for cell in question.cells)
    ]  # fmt: skip
    return sorted(able, key=key)


def on_some_cell(question: Question, cells: Mapping[str, Growing]) -> Question:
    """Return a question with cells that get the images: of one on clean images, a cell of each model.

    Every cell of a model says which clean images it gets right: the one with most images, or else the quickest.
    """
    if question.cells:
        return question
    chosen = []
    for model in dict.fromkeys(question.models):
        of_model = {key: cell for key, cell in cells.items() if cell.model == model}
        if of_model:
            chosen.append(min(of_model, key=lambda key: (-cells[key].images, cells[key].seconds)))
    return dataclasses.replace(question, cells=tuple(chosen))


def in_words(question: Question, cells: Mapping[str, Growing]) -> str:
    """Return what a question is and what it takes to decide it: `a : b under pgd linf 0.1, 400 images more, ...`."""
    claim, case = question.comparison.claim, question.comparison.case
    sides = " : ".join(dict.fromkeys(question.models))
    threat = "clean" if case.eps == "0" else f"{claim.norm} {case.eps}"
    pace = sum(cells[cell].seconds for cell in question.cells)
    left = min(question.needed, question.most - question.images)
    what = (
        f"claim {question.comparison.number}, {sides}, {threat}, on {question.images} images so far"
    )
    if math.isinf(question.needed):
        return f"{what}, which no number of images seems to decide"
    return f"{what}, about {math.ceil(left)} more, {duration(left * pace)}"


def _counts(
    question: Question, cells: Mapping[str, Growing], room: float, planned: Mapping[str, int]
) -> dict[str, int]:
    """Return how many images the cells of a question get, at most so many that there is room for."""
    of_question = {cell: cells[cell] for cell in question.cells}
    together = max(cell.together for cell in of_question.values())
    most = min(cell.most for cell in of_question.values())
    wanted = min(question.images + _MORE * question.needed, _GROWTH * question.images)
    target = min(most, max(_whole_batches(wanted, together), question.images + 1))
    while target > question.images:
        counts = {
            key: target
            for key, cell in of_question.items()
            if target > max(cell.images, planned.get(key, 0))
        }
        if _seconds(counts, cells, planned) <= room:
            return counts
        target = _whole_batches(target - 1, together, up=False)
    return {}


def _whole_batches(images: float, together: int, up: bool = True) -> int:
    return together * (math.ceil(images / together) if up else math.floor(images / together))


def _seconds(
    counts: Mapping[str, int], cells: Mapping[str, Growing], planned: Mapping[str, int]
) -> float:
    """Return about how long it takes to give cells more images than they have, or will have."""
    return sum(
        cells[key].seconds * (count - max(cells[key].images, planned.get(key, 0)))
        for key, count in counts.items()
    )
