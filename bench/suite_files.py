"""Where suites lie: plain ones in `bench/suites`, those of studies each in its folder in `bench/studies`.

A study is a folder with `suite.toml`, `published.csv` (the published figures), `document.json` (what was
published) and, where its report differs from that of a plain suite, `report.py`; `register_study` adds a
folder that lies elsewhere. Of a plain suite file, `NAME.csv` and `NAME.json` beside it make it a study
too, but no code beside it is run.
"""

from __future__ import annotations

import shlex
from importlib import import_module
from pathlib import Path
from types import ModuleType

from bench.errors import BenchError, SpecError
from bench.registry import given_plugins, load_file, unknown

_BENCH = Path(__file__).resolve().parent
#: The files in the folder of a study; the study has the folder's name.
_SUITE, _FIGURES, _DOCUMENT = "suite.toml", "published.csv", "document.json"
_STUDY = {_SUITE, _FIGURES}
#: What a module in the folder of a study has to define, and the module and name of its type.
_DEFINES = {
    "report": ("STUDY", "bench.report.study", "Study"),
    "section": ("SECTION", "bench.report.rules", "SectionRule"),
}


#: Folders of studies that plug-ins have registered.
_REGISTERED: list[Path] = []


def register_study(folder: str | Path) -> None:
    """Let a study in a folder of your own be run and reported by its name, which is the folder's.

    The folder holds `suite.toml` and `published.csv` (with the columns of
    `bench.measure.published.COLUMNS`); `document.json`, which names what was published, and `report.py`,
    whose `STUDY` says how its report differs, may be there too. `report.py` is run.

    Raises:
        SpecError: a file is missing or broken, or another suite has this name.
    """
    # Not at the top: these import modules that find suites here.
    from bench.measure.published_file import read_figures
    from bench.measure.source import read_source

    folder = Path(folder).resolve()
    for name in (_SUITE, _FIGURES):
        if not (folder / name).is_file():
            raise SpecError(f"the study in {folder} has no {name}; put one there")
    named = suite_name(folder / _SUITE)
    held = known_suites().get(named)
    if held is not None and held.resolve() != folder / _SUITE:
        raise SpecError(f"a suite named {named!r} is there already, {held}; rename the folder")
    read_figures(folder / _FIGURES)
    read_source(folder / _DOCUMENT)
    if folder not in _REGISTERED:
        _REGISTERED.append(folder)


def study_folders() -> list[Path]:
    """Return the folders of all studies, those of plug-ins last."""
    own = sorted(file.parent for file in (_BENCH / "studies").glob(f"*/{_SUITE}"))
    return [*own, *_REGISTERED]


def study_module(folder: Path, name: str) -> ModuleType | None:
    """Return a module in the folder of a study; None where it has none.

    Only code of studies that come with the package, or that a plug-in has registered, is ever run.

    Raises:
        BenchError: the module fails, or lacks what such a module has to define.
    """
    folder = folder.resolve()
    file = folder / f"{name}.py"
    if folder not in study_folders() or not file.is_file():
        return None
    if folder.parent == _BENCH / "studies":
        module = import_module(f"bench.studies.{folder.name}.{name}")
    else:
        module = load_file(file)
    _check_defines(module, name, file)
    return module


def _check_defines(module: ModuleType, name: str, file: Path) -> None:
    """Raise unless a module of a study defines what its report takes from it."""
    defined, room, kind = _DEFINES[name]
    value = getattr(module, defined, None)
    if not isinstance(value, getattr(import_module(room), kind)):
        lacking = (
            f"{defined} is of type {type(value).__name__}" if value is not None else f"no {defined}"
        )
        raise SpecError(f"{file}: {lacking}; write {defined} = {kind}(...), of {room}")


def study_modules(name: str) -> list[ModuleType]:
    """Return the modules of a name of all studies that have one.

    One that is broken is left out: that is told where its own study is run or reported, and nowhere else.
    """
    found = []
    for folder in study_folders():
        try:
            module = study_module(folder, name)
        except BenchError:
            continue
        if module is not None:
            found.append(module)
    return found


def known_suites() -> dict[str, Path]:
    """Return the suites of the package and of plug-ins, by name, each with its file."""
    files = [
        *(_BENCH / "suites").glob("*.toml"),
        *(folder / _SUITE for folder in study_folders()),
    ]
    return dict(sorted((suite_name(file), file) for file in files))


def suite_path(named: str) -> Path:
    """Return the file of a suite: a known one by name, or a path ending in `.toml`.

    Raises:
        SpecError: there is no such suite or file.
    """
    if named.endswith(".toml"):
        if not Path(named).is_file():
            raise SpecError(f"--suite {named}: no such file")
        return Path(named)
    known = known_suites()
    if named not in known:
        raise unknown("suite", named, list(known))
    return known[named]


def made_suites(results: Path) -> Path:
    """Return the folder of the suites that were made for single models, in a folder of results."""
    return results / "suites"


def suite_in(results: Path, named: str) -> str:
    """Return the file of a suite that was made for a single model, by its name; another suite as it is named."""
    if named.endswith(".toml") or named in known_suites():
        return named
    file = made_suites(results) / f"{named}.toml"
    return str(file) if file.is_file() else named


def suite_name(path: Path) -> str:
    """Return the name of the suite in a file, or a name as it is; that of a study is its folder's, `-` for `_`."""
    if path.name == _SUITE:
        return path.resolve().parent.name.replace("_", "-")
    return path.name.removesuffix(".toml")


def run_command(suite: str, results: Path) -> str:
    """Return the command that runs a suite into a folder of results, with the plug-ins that were named."""
    words = ["bench", "run", "--suite", suite]
    if results != Path("results"):
        words += ["--results", str(results)]
    for file in given_plugins():
        words += ["--plugin", file]
    return shlex.join(words)


def published_file(named: str) -> Path | None:
    """Return the file of published figures beside a suite's; None where it is no study.

    Args:
        named: a known suite, or a path ending in `.toml`, which need not be there any more.
    """
    path = Path(named) if named.endswith(".toml") else known_suites().get(named)
    figures = None if path is None else _beside(path, _FIGURES)
    return figures if figures is not None and figures.is_file() else None


def document_file(path: Path) -> Path:
    """Return the file that names the document of a study; it need not be there.

    Args:
        path: the file of its suite, or of its published figures.
    """
    return _beside(path, _DOCUMENT)


def _beside(path: Path, name: str) -> Path:
    return path.with_name(name) if path.name in _STUDY else path.with_suffix(Path(name).suffix)
