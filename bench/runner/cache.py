"""What several cells of a run share: clean predictions, images climbed once, fitted perturbations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import pandas as pd
import torch

from bench.attacks.run_attack import AttackResult, Fitted
from bench.runner.judge import JUDGING, decision, share_right
from bench.spec import Adapter, ModelRequest, Prediction


class Clean(NamedTuple):
    """What a model says of clean images.

    Attributes:
        said: its decision.
        share: of a random model, the share of the draws that get each image right, (N,); else None.
    """

    said: Prediction
    share: torch.Tensor | None


def ask_clean(adapter: Adapter, x: torch.Tensor, y: torch.Tensor) -> Clean:
    """Return what a model says of clean images (N, C, H, W) with labels (N,)."""
    return Clean(decision(adapter, x), share_right(adapter, x, y, JUDGING))


@dataclass(slots=True)
class CleanPredictions:
    """What a model says of the clean images, asked once a chunk and shared by all its cells."""

    adapter: Adapter
    known: dict[tuple[int, int], Clean] = field(default_factory=dict)

    def of(self, start: int, x: torch.Tensor, y: torch.Tensor) -> Clean:
        """Return what the model says of the chunk of images that begins at `start`."""
        # Of fewer images the last chunk is shorter than the one that begins there in more.
        chunk = start, len(x)
        if chunk not in self.known:
            self.known[chunk] = ask_clean(self.adapter, x, y)
        return self.known[chunk]


@dataclass(slots=True)
class Shared:
    """What was last found on a surface that is climbed for several models, by the chunk's start."""

    made_for: str = ""
    found: dict[int, AttackResult] = field(default_factory=dict)

    def of(self, maker: str, start: int, find: Callable[[], AttackResult]) -> AttackResult:
        """Return what was found for a cell, finding it if it was not."""
        if maker != self.made_for:
            self.made_for, self.found = maker, {}
        if start not in self.found:
            self.found[start] = find()
        return self.found[start]


class Chunk(NamedTuple):
    """What was found out about some images: a row each, and the images tried."""

    rows: pd.DataFrame
    x: torch.Tensor
    x_adv: torch.Tensor


class Climber(NamedTuple):
    """A model whose surfaces are climbed for several others, and what it says of clean images."""

    adapter: Adapter
    clean: CleanPredictions
    shared: Shared


@dataclass(slots=True)
class RunCache:
    """What the cells of a run need not find out twice."""

    clean: dict[ModelRequest, CleanPredictions]
    shared: Shared = field(default_factory=Shared)
    fits: dict[str, Fitted] = field(default_factory=dict)
