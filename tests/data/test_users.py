import numpy as np
import pytest
import torch

import bench
from bench.data.datasets import load, load_examples
from bench.data.table import DATASETS, fits
from bench.errors import DataError, SpecError


@pytest.fixture
def register(registry):
    """Return a function that registers a data set of four images that some function reads."""

    def register(read, name="own", **facts):
        facts = {"input_shape": (1, 8, 8), "splits": {"test": 4}, "classes": ["a", "b"], **facts}
        return bench.register_data(name, **facts)(read)

    return register


def test_a_data_set_of_ones_own_is_read_when_it_is_asked_for(register):
    asked = []

    def read(split):
        asked.append(split)
        return np.full((4, 8, 8), 51, dtype=np.uint8), [0, 1, 1, 0]

    register(read)
    known = DATASETS["own"]
    assert (known.classes, known.splits, asked) == (("a", "b"), {"test": 4}, [])
    x, y = bench.load_data("own")
    assert torch.equal(x, torch.full((4, 1, 8, 8), 0.2))
    assert y.tolist() == [0, 1, 1, 0]
    load("own", "test")
    assert asked == ["test"]


def test_tensors_and_models_of_another_data_set(register):
    register(lambda split: (torch.rand(4, 1, 8, 8), torch.tensor([9, 0, 1, 2])), "tensors",
             classes=(), models_of="digits")  # fmt: skip
    assert DATASETS["tensors"].classes == DATASETS["digits"].classes
    assert fits("tensors", "digits")
    assert load("tensors", "test").labels.tolist() == [9, 0, 1, 2]


def test_a_function_that_is_defined_again_is_read_again(register):
    for value in (51, 255):

        def read(split, value=value):
            return np.full((4, 8, 8), value, dtype=np.uint8), [0, 1, 1, 0]

        register(read, "again")
        assert load("again", "test").raw.unique().tolist() == [value]


def test_models_are_tried_on_the_last_split_where_there_is_no_test(register):
    register(lambda split: (np.full((4, 8, 8), 51, np.uint8), [0, 1, 1, {"a": 0, "b": 1}[split]]), "two",
             splits={"a": 4, "b": 4})  # fmt: skip
    assert load_examples("two").labels.tolist() == [0, 1, 1, 1]


def _failing(split):
    raise ValueError("no disk")


@pytest.mark.parametrize(("read", "words"), [
    (_failing, r"data set 'broken': test_users.py, line \d+: its function failed: ValueError: no disk"),
    (lambda split: np.zeros((4, 8, 8)), "its function returned ndarray; return a pair of images and labels"),
    (lambda split: (np.zeros((4, 8, 8)), [0, 1, 2, 0]), "broken test: labels run from 0 to 2; classes are 0 to 1"),
    (lambda split: (np.zeros((4, 8, 9)), [0, 1, 1, 0]),
     r"returned 4 images of shape \(1, 8, 9\); it is registered with 4 of \(1, 8, 8\)"),
    (lambda split: (np.full((4, 8, 8), 2.5), [0, 1, 1, 0]), "values from 2.5 to 2.5 are neither of .0, 1. nor of 0 to 255"),
])  # fmt: skip
def test_a_function_that_fails_or_returns_something_else_is_said(register, read, words):
    register(read, "broken")
    with pytest.raises(DataError, match=words):
        load("broken", "test")


@pytest.mark.parametrize(("name", "facts", "words"), [
    ("cifar10", {}, "one of Crossfire's own"),
    ("a/b", {}, "cannot be the name of a data set"),
    ("npz:a", {}, "cannot be the name of a data set"),
    ("own", {"classes": []}, "has 0 classes"),
    ("own", {"splits": {}}, "say how many images each has"),
    ("own", {"input_shape": (8, 8)}, r"input_shape is \(8, 8\); give \(C, H, W\)"),
    ("own", {"models_of": "digit"}, "did you mean digits"),
    ("own", {"models_of": "mnist", "classes": []}, r"its images have shape \(1, 8, 8\), those of mnist"),
])  # fmt: skip
def test_facts_that_do_not_fit_are_said(register, name, facts, words):
    with pytest.raises(SpecError, match=words):
        register(lambda split: None, name, **facts)
