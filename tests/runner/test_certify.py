"""Certificates as cells of a suite: their rows, their place in a plan, and who has none."""

import oracles
import pandas as pd
import pytest
import torch
from scenes import smoothed

import bench
from bench.adapters.smoothed import smooth
from bench.attacks.catalogue import resolve, row_kind
from bench.errors import SpecError
from bench.measure.certified import certificates, certified_bounds
from bench.measure.outcomes import Outcomes
from bench.model_names import MODELS, trained_as
from bench.runner.cache import CleanPredictions
from bench.runner.certify import certify_images
from bench.runner.estimate import estimate, passes
from bench.runner.execute import execute
from bench.runner.plan import make_plan
from bench.runner.suite import load_suite
from bench.runner.task import Part, Source, Task
from bench.spec import COLUMNS, Certificate, ModelSpec
from bench.store.columns import attacked, encode
from bench.store.results import load_results
from bench.store.store import open_store
from bench.train.recipes import RECIPES

TOY = ModelSpec(name="toy", family="network", data="toy", input_shape=oracles.SHAPE, num_classes=2)


def certified(model, x, y, spec, start=0):
    """Return the certificates of images, as a cell would have them."""
    clean = CleanPredictions(model)
    source = Source(surface="predict", clean=clean)
    task = Task(spec=spec, toolkit="native", clean=clean, source=source, named={})
    return certify_images(task, Part(x, y, start, 3, 0))


def test_a_row_is_the_certificate_of_an_image():
    net, x, y = oracles.two_classes("l2", [0.001, 0.1, 0.3])
    y[2] = 1 - y[2]  # certified, though wrong
    model = smooth(TOY, net, 0.25)
    spec = resolve("certify", "l2", None, {"n": 300})
    chunk = certified(model, x, y, spec, start=5)
    rows = chunk.rows
    assert list(rows.columns) == list(COLUMNS)
    labels, radii = model.certify(x, 100, 300, 0.001)
    assert rows["clean_label"].tolist() == labels.tolist()
    assert rows["certified_radius"].tolist() == radii.tolist()
    assert rows["abstained"].tolist() == [True, False, False]
    assert rows["correct"].tolist() == [False, True, False]
    assert set(rows["kind"]) == {"certify"}
    assert rows["forwards"].tolist() == [400] * 3
    assert rows["index"].tolist() == [5, 6, 7]
    assert not attacked(rows).any()
    encode(rows, None)  # as a store takes them
    assert torch.equal(chunk.x_adv, x)


def test_with_radii_a_row_has_the_copies_that_its_own_image_took():
    net, x, y = oracles.two_classes("l2", [0.001, 0.1, 0.3])
    model = smooth(TOY, net, 0.25)
    spec = resolve("certify", "l2", None, {"n": 300, "radii": "0.2 0.05"})
    rows = certified(model, x, y, spec).rows
    labels, radii, copies = model.certify_at(x, (0.05, 0.2), 100, 300, 0.001)
    assert rows["clean_label"].tolist() == labels.tolist()
    assert rows["certified_radius"].tolist() == radii.tolist()
    assert rows["forwards"].tolist() == copies.tolist()
    assert len(set(copies.tolist())) == 3
    alone = [certified(model, x[[i]], y[[i]], spec, start=i).rows for i in range(3)]
    measured = ["index", "clean_label", "correct", "abstained", "certified_radius", "forwards"]
    pd.testing.assert_frame_equal(pd.concat(alone, ignore_index=True)[measured], rows[measured])
    assert passes("certify", dict(spec.parameters), 10) == 134


def test_a_certifier_of_ones_own_that_cannot_end_early_says_so():
    class Fixed:
        spec = TOY
        predict = gradient = surfaces = fingerprint = abs  # not called

        def certify(self, x, n0, n, alpha):
            return Certificate(torch.zeros(len(x), dtype=torch.int64), torch.zeros(len(x)))

    model = Fixed()
    _, x, y = oracles.two_classes("l2", [0.1])
    assert certified(model, x, y, resolve("certify", "l2")).rows["forwards"].tolist() == [1100]
    with pytest.raises(SpecError, match=r"no certify_at.*leave `radii` out"):
        certified(model, x, y, resolve("certify", "l2", None, {"radii": 0.1}))


def test_a_model_without_guarantee_has_no_certificate():
    net, x, y = oracles.two_classes("l2", [0.1])
    model = bench.wrap(net, 2, oracles.SHAPE)
    spec = resolve("certify", "l2")
    with pytest.raises(SpecError, match="no certification procedure"):
        certified(model, x, y, spec)
    with pytest.raises(SpecError, match=r"model\.certify"):
        bench.attack(model, x, y, "certify", norm="l2", toolkit="native")


def test_the_words_of_certificates_are_checked():
    assert row_kind("certify").name == "certify"
    assert dict(resolve("certify", "l2").parameters) == {"n0": 100, "n": 1000, "alpha": "0.001"}
    for words in ({"n": 0}, {"n": 9}, {"n": 14, "alpha": "0.00001"}, {"alpha": 1}, {"alpha": 0}, {"steps": 3}, {"targeted": "next"},
                  {"goal": "confidence-reduction"}):  # fmt: skip
        with pytest.raises(SpecError, match="certify"):
            resolve("certify", "l2", None, words)
    with pytest.raises(SpecError, match="takes no eps"):
        resolve("certify", "l2", "0.5")
    assert passes("certify", dict(resolve("certify", "l2").parameters), 10) == 1100


def test_a_suite_runs_attacks_and_certificates(tmp_path, registry):
    smoothed.register()
    path = tmp_path / "proofs.toml"
    path.write_text(smoothed.suite())
    plan = make_plan(load_suite(str(path)))
    asked = [(cell.model.name, cell.attack.name, cell.surface) for cell in plan.cells.values()]
    assert asked == [
        *[("lines", "pgd", one) for one in ("expected", "one-draw", "base")],
        *[("lines", "certify", "predict")] * 2,
        ("plain", "pgd", "network"),
    ]
    assert any("plain has no certification procedure" in line for line in plan.left_out)
    store = open_store(tmp_path / "results")
    assert len(estimate(plan, store, list(plan.cells)).seconds) == 6
    outcome = execute(plan, store)
    assert not outcome.failed
    results = load_results(tmp_path / "results", "proofs")
    assert results.cells["kind"].tolist() == ["fixed"] * 3 + ["certify"] * 2 + ["fixed"]
    found = certificates(Outcomes(results))
    assert found["parameters"].tolist() == [
        "n0 100, n 50, alpha 0.001",
        "n0 100, n 200, alpha 0.001",
    ]
    between = certified_bounds(Outcomes(results))
    assert (between["certified"] <= between["attacked"]).all()
    assert len(between) == 2


def test_a_smoothed_model_has_the_weights_of_the_network_of_its_noise():
    name = "digits/randomized-smoothing"
    assert MODELS[name].facts["family"] == "smoothed"
    assert trained_as(name, {}) == "digits/noisy"
    assert RECIPES[trained_as(name, {"sigma": 0.5})].noise == 0.5
    assert trained_as("digits/cnn", {}) == "digits/cnn"
    for sigma in (0.3, True, "0.5"):
        with pytest.raises(SpecError, match=r"take 0\.12, 0\.25, 0\.5"):
            trained_as(name, {"sigma": sigma})


@pytest.mark.slow
def test_at_radii_the_digits_are_certified_as_by_all_copies_from_half_of_them():
    x, y = bench.load_data("digits", images=None)
    radii, copies, differences = (0.1, 0.25, 0.5), [], []
    for sigma in (0.12, 0.25, 0.5):
        model = bench.load_model("digits/randomized-smoothing", {"sigma": sigma})
        labels, all_copies = model.certify(x, n=1000)
        found = model.certify_at(x, radii, n=1000)
        copies.append(float(found.copies.double().mean()))
        for radius in (0, *radii):
            fixed = (labels == y) & (all_copies > radius)
            ended = (found.labels == y) & (found.radii > radius)
            differences.append(100 * float(ended.double().mean() - fixed.double().mean()))
    # Trained here, so that the last bits differ between processors: bounds with room.
    assert sum(copies) / 3 <= 550
    assert abs(sum(differences)) / len(differences) <= 0.25
    assert max(map(abs, differences)) <= 1
