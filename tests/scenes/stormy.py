"""A run of two attacks on eight images, to be disturbed, and what must hold of its results folder at any moment."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import build
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors.numpy import load

from bench.store.runlog import events, runs
from bench.store.store import open_store

NAME = "stormy"

#: An attack that is fitted first, and one with a trace, so that every file that a cell may have is written.
SUITE = build.suite(
    title="Stormy",
    images=8,
    models=["digits/mlp"],
    attacks=[
        {"name": "universal", "norm": "linf", "eps": "0.15", "passes": 1, "fit": "train 10", "toolkits": ["native"],
         "batch_size": 8},
        {"name": "one-pixel", "norm": "l0", "eps": "1", "population": 5, "generations": 1, "toolkits": ["native"]},
    ],
)  # fmt: skip

#: By cell, its rows but for their seconds, and what else must be the same whenever it is made.
Left = dict[str, tuple[Any, dict[str, Any]]]


def write_suite(folder: Path) -> Path:
    suite = folder / f"{NAME}.toml"
    suite.write_text(SUITE)
    return suite


@cache
def plan(suite: Path) -> Any:
    from bench.runner.loading import Setting
    from bench.runner.plan import make_plan
    from bench.runner.suite import load_suite

    return make_plan(load_suite(str(suite)), setting=Setting(batch_size=4, device="cpu"))


def run(suite: Path, root: Path, **scope: Any) -> None:
    from bench.runner.execute import execute
    from bench.runner.scope import Scope

    execute(plan(suite), open_store(root), Scope(**scope))


def left_by_run(root: Path) -> Left:
    """Return the cells of a folder, the last run of which has ended and tells of each of them."""
    left = left_in(root)
    last = next(runs(open_store(root)))
    told = list(events(open_store(root), last["run"]))
    assert told[-1]["event"] == "end"
    ended = [event["cell"] for event in told if event["event"] in ("kept", "done")]
    assert sorted(ended) == sorted(cell["cell"] for cell in last["cells"]) == sorted(left)
    return left


def left_in(root: Path) -> Left:
    """Return the finished cells of a folder."""
    store = open_store(root, create=False)
    left = {}
    for path in sorted(root.glob("cells/*/*/cell.json")):
        key = path.parent.name
        record = store.record(key) or {}
        facts = {name: record[name] for name in ("identity", "rows", "pictures")}
        fit = (record.get("fit") or {}).get("sha256")
        left[key] = _rows(store, key), {**facts, "fit": fit}
    return left


def _rows(store: Any, key: str) -> Any:
    return pa.concat_tables(store.tables(key)).drop(["seconds"]).combine_chunks()


def same(left: Left, right: Left) -> None:
    assert left.keys() == right.keys()
    for key, (rows, facts) in left.items():
        assert rows.equals(right[key][0]), key
        assert facts == right[key][1]


def check(root: Path) -> None:
    """Read every file that a reader would: all are whole, no row is lost, and none is there twice."""
    for path in root.rglob("*"):
        if not path.name.startswith(".") and path.is_file():
            _check_file(path)
    if not (root / "store.json").exists():
        return
    store = open_store(root, create=False)
    list(runs(store))
    for record in root.glob("cells/*/*/cell.json"):
        key = record.parent.name
        assert store.is_done(key)
        assert _rows(store, key)["index"].to_pylist() == list(range(8))


def _check_file(path: Path) -> None:
    data = path.read_bytes()
    if path.suffix == ".json":
        assert isinstance(json.loads(data), dict), path
    elif path.suffix == ".jsonl":
        _check_log(data.decode().splitlines(keepends=True))
    elif path.suffix == ".parquet":
        pq.ParquetFile(pa.BufferReader(data)).read()
    elif path.suffix == ".safetensors":
        load(data)
    elif path.suffix == ".png":
        assert data.endswith(b"IEND\xaeB`\x82"), path
    else:
        raise AssertionError(f"{path} is nothing that a run writes")


def _check_log(lines: list[str]) -> None:
    """Check that each line of a log is whole, but for the one at which its run ended since the disk failed."""
    torn = []
    for line in lines:
        try:
            assert json.loads(line)["event"]
        except ValueError:
            torn.append(line)
    assert len(torn) < 2
    assert all(line.startswith('{"') for line in torn)
