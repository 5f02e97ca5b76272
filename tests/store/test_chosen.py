"""Which run is chosen, by content and by name, and what is said of the choice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.errors import PrerequisiteError, SpecError
from bench.store.chosen import asked_in_words, choose_run, is_whole
from bench.store.runlog import start_run
from bench.store.store import Store, open_store

ASKED: dict[str, Any] = {
    "models": [2, 2], "joined": 0, "attacks": [19, 19], "added": 0, "images": [[200, 200]],
    "toolkits": [], "seed": None, "answers": 1,
}  # fmt: skip


def started(store: Store, suite: str, content: str | None) -> str:
    said = {} if content is None else {"content": content}
    return start_run(store, {"suite": suite, **said}).run


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path)


def test_a_run_of_the_same_content_goes_before_a_later_one_of_the_name(store: Store) -> None:
    mine, other = started(store, "s", "aaa"), started(store, "s", "bbb")
    chosen = choose_run(store, "a/s.toml", "aaa")
    assert chosen.start["run"] == mine
    (note,) = chosen.notes
    assert note.startswith(f"{other}, the last run of that name, is of a suite with other")
    assert choose_run(store, "b/s.toml", "bbb").notes == ()


def test_content_counts_and_not_the_file_s_name(store: Store) -> None:
    mine = started(store, "s", "aaa")
    assert choose_run(store, "renamed.toml", "aaa").start["run"] == mine


def test_a_file_that_was_changed_has_no_run_yet(store: Store) -> None:
    last = started(store, "s", "aaa")
    with pytest.raises(PrerequisiteError, match=rf"{last}, .* with: bench run --suite a/s\.toml"):
        choose_run(store, "a/s.toml", "ccc")


def test_a_log_without_content_is_known_by_its_name(store: Store) -> None:
    old = started(store, "s", None)
    chosen = choose_run(store, "s.toml", "aaa")
    assert chosen.start["run"] == old
    assert len(chosen.notes) == 1
    assert "found by the suite's name" in chosen.notes[0]
    with pytest.raises(PrerequisiteError):
        choose_run(store, "t.toml", "aaa")


def test_without_a_file_the_name_is_enough(store: Store) -> None:
    started(store, "s", "aaa")
    last = started(store, "s", "bbb")
    assert choose_run(store, "s").start["run"] == last


def test_a_run_that_is_named_has_to_be_of_the_suite(store: Store) -> None:
    mine, other = started(store, "s", "aaa"), started(store, "t", "bbb")
    assert choose_run(store, "s.toml", "aaa", mine[:6]).start["run"] == mine
    with pytest.raises(SpecError, match=f"{other} is a run of t, not of s"):
        choose_run(store, "s.toml", "aaa", other)
    with pytest.raises(SpecError, match="2 runs match"):
        choose_run(store, "s.toml", "aaa", "0000")
    with pytest.raises(SpecError, match="no run matches"):
        choose_run(store, "s.toml", "aaa", "9")
    (note,) = choose_run(store, "s.toml", "ccc", mine).notes
    assert "has changed since" in note


@pytest.mark.parametrize(("given", "said", "whole"), [
    ({}, "the whole suite: 2 models, 19 attacks, 200 images", True),
    ({"images": [[500, 200]]}, "the whole suite: 2 models, 19 attacks, 500 images", True),
    ({"images": [[20, 200]], "attacks": [3, 19], "models": [1, 2]},
     "part of the suite: 1 of 2 models, 3 of 19 attacks, 20 of 200 images", False),
    ({"images": [[10, 200], [10, 2000]]},
     "part of the suite: 2 models, 19 attacks, 10 of 200 or 10 of 2000 images", False),
    ({"toolkits": ["art"]},
     "part of the suite: 2 models, 19 attacks, 200 images, 1 toolkit (art)", False),
    ({"seed": 3}, "part of the suite: 2 models, 19 attacks, 200 images, seed 3", False),
    ({"attacks": [1, 19], "added": 2},
     "part of the suite: 2 models, 1 of 19 attacks and 2 that it does not have, 200 images", False),
    ({"joined": 1}, "the whole suite: 2 models and 1 model that it does not list, 19 attacks, 200 images", True),
])  # fmt: skip
def test_what_was_asked_in_words(given: dict[str, Any], said: str, whole: bool) -> None:
    assert asked_in_words(ASKED | given) == said
    assert is_whole(ASKED | given) is whole


def test_what_was_not_recorded_is_not_known_to_be_whole() -> None:
    assert asked_in_words(None) == "how much of the suite it asked for was not recorded"
    assert not is_whole(None)
