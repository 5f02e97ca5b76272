from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import pytest
import store_writer

from bench.errors import PrerequisiteError, StoreError
from bench.store.files import atomic_write, check_folder, write_together


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def fail_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def fsync(handle: int) -> None:
        raise error

    monkeypatch.setattr(os, "fsync", fsync)


def test_writes_and_makes_the_folders(tmp_path: Path) -> None:
    atomic_write(tmp_path / "a" / "b" / "file", b"one")
    atomic_write(tmp_path / "a" / "b" / "file", b"two")
    assert (tmp_path / "a" / "b" / "file").read_bytes() == b"two"
    assert names(tmp_path / "a" / "b") == ["file"]


def test_file_and_folder_are_flushed_before_it_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed = []
    real = os.fsync

    def fsync(handle: int) -> None:
        flushed.append(Path(f"/proc/self/fd/{handle}").readlink().name)
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    atomic_write(tmp_path / "file", b"one")
    assert [name.startswith(".tmp-") for name in flushed] == [True, False]
    assert flushed[1] == tmp_path.name


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    path = tmp_path / "file"
    atomic_write(path, b"old")
    fail_with(monkeypatch, OSError(code, os.strerror(code)))
    with pytest.raises(StoreError) as caught:
        atomic_write(path, b"new")
    message = str(caught.value)
    assert "\n" not in message
    for word in ("no space", str(path), "lost", "--results DIR", "same command again"):
        assert word in message
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match=r"could not write .*--results DIR"):
        atomic_write(tmp_path / "file" / "below", b"new")


def test_interrupt_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        atomic_write(tmp_path / "file", b"new")
    assert names(tmp_path) == []


def test_readers_never_see_half_a_file_nor_after_a_kill(tmp_path: Path) -> None:
    path, size = tmp_path / "file", 4_000_000
    atomic_write(path, b"a" * size)
    writer = store_writer.start(store_writer.rewrite, path, size)
    seen = set()
    for turn in range(2000):
        data = path.read_bytes()
        assert data in (b"a" * size, b"b" * size)
        seen.add(data[:1])
        if len(seen) == 2 and turn > 100:
            break
    writer.kill()
    writer.join()
    assert seen == {b"a", b"b"}
    assert len(path.read_bytes()) == size


def test_of_files_that_belong_together_none_is_written_where_one_has_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    atomic_write(tmp_path / "a", b"old")
    real, left = os.fsync, [1]

    def fsync(handle: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(StoreError, match=r"no space left to write .*b; .*--out DIR"):
        write_together({tmp_path / "a": b"new", tmp_path / "b": b"new"}, "--out DIR")
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


def test_files_that_belong_together_take_their_names_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[str] = []
    real = os.replace

    def replace(source: Path, target: Path) -> None:
        assert len(list(tmp_path.rglob(".tmp-*"))) == 2 - len(taken)  # all are written before
        taken.append(Path(target).name)
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    write_together({tmp_path / "z" / "b": b"1", tmp_path / "a": b"2"})
    assert taken == ["b", "a"]


def test_a_file_that_another_process_swept_away_is_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.replace

    def replace(source: Path, target: Path) -> None:
        monkeypatch.setattr(os, "replace", real)
        Path(source).unlink()  # by a process whose clock is a day ahead
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    atomic_write(tmp_path / "file", b"one")
    assert (tmp_path / "file").read_bytes() == b"one"
    assert names(tmp_path) == ["file"]


def test_a_folder_is_rid_of_what_killed_processes_left_in_it(tmp_path: Path) -> None:
    old, young, below = (tmp_path / name for name in (".tmp-1-a", ".tmp-2-b", "below/.tmp-3-c"))
    below.parent.mkdir()
    for path in (old, young, below):
        path.write_text("half")
    for path in (old, below):
        os.utime(path, (time.time() - 25 * 3600,) * 2)
    check_folder(tmp_path, "the report")
    assert not old.exists()
    assert young.exists()
    assert below.exists()  # the folder may be anybody's home


def test_a_folder_on_a_full_disk_asks_for_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*call: object, **more: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "touch", full)
    with pytest.raises(PrerequisiteError, match="free some space, or name another one with --out"):
        check_folder(tmp_path, "the report", "--out DIR")
