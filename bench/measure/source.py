"""The document that a study repeats: its authors and title, and known causes of different figures.

It is read from a JSON file beside the suite and its published figures (`bench.suite_files`). The file is
not part of the suite, so a change in it does not make another suite. Imports no pandas: `bench ls`
reads it.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bench.errors import SpecError

_STRICT = ConfigDict(frozen=True, extra="forbid", strict=True)
#: What to do about a wrong field, by pydantic's name of the error.
_REMEDIES = {
    "missing": "write it (null where the document itself does not say)",
    "extra_forbidden": "there is no such field: take it out",
}
_Text = Annotated[str, Field(min_length=1)]


class Cause(BaseModel):
    """Why some of our figures differ from the published ones.

    Attributes:
        where: patterns with `*` for columns of the comparison, such as `{"model": "dl-*"}`; a figure
            has this cause if all of them match.
        ours: the direction of the difference that it explains; None for either.
        cause: a sentence.
    """

    model_config = _STRICT
    where: dict[str, str]
    ours: Literal["higher", "lower"] | None = None
    cause: _Text

    def explains(self, figure: Mapping[Hashable, Any]) -> bool:
        """Return whether this explains a figure, a row of the comparison in which ours differs."""
        higher = figure["ours"] > figure["published"]
        return (self.ours is None or (self.ours == "higher") == higher) and all(
            fnmatchcase(str(figure[column]), pattern) for column, pattern in self.where.items()
        )


class Source(BaseModel):
    """A document whose figures a study repeats, with what its own text says about its origin.

    Attributes:
        authors: empty if it names none.
        kind: such as `master's thesis`.
        institution: None if it names none.
        year: None if it names none.
        cites: the year of the latest work that it cites.
        notes: what else a reader has to know to compare its figures with ours, a sentence each.
        causes: of differences; if several match a figure, the first one counts.
    """

    model_config = _STRICT
    title: _Text
    authors: tuple[_Text, ...]
    kind: _Text
    institution: str | None
    year: int | None
    cites: int
    notes: tuple[_Text, ...] = ()
    causes: tuple[Cause, ...] = ()

    def reference(self) -> str:
        """Return the reference of the document, with a note on the parts that it does not name."""
        lacking = [
            part
            for part, value in (
                ("author", self.authors),
                ("institution", self.institution),
                ("year", self.year),
            )
            if not value
        ]
        where = ", ".join([self.kind, *([self.institution] if self.institution else [])])
        dated = "" if self.year is None else f", {self.year}"
        absent = f" It names no {' and no '.join(lacking)}." if lacking else ""
        latest = "" if self.year else f" The latest work that it cites is of {self.cites}."
        return f"{self.by_whom()}{_capital(where)}{dated}.{absent}{latest}"

    def by_whom(self) -> str:
        """Return the authors and the title: `A. Author, B. Author. Title. `."""
        authors = f"{', '.join(self.authors)}. " if self.authors else ""
        return f"{authors}{self.title}. "


def read_source(path: Path) -> Source | None:
    """Return the document of a study; None if there is no such file.

    Args:
        path: the file, of `bench.suite_files.document_file`.

    Raises:
        SpecError: the file is broken.
    """
    if not path.is_file():
        return None
    try:
        # Read as JSON, where a list may stand for a tuple.
        return Source.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        remedy = _REMEDIES.get(first["type"], "put it right there")
        said = f"{first['msg']}; {remedy}"
        raise SpecError(f"{path}: {f'{place}: ' if place else ''}{said}") from error


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
