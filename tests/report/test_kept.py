"""A report takes the place of an earlier one whole, and of a killed one nothing is left over."""

from __future__ import annotations

import json
from pathlib import Path

import build
import pytest

from bench.errors import StoreError
from bench.report import kept
from bench.store.results import Results


def a_run(name: str) -> Results:
    cells = [build.cell("a", "pgd", "0.1", range(10))]
    return build.results(cells, run=name, suite="s")


def files(*names: str) -> dict[str, dict[str, bytes]]:
    return {"csv": {name: name.encode() for name in names}}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def named(folder: Path) -> list[str]:
    return list(json.loads((folder / "s.json").read_bytes())["formats"]["csv"]["files"])


def test_files_that_the_new_report_lacks_are_removed(tmp_path: Path) -> None:
    kept.put_in_place(a_run("1"), tmp_path, files("s-a.csv", "s-b.csv"))
    kept.put_in_place(a_run("2"), tmp_path, files("s-b.csv", "s-c.csv"))
    assert names(tmp_path) == ["s-b.csv", "s-c.csv", "s.json"]
    assert named(tmp_path) == ["s-b.csv", "s-c.csv"]


def test_what_a_killed_report_wrote_is_removed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.put_in_place(a_run("1"), tmp_path, files("s-a.csv"))

    def killed_after_two(files: dict[Path, bytes], elsewhere: str) -> None:
        for path, content in list(files.items())[:2]:
            path.write_bytes(content)
        raise KeyboardInterrupt

    monkeypatch.setattr(kept, "write_together", killed_after_two)
    with pytest.raises(KeyboardInterrupt):
        kept.put_in_place(a_run("2"), tmp_path, files("s-b.csv", "s-c.csv"))
    assert names(tmp_path) == ["s-a.csv", "s-b.csv", "s.json"]
    monkeypatch.undo()
    kept.put_in_place(a_run("1"), tmp_path, files("s-a.csv"))
    assert names(tmp_path) == ["s-a.csv", "s.json"]
    assert named(tmp_path) == ["s-a.csv"]


def test_an_earlier_report_stays_whole_where_there_is_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.put_in_place(a_run("1"), tmp_path, files("s-a.csv"))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    monkeypatch.setattr("bench.store.files._flush", _full_at("s-c.csv"))
    with pytest.raises(StoreError, match=r"--out DIR"):
        kept.put_in_place(a_run("2"), tmp_path, files("s-a.csv", "s-c.csv"))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def _full_at(content: str):  # type: ignore[no-untyped-def]
    def flush(path: Path, data: bytes) -> None:
        if data == content.encode():
            raise OSError(28, "No space left on device")
        path.write_bytes(data)

    return flush
