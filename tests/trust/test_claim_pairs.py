from __future__ import annotations

import pytest
from build import claim

from bench.trust.claim_pairs import Pair, matches, pairs

TITLES = [
    *(f"{data}/dml-{loss}-{how}" for data in ("m", "c") for loss in ("n-pairs", "triplet")
      for how in ("sgd", "adam")),
    *(f"{data}/dl-cross-entropy-{how}" for data in ("m", "c") for how in ("sgd", "adam")),
]  # fmt: skip
DATA = {title: title[0] for title in TITLES}


def test_a_name_is_the_same_text_on_both_sides():
    found = pairs(
        claim(left="{data}/dml-{loss}-{how}", right="{data}/dl-cross-entropy-{how}"), DATA
    )
    assert len(found) == 8
    assert Pair("c/dml-n-pairs-adam", "c/dl-cross-entropy-adam", "c, n-pairs, adam") in found
    for left, right, _ in found:
        assert left[0] == right[0]
        assert left.rsplit("-")[-1] == right.rsplit("-")[-1]


def test_a_name_may_be_split_only_as_both_sides_allow():
    # By itself the left could be read as x = "a-b", y = "c"; the right allows x = "a" alone.
    found = pairs(claim(left="{x}-{y}", right="{x}/{y}"), dict.fromkeys(["a-b-c", "a/b-c"], "d"))
    assert found == [Pair("a-b-c", "a/b-c", "a, b-c")]


def test_stars_pair_all_of_one_data_set_and_no_model_with_itself():
    found = pairs(claim(left="*/dl-*", right="*-sgd"), DATA)
    assert all(left != right and left[0] == right[0] for left, right, _ in found)
    assert len(found) == 2 * (2 * 3 - 1)
    assert found[0] == Pair(
        "m/dl-cross-entropy-sgd", "m/dml-n-pairs-sgd", "m, cross-entropy-sgd, m/dml-n-pairs"
    )


def test_two_attacks_may_compare_a_model_with_itself():
    asked = {"attacks": ("fgsm",), "right_attacks": ("pgd",)}
    own = pairs(claim(left="m/dl-*", right=None, **asked), DATA)
    assert [pair.left == pair.right for pair in own] == [True, True]
    every = pairs(claim(left="m/dl-*", right="m/dl-*", **asked), DATA)
    assert len(every) == 4


def test_who_has_no_partner_is_not_passed_over():
    few = {title: data for title, data in DATA.items() if "dl-" not in title or "adam" in title}
    found = pairs(claim(left="m/dml-triplet-{how}", right="m/dl-cross-entropy-{how}"), few)
    assert found == [
        Pair("m/dml-triplet-adam", "m/dl-cross-entropy-adam", "adam"),
        Pair("m/dml-triplet-sgd", None, "m/dml-triplet-sgd"),
    ]
    assert pairs(claim(left="x", right="m/dl-cross-entropy-adam"), few)[0].left is None
    assert pairs(claim(left="x", right="y"), few) == [Pair(None, None, "")]
    assert pairs(claim(left="x", right=None), few) == [Pair(None, None, "")]


@pytest.mark.parametrize(("pattern", "title", "whether"), [
    ("a/b", "a/b", True), ("a/b", "a/bc", False), ("a.b", "axb", False), ("*", "a/b-c", True),
    ("{x}-{x}", "ab-ab", True), ("{x}-{x}", "ab-cd", False), ("a[bc]", "ab", False), ("a*", "ba", False),
])  # fmt: skip
def test_patterns(pattern, title, whether):
    assert matches(pattern, title) == whether
