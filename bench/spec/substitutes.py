"""Substitutes: small networks that are trained on a model's answers and attacked in its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from bench.errors import SpecError
from bench.spec.numbers import whole

#: What a model is asked for.
Answers = Literal["labels", "scores"]

#: How the name of the surface of a substitute begins.
SUBSTITUTE = "substitute"


class SubstituteName(NamedTuple):
    """The name of the surface of a substitute, which says what it may ask for: `substitute-500`.

    The number stands in the name, since `queries` is a parameter of many attacks, and since substitutes of
    different numbers are different surfaces wherever surfaces are named: in rows, tables and claims.

    Attributes:
        queries: how many images the model may be asked about.
        answers: whether the answers are its labels, or its scores (`substitute-500-scores`).
    """

    queries: int
    answers: Answers = "labels"

    @classmethod
    def read(cls, surface: str) -> SubstituteName | None:
        """Return what the name of a surface asks for; None for a surface of the model's own.

        Raises:
            SpecError: it names a substitute, but not how many answers it is trained on.
        """
        first, _, rest = surface.partition("-")
        if first != SUBSTITUTE:
            return None
        count, _, answers = rest.partition("-")
        queries = whole(count)
        if not queries or answers not in ("", "scores"):
            raise SpecError(
                f"surface {surface!r}: write {SUBSTITUTE}-N, where N is the number of images whose labels "
                f"the model may be asked for, such as {SUBSTITUTE}-500, or {SUBSTITUTE}-N-scores"
            )
        return cls(queries, "scores" if answers else "labels")

    def title(self) -> str:
        """Return the name of the surface."""
        return f"{SUBSTITUTE}-{self.queries}" + ("-scores" if self.answers == "scores" else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Substitute:
    """What decides the substitute of a cell, beside its model and seed.

    Attributes:
        queries: how many images the model may be asked about.
        answers: whether the answers are labels or scores.
        method: the network and its training, in words.
        checksum: of the images that are asked about first.
    """

    queries: int
    answers: Answers
    method: str
    checksum: str
