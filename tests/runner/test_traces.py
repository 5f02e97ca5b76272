"""Traces of searches: kept with their chunk, the same after an interruption, and of no other attack."""

import json

import build
import numpy as np
import pandas as pd
import pytest

import bench
from bench.errors import StoreError
from bench.runner import compute as running
from bench.runner.execute import execute
from bench.runner.loading import Setting
from bench.runner.plan import make_plan
from bench.runner.suite import load_suite
from bench.store.results import load_results
from bench.store.store import open_store

SUITE = build.suite(
    title="Traced",
    images=30,
    models=["digits/mlp"],
    attacks=[
        {"name": "one-pixel", "norm": "l0", "eps": 3, "population": 12, "generations": 6,
         "stop": "0.1", "toolkits": ["native"]},
        {"name": "one-pixel", "norm": "l0", "eps": 1, "population": 12, "generations": 3,
         "targeted": "next", "toolkits": ["native"]},
        {"name": "fgsm", "norm": "linf", "eps": "0.1", "toolkits": ["foolbox"]},
    ],
)  # fmt: skip


@pytest.fixture
def plan(tmp_path, cache):
    path = tmp_path / "traced.toml"
    path.write_text(SUITE)
    return make_plan(load_suite(str(path)), setting=Setting(batch_size=8))


@pytest.fixture
def searches(plan):
    """Return the keys of the cells that have a trace, and that of the one that has none."""
    keys = {cell.attack.title(): key for key, cell in plan.cells.items()}
    return [keys["one-pixel l0 3"], keys["one-pixel l0 1"]], keys["fgsm linf 0.1"]


def test_a_trace_tells_of_each_generation_of_each_image_attacked(plan, searches, tmp_path):
    execute(plan, open_store(tmp_path / "r"))
    results = load_results(tmp_path / "r", "traced")
    for key in searches[0]:
        trace = results.trace(key)
        assert {name: str(kind) for name, kind in trace.dtypes.items()} == {
            "index": "int64", "step": "int64", "value": "float32",
        }  # fmt: skip
        rows = results.rows[results.rows.cell == key].set_index("index")
        tried = rows[rows.forwards > 0]
        assert 0 < len(tried) < len(rows)
        assert trace["index"].drop_duplicates().tolist() == tried.index.tolist()
        for index, of in trace.groupby("index"):
            assert of.step.tolist() == list(range(int(tried.iterations[index]) + 1))
        assert trace.value.between(0, 1).all()
    ends = results.trace(searches[0][0]).groupby("index").value.last()
    assert (ends < 0.1).any()
    assert results.trace(searches[1]) is None


def test_python_calls_return_the_trace_that_a_cell_stores(plan, searches, tmp_path):
    execute(plan, open_store(tmp_path / "r"))
    stored = load_results(tmp_path / "r", "traced").trace(searches[0][0])
    cell = plan.cells[searches[0][0]]
    x, y = bench.load_data("digits", images=8)
    from bench.runner.cell import chunk_seed

    out = bench.attack(
        plan.adapters[cell.model], x, y, "one-pixel", norm="l0", eps=3, toolkit="native",
        population=12, generations=6, stop=0.1, seed=chunk_seed(cell, 0),
    )  # fmt: skip
    pd.testing.assert_frame_equal(out.trace, stored[stored["index"] < 8].reset_index(drop=True))


def test_an_interrupted_and_resumed_cell_has_the_same_trace(plan, searches, tmp_path, monkeypatch):
    execute(plan, open_store(tmp_path / "whole"))
    whole = load_results(tmp_path / "whole", "traced")
    compute, calls = running.compute_chunk, []

    def dying(*args):
        calls.append(args)
        if len(calls) % 3 == 0:
            raise KeyboardInterrupt
        return compute(*args)

    monkeypatch.setattr(running, "compute_chunk", dying)
    deaths = 0
    while True:
        try:
            execute(plan, open_store(tmp_path / "r"))
            break
        except KeyboardInterrupt:
            deaths += 1
    assert deaths > 3
    resumed = load_results(tmp_path / "r", "traced")
    for key in searches[0]:
        pd.testing.assert_frame_equal(resumed.trace(key), whole.trace(key))
        named = [part["trace"]["sha256"] for part in resumed.store.record(key)["parts"]]
        assert named == [part["trace"]["sha256"] for part in whole.store.record(key)["parts"]]


def test_a_lost_or_damaged_trace_is_made_again(plan, searches, tmp_path):
    store = open_store(tmp_path / "r")
    execute(plan, store)
    key = searches[0][0]
    before = store.trace(key)
    last = store.record(key)["parts"][-1]["trace"]["file"]
    (store.folder(key) / "arrays" / last).unlink()
    assert not store.is_done(key)
    assert len(store.done_chunks(key)) == 3
    assert execute(plan, open_store(tmp_path / "r")).computed == (key,)
    pd.testing.assert_frame_equal(open_store(tmp_path / "r").trace(key), before)
    path = store.folder(key) / "arrays" / last
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(StoreError, match="is damaged"):
        store.trace(key)


def test_attacks_without_a_trace_pay_nothing(plan, searches, tmp_path):
    store = open_store(tmp_path / "r")
    execute(plan, store)
    folder, record = store.folder(searches[1]), store.record(searches[1])
    assert all("trace" not in part for part in record["parts"])
    assert len(list((folder / "arrays").iterdir())) == 2  # pictures of the first 16 images
    for part in (folder / "parts").iterdir():
        assert b"crossfire.trace" not in part.read_bytes()
    assert load_results(tmp_path / "r", "traced").trace(searches[1]) is None


def test_a_cell_that_is_not_done_has_no_trace(plan, searches, tmp_path):
    execute(plan, open_store(tmp_path / "r"), wanted=[])
    assert load_results(tmp_path / "r", "traced").trace(searches[0][0]) is None


def test_the_default_stop_is_not_written_into_a_cell(plan, searches, tmp_path):
    execute(plan, open_store(tmp_path / "r"))
    first, second = (
        json.loads(path.read_bytes())["identity"]["attack"]["words"]
        for key in searches[0]
        for path in [open_store(tmp_path / "r").folder(key) / "cell.json"]
    )
    assert first["stop"] == "0.1"
    assert "stop" not in second
    assert np.isin(["population", "generations", "targeted"], list(second)).all()
