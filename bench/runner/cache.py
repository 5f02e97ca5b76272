"""What several cells of a run share: clean predictions, images crafted once, fitted perturbations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import torch

from bench.attacks.run_attack import AttackResult, Fitted
from bench.runner.judge import JUDGING, decision, share_right
from bench.spec import Adapter, ModelRequest, Prediction


class Clean(NamedTuple):
    """What a model says of clean images.

    Attributes:
        prediction: its decision.
        share: of a random model, the share of the draws that get each image right, (N,); else None.
    """

    prediction: Prediction
    share: torch.Tensor | None


@dataclass(slots=True)
class CleanPredictions:
    """What a model says of the clean images, asked once a chunk and shared by all its cells."""

    adapter: Adapter
    known: dict[tuple[int, int], Clean] = field(default_factory=dict)

    def of(self, start: int, x: torch.Tensor, y: torch.Tensor) -> Clean:
        """Return what the model says of the images (N, C, H, W) from `start` on, with labels (N,)."""
        # Of fewer images the last chunk is shorter than the one that begins there in more.
        chunk = start, len(x)
        if chunk not in self.known:
            adapter = self.adapter
            self.known[chunk] = Clean(decision(adapter, x), share_right(adapter, x, y, JUDGING))
        return self.known[chunk]


class RunCache:
    """What the cells of a run need not find out twice.

    Attributes:
        clean: what each model says of the clean images.
        fits: fitted perturbations, by what decides them.
    """

    def __init__(self, adapters: Mapping[ModelRequest, Adapter]) -> None:
        self.clean = {model: CleanPredictions(adapter) for model, adapter in adapters.items()}
        self.fits: dict[str, Fitted] = {}
        self._crafted: tuple[str, dict[int, AttackResult]] = "", {}

    def crafted(self, key: str) -> dict[int, AttackResult]:
        """Return what was crafted so far in a cell, by where chunks begin; of the last cell alone."""
        if self._crafted[0] != key:
            self._crafted = key, {}
        return self._crafted[1]
