"""Attacks through substitutes in a run: cells, sharing, the cache, and what reports say of them."""

import pytest
import torch

import bench
from bench.data.datasets import load
from bench.errors import SpecError
from bench.measure.headline import headline
from bench.measure.outcomes import Outcomes
from bench.report.findings import find
from bench.report.measured import measure
from bench.report.sections.substitutes import section
from bench.runner import substitutes
from bench.runner.execute import execute
from bench.runner.plan import make_plan
from bench.runner.suite import load_suite
from bench.store.identity import identity
from bench.store.results import load_results
from bench.store.store import open_store

SUITE = """\
title  = "Substitutes"
data   = "digits"
images = 100

[[models]]
name = "nearest"

[[attacks]]
name     = "fgsm"
norm     = "linf"
eps      = ["0.15", "0.2"]
toolkits = ["native"]
surfaces = ["substitute-300"]

[[attacks]]
name     = "noise"
norm     = "linf"
eps      = "0.2"
toolkits = ["native"]
"""


@pytest.fixture
def asked(registry, tmp_path, monkeypatch):
    """Register the vote of the nearest training digit, by labels alone; return what it was asked about."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    stored, calls = load("digits", "train"), []
    known = stored.images.flatten(1)

    def vote(x):
        calls.append(len(x))
        return stored.labels[torch.cdist(x.flatten(1), known).argmin(1)]

    @bench.register_model("nearest", data="digits")
    def make():
        return bench.wrap_predict(vote, 10, (1, 8, 8), fingerprint="nearest")

    return calls


@pytest.fixture
def planned(tmp_path, asked):
    """Return a function that writes the suite with some text replaced, and plans it."""

    def plan(*changes):
        text = SUITE
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "sub.toml"
        path.write_text(text)
        return make_plan(load_suite(str(path)))

    return plan


@pytest.fixture
def few(monkeypatch):
    """Train for a moment, where how well is no matter."""
    monkeypatch.setattr("bench.train.substitutes._BATCHES", 2)
    monkeypatch.setattr("bench.train.substitutes._LAST", 2)


def trainings(monkeypatch):
    calls, train = [], substitutes.train_substitute

    def counting(adapter, name, *rest):
        calls.append(name.title())
        return train(adapter, name, *rest)

    monkeypatch.setattr(substitutes, "train_substitute", counting)
    return calls


def test_a_nearest_neighbour_vote_falls_to_its_substitute_far_more_often_than_to_noise(
    planned, monkeypatch, tmp_path
):
    calls, plan = trainings(monkeypatch), planned()
    outcome = execute(plan, open_store(tmp_path / "r"))
    assert not outcome.failed
    assert calls == ["substitute-300"]  # once for both radii
    results = load_results(tmp_path / "r", "sub")
    cells = results.cells.set_index(["attack", "eps"])
    assert list(cells["surface"]) == ["substitute-300", "substitute-300", "predict"]
    assert list(cells["access"]) == ["decision", "decision", "decision"]
    fgsm, noise = cells.loc["fgsm", "0.2"], cells.loc["noise", "0.2"]
    assert fgsm["successes"] > 5 * noise["successes"] + 10
    known = results.substitute(fgsm["cell"])
    assert (known["name"], known["queries"], known["seeds"]) == ("substitute-300", 300, 150)
    assert (known["rounds"], known["held_out"], known["decided"]) == (1, 500, 500)
    assert known["agreement"] > 0.75
    assert results.substitute(noise["cell"]) is None

    row = headline(Outcomes(results)).set_index("eps_text").loc["0.2"]
    assert "through a substitute only" in row["flag"]
    assert row["attacks"] == 1
    (table,) = section(find(results, measure(results))).blocks
    (line,) = table.frame.to_dict("records")
    assert line["model"] == "nearest"
    assert line["surface"] == "substitute-300"
    assert line["queries"] == "300"
    assert line["of held-out images"] == "500 of 500"
    assert line["agreement (%)"].startswith(f"{100 * known['agreement']:.1f}")


def test_a_second_store_takes_the_substitute_from_the_cache(
    planned, few, monkeypatch, tmp_path, cache
):
    plan = planned()
    execute(plan, open_store(tmp_path / "first"))
    calls = trainings(monkeypatch)
    execute(plan, open_store(tmp_path / "second"))
    assert calls == []
    first, second = (
        load_results(tmp_path / name, "sub").rows.drop(columns="seconds")
        for name in ("first", "second")
    )
    assert first.equals(second)
    (file,) = (tmp_path / "cache" / "substitutes").iterdir()  # the answers are no longer needed
    file.write_bytes(b"damaged")
    execute(plan, open_store(tmp_path / "third"))
    assert calls == ["substitute-300"]


def test_what_is_asked_is_part_of_what_a_cell_is_and_of_no_other_cell(planned):
    plan = planned(('["substitute-300"]', '["substitute-300", "substitute-20-scores"]'))
    through = [cell for cell in plan.cells.values() if cell.substitute is not None]
    assert [cell.surface for cell in through] == ["substitute-300", "substitute-20-scores"] * 2
    parts = [identity(cell)["substitute"] for cell in through[:2]]
    assert [part["queries"] for part in parts] == [300, 20]
    assert [part["answers"] for part in parts] == ["labels", "scores"]
    assert "small_convs" in parts[0]["method"]
    assert parts[0]["checksum"] != parts[1]["checksum"]
    others = [cell for cell in plan.cells.values() if cell.substitute is None]
    assert others
    assert all("substitute" not in identity(cell) for cell in others)
    seeds = plan.substitutes[next(iter(plan.cells))].seeds
    assert len(seeds) == 150


def test_a_plain_network_is_attacked_through_both(planned, few, tmp_path):
    plan = planned(
        ('"nearest"', '"digits/mlp"'), ('["substitute-300"]', '["network", "substitute-20"]')
    )
    execute(plan, open_store(tmp_path / "r"))
    cells = load_results(tmp_path / "r", "sub").cells
    assert list(cells["surface"][:2]) == ["network", "substitute-20"]
    assert list(cells["access"][:2]) == ["white", "decision"]
    assert cells["successes"][0] > cells["successes"][1]


def test_a_universal_perturbation_is_fitted_on_a_substitute(planned, few, tmp_path):
    plan = planned(
        ('"fgsm"', '"universal"'),
        ('eps      = ["0.15", "0.2"]', 'eps = "0.2"\npasses = 1\nfit = "train 20"'),
    )
    outcome = execute(plan, open_store(tmp_path / "r"))
    (cell,) = [cell for cell in plan.cells.values() if cell.attack.name == "universal"]
    assert cell.fit.surface == cell.surface == "substitute-300"
    failed = load_results(tmp_path / "r", "sub").cells.set_index("cell")["error"]
    # A network of a few batches may get none of the images right to fit on.
    assert not outcome.failed or "right to fit on" in failed[outcome.failed[0]]


def test_without_a_surface_named_a_model_without_one_stays_out_of_reach(planned):
    plan = planned(('surfaces = ["substitute-300"]', ""))
    assert [cell.attack.name for cell in plan.cells.values()] == ["noise"]
    assert "nearest has no gradient" in plan.left_out[0]


def test_a_suite_has_to_say_how_many(planned):
    with pytest.raises(SpecError, match=r"attacks\[1\]\.surfaces: surface 'substitute'"):
        planned(('"substitute-300"', '"substitute"'))


def test_from_python_the_network_is_given_as_the_surface(asked, few):
    model = bench.load_model("nearest")
    seen, _ = bench.load_data("digits", "train", 30)
    x, y = bench.load_data("digits", "test", 20)
    found = bench.train_substitute(model, seen, 40)
    settings = {"norm": "linf", "eps": 0.1, "toolkit": "native"}
    out = bench.attack(model, x, y, "fgsm", surface=found, **settings)
    assert set(out.rows["surface"]) == {"substitute-40"}
    right = (model.predict(x).labels == y) & (out.x_adv != x).flatten(1).any(1)
    assert right.any()
    assert list(out.rows["success"]) == [
        bool(hit) for hit in right & (model.predict(out.x_adv).labels != y)
    ]
    with pytest.raises(SpecError, match="black-box attack"):
        bench.attack(model, x, y, "square", norm="linf", eps=0.1, toolkit="art", surface=found)
    with pytest.raises(SpecError, match="train_substitute"):
        bench.attack(model, x, y, "fgsm", surface="substitute-40", **settings)
