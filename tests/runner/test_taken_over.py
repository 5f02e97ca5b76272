"""Rows that a cell takes over from the same cell on another number of images."""

import dataclasses
import json
import shutil

import build
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

import bench
from bench.runner import cell as cells
from bench.runner import compute as running
from bench.runner import taken_over
from bench.runner.estimate import estimate
from bench.runner.execute import execute
from bench.runner.grown import grown
from bench.runner.loading import Setting
from bench.runner.plan import make_plan
from bench.runner.scope import ALL_MISSING, Scope
from bench.runner.suite import load_suite
from bench.store.store import open_store

PGD = {"name": "pgd", "norm": "linf", "eps": "0.1", "steps": 2}
NOISE = {"name": "noise", "norm": "linf", "eps": ["0.1", "0.2"], "toolkits": ["native"]}
UNIVERSAL = {"name": "universal", "norm": "linf", "eps": "0.15", "passes": 1, "fit": "train 10",
             "models": ["digits/mlp"]}  # fmt: skip
MANY = [
    {**PGD, "models": ["digits/mlp"], "toolkits": ["foolbox", "torchattacks"]},
    {**PGD, "targeted": "random", "surfaces": ["network", "one-draw"], "toolkits": ["foolbox"]},
    {**PGD, "surfaces": ["of digits/mlp"], "models": ["drops"], "toolkits": ["torchattacks"]},
    {**PGD, "surfaces": ["substitute-20"], "models": ["digits/mlp"], "toolkits": ["torchattacks"]},
    {"name": "one-pixel", "norm": "l0", "eps": 1, "population": 5, "generations": 2,
     "models": ["digits/mlp"], "toolkits": ["native"]},
    {"name": "noise", "norm": "linf", "eps": "0.2", "toolkits": ["native"]},
    UNIVERSAL,
]  # fmt: skip


class Drops(nn.Module):
    """A linear network with dropout left on."""

    def __init__(self):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.last = nn.Linear(64, 10)

    def forward(self, x):
        return self.last(nn.functional.dropout(x.flatten(1), 0.1, training=True))


@pytest.fixture
def planned(tmp_path):
    """Return a function that plans some attacks on a small network."""

    def plan(images, attacks, batch=8, models=("digits/mlp",)):
        path = tmp_path / "some.toml"
        path.write_text(build.suite(models, attacks, images=images))
        return make_plan(load_suite(str(path)), setting=Setting(batch_size=batch))

    return plan


@pytest.fixture
def drops(registry):
    """Register the random model, which joins every plan."""
    bench.register_model("drops", data="digits")(lambda: bench.wrap(Drops(), 10, (1, 8, 8)))


@pytest.fixture
def few(monkeypatch):
    """Train substitutes for a moment, where how well is no matter."""
    monkeypatch.setattr("bench.train.substitutes._BATCHES", 2)
    monkeypatch.setattr("bench.train.substitutes._LAST", 2)


def computed(plan, store, scope=ALL_MISSING):
    """Run a plan, and return the number of images computed and the events of what was taken over."""
    parts, events, compute = [], [], running.compute_chunk

    def counting(task, part):
        parts.append(len(part.x))
        return compute(task, part)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running, "compute_chunk", counting)
        outcome = execute(plan, store, scope, on_event=events.append)
    assert not outcome.failed
    return sum(parts), [event for event in events if event["event"] == "taken over"]


def assert_same(plan, store, other):
    """Check that two stores have the same rows, pictures and traces of the cells of a plan."""
    for key in plan.cells:
        rows, others = (one.rows(key).drop(columns="seconds") for one in (store, other))
        pd.testing.assert_frame_equal(rows, others)
        pictures, kept = store.pictures(key), other.pictures(key)
        assert pictures.keys() == kept.keys()
        assert all(torch.equal(pictures[name], kept[name]) for name in kept)
        trace, of_other = store.trace(key), other.trace(key)
        assert (trace is None) == (of_other is None)
        if trace is not None:
            pd.testing.assert_frame_equal(trace, of_other)


@pytest.mark.slow
def test_a_larger_set_has_the_rows_that_it_has_when_run_at_once(planned, drops, few, tmp_path):
    store, other = open_store(tmp_path / "grown"), open_store(tmp_path / "whole")
    models = "digits/mlp", "drops"
    small, large = planned(6, MANY, 4, models), planned(11, MANY, 4, models)
    assert computed(small, store) == (6 * len(small.cells), [])
    images, events = computed(large, store)
    assert images == (11 - 4) * len(large.cells)  # the other 2 were in a chunk that was not full
    assert [(event["cell"], event["images"]) for event in events] == [
        (key, 4) for key in large.cells
    ]
    assert {event["from"] for event in events} == set(small.cells)
    assert computed(large, other)[0] == 11 * len(large.cells)
    assert_same(large, store, other)
    assert {cell.kind for cell in large.cells.values()} == {"attack"}
    assert sum(cell.crafted_on is not None for cell in large.cells.values()) == 1
    assert sum(cell.fit is not None for cell in large.cells.values()) == 1
    assert sum(cell.substitute is not None for cell in large.cells.values()) == 1


@pytest.mark.slow
@settings(
    max_examples=12, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    counts=st.lists(st.integers(1, 25), min_size=2, max_size=3, unique=True),
    batch=st.integers(3, 9),
)
def test_sets_of_any_sizes_one_after_the_other_have_the_rows_of_each_alone(
    counts, batch, planned, tmp_path
):
    attacks = [{**PGD, "targeted": "random", "steps": 1, "toolkits": ["torchattacks"]}]
    shutil.rmtree(tmp_path / "grown", ignore_errors=True)
    store, known = open_store(tmp_path / "grown"), set()
    for count in counts:
        plan = planned(count, attacks, batch)
        spans = {(start, min(start + batch, count)) for start in range(0, count, batch)}
        expected = sum(stop - start for start, stop in spans - known)
        assert estimate(plan, store, list(plan.cells)).images == (count,)
        assert computed(plan, store)[0] == expected * len(plan.cells)
        known |= spans
        shutil.rmtree(tmp_path / "alone", ignore_errors=True)
        alone = open_store(tmp_path / "alone")
        execute(plan, alone)
        assert_same(plan, store, alone)


def test_toolkits_start_from_the_same_points(planned, tmp_path):
    plan = planned(10, [{**PGD, "toolkits": ["foolbox", "torchattacks"]}])
    first, second = plan.cells.values()
    assert first.toolkit != second.toolkit
    assert cells.chunk_seed(first, 8) == cells.chunk_seed(second, 8) != cells.chunk_seed(first, 0)


def test_an_attack_of_other_code_makes_the_same_draws(planned):
    cell = next(iter(planned(10, [PGD]).cells.values()))
    written, rewritten = (dataclasses.replace(cell, code=code) for code in ("feed", "beef"))
    assert cells.chunk_seed(written, 0) == cells.chunk_seed(rewritten, 0)


def test_everything_is_computed_again_where_that_is_asked_for(planned, tmp_path):
    store, attacks = open_store(tmp_path / "r"), [NOISE]
    computed(planned(16, attacks), store)
    large = planned(24, attacks)
    assert computed(large, store, Scope(overwrite="always")) == (48, [])


def old_seeds(monkeypatch):
    """Seed as older versions did, by the whole image set, and write no file of what a cell is."""
    monkeypatch.setattr(cells, "without_count", lambda named: named)
    monkeypatch.setattr(running, "begin", lambda *args: None)


def test_a_folder_of_an_older_version_is_taken_over(planned, tmp_path, monkeypatch):
    store, attacks = open_store(tmp_path / "r"), [{**PGD, "toolkits": ["foolbox"]}]
    small, large = planned(16, attacks), planned(24, attacks)
    with monkeypatch.context() as patch:
        old_seeds(patch)
        computed(small, store)
    assert not list(tmp_path.rglob("begun.json"))
    assert execute(small, store).computed == ()
    assert computed(large, store)[0] == 8
    (old,), ((new, cell),) = small.cells, large.cells.items()
    taken = store.rows(new)[:16]
    pd.testing.assert_frame_equal(taken.drop(columns="cell"), store.rows(old).drop(columns="cell"))
    assert taken["seed"].nunique() == 2
    assert cells.chunk_seed(cell, 0) not in set(taken["seed"])


def test_rows_of_other_images_are_not_taken_over(planned, tmp_path):
    store, attacks = open_store(tmp_path / "r"), [NOISE]
    computed(planned(16, attacks), store)
    for path in tmp_path.rglob("begun.json"):
        named = json.loads(path.read_bytes())
        named["identity"]["images"]["checksum"] = "0" * 16
        path.write_text(json.dumps(named))
    assert computed(planned(24, attacks), store) == (48, [])


def test_what_is_damaged_is_computed_again(planned, tmp_path):
    store, attacks = open_store(tmp_path / "r"), [NOISE]
    small = planned(16, attacks)
    computed(small, store)
    first, second = small.cells
    (store.folder(first) / "parts").rename(store.folder(first) / "lost")
    for pictures in (store.folder(second) / "arrays").iterdir():
        data = bytearray(pictures.read_bytes())
        data[-1] ^= 1
        pictures.write_bytes(data)
    large = planned(24, attacks)
    assert computed(large, store) == (48, [])
    execute(large, open_store(tmp_path / "whole"))
    assert_same(large, store, open_store(tmp_path / "whole"))


def test_chunks_of_a_cell_that_was_never_finished_are_taken_over(planned, tmp_path):
    store, attacks = open_store(tmp_path / "r"), [NOISE]

    def interrupt(event):
        if event["event"] == "chunk":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        execute(planned(16, attacks), store, on_event=interrupt)
    assert computed(planned(24, attacks), store)[0] == 16 + 24


def test_a_run_that_dies_after_copying_goes_on(planned, tmp_path, monkeypatch):
    store, attacks = open_store(tmp_path / "r"), [NOISE]
    computed(planned(16, attacks), store)
    large = planned(24, attacks)
    copy, copies = taken_over.copy_chunk, []

    def dying(*args):
        copies.append(args)
        if len(copies) == 2:
            raise KeyboardInterrupt
        return copy(*args)

    with monkeypatch.context() as patch:
        patch.setattr(taken_over, "copy_chunk", dying)
        with pytest.raises(KeyboardInterrupt):
            execute(large, store)
    images, events = computed(large, open_store(tmp_path / "r"))
    assert images == 2 * 8
    assert [event["images"] for event in events] == [8, 16]
    execute(large, open_store(tmp_path / "whole"))
    assert_same(large, store, open_store(tmp_path / "whole"))


def test_a_fit_is_taken_over_with_the_rows_that_were_made_with_it(planned, tmp_path, monkeypatch):
    store, attacks = open_store(tmp_path / "r"), [UNIVERSAL]
    small, large = planned(16, attacks), planned(24, attacks)
    computed(small, store)
    fitted = taken_over.read_fit(store.folder(next(iter(small.cells))))
    monkeypatch.setattr(bench.runner.fits, "fit", None)  # nothing is fitted any more
    assert computed(large, store)[0] == 8 * len(large.cells)
    key = next(iter(large.cells))
    assert torch.equal(taken_over.read_fit(store.folder(key))[0], fitted[0])
    assert store.record(key)["fit"]["sha256"] == fitted[1]["sha256"]


def test_rows_of_another_fit_are_not_taken_over(planned, tmp_path):
    store, attacks = open_store(tmp_path / "r"), [UNIVERSAL]
    small, large = planned(16, attacks), planned(24, attacks)
    computed(small, store)
    key = next(iter(large.cells))
    _, facts = taken_over.read_fit(store.folder(next(iter(small.cells))))
    taken_over.write_fit(store.folder(key), torch.zeros(1, 8, 8), facts)
    images, events = computed(large, store)
    assert key not in {event["cell"] for event in events}
    assert images == 24 + 8 * (len(large.cells) - 1)
    assert store.rows(key)["linf"].max() == 0


def test_a_grown_plan_computes_what_is_new_of_the_cells_that_grew(planned, tmp_path):
    store, attacks = open_store(tmp_path / "r"), [NOISE, {**PGD, "toolkits": ["foolbox"]}]
    plan = planned(16, attacks)
    computed(plan, store)
    grew = list(plan.cells)[2]
    more = grown(plan, {grew: 24})
    left = estimate(more, store, list(more.cells.keys() - plan.cells.keys()))
    assert left.line().startswith("3 cells of 16 or 24 images, 1 to do")
    images, (event,) = computed(more, store)
    assert (images, event["from"], event["images"]) == (8, grew, 16)


def test_the_estimate_counts_the_images_that_are_left(planned, tmp_path):
    store, attacks = open_store(tmp_path / "r"), [{**PGD, "toolkits": ["foolbox"]}]
    computed(planned(16, attacks), store)
    for count, left in ((24, 8), (20, 4), (16, 0), (12, 4), (8, 0)):
        plan = planned(count, attacks)
        siblings = taken_over.siblings_in(plan, store, list(plan.cells))
        if count != 16:
            assert {siblings.left(key) for key in plan.cells} == {left}
    plan = planned(8, attacks)
    expected = estimate(plan, store, list(plan.cells)).seconds
    again = estimate(plan, store, list(plan.cells), anew=True).seconds
    assert max(expected.values()) < min(again.values())
