"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench.errors import PrerequisiteError, StoreError

#: The prefix of unfinished files; readers skip all names that begin with a dot.
TEMPORARY = ".tmp-"

#: The option that names another folder, for error messages.
ELSEWHERE = "--results DIR"

#: What an error says that comes of a disk, and not of the folder or the program.
NO_SPACE = (errno.ENOSPC, errno.EDQUOT)

_DAY = 24 * 3600


def cannot_write(path: Path, error: OSError, elsewhere: str = ELSEWHERE) -> StoreError:
    """Return the error for a file that could not be written: one line that says what to do."""
    safe = "nothing saved before is lost"
    if error.errno in NO_SPACE:
        return StoreError(
            f"no space left to write {path}; {safe}: free some space, or name another folder with "
            f"{elsewhere}, and run the same command again"
        )
    return StoreError(
        f"could not write {path} ({error.strerror or error}); {safe}: make the folder writable, or "
        f"name another one with {elsewhere}, and run the same command again"
    )


def sync_folder(folder: Path) -> None:
    """Make new names in a folder survive a power cut, if the system can."""
    if not hasattr(os, "O_DIRECTORY"):  # Windows cannot open a folder, and needs no such call
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(folder: Path) -> None:
    """Create a folder and its missing parents, each safe against a power cut."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def sweep(folder: Path, *, below: bool = False) -> int:
    """Remove unfinished files older than a day, left by killed processes; return how many.

    Younger ones may belong to a process that is still writing.

    Args:
        folder: where they lie.
        below: whether those in the folders below are removed too.
    """
    old, removed = time.time() - _DAY, 0
    pattern = f"{TEMPORARY}*"
    for path in folder.rglob(pattern) if below else folder.glob(pattern):
        with contextlib.suppress(OSError):  # another process sweeps too, or finished just now
            if path.stat().st_mtime < old:
                path.unlink()
                removed += 1
    return removed


def check_folder(folder: Path, what: str, elsewhere: str = ELSEWHERE) -> None:
    """Check that files can be written into a folder, before work whose results go there.

    The folder is created if it is missing, and unfinished files of killed processes are removed.

    Args:
        folder: the folder to write to.
        what: what will be written there, for the message.
        elsewhere: the option that names another folder.

    Raises:
        PrerequisiteError: it cannot be created or written to.
    """
    trial = folder / f"{TEMPORARY}{os.getpid()}-{secrets.token_hex(6)}"
    try:
        make_folder(folder)
        sweep(folder)
        trial.touch(exist_ok=False)
        trial.unlink(missing_ok=True)  # another process may sweep it away
    except OSError as error:
        mend = "free some space" if error.errno in NO_SPACE else "make the folder writable"
        raise PrerequisiteError(
            f"{what} cannot be written to {folder} ({error.strerror or error}); {mend}, or name another one with "
            f"{elsewhere}"
        ) from error


def atomic_write(path: Path, data: bytes, elsewhere: str = ELSEWHERE) -> None:
    """Write a file so that no reader, at any moment, nor after a kill, sees half of it.

    The bytes go to a new temporary file in the same folder, are flushed to disk, and take the
    final name in one step. A process killed before that step leaves only the temporary file.
    Writing over a file needs room for both for a moment.

    Args:
        path: of the file; its folder is created if it is missing.
        data: the whole content.
        elsewhere: the option that names another folder, for the message.

    Raises:
        StoreError: the disk is full, or the folder cannot be written.
    """
    write_together({path: data}, elsewhere)


def write_together(files: Mapping[Path, bytes], elsewhere: str = ELSEWHERE) -> None:
    """Write files that belong together, each as `atomic_write` does, and none if one of them cannot be written.

    None takes its name before all of them are on the disk; then they take their names in the given order. So a disk that
    gets full leaves the files of before, and a process that is killed between two names leaves the first ones new.

    Args:
        files: the whole content of each, by path.
        elsewhere: as in `atomic_write`.

    Raises:
        StoreError: as in `atomic_write`.
    """
    unfinished: dict[Path, Path] = {}
    path = Path()
    try:
        try:
            for path, data in files.items():
                make_folder(path.parent)
                unfinished[path] = path.with_name(
                    f"{TEMPORARY}{os.getpid()}-{secrets.token_hex(6)}"
                )
                _flush(unfinished[path], data)
            for path, data in files.items():
                try:
                    unfinished[path].replace(path)
                except FileNotFoundError:
                    # Swept away by another process, whose clock is days ahead.
                    _flush(unfinished[path], data)
                    unfinished[path].replace(path)
        except BaseException:
            for temporary in unfinished.values():
                with contextlib.suppress(OSError):
                    temporary.unlink(missing_ok=True)
            raise
        for folder in dict.fromkeys(path.parent for path in files):
            sync_folder(folder)
    except OSError as error:
        raise cannot_write(path, error, elsewhere) from error


@contextlib.contextmanager
def whole_file(path: Path, elsewhere: str = ELSEWHERE) -> Iterator[Path]:
    """Return in a `with` a path to write a long file to, which takes its name when all of it is written.

    Args:
        path: of the file; its folder is created if it is missing.
        elsewhere: the option that names another file, for the message.

    Raises:
        StoreError: the disk is full, or the folder cannot be written.
    """
    temporary = path.with_name(f"{TEMPORARY}{os.getpid()}-{secrets.token_hex(6)}")
    try:
        make_folder(path.parent)
        try:
            yield temporary
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        sync_folder(path.parent)
    except OSError as error:
        raise cannot_write(path, error, elsewhere) from error


def _flush(path: Path, data: bytes) -> None:
    """Write a new file and flush it to the disk."""
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
