"""Gaussian noise that an image brings with it, and a network's mean over draws of noise."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

#: How many noisy copies go through the network together; more would not fit into the processor's cache.
BLOCK = 100

#: How many draws the expected gradient averages, as in AutoAttack's version for random defences.
DRAWS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """Gaussian noise, drawn for each image by itself.

    Attributes:
        sigma: standard deviation, in pixel units of [0, 1]; noisy images are not clipped.
        seed: another seed gives other draws.
    """

    sigma: float
    seed: int = 0

    def blocks(self, image: torch.Tensor, purpose: str, n: int) -> Iterator[torch.Tensor]:
        """Yield n draws for an image (C, H, W), at most 100 at a time, (size, C, H, W).

        They are drawn on the CPU, so that all devices agree.

        Args:
            image: float32, in [0, 1].
            purpose: draws for two purposes are independent.
            n: number of draws.
        """
        digest = hashlib.blake2b(f"{self.seed} {purpose} ".encode(), digest_size=8)
        digest.update(image.detach().cpu().contiguous().numpy().tobytes())
        generator = torch.Generator().manual_seed(int.from_bytes(digest.digest(), "big"))
        for start in range(0, n, BLOCK):
            size = min(BLOCK, n - start)
            drawn = torch.randn((size, *image.shape), generator=generator)
            yield drawn.mul_(self.sigma).to(image.device)

    def draws(self, x: torch.Tensor, purpose: str, n: int) -> torch.Tensor:
        """Return n draws for each image of x (N, C, H, W), together (n, N, C, H, W)."""
        return torch.stack([torch.cat(list(self.blocks(image, purpose, n))) for image in x], dim=1)


class MeanOfDraws(nn.Module):
    """The logarithm of the mean probabilities over draws, new ones for each image seen.

    Its gradient is that of the expectation (EOT; Athalye et al., ICML 2018), or of one draw.

    Args:
        base: images to logits.
        noise: added to the images; None if the network draws its own.
        draws: number of draws.
        apart: whether each draw is a call of its own, for a network that draws once per call.
    """

    def __init__(
        self, base: nn.Module, noise: Noise | None, draws: int, apart: bool = False
    ) -> None:
        super().__init__()
        self.base, self.noise, self.count, self.apart = base, noise, draws, apart

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return log-probabilities (N, classes) of images (N, C, H, W) in [0, 1]."""
        if self.noise is None:
            # A copy each time, since the network may write into its input.
            copies = x.expand(self.count, *x.shape).clone()
        else:
            copies = x + self.noise.draws(x, f"{self.count} climbed", self.count)
        if self.apart:
            logits = torch.stack([self.base(part) for part in copies])
        else:
            parts = torch.split(copies.flatten(0, 1), BLOCK)
            logits = torch.cat([self.base(part) for part in parts]).view(self.count, len(x), -1)
        total: torch.Tensor = logits.log_softmax(2).logsumexp(0)
        return total - math.log(self.count)
