"""Which cells of a plan a run computes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bench.errors import SpecError
from bench.spec import whole

Overwrite = Literal["never", "missing", "failed", "always"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Which cells of a plan a run computes, and how many of the images tried it keeps.

    Attributes:
        overwrite: `missing` computes all unfinished cells, including failed ones; `failed` only failed
            ones; `always` everything again; `never` nothing.
        shard: `I/N` to compute only the I-th of N shares of the cells.
        keep_all: keep all images tried instead of the first 16 of a cell.
    """

    overwrite: Overwrite = "missing"
    shard: str | None = None
    keep_all: bool = False

    @property
    def anew(self) -> bool:
        """Whether chunks that the store has are computed again."""
        return self.overwrite == "always" or self.keep_all


ALL_MISSING = Scope()


def parse_shard(text: str | None) -> tuple[int, int] | None:
    """Return (I, N) of `I/N`.

    Raises:
        SpecError: not of that form, or I outside 1 to N.
    """
    if text is None:
        return None
    part, slash, of = text.partition("/")
    share, shares = whole(part), whole(of)
    if not (slash and share and shares and share <= shares):
        raise SpecError(f"--shard {text}: write I/N with 1 <= I <= N, such as 1/4")
    return share, shares
