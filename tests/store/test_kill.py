"""The store alone, its writers killed at random moments."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

import pandas as pd
import pytest
import store_writer
from safetensors.torch import load
from scenes import stored_run

from bench.spec import Cell
from bench.store import columns, frames
from bench.store.identity import cell_key
from bench.store.store import open_store


def check_every_file(root: Path) -> int:
    """Read every file that a reader would look at; return how many."""
    read = 0
    for path in root.rglob("*"):
        if path.is_dir() or path.name.startswith("."):
            continue
        read += 1
        if path.suffix == ".json":
            json.loads(path.read_bytes())
        elif path.suffix == ".parquet":
            columns.decode(path.read_bytes())
        else:
            load(path.read_bytes())
    return read


def check_records(root: Path) -> None:
    store = open_store(root)
    for cell in store_writer.CELLS:
        key = cell_key(cell)
        record = store.record(key)
        if record is None:
            continue
        assert store.is_done(key)
        rows = store.rows(key)
        assert list(rows["index"]) == list(range(stored_run.IMAGES))
        assert store.pictures(key)["index"].tolist() == list(range(stored_run.IMAGES))


def kill_writers(root: Path, times: int) -> None:
    chance = random.Random(0)
    for _ in range(times):
        # Two at a time, on the same cells.
        writers = [store_writer.start(store_writer.write_all, root) for _ in range(2)]
        before = len(list(root.rglob("*")))
        while len(list(root.rglob("*"))) == before and all(one.is_alive() for one in writers):
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.15))
        for writer in writers:
            assert writer.exitcode is None, "a writer stopped by itself"
            writer.kill()
            writer.join()
        assert check_every_file(root) > 0
        check_records(root)


def expected_rows(cell: Cell) -> pd.DataFrame:
    rows = stored_run.make_rows(cell)[0]
    return frames.to_pandas([columns.decode(columns.encode(rows, None))[0]])


@pytest.mark.slow
def test_death_at_every_flush_of_a_cell(tmp_path: Path) -> None:
    cell = store_writer.CELLS[0]
    died = 0
    for flush in range(1, 60):
        root = tmp_path / str(flush)
        writer = store_writer.start(store_writer.resume_until, root, flush)
        writer.join()
        check_every_file(root)
        if writer.exitcode == 0:
            break
        assert writer.exitcode == 9
        died += 1
        check_records(root)
        store_writer.resume(open_store(root), cell)
        check_records(root)
        key = cell_key(cell)
        pd.testing.assert_frame_equal(open_store(root).rows(key), expected_rows(cell))
    assert 15 < died < 59  # two flushes a file, and some for folders


@pytest.mark.parametrize("times", [4, pytest.param(40, marks=pytest.mark.slow)])
def test_killed_writers_leave_no_unreadable_file_and_resume_completes(
    tmp_path: Path, times: int
) -> None:
    root = tmp_path / "results"
    kill_writers(root, times)
    store = open_store(root)
    for cell in store_writer.CELLS:
        store_writer.resume(store, cell)
    for cell in store_writer.CELLS:
        key = cell_key(cell)
        assert store.is_done(key)
        assert store.pictures(key)["index"].tolist() == list(range(stored_run.IMAGES))
        pd.testing.assert_frame_equal(
            store.rows(key).drop(columns="seconds"), expected_rows(cell).drop(columns="seconds")
        )
