import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import SpecError
from bench.train.local_learning.names import (
    SCHEDULES,
    is_base,
    local_options,
    local_recipe,
    written_out,
)
from bench.train.recipe import Recipe

LL = "cifar10/ll-K20-w4-m5-p4-n16-pool9-elu"
PARTS = {"K": 5, "w": 4, "m": 3, "p": 2, "n": 4, "pool": 3, "activation": "gelu"}


def test_a_name_says_the_training():
    rules = local_recipe(LL)
    assert dict(rules.options) == {
        "rule": "ll", "K": 20, "w": 4, "p": 4, "n": 16, "pool": 9, "activation": "elu",
    }  # fmt: skip
    assert (rules.rule.m, rules.rule.delta, rules.seed) == (5, 0.1, 0)
    assert not rules.shipped
    twin = local_recipe("cifar10/bp-K20-w4-n1-pool9-elu-seed7")
    assert (twin.rule, twin.seed, twin.family) == (None, 7, "local-learning")
    assert local_recipe("cifar10/cnn") is None
    assert local_recipe("nowhere/ll-K20-w4-m5-p4-n16-pool9-elu") is None


@given(
    data=st.sampled_from(sorted(SCHEDULES)), rule=st.sampled_from(["ll", "bp"]),
    K=st.integers(3, 20), w=st.integers(1, 4), m=st.integers(2, 9), p=st.integers(2, 6),
    n=st.integers(1, 50), pool=st.integers(1, 5), delta=st.integers(1, 500),
    activation=st.sampled_from(["relu", "elu", "gelu", "rexp"]), seed=st.integers(0, 99),
)  # fmt: skip
def test_names_and_parts_tell_the_same(data, rule, delta, **parts):
    if rule == "bp":
        parts = {part: value for part, value in parts.items() if part not in ("m", "p")}
    else:
        parts["delta"] = delta / 100
    name = written_out(f"{data}/{rule}", parts)
    assert local_options(name) == {"rule": rule, **parts}
    rules = local_recipe(name)
    assert Recipe.read(rules.written()) == dataclasses.replace(rules, shipped=True)
    assert ("seed" in name) == bool(parts["seed"])


@pytest.mark.parametrize(("name", "words"), [
    ("digits/ll-K5-w4-n4-pool3-gelu", "needs -m and -p"),
    ("digits/bp-K5-w4-m3-p2-n4-pool3-gelu", "has no m, p or delta"),
    ("digits/ll-K1-w4-m3-p2-n4-pool3-gelu", "m=3 is no rank of 1 filters"),
    ("digits/ll-K5-w4-m1-p2-n4-pool3-gelu", "m=1 is no rank"),
    ("digits/ll-K5-w4-m3-p7-n4-pool3-gelu", "p=7 is not one of 2 to 6"),
    ("digits/ll-K5-w4-m3-p1-n4-pool3-gelu", "p=1 is not"),
    ("digits/ll-K5-w6-m3-p2-n4-pool4-gelu", "leave 3 places a side .* take a smaller w or pool"),
    ("digits/bp-K5-w9-n4-pool1-gelu", "leave 0 places"),
    ("digits/bp-K5-w4-n0-pool1-gelu", "n 0 is not a whole number from 1"),
    ("digits/ll-K05-w4-m3-p2-delta0.10-n4-pool3-gelu-seed0", "write it as digits/ll-K5-w4-m3-p2-n4"),
])  # fmt: skip
def test_names_that_cannot_be_are_said(name, words):
    with pytest.raises(SpecError, match=words):
        local_recipe(name)


@pytest.mark.parametrize(("base", "change", "words"), [
    ("digits/ll", {"K": None}, "digits/ll lacks K; its options are K, w, m"),
    ("digits/bp", {}, "digits/bp has no m, p"),
    ("digits/ll", {"depth": 3}, "has no depth"),
    ("digits/ll", {"activation": "tanh"}, "activation 'tanh' is not one of relu, elu"),
    ("digits/ll", {"K": 5.0}, "K 5.0 is not a whole number"),
    ("digits/ll", {"K": True}, "K True is not a whole number"),
    ("digits/ll", {"n": -4}, "n -4 is not a whole number"),
    ("digits/ll", {"delta": "a"}, "delta 'a' is not a number"),
    ("digits/ll", {"delta": 1e-9}, "delta 1e-09 is not a number"),
    ("digits/ll", {"seed": -1}, "seed -1 is not a whole number from 0"),
])  # fmt: skip
def test_options_that_cannot_be_are_said(base, change, words):
    options = {part: value for part, value in {**PARTS, **change}.items() if value is not None}
    with pytest.raises(SpecError, match=words):
        written_out(base, options)


def test_bases():
    assert is_base("digits/ll")
    assert not is_base("digits/cnn")
    assert not is_base(LL)
    assert not is_base("nowhere/ll")


def test_wider_and_steeper_twins_are_trained_at_smaller_rates():
    rates = [
        local_recipe(f"cifar10/bp-K10-w{w}-n{n}-pool9-gelu").learning_rate
        for w, n in ((4, 4), (2, 1), (12, 4), (4, 12), (8, 8))
    ]
    assert rates == [2e-3, 2e-3, 2.2e-4, 6.7e-4, 2.5e-4]
    heads = [
        local_recipe(f"cifar10/ll-K10-w4-m3-p2-n{n}-pool9-gelu").learning_rate for n in (1, 4, 12)
    ]
    assert heads == [2e-3, 2e-3, 6e-3]


def test_large_twins_are_trained_for_fewer_epochs():
    epochs = [local_recipe(f"cifar10/bp-K{K}-w4-n1-pool9-elu").epochs for K in (10, 20)]
    assert epochs == [6, 4]
