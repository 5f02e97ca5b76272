"""What was not the same when two runs were made."""

import build

from bench.measure.made_differently import (
    are_other_images,
    differing_identity,
    made_differently,
)
from bench.measure.matched_cells import matched_cells

IDENTITY = {
    "model": {"name": "m", "options": {}, "fingerprint": "aa"},
    "attack": {"name": "pgd", "eps": "0.1"},
    "images": {"data": "digits", "split": "test", "count": 20, "checksum": "c1"},
    "seed": 0,
    "batch_size": 100,
}


def changed(**parts):
    """Return the identity with other values; those of a part in a dict."""
    return {
        name: {**value, **parts.get(name, {})} if isinstance(value, dict) else parts.get(name, value)
        for name, value in IDENTITY.items()
    }  # fmt: skip


def test_identities_differ_in_named_parts():
    assert differing_identity(IDENTITY, IDENTITY) == {}
    assert differing_identity(IDENTITY, {}) == {}  # not recorded
    other = changed(model={"fingerprint": "bb"}, seed=3, batch_size=10)
    assert differing_identity(IDENTITY, other) == {
        "weights, settings or code": ("aa", "bb"), "seed": ("0", "3"),
        "images attacked together": ("100", "10"),
    }  # fmt: skip
    fitted = {**IDENTITY, "fit": {"checksum": "f"}}
    assert differing_identity(IDENTITY, fitted) == {"images fitted on": ("–", "f")}


def test_more_images_are_not_other_images():
    more = differing_identity(IDENTITY, changed(images={"count": None, "checksum": "c2"}))
    assert more == {"number of images": ("20", "all")}
    assert not are_other_images(more)
    assert are_other_images(differing_identity(IDENTITY, changed(images={"checksum": "c2"})))
    assert are_other_images(differing_identity(IDENTITY, changed(images={"split": "validation"})))


def test_versions_machines_and_suites_of_the_runs_and_weights_by_model():
    def run(torch, threads, content):
        cells = [build.cell(model, "fgsm", "0.1", []) for model in ("m", "n")]
        makers = [{"cells": 1, "versions": {"torch": version, "numpy": "2"}, "device": "cpu",
                   "host": "Linux", "threads": threads} for version in torch]  # fmt: skip
        return build.results(cells, made=tuple(makers), content=content)

    a, b = run(["2.9.0", "2.8.0"], 1, "c1"), run(["2.9.0"], 1, "c2")
    weights = differing_identity(IDENTITY, changed(model={"fingerprint": "bb"}, seed=1))
    matches = list(zip(matched_cells(a.cells, b.cells), [weights, {}], strict=True))
    made = made_differently(a, b, matches)
    assert made.to_numpy().tolist() == [
        ["content of the suite", "", "c1", "c2"],
        ["torch", "", "2.8.0, 2.9.0", "2.9.0"],
        ["weights, settings or code", "m", "aa", "bb"],
        ["seed", "1 of 2 cells", "0", "1"],
    ]
    assert made_differently(a, a, []).empty
