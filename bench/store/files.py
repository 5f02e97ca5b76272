"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from pathlib import Path

from bench.errors import PrerequisiteError, StoreError

#: The prefix of unfinished files; readers skip all names that begin with a dot.
TEMPORARY = ".tmp-"


#: The option that names another folder, for error messages.
ELSEWHERE = "--results DIR"


def cannot_write(path: Path, error: OSError, elsewhere: str = ELSEWHERE) -> StoreError:
    """Return the error for a file that could not be written: one line that says what to do."""
    safe = "nothing saved before is lost"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
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


def check_folder(folder: Path, what: str, elsewhere: str = ELSEWHERE) -> None:
    """Check that files can be written into a folder, before work whose results go there.

    The folder is created if it is missing.

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
        trial.touch(exist_ok=False)
        trial.unlink()
    except OSError as error:
        raise PrerequisiteError(
            f"{what} cannot be written to {folder} ({error.strerror or error}); make the folder "
            f"writable, or name another one with {elsewhere}"
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
    temporary = path.with_name(f"{TEMPORARY}{os.getpid()}-{secrets.token_hex(6)}")
    try:
        make_folder(path.parent)
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)
    except OSError as error:
        raise cannot_write(path, error, elsewhere) from error
