"""Which attacks both sides faced: budgets word by word, toolkits, surfaces and radii."""

from __future__ import annotations

import fnmatch

import build
import pandas as pd
import pytest
from build import cell

from bench.attacks.catalogue import available, row_kind
from bench.runner.suite import load_suite
from bench.suite_files import known_suites
from bench.trust.claim_pairs import pairs
from bench.trust.faced import Faced, faced


def sides(left, right, families=("network", "network")) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the cells of two models; of each a name, words and what else is said of it."""
    made = [
        cell(model, name, more.pop("eps", "0.1"), [], parameters=words, **more)
        for model, cells in (("a", left), ("b", right))
        for name, words, more in ((name, words, dict(more)) for name, words, more in cells)
    ]
    every = build.results(made, images=1).cells
    every["family"] = every["model"].map(dict(zip("ab", families, strict=True)))
    return every[every["model"] == "a"], every[every["model"] == "b"]


def met(left, right, radius=0.1, families=("network", "network")):
    frames = sides(left, right, families)
    return faced(*frames, tuple(frozenset(one["surface"]) for one in frames), radius)


def pgd(**words):
    return ("pgd", words, {})


@pytest.mark.parametrize(("left", "right", "harder"), [
    ([pgd(steps=10)], [pgd(steps=10)], ""),
    ([pgd(steps=10)], [pgd(steps=40)], "right"),
    ([pgd(steps=10, restarts=5)], [pgd(steps=10, restarts=1)], "left"),
    ([pgd(steps=10, restarts=5)], [pgd(steps=40, restarts=1)], "neither"),
    ([pgd(steps=10, step_size="0.1")], [pgd(steps=40, step_size="0.2")], "neither"),
    ([pgd(steps=10)], [pgd(steps=10), ("bim", {}, {})], "right"),
    ([pgd(steps=10), ("bim", {}, {})], [pgd(steps=40)], "neither"),
    ([("autoattack", {"fab_t": True}, {})], [("autoattack", {"fab_t": False}, {})], "left"),
    ([("square", {"queries": 100}, {})], [("square", {"queries": "500"}, {})], "right"),
    ([("one-pixel", {"population": 400}, {})], [("one-pixel", {"population": 40}, {})], "left"),
    ([("pgd", {}, {"toolkit": "art"})], [("pgd", {}, {"toolkit": "foolbox"})], "neither"),
    ([("pgd", {}, {"eps": "8/255"})], [("pgd", {}, {"eps": "0.0313725490"})], ""),
])  # fmt: skip
def test_who_was_attacked_harder(left, right, harder):
    assert (
        met(left, right, radius=8 / 255 if left[0][2] == {"eps": "8/255"} else 0.1).harder == harder
    )
    swapped = met(right, left, radius=8 / 255 if left[0][2] == {"eps": "8/255"} else 0.1).harder
    assert swapped == {"left": "right", "right": "left"}.get(harder, harder)


def test_what_one_side_alone_faced_is_left_out_where_both_faced_the_attack():
    found = met(
        [pgd(steps=10)], [pgd(steps=10), pgd(steps=40), ("pgd", {"steps": 10}, {"toolkit": "art"})]
    )
    assert (len(found.left), len(found.right), found.harder) == (1, 1, "")
    assert found.left_out == "pgd steps 40, not 10, pgd by art"


def test_another_radius_counts_where_both_sides_have_it():
    near = ("pgd", {}, {"eps": "0.05"})
    assert len(met([pgd(), near], [pgd(), near]).left) == 2
    found = met([pgd(), near], [pgd()])
    assert (len(found.left), found.harder, found.left_out) == (1, "", "")


def test_models_of_one_family_are_climbed_through_the_same_surface():
    soft, base = ("pgd", {}, {"surface": "soft"}), ("pgd", {}, {"surface": "base"})
    both = [soft, base, ("bim", {}, {"surface": "soft"})]
    again = [base, ("fgsm", {}, {"surface": "soft"}), ("bim", {}, {"surface": "soft"})]
    assert met(both, both).harder == ""
    found = met(both, again)
    assert found.left_out == "pgd through soft"
    assert found.harder == "right"  # fgsm
    # Each model of two families is climbed through all that it has of its own.
    assert len(met([soft, base], [("pgd", {}, {})], families=("smoothed", "network")).left) == 2


def asked(suite, title: str, norm: str) -> pd.DataFrame:
    """Return the cells of attacks that a suite asks for on a model, through one surface each."""
    smoothed = "randomized-smoothing" in title
    return pd.DataFrame([
        {"cell": f"{title} {turn} {toolkit}", "attack": one.spec.name, "toolkit": toolkit,
         "radius": one.spec.radius, "parameters": dict(one.spec.parameters), "surface": "any", "goal": "misclassification",
         "family": "smoothed" if smoothed else "votes" if "dml-" in title else "network"}
        for turn, one in enumerate(suite.attacks)
        if one.spec.norm == norm and row_kind(one.spec.name).name == "attack"
        and (one.models is None or any(fnmatch.fnmatchcase(title, glob) for glob in one.models))
        for toolkit in one.toolkits or available(one.spec.name, norm)
    ])  # fmt: skip


@pytest.mark.parametrize("name", known_suites())
def test_both_sides_of_shipped_claims_face_the_same_attacks(name):
    suite = load_suite(name)
    titles = {one.title(): one.title().partition("/")[0] for one in suite.models}
    of_models = [
        claim
        for claim in suite.claims
        if claim.right is not None and claim.measure == "accuracy" and claim.eps != ("0",)
    ]
    compared = 0
    for claim in of_models:
        for pair in pairs(claim, titles):
            for eps in claim.eps:
                if eps == "0" or None in pair[:2]:
                    continue
                compared += 1
                cells = [asked(suite, title, claim.norm) for title in pair[:2]]
                radius = float(next(
                    one.spec.radius for one in suite.attacks if one.spec.eps == eps
                ))  # fmt: skip
                study = [one[one["attack"].isin(claim.attacks)] for one in cells]
                for left, right in (study, cells):
                    found: Faced = faced(left, right, (frozenset(), frozenset()), radius)
                    assert found.harder == "", f"{claim.says}, {pair}, {eps}: {found.why}"
    assert compared >= len(of_models)
