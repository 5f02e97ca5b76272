"""What the attack sees of a model: its decision, the networks inside it, and what answers a query."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from bench.adapters.passes import images_at_once
from bench.adapters.random import RandomAdapter
from bench.attacks.instrument import Probe
from bench.attacks.native.adaptive.budget import Budget
from bench.spec import EXPECTED_SURFACE, ONE_DRAW_SURFACE, Adapter, Random

#: The purpose of the draws by which a random model is attacked: others than those that judge the images.
_DRAWS = "adaptive"


class _Decided(nn.Module):
    """The decisions of a model: images to scores (N, C) and, in a last column, labels."""

    def __init__(self, net: nn.Module, adapter: Adapter | None) -> None:
        super().__init__()
        self.net, self.adapter = net, adapter

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            if self.adapter is None:
                scores = self.net(x.detach().clone()).float()
                labels = scores.argmax(1)
            elif isinstance(self.adapter, Random):
                drawn = self.adapter.answers(x.detach(), _DRAWS)
                labels, scores = _counted(drawn, self.adapter.spec.num_classes)
            else:
                labels, scores = self.adapter.predict(x.detach())
        return torch.cat([scores.float(), labels[:, None].float()], dim=1)


def _counted(drawn: torch.Tensor, classes: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the most frequent label of draws (draws, N), and the share of each class (N, C)."""
    named = drawn.masked_fill(drawn < 0, classes).T
    votes = torch.zeros(len(named), classes + 1, device=drawn.device)
    votes.scatter_add_(1, named, torch.ones_like(named, dtype=votes.dtype))
    most = votes.argmax(1)
    return most.masked_fill(most == classes, -1), votes[:, :classes] / len(drawn)


class _Asked(nn.Module):
    """The scores of a model for one query: of a random one from a single draw, without a gradient."""

    def __init__(self, adapter: Adapter) -> None:
        super().__init__()
        self.adapter = adapter.inner if isinstance(adapter, RandomAdapter) else adapter

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.adapter.predict(x.detach()).scores.detach()


class Model:
    """A model under attack, and the images attacked.

    Attributes:
        x, y: the images (N, C, H, W) and their labels (N,).
        random: whether its decision is a vote of draws.
        votes: whether a decision takes many passes inside, and has a differentiable mean instead.
        abstaining_is_wrong: whether an abstention is a wrong answer.
        surfaces: its differentiable views by name; of a random one the mean over draws, not a single one.
        networks: the modules, images to scores, in which gradients may be made to flow.
        draws: how many answers of a network or of `asked` are averaged.
    """

    def __init__(self, net: nn.Module, x: torch.Tensor, y: torch.Tensor, budget: Budget) -> None:
        self.x, self.y = x, y
        adapter: Any = getattr(net, "adapter", None)
        self.random = isinstance(adapter, Random)
        self.abstaining_is_wrong = bool(getattr(net, "may_abstain", True))
        inside: Mapping[str, nn.Module] = getattr(net, "networks", {})
        surfaces: Mapping[str, nn.Module] = getattr(net, "surfaces", {})
        if adapter is None:
            inside = surfaces = {"network": net}
        one_draw = {ONE_DRAW_SURFACE} if EXPECTED_SURFACE in surfaces else set()
        self.surfaces = {name: view for name, view in surfaces.items() if name not in one_draw}
        self.votes = EXPECTED_SURFACE in surfaces
        self.networks = {name: view for name, view in inside.items() if name != EXPECTED_SURFACE}
        self.draws = 8 if self.random else 1
        self._decided = budget.probe(_Decided(net, adapter))
        self._decided.watch_scores = True
        asked = self.surfaces.get(EXPECTED_SURFACE)
        if asked is None:
            asked = net if adapter is None else _Asked(adapter)
        self.asked: Probe = budget.probe(asked)
        self.asked.watch_scores = True

    def decide(self, images: torch.Tensor, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return labels (n,) and scores (n, C) of images of some rows (n,), int64 on the CPU.

        The scores of a random model are the shares of its draws.
        """
        together = images_at_once(images.shape[1:])
        parts = []
        for at, some in zip(
            torch.split(rows, together), torch.split(images, together), strict=True
        ):
            with self._decided.playing(at):
                parts.append(self._decided(some))
        answer = torch.cat(parts)
        return answer[:, -1].long(), answer[:, :-1]
