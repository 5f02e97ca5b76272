"""The budget of the cascade: passes through the model for each image, forward and backward."""

from __future__ import annotations

import torch
from torch import nn

from bench.attacks.instrument import Probe


class Budget:
    """The passes that each image may still spend.

    Attributes:
        total: passes an image in all.
        limit: passes an image until the end of the running stage. What a stage leaves, later ones have.
    """

    def __init__(self, total: int, x: torch.Tensor) -> None:
        self.total = self.limit = total
        self._x = x
        self._probes: list[Probe] = []

    def probe(self, net: nn.Module) -> Probe:
        """Return a module around another one that counts its passes here."""
        probe = Probe(net, self._x)
        probe.eval()
        self._probes.append(probe)
        return probe

    @property
    def spent(self) -> torch.Tensor:
        """Return the passes of each image so far, int64 (N,) on the CPU."""
        counts = [probe.forwards + probe.backwards for probe in self._probes]
        return torch.stack(counts).sum(0).cpu()

    def affords(self, rows: torch.Tensor, passes: int) -> torch.Tensor:
        """Return which rows (n,) have so many passes left in this stage, bool (n,) on the CPU."""
        return self.spent[rows] + passes <= self.limit

    def left(self, rows: torch.Tensor) -> int:
        """Return the fewest passes that one of these rows has left in this stage; 0 without rows."""
        return max(0, self.limit - int(self.spent[rows].max())) if len(rows) else 0

    def report(self, probe: Probe) -> None:
        """Add what was counted to the probe of the whole attack."""
        every = torch.arange(len(self._x), device=self._x.device)
        for part in self._probes:
            probe.join(part, every)
