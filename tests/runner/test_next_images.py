"""Which cells get images next."""

from __future__ import annotations

import math
from types import SimpleNamespace

import build
import pytest

from bench.runner.next_images import Growing, by_time, in_words, next_step, on_some_cell
from bench.trust.open_questions import Question


def question(*cells, needed=1000.0, images=200, models=("a", "b"), most=10_000):
    comparison = SimpleNamespace(number=3, claim=build.claim(), case=SimpleNamespace(eps="0.1"))
    return Question(
        comparison=comparison, under="study", models=models, cells=cells, images=images, most=most,
        needed=needed,
    )  # fmt: skip


def growing(**seconds):
    """Return cells of 200 images by key, of a model each, an image taking so many seconds."""
    return {
        key: Growing(model=key[0], images=200, most=10_000, together=100, seconds=each)
        for key, each in seconds.items()
    }


def test_the_questions_that_are_decided_soonest_come_first():
    cells = growing(a=1.0, b=1.0, c=0.01, d=0.01)
    slow, quick = question("a", "b", needed=200), question("c", "d", needed=2000)
    never = question("c", "b", needed=math.inf)
    assert by_time([never, slow, quick], cells) == [quick, slow, never]
    step = next_step([never, slow, quick], cells, room=450, left=1000)
    assert step.questions == (quick, slow)
    assert step.counts == {"c": 400, "d": 400, "a": 400, "b": 400}
    assert step.seconds == pytest.approx(2 * 200 * 1.01)
    assert next_step([never, slow, quick], cells, room=100, left=1000).questions == (quick,)


def test_a_question_gets_what_it_needs_in_whole_batches_at_most_twice_what_it_has():
    cells = growing(a=0.1, b=0.1)
    for needed, images in ((1, 300), (79, 300), (81, 400), (5000, 400)):
        step = next_step([question("a", "b", needed=needed)], cells, room=1000, left=1000)
        assert step.counts == {"a": images, "b": images}, needed
    few = {key: Growing(model=key, images=200, most=230, together=100, seconds=0.1) for key in "ab"}
    assert next_step([question("a", "b")], few, room=99, left=99).counts == {"a": 230, "b": 230}


def test_a_cell_of_two_questions_is_counted_once_and_one_with_images_enough_not_at_all():
    cells = growing(a=1.0, b=1.0, c=1.0)
    cells["c"] = Growing(model="c", images=5000, most=10_000, together=100, seconds=1.0)
    both = [question("a", "b", needed=100), question("a", "c", needed=100)]
    step = next_step(both, cells, room=1e6, left=1e6)
    assert step.counts == {"a": 400, "b": 400}
    assert step.seconds == pytest.approx(400)


def test_where_there_is_less_time_the_first_gets_what_there_is_time_for():
    cells = growing(a=1.0, b=1.0)
    assert next_step([question("a", "b")], cells, room=10, left=399).counts == {"a": 300, "b": 300}
    assert not next_step([question("a", "b")], cells, room=10, left=199).counts
    # What is never decided gets the time that is left over.
    cells |= growing(c=0.1, d=0.1)
    never = question("c", "d", needed=math.inf)
    assert next_step([question("a", "b"), never], cells, room=10, left=100).questions == (never,)


def test_clean_images_come_from_the_cell_with_most_of_them_or_the_quickest():
    cells = growing(a1=3.0, a2=1.0, b1=2.0)
    assert on_some_cell(question(), cells).cells == ("a2", "b1")
    assert on_some_cell(question(models=("a", "a")), cells).cells == ("a2",)
    assert on_some_cell(question("a1"), cells).cells == ("a1",)
    cells["a1"] = Growing(model="a", images=300, most=10_000, together=100, seconds=3.0)
    assert on_some_cell(question(), cells).cells == ("a1", "b1")


def test_cells_that_may_not_grow_are_not_asked():
    cells = growing(a=1.0)
    assert by_time([question("a", "b")], cells) == []
    assert by_time([on_some_cell(question(models=("x", "y")), cells)], cells) == []
    cells["b"] = Growing(model="b", images=200, most=200, together=100, seconds=1.0)
    assert by_time([question("a", "b")], cells) == []


def test_what_is_left_is_said():
    cells = growing(a=0.5, b=0.5)
    assert in_words(question("a", "b", needed=119.5), cells) == (
        "claim 3, a : b, linf 0.1, on 200 images so far, about 120 more, about 2 min"
    )
    never = in_words(question("a", "b", needed=math.inf), cells)
    assert never.endswith("200 images so far, which no number of images seems to decide")
