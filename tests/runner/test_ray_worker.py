"""What a task computes on a machine of a cluster: where its rows go, and what it says when it cannot go on."""

import build
import pytest

from bench.runner import ray_worker
from bench.runner.execute import execute
from bench.runner.loading import Setting
from bench.runner.plan import make_plan
from bench.runner.ray_worker import Errand, compute
from bench.runner.scope import ALL_MISSING
from bench.runner.selection import Selection
from bench.runner.suite import load_suite
from bench.runner.units import units_of
from bench.runner.worker import Order
from bench.store.carry import files_in, put_files
from bench.store.store import open_store

SUITE = build.suite(
    images=8, models=["digits/mlp"],
    attacks=[{"name": "fgsm", "norm": "linf", "eps": "0.1", "toolkits": ["torchattacks"]}],
)  # fmt: skip


@pytest.fixture
def luggage(tmp_path, cache, monkeypatch):
    """Return the working folder of a task: the luggage that Ray has unpacked."""
    monkeypatch.setattr(ray_worker, "_known", None)
    monkeypatch.setenv("BENCH_CACHE", str(cache))  # put back at the end
    for place in ("here", "cache"):
        (tmp_path / "luggage" / place).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "luggage")
    return tmp_path / "luggage"


@pytest.fixture
def suite(tmp_path):
    (tmp_path / "s.toml").write_text(SUITE)
    return load_suite(str(tmp_path / "s.toml"))


def errand(suite, results, **facts):
    order = Order(
        suite=suite, selection=Selection(), setting=Setting(batch_size=4, device="cpu"), plugins=(),
        results=results, scope=ALL_MISSING,
    )  # fmt: skip
    return Errand(order=order, marker=results / "marker", **facts)


def unit_in(suite, results):
    """Return the plan, the store, and the only unit."""
    plan, store = make_plan(suite, setting=Setting(batch_size=4, device="cpu")), open_store(results)
    (unit,) = units_of(plan, list(plan.cells))
    return plan, store, unit


def test_rows_go_into_a_results_folder_that_is_seen(luggage, suite, tmp_path):
    _, store, unit = unit_in(suite, tmp_path / "results")
    (store.root / "marker").touch()
    told = list(compute(errand(suite, store.root), unit, {}))
    assert [event["event"] for event in told] == ["start", "chunk", "chunk", "done"]
    assert store.is_done(unit.keys[0])


def test_else_each_chunk_is_brought_back_once_it_is_there_and_what_was_begun_goes_on(
    luggage, suite, tmp_path
):
    plan, store, unit = unit_in(suite, tmp_path / "results")
    (key,) = unit.keys
    told = list(compute(errand(suite, store.root), unit, {}))
    assert [event["event"] for event in told] == [
        "start",
        "files",
        "chunk",
        "files",
        "chunk",
        "files",
        "done",
    ]
    first, second, last = (event["files"] for event in told if event["event"] == "files")
    assert not list(store.root.glob("cells/*"))
    assert [name.partition("/")[0] for name in first] == ["arrays", "begun.json", "parts"]
    assert list(last) == ["cell.json"]
    put_files(store.folder(key), first)
    again = list(compute(errand(suite, store.root), unit, {key: files_in(store.folder(key))}))
    brought = [event["files"] for event in again if event["event"] == "files"]
    assert [list(files)[-1].partition("/")[0] for files in brought] == ["parts", "cell.json"]
    assert any(name.startswith("parts/00004-00007-") for name in second)
    assert any(name.startswith("parts/00004-00007-") for name in brought[0])
    for files in brought:
        put_files(store.folder(key), files)
    local = open_store(tmp_path / "local")
    execute(plan, local)
    assert store.rows(key).drop(columns="seconds").equals(local.rows(key).drop(columns="seconds"))


def test_another_version_ends_the_run(luggage, suite, tmp_path):
    _, store, unit = unit_in(suite, tmp_path / "results")
    (event,) = compute(errand(suite, store.root, version="0.0.1"), unit, {})
    assert (event["event"], event["error"]) == ("stop", "PrerequisiteError")
    assert "the run is of 0.0.1; install the same" in event["message"]
