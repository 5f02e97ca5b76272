"""What several cells of a run share: clean predictions, crafted images, fits, substitutes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import torch

from bench.attacks.run_attack import AttackResult, Fitted
from bench.runner.judge import JUDGING, decision, share_right
from bench.spec import Adapter, ModelRequest, Prediction
from bench.train.substitutes import TrainedSubstitute


class Clean(NamedTuple):
    """A model's answers to clean images.

    Attributes:
        prediction: its decision.
        share: for a random model, the share of the draws that get each image right, (N,); else None.
    """

    prediction: Prediction
    share: torch.Tensor | None


@dataclass(slots=True)
class CleanPredictions:
    """A model's answers to the clean images, computed once per chunk and shared by all its cells."""

    adapter: Adapter
    known: dict[tuple[int, int], Clean] = field(default_factory=dict)

    def of(self, start: int, x: torch.Tensor, y: torch.Tensor) -> Clean:
        """Return the model's answers to the images (N, C, H, W) from `start` on, with labels (N,)."""
        # In a smaller image set the last chunk is shorter than the one with the same start elsewhere.
        chunk = start, len(x)
        if chunk not in self.known:
            adapter = self.adapter
            self.known[chunk] = Clean(decision(adapter, x), share_right(adapter, x, y, JUDGING))
        return self.known[chunk]


class RunCache:
    """Results that the cells of a run share.

    Attributes:
        clean: the answers of each model to the clean images.
        fits: fitted perturbations, by everything that decides them.
        substitutes: trained substitutes, likewise.
    """

    def __init__(self, adapters: Mapping[ModelRequest, Adapter]) -> None:
        self.clean = {model: CleanPredictions(adapter) for model, adapter in adapters.items()}
        self.fits: dict[str, Fitted] = {}
        self.substitutes: dict[str, TrainedSubstitute] = {}
        self._crafted: tuple[str, dict[int, AttackResult]] = "", {}

    def crafted(self, key: str) -> dict[int, AttackResult]:
        """Return the images crafted so far for a cell, by chunk start; only the last cell's are kept."""
        if self._crafted[0] != key:
            self._crafted = key, {}
        return self._crafted[1]
