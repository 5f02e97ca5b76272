"""Randomized smoothing: the class that a network gives to most noisy copies of an image.

Cohen, Rosenfeld and Kolter, Certified Adversarial Robustness via Randomized Smoothing (ICML 2019).
The noise of an image is drawn on the CPU from its bytes, a purpose and a seed, and copies of two images
never share a batch. So votes and certificates depend neither on the batch nor on the order of images,
to the last bit.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from bench.adapters.certificates import (
    check_enough,
    least_copies,
    least_votes,
    lower_bound,
    radius,
    separated,
)
from bench.adapters.modes import eval_mode
from bench.adapters.network import network_digest, surface_gradient
from bench.errors import SpecError
from bench.registry import users_code
from bench.spec import (
    EXPECTED_SURFACE,
    NOISELESS_SURFACE,
    ONE_DRAW_SURFACE,
    Certificate,
    Loss,
    ModelSpec,
    Prediction,
)

#: How many noisy copies go through the network together; more would not fit into the processor's cache.
_BLOCK = 100

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
        for start in range(0, n, _BLOCK):
            size = min(_BLOCK, n - start)
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
            parts = torch.split(copies.flatten(0, 1), _BLOCK)
            logits = torch.cat([self.base(part) for part in parts]).view(self.count, len(x), -1)
        total: torch.Tensor = logits.log_softmax(2).logsumexp(0)
        return total - math.log(self.count)


@dataclass(frozen=True, slots=True, kw_only=True)
class SmoothedAdapter:
    """A smoothed network, as a model of the benchmark.

    Attributes:
        base: images (N, C, H, W) in [0, 1] to logits.
        noise: added to the images.
        n: number of noisy copies that vote on an image.
        alpha: the allowed probability that a decision is not the likeliest class; where it would be
            exceeded, the model abstains.
        recipe: whether Crossfire trained the network by a recipe, see `network_digest`.
    """

    spec: ModelSpec
    base: nn.Module
    noise: Noise
    n: int
    alpha: float
    recipe: bool = False

    @users_code()
    def predict(self, x: torch.Tensor) -> Prediction:
        """Return the class with most votes, -1 if it is not clearly ahead, and the shares (PREDICT)."""
        votes = self._votes(x, "vote", self.n)
        abstains = ~torch.from_numpy(separated(votes.cpu().numpy(), self.alpha)).to(x.device)
        return Prediction(votes.argmax(1).masked_fill(abstains, -1), votes.float() / self.n)

    @users_code()
    def certify(
        self, x: torch.Tensor, n0: int = 100, n: int = 1000, alpha: float = 0.001
    ) -> Certificate:
        """Return the decision about each image and the l2 radius in which it is guaranteed (CERTIFY).

        Args:
            x: images, float32 (N, C, H, W) in [0, 1].
            n0: number of noisy copies that choose the class.
            n: number of further copies that bound its share.
            alpha: the allowed probability that a guarantee is wrong.

        Raises:
            SpecError: a number of copies below 1, an alpha outside (0, 1), or so few copies that
                nothing can be certified.
        """
        check_sampling(self.spec.name, alpha, n0=n0, n=n)
        check_enough(self.spec.name, n, alpha, least_copies(alpha), "certified")
        chosen = self._votes(x, "selection", n0).argmax(1, keepdim=True)
        votes = self._votes(x, "estimate", n).gather(1, chosen).squeeze(1)
        share = lower_bound(votes.cpu().numpy(), n, alpha)
        radii = torch.from_numpy(radius(share, self.noise.sigma)).to(x.device)
        return Certificate(chosen.squeeze(1).masked_fill(radii <= 0, -1), radii)

    def gradient(
        self, x: torch.Tensor, y: torch.Tensor, loss: Loss = "ce", surface: str | None = None
    ) -> torch.Tensor:
        """Return the gradient of each image's loss on a surface, (N, C, H, W).

        Raises:
            SpecError: there is no such surface.
        """
        return surface_gradient(self.spec.name, self.surfaces(), x, y, loss, surface)

    def surfaces(self) -> Mapping[str, nn.Module]:
        """Return the mean over draws of the noise, a single draw, and the network without noise.

        The mean comes first, so that an attack that names no surface is not one through a single draw.
        Both draw new noise at every step of an attack, so finite differences cannot check them.
        """
        return {
            EXPECTED_SURFACE: MeanOfDraws(self.base, self.noise, DRAWS),
            ONE_DRAW_SURFACE: MeanOfDraws(self.base, self.noise, 1),
            NOISELESS_SURFACE: self.base,
        }

    def registered(self, name: str, data: str, ours: bool) -> SmoothedAdapter:
        """Return the model under its registered name; see `bench.adapters.abilities.Registrable`."""
        spec = dataclasses.replace(self.spec, name=name, data=data)
        return dataclasses.replace(self, spec=spec, recipe=ours)

    @property
    def per_call(self) -> bool:
        """Return False: noise is drawn for each image by itself."""
        return False

    def facts(self) -> dict[str, Any]:
        """Return the standard deviation of the noise, as `sigma`."""
        return {"sigma": self.noise.sigma}

    def fingerprint(self) -> str:
        """Return a digest of the weights and all settings."""
        digest = hashlib.sha256(network_digest(self.base, self.recipe).encode())
        digest.update(f"{self.noise!r} {self.n} {self.alpha} {DRAWS} {_BLOCK}".encode())
        return digest.hexdigest()[:20]

    def _votes(self, x: torch.Tensor, purpose: str, n: int) -> torch.Tensor:
        """Return how many of n noisy copies of each image get each class, int64 (N, C)."""
        classes = self.spec.num_classes
        votes = torch.zeros(len(x), classes, dtype=torch.int64, device=x.device)
        with eval_mode(self.base), torch.no_grad():
            for image, row in zip(x, votes, strict=True):
                for noise in self.noise.blocks(image, purpose, n):
                    labels = self.base(noise.add_(image)).argmax(1)
                    row += torch.bincount(labels, minlength=classes)
        return votes


def check_sampling(name: str, alpha: object, **counts: object) -> None:
    """Raise unless counts are whole numbers from 1 and alpha lies in (0, 1).

    Raises:
        SpecError: one is not.
    """
    for parameter, count in counts.items():
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise SpecError(f"{name}: {parameter}={count!r} is not a whole number from 1")
    if isinstance(alpha, bool) or not isinstance(alpha, int | float) or not 0 < alpha < 1:
        raise SpecError(f"{name}: alpha={alpha!r} is not a number between 0 and 1")


def _check_sigma(name: str, sigma: object) -> None:
    if isinstance(sigma, bool) or not isinstance(sigma, int | float) or not 0 < sigma < 100:
        raise SpecError(f"{name}: sigma={sigma!r} is not a number above 0 and below 100")


def smooth(
    spec: ModelSpec,
    base: nn.Module,
    sigma: float,
    n: int = 100,
    alpha: float = 0.001,
    seed: int = 0,
) -> SmoothedAdapter:
    """Return a network smoothed by Gaussian noise, as a model of the benchmark.

    Args:
        spec: of the network; the smoothed model takes its name.
        base: images (N, C, H, W) in [0, 1] to logits, trained under the same noise.
        sigma: standard deviation of the noise, in pixel units of [0, 1].
        n: number of noisy copies that vote on an image.
        alpha: the allowed probability that a decision is not the likeliest class.
        seed: of the noise.

    Raises:
        SpecError: a number out of range.
    """
    check_sampling(spec.name, alpha, n=n)
    check_enough(spec.name, n, alpha, least_votes(alpha), "decided")
    _check_sigma(spec.name, sigma)
    smoothed = ModelSpec(
        name=spec.name, family="smoothed", data=spec.data, input_shape=spec.input_shape,
        num_classes=spec.num_classes, scores="probabilities",
    )  # fmt: skip
    noise = Noise(sigma=float(sigma), seed=seed)
    return SmoothedAdapter(spec=smoothed, base=base, noise=noise, n=n, alpha=float(alpha))
