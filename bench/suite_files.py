"""Where suites lie: plain ones in `bench/suites`, those of studies each in its folder in `bench/studies`.

A study is a folder with `suite.toml`, `published.csv` (the published figures) and `document.json` (what
was published); of a plain suite file, `NAME.csv` and `NAME.json` beside it make it a study too.
"""

from __future__ import annotations

from pathlib import Path

from bench.errors import SpecError
from bench.registry import unknown

_BENCH = Path(__file__).parent
#: The files in the folder of a study; the study has the folder's name.
_SUITE, _FIGURES, _DOCUMENT = "suite.toml", "published.csv", "document.json"
_STUDY = {_SUITE, _FIGURES}


def shipped_suites() -> dict[str, Path]:
    """Return the suites that come with the package, by name, each with its file."""
    files = [*(_BENCH / "suites").glob("*.toml"), *(_BENCH / "studies").glob(f"*/{_SUITE}")]
    return dict(sorted((suite_name(file), file) for file in files))


def suite_path(named: str) -> Path:
    """Return the file of a suite: a shipped one by name, or a path ending in `.toml`.

    Raises:
        SpecError: there is no such suite or file.
    """
    if named.endswith(".toml"):
        if not Path(named).is_file():
            raise SpecError(f"--suite {named}: no such file")
        return Path(named)
    shipped = shipped_suites()
    if named not in shipped:
        raise unknown("suite", named, list(shipped))
    return shipped[named]


def suite_name(path: Path) -> str:
    """Return the name of the suite in a file; that of a study is its folder's, `-` for `_`."""
    return path.resolve().parent.name.replace("_", "-") if path.name == _SUITE else path.stem


def published_file(named: str) -> Path | None:
    """Return the file of published figures beside a suite's; None where it is no study.

    Args:
        named: a shipped suite, or a path ending in `.toml`, which need not be there any more.
    """
    path = Path(named) if named.endswith(".toml") else shipped_suites().get(named)
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
