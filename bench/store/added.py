"""What a run says of the images that it added to undecided comparisons, `bench run --decide`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

#: Why no more images were added; empty as long as more will be, or where the run was stopped.
Ended = Literal["", "decided", "images", "budget"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MoreImages:
    """A cell that was given more images than its suite says.

    Attributes:
        first: key of the cell with as many images as the suite says.
        images: how many it has now.
    """

    first: str
    images: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """What a run says of the images that it added.

    Attributes:
        cells: by key, those with more images than the suite says.
        whole: by title of a model, on how many images of the split it can be attacked.
        budget: for how many seconds images were to be added.
        ended: why no more were.
        left: what would have been done next, in words; may be empty.
    """

    cells: Mapping[str, MoreImages] = field(default_factory=dict)
    whole: Mapping[str, int] = field(default_factory=dict)
    budget: float = 0.0
    ended: Ended = ""
    left: str = ""

    def most(self, *models: str) -> int:
        """Return on how many images some models can all be attacked; 0 where that is not known."""
        return min(self.whole.get(model, 0) for model in models)

    def logged(self) -> dict[str, Any]:
        """Return the same as plain JSON values."""
        return asdict(self)

    @classmethod
    def read(cls, logged: Mapping[str, Any] | None) -> Added | None:
        """Return what a log says; None of a run whose numbers of images were fixed beforehand."""
        if logged is None:
            return None
        cells = {key: MoreImages(**cell) for key, cell in logged["cells"].items()}
        return cls(**{**logged, "cells": cells})
