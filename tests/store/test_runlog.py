from __future__ import annotations

import errno
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bench.errors import StoreError
from bench.store.runlog import events, runs, start_run
from bench.store.store import open_store


def test_lines_and_their_order(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    log = start_run(store, {"suite": "a", "cells": []})
    log.append({"event": "done", "cell": "k"})
    log.append({"event": "end"})
    lines = [json.loads(line) for line in log.path.read_text().splitlines()]
    assert [line["event"] for line in lines] == ["start", "done", "end"]
    assert lines[0]["schema"] == 3
    assert lines[0]["suite"] == "a"
    assert lines[0]["started"] <= lines[1]["time"] <= lines[2]["time"]
    assert log.path.parent == tmp_path / "runs"


def test_the_last_started_run_comes_first(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    for suite in ("a", "b", "c"):
        start_run(store, {"suite": suite})
    (tmp_path / "runs" / ".tmp-1-aa").write_text("half")
    assert [run["suite"] for run in runs(store)] == ["c", "b", "a"]


def test_a_torn_last_line_harms_nobody(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    log = start_run(store, {"suite": "a"})
    with log.path.open("a") as file:
        file.write('{"event": "do')
    assert [run["suite"] for run in runs(store)] == ["a"]


def test_a_line_after_a_torn_one_is_whole(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    log = start_run(store, {"suite": "a"})
    with log.path.open("a") as file:
        file.write('{"event": "do')
    log.append({"event": "trust"})
    log.append({"event": "end"})
    assert [event["event"] for event in events(store, log.run)] == ["trust", "end"]


def test_a_damaged_log_is_named(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    log = start_run(store, {"suite": "a"})
    log.path.write_text("\0\0\0")
    with pytest.raises(StoreError, match=f"{log.path.name} is damaged; delete it"):
        list(runs(store))


def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = start_run(open_store(tmp_path), {"suite": "a"})

    def write(handle: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(StoreError, match="no space left"):
        log.append({"event": "end"})
    monkeypatch.setattr(os, "write", lambda handle, data: 3)
    with pytest.raises(StoreError, match="no space left"):
        log.append({"event": "end"})


def test_order_is_that_of_starts_in_the_folder_not_of_a_clock(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    (tmp_path / "runs").mkdir()
    for name, suite in (
        ("20250101T000000000000Z-aaaaaa", "older"),
        ("20990101T000000000000Z-bbbbbb", "ahead"),
    ):
        (tmp_path / "runs" / f"{name}.jsonl").write_text(json.dumps({"suite": suite}) + "\n")
    assert [run["suite"] for run in runs(store)] == ["ahead", "older"]
    logs = [start_run(store, {"suite": suite}) for suite in ("a", "b")]
    told = [(run["suite"], run["run"]) for run in runs(store)][:2]
    assert told == [("b", logs[1].run), ("a", logs[0].run)]
    assert [log.run[:7] for log in logs] == ["000001-", "000002-"]


def test_runs_beyond_six_digits_keep_their_order(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "999999-aaaaaa.jsonl").write_text('{"suite": "a"}\n')
    for suite in ("b", "c"):
        start_run(store, {"suite": suite})
    assert [run["suite"] for run in runs(store)] == ["c", "b", "a"]


def test_starts_at_the_same_moment_lose_no_run(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        logs = list(pool.map(lambda turn: start_run(store, {"suite": str(turn)}), range(24)))
    assert len({log.run for log in logs}) == 24
    assert sorted(int(run["suite"]) for run in runs(store)) == list(range(24))
