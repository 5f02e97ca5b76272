from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from scenes import stored_run

from bench.errors import AttackError, BenchError, PrerequisiteError, StoreError
from bench.spec import Cell
from bench.store.files import sweep
from bench.store.identity import cell_key
from bench.store.parts import Arrays
from bench.store.store import Store, open_store

CELL: Cell = next(stored_run.cells())[0]
KEY = cell_key(CELL)
ROWS, PICTURES = stored_run.make_rows(CELL)


def write(store: Store, start: int, stop: int, rows: pd.DataFrame = ROWS) -> None:
    kept = {name: value[start:stop] for name, value in PICTURES.items()} if start < 16 else None
    store.write_chunk(KEY, start, stop, rows.iloc[start:stop], Arrays(kept))


def write_cell(store: Store, rows: pd.DataFrame = ROWS) -> None:
    for start in (0, 16, 32):
        write(store, start, min(start + 16, 40), rows)
    store.finish(KEY, {"title": CELL.title(), "rows": 40})


def the(store: Store, pattern: str) -> Path:
    """Return the first file of the cell that matches."""
    return sorted(store.folder(KEY).glob(pattern))[0]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "results")


@pytest.fixture
def written(store: Store) -> Store:
    write_cell(store)
    return store


def test_layout(written: Store) -> None:
    found = sorted(
        str(path.relative_to(written.root)).replace(KEY, "KEY").replace(f"/{KEY[:2]}/", "/ab/")
        for path in written.root.rglob("*")
        if path.is_file()
    )
    shape = [name[:-16] if name.endswith("parquet") else name for name in found]
    assert shape == [
        found[0],
        "cells/ab/KEY/cell.json",
        "cells/ab/KEY/parts/00000-00015-",
        "cells/ab/KEY/parts/00016-00031-",
        "cells/ab/KEY/parts/00032-00039-",
        "store.json",
    ]
    assert found[0].startswith("cells/ab/KEY/arrays/00000-00015-")
    assert found[0].endswith(".safetensors")


def test_what_is_read_is_what_was_written(written: Store) -> None:
    again = open_store(written.root)
    rows = again.rows(KEY)
    for name in ROWS.columns:
        pd.testing.assert_series_equal(
            rows[name].astype(object).where(rows[name].notna(), None),
            ROWS[name].astype(object).where(ROWS[name].notna(), None),
        )
    pictures = again.pictures(KEY)
    assert {name: value.dtype for name, value in pictures.items()} == {
        "index": torch.int64, "x": torch.float32, "x_adv": torch.float32,
    }  # fmt: skip
    for name, value in pictures.items():
        assert torch.equal(value, PICTURES[name][:16])


def test_the_record_says_what_makes_up_the_cell(written: Store) -> None:
    record = written.record(KEY)
    assert record is not None
    assert {name: record[name] for name in ("schema", "cell", "status", "rows", "pictures", "title")} == {
        "schema": 3, "cell": KEY, "status": "done", "rows": 40, "pictures": 16,
        "title": "digits/cnn · pgd linf 8/255 · art",
    }  # fmt: skip
    assert [(part["start"], part["stop"]) for part in record["parts"]] == [
        (0, 16),
        (16, 32),
        (32, 40),
    ]
    for part in record["parts"]:
        assert part["sha256"][:8] in part["file"]


def test_a_cell_without_pictures(store: Store) -> None:
    store.write_chunk(KEY, 0, 40, ROWS, Arrays())
    store.finish(KEY, {})
    assert store.pictures(KEY) == {}


def test_resume_inside_a_cell(store: Store) -> None:
    assert not store.is_done(KEY)
    assert store.done_chunks(KEY) == set()
    write(store, 0, 16)
    write(store, 32, 40)
    later = open_store(store.root)
    assert later.done_chunks(KEY) == {0, 32}
    assert not later.is_done(KEY)
    assert later.record(KEY) is None
    write(later, 16, 32)
    later.finish(KEY, {"rows": 40})
    assert later.is_done(KEY)
    assert list(later.rows(KEY)["index"]) == list(range(40))
    assert len(later.pictures(KEY)["index"]) == 16  # also those that the killed run wrote


def test_a_gap_cannot_be_recorded(store: Store) -> None:
    write(store, 0, 16)
    write(store, 32, 40)
    with pytest.raises(StoreError, match="16 rows without a gap where 40"):
        store.finish(KEY, {})


def test_a_missing_end_cannot_be_recorded(store: Store) -> None:
    write(store, 0, 16)
    with pytest.raises(StoreError, match="16 rows without a gap where 40"):
        store.finish(KEY, {"rows": 40})


def test_nothing_cannot_be_recorded(store: Store) -> None:
    with pytest.raises(StoreError, match="0 rows"):
        store.finish(KEY, {})


@pytest.mark.parametrize(
    ("start", "stop", "rows"),
    [(0, 16, ROWS.iloc[:15]), (0, 15, ROWS.iloc[:16]), (0, 40, ROWS.assign(cell="another"))],
)
def test_rows_of_another_chunk_or_cell(
    store: Store, start: int, stop: int, rows: pd.DataFrame
) -> None:
    with pytest.raises(StoreError, match="rows of another"):
        store.write_chunk(KEY, start, stop, rows, Arrays())
    assert not store.folder(KEY).exists()


def test_overwriting_takes_the_new_rows_and_keeps_the_old_parts(written: Store) -> None:
    before = set(written.folder(KEY).rglob("*.parquet"))
    for seed in range(5):  # whatever the names of the parts sort like
        again = open_store(written.root)
        write_cell(again, ROWS.assign(seed=seed))
        assert set(again.rows(KEY)["seed"]) == {seed}
    assert before < set(written.folder(KEY).rglob("*.parquet"))


def test_two_writers_of_one_cell(store: Store) -> None:
    left, right = open_store(store.root), open_store(store.root)
    for start in (0, 16, 32):
        write(left, start, min(start + 16, 40), ROWS.assign(seed=1))
        write(right, start, min(start + 16, 40), ROWS.assign(seed=2))
    left.finish(KEY, {})
    assert set(store.rows(KEY)["seed"]) == {1}
    right.finish(KEY, {})
    assert set(store.rows(KEY)["seed"]) == {2}
    assert len(store.rows(KEY)) == 40


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(bytes(data))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


@pytest.mark.parametrize("harm", [damage, cut, Path.unlink])
def test_a_spoilt_part_is_named_and_mended_by_resuming(written: Store, harm: Any) -> None:
    part = the(written, "parts/00016*")
    harm(part)
    with pytest.raises(StoreError, match=f"{part.name} is .*--overwrite missing"):
        written.rows(KEY)
    again = open_store(written.root)
    assert not again.is_done(KEY)
    assert again.done_chunks(KEY) == {0, 32}
    write(again, 16, 32)
    again.finish(KEY, {"rows": 40})
    assert again.is_done(KEY)
    assert len(again.rows(KEY)) == 40


@pytest.mark.parametrize("harm", [cut, Path.unlink])
def test_spoilt_pictures_are_named_and_mended_by_resuming(written: Store, harm: Any) -> None:
    kept = the(written, "arrays/*")
    harm(kept)
    with pytest.raises(StoreError, match=f"{kept.name} is .*--overwrite missing"):
        written.pictures(KEY)
    again = open_store(written.root)
    assert not again.is_done(KEY)
    assert again.done_chunks(KEY) == {16, 32}
    write(again, 0, 16)
    again.finish(KEY, {"rows": 40})
    assert torch.equal(again.pictures(KEY)["x_adv"], PICTURES["x_adv"][:16])


def test_pictures_with_a_flipped_bit_are_named(written: Store) -> None:
    kept = the(written, "arrays/*")
    damage(kept)
    with pytest.raises(StoreError, match=f"{kept.name} is damaged.*--overwrite always"):
        written.pictures(KEY)
    write_cell(open_store(written.root))
    assert torch.equal(written.pictures(KEY)["x_adv"], PICTURES["x_adv"][:16])


def test_a_spoilt_record_is_named_and_mended_by_resuming(written: Store) -> None:
    cut(the(written, "cell.json"))
    with pytest.raises(StoreError, match=r"cell\.json is damaged.*--overwrite missing"):
        written.rows(KEY)
    again = open_store(written.root)
    assert not again.is_done(KEY)
    assert again.done_chunks(KEY) == {0, 16, 32}
    again.finish(KEY, {"rows": 40})
    assert again.is_done(KEY)


def test_rows_of_a_cell_that_is_not_there(store: Store) -> None:
    with pytest.raises(StoreError, match=f"{KEY} is not finished"):
        store.rows(KEY)


def test_a_failure_is_kept_and_blocks_nothing(store: Store) -> None:
    assert store.last_error(KEY) is None
    for text in ("first", "second"):
        try:
            raise AttackError(text)
        except AttackError as error:
            store.fail(KEY, error)
    told = store.last_error(KEY)
    assert told is not None
    assert (told["attempt"], told["type"], told["message"]) == (2, "AttackError", "second")
    assert "test_store.py" in told["traceback"]
    write_cell(store)
    assert store.is_done(KEY)


def test_names_with_a_dot_are_nobodys(written: Store) -> None:
    for name in ("parts/.tmp-1-ab", "parts/.00000-00015-aaaaaaaa.parquet", ".error-9.json"):
        (written.folder(KEY) / name).write_text("half")
    assert written.is_done(KEY)
    assert written.done_chunks(KEY) == {0, 16, 32}
    assert written.last_error(KEY) is None


def test_sweep_removes_old_temporary_files_alone(written: Store) -> None:
    old, young = (written.folder(KEY) / "parts" / name for name in (".tmp-1-a", ".tmp-2-b"))
    for path in (old, young):
        path.write_text("half")
    day_ago = time.time() - 25 * 3600
    for path in (old, the(written, "cell.json")):
        os.utime(path, (day_ago, day_ago))
    assert sweep(written.root, below=True) == 1
    assert not old.exists()
    assert young.exists()
    assert written.is_done(KEY)


def test_another_schema(tmp_path: Path) -> None:
    (tmp_path / "store.json").write_text(json.dumps({"schema": 7}))
    with pytest.raises(StoreError) as caught:
        open_store(tmp_path)
    for word in ("schema 7", "schema 3", str(tmp_path), "--results DIR"):
        assert word in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "{}", "{"])
def test_a_spoilt_marker(tmp_path: Path, text: str) -> None:
    (tmp_path / "store.json").write_text(text)
    with pytest.raises(StoreError, match=r"store\.json cannot be read.*--results DIR"):
        open_store(tmp_path)


def test_a_folder_of_other_things(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("words")
    with pytest.raises(StoreError, match=r"holds thesis\.tex.*--results DIR"):
        open_store(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_store_that_another_process_has_just_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.iterdir

    def iterdir(folder: Path) -> Any:
        monkeypatch.setattr(Path, "iterdir", real)
        open_store(folder)
        (folder / "runs").mkdir()
        return folder.iterdir()

    monkeypatch.setattr(Path, "iterdir", iterdir)
    assert open_store(tmp_path).root == tmp_path


def test_a_file_instead_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("words")
    with pytest.raises(StoreError, match="is a file"):
        open_store(tmp_path / "file")


def test_the_folder_of_a_checkout_may_be_used(tmp_path: Path) -> None:
    (tmp_path / "samples").mkdir()
    (tmp_path / ".gitkeep").touch()
    (tmp_path / "README.md").touch()
    assert not open_store(tmp_path).is_done(KEY)


def test_readers_make_nothing(tmp_path: Path) -> None:
    with pytest.raises(PrerequisiteError, match="bench run --suite"):
        open_store(tmp_path / "none", create=False)
    assert not (tmp_path / "none").exists()


_FILL = """
import sys
sys.path.insert(0, {tests!r})
from test_store import CELL, KEY, ROWS
from bench.errors import StoreError
from bench.store.parts import Arrays
from bench.store.store import open_store
store = open_store({root!r})
written = 0
try:
    while True:
        store.write_chunk(KEY, written * 40, written * 40 + 40, ROWS.assign(seed=written), Arrays())
        written += 1
except StoreError as error:
    message = str(error)
left = open_store({root!r})
assert left.done_chunks(KEY) == {{40 * i for i in range(written)}}, "a saved chunk was lost"
assert not list(left.root.rglob(".tmp-*"))
print(written, message)
"""


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs a small disk of its own")
def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    code = _FILL.format(tests=str(Path(__file__).parent), root=str(tmp_path / "results"))
    mounted = f'mount -t tmpfs -o size=128k none {tmp_path} 2>/dev/null || exit 77; exec "$@"'
    ran = subprocess.run(
        ["unshare", "-rm", "sh", "-c", mounted, "sh", sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    if ran.returncode == 77 or "unshare" in ran.stderr:
        pytest.skip("may not mount a small disk here")
    assert ran.returncode == 0, ran.stderr
    written, _, message = ran.stdout.strip().partition(" ")
    assert int(written) > 3
    assert message.startswith("no space left to write")
    assert "\n" not in message


def test_errors_leave_with_the_code_of_a_failure() -> None:
    assert issubclass(StoreError, BenchError)
    assert StoreError.exit_code == 1


def test_rows_of_many_parts_are_read_from_one_file_and_from_the_parts_without_it(
    store: Store,
) -> None:
    for start in range(0, 40, 8):
        store.write_chunk(KEY, start, start + 8, ROWS.iloc[start : start + 8], Arrays())
    store.finish(KEY, {"rows": 40})
    (joined,) = store.folder(KEY).glob("rows-*.parquet")
    (table,) = store.tables(KEY)
    assert len(table) == 40
    whole = store.rows(KEY)
    part = the(store, "parts/00008*")
    kept = part.read_bytes()
    part.unlink()
    assert open_store(store.root).rows(KEY).equals(whole)
    assert not open_store(store.root).is_done(KEY)  # others take over single parts
    part.write_bytes(kept)
    damage(joined)
    assert len(store.tables(KEY)) == 5
    assert open_store(store.root).rows(KEY).equals(whole)
    assert open_store(store.root).is_done(KEY)
