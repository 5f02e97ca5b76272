"""What travels to the machines of a cluster: plug-ins with their folders, files that were read, weights made here.

Packages, data sets and what is downloaded do not travel. Files lie in the luggage as they do for the run:

    here/       the folder where the command is run
    plugins/N/  folders of plug-ins that lie elsewhere
    cache/      what Crossfire trained or computed before: on other processors that would come out differently
"""

from __future__ import annotations

import fnmatch
import os
import shutil
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import bench
from bench.errors import PrerequisiteError
from bench.paths import DOWNLOADED, cache_dir, data_dir
from bench.store.files import TEMPORARY

HERE, PLUGINS, CACHE = "here", "plugins", "cache"

#: The most bytes that travel.
LIMIT = 100 * 2**20

#: Names, a pattern a line, of what does not travel from the folder of a plug-in; Ray's own name for such a file.
_IGNORED = ".rayignore"

#: What is no file of a run's: code is imported from beside a plug-in alone.
_CODE = (".py", ".pyc", ".pyi")


class _Heard:
    """Notes which files Python code opens, or puts in their place, while it listens."""

    def __init__(self) -> None:
        self.paths: set[str] = set()
        self.added = self.listens = False

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        if not self.listens or event not in ("open", "os.rename"):
            return
        path = arguments[1 if event == "os.rename" else 0]
        if isinstance(path, bytes | str):
            self.paths.add(os.path.abspath(os.fsdecode(path)))  # noqa: PTH100 - `resolve` opens files


_heard = _Heard()


def note_files() -> None:
    """Begin to note which files are read, until they are packed."""
    if not _heard.added:
        sys.addaudithook(_heard)  # for good
        _heard.added = True
    _heard.paths.clear()
    _heard.listens = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Luggage:
    """Files that travel.

    Attributes:
        files: by their place in the luggage.
        plugins: the places of the plug-ins.
        left: files of the cache for which no room was left.
    """

    files: Mapping[str, Path]
    plugins: tuple[str, ...]
    left: tuple[Path, ...] = ()

    def pack(self, folder: Path) -> None:
        """Copy the files into a folder."""
        for place in (HERE, CACHE):
            (folder / place).mkdir(parents=True, exist_ok=True)
        for place, file in self.files.items():
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, folder / place)


def plugin_files(plugins: Sequence[Path], apart: Collection[Path] = ()) -> Luggage:
    """Return what travels with plug-ins: all that lies in their folders.

    Left out are names that begin with a dot, environments of Python, what `.rayignore` names there, and some
    folders.

    Args:
        plugins: their files.
        apart: folders that never travel, such as those of results and data sets.

    Raises:
        PrerequisiteError: it is more than may travel.
    """
    here, places = Path.cwd(), []
    files: dict[str, Path] = {}
    outside: list[Path] = []
    for plugin in map(Path.resolve, plugins):
        folder = plugin.parent
        if folder.is_relative_to(here):
            base = Path(HERE) / folder.relative_to(here)
        else:
            outside += [] if folder in outside else [folder]
            base = Path(PLUGINS) / str(outside.index(folder))
        files |= {(base / name).as_posix(): folder / name for name in _in_folder(folder, apart)}
        files[(base / plugin.name).as_posix()] = plugin
        places.append((base / plugin.name).as_posix())
    _check_size(files, {plugin.resolve().parent for plugin in plugins})
    return Luggage(files=files, plugins=tuple(places))


def luggage(plugins: Sequence[Path], results: Path, out: Path, data: Path | None) -> Luggage:
    """Return what travels for a run whose files were noted while it was planned.

    Args:
        plugins: the user's files.
        results: the results folder.
        out: the folder of reports.
        data: the data folder.

    Raises:
        PrerequisiteError: it is more than may travel.
    """
    _heard.listens = False
    here, cache = Path.cwd(), cache_dir().absolute()
    apart = never_travel(results, out, data)
    own = plugin_files(plugins, apart)
    read: dict[str, Path] = {}
    kept: dict[str, Path] = {}
    for path in map(Path, sorted(_heard.paths)):
        if path.is_relative_to(cache):
            inside = path.relative_to(cache)
            if inside.parts[0] not in DOWNLOADED and not path.name.startswith(TEMPORARY):
                kept[f"{CACHE}/{inside.as_posix()}"] = path
        elif path.is_relative_to(here) and not _is_apart(path, here, apart):
            read[f"{HERE}/{path.relative_to(here).as_posix()}"] = path
    files = {**own.files, **{place: path for place, path in read.items() if path.is_file()}}
    _check_size(files, {path.resolve().parent for path in plugins} or {here})
    room, left = LIMIT - sum(map(_size, files.values())), []
    # Weights are the smallest, and matter most.
    for place, path in sorted(kept.items(), key=lambda item: _size(item[1])):
        room -= _size(path)
        if room < 0:
            left.append(path)
        elif path.is_file():
            files[place] = path
    return Luggage(files=files, plugins=own.plugins, left=tuple(left))


def never_travel(results: Path, out: Path, data: Path | None) -> set[Path]:
    """Return folders that never travel."""
    code = [
        Path(path)
        for package in ("bench", "bench.models", "bench.adapters")
        for path in _paths(package)
    ]
    folders = [
        results,
        out,
        data_dir(data),
        cache_dir(),
        Path(sys.prefix),
        Path(sys.base_prefix),
        *code,
    ]
    return {path for folder in folders for path in (folder.absolute(), folder.resolve())}


def _paths(package: str) -> Sequence[str]:
    module = sys.modules.get(package, bench)
    return list(module.__path__)


def _is_apart(path: Path, here: Path, apart: Collection[Path]) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(here).parts)
    return hidden or path.suffix in _CODE or any(path.is_relative_to(folder) for folder in apart)


def _in_folder(folder: Path, apart: Collection[Path]) -> Iterator[Path]:
    """Yield the files in a folder that travel, as paths in it."""
    ignored = _ignored(folder)
    for root, folders, names in os.walk(folder):
        inside = Path(root).relative_to(folder)
        folders[:] = [
            name
            for name in folders
            if not name.startswith((".", "__pycache__"))
            and Path(root, name) not in apart
            and not Path(root, name, "pyvenv.cfg").exists()
            and not ignored(inside / name)
        ]
        for name in names:
            if (
                not name.startswith(".")
                and Path(root, name).is_file()
                and not ignored(inside / name)
            ):
                yield inside / name


def _ignored(folder: Path) -> Callable[[Path], bool]:
    """Return a function that says whether `.rayignore` names a path in a folder."""
    file = folder / _IGNORED
    lines = file.read_text().splitlines() if file.is_file() else []
    patterns = [
        line.strip().strip("/") for line in lines if line.strip() and not line.startswith("#")
    ]

    def ignored(path: Path) -> bool:
        return any(
            fnmatch.fnmatchcase(text, pattern)
            for pattern in patterns
            for text in (path.as_posix(), path.name)
        )

    return ignored


def _check_size(files: Mapping[str, Path], folders: Collection[Path]) -> None:
    sizes = {path: _size(path) for path in files.values()}
    if sum(sizes.values()) <= LIMIT:
        return
    largest = max(sizes, key=lambda path: sizes[path])
    where = " and ".join(sorted(map(str, folders)))
    raise PrerequisiteError(
        f"{_megabytes(sum(sizes.values()))} of {where} would have to travel to the machines of the cluster, at most "
        f"{_megabytes(LIMIT)} may; the largest file is {largest} ({_megabytes(sizes[largest])}): name what is not "
        f"needed in {_IGNORED} beside the plug-in (a pattern a line), or put large files where every machine sees them"
    )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _megabytes(size: int) -> str:
    return f"{size / 2**20:,.0f} MiB"
