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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
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
from bench.adapters.noise import BLOCK, DRAWS, MeanOfDraws, Noise
from bench.adapters.stopping import Stopping, choosing, stopping
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
    SequentialCertificate,
)


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

    @users_code()
    def certify_at(
        self,
        x: torch.Tensor,
        radii: Sequence[float],
        n0: int = 100,
        n: int = 1000,
        alpha: float = 0.001,
    ) -> SequentialCertificate:
        """Return which radii are guaranteed for each image, from as few noisy copies as decide that.

        A certificate is wrong with probability at most alpha, over the noise of its image, whatever ended
        it: so of all images asked for, on average at most a share alpha has a wrong one. The share certified
        within each of the radii is that of `certify` to a few tenths of a point, which takes all copies and
        gives larger radii; see `bench.adapters.stopping`. The copies are the first of those that `certify` takes.

        Args:
            x: images, float32 (N, C, H, W) in [0, 1].
            radii: in l2 and pixel units, above 0, in any order.
            n0: number of noisy copies that choose the class, at most; fewer where it is clearly ahead.
            n: number of further copies, at most.
            alpha: the allowed probability that a guarantee is wrong.

        Raises:
            SpecError: as `certify`, or a radius that is no number above 0.
        """
        check_sampling(self.spec.name, alpha, n0=n0, n=n)
        check_enough(self.spec.name, n, alpha, least_copies(alpha), "certified")
        _check_radii(self.spec.name, radii)
        rule = stopping(tuple(map(float, radii)), self.noise.sigma, n, alpha)
        labels, proven, copies = [], [], []
        with eval_mode(self.base), torch.no_grad():
            for image in x:
                label, chosen_by = self._chosen(image, n0)
                reached, decided_by = self._proven(image, label, rule)
                labels.append(label if reached > 0 else -1)
                proven.append(reached)
                copies.append(chosen_by + decided_by)
        return SequentialCertificate(
            torch.tensor(labels, dtype=torch.int64, device=x.device),
            torch.tensor(proven, dtype=torch.float64, device=x.device),
            torch.tensor(copies, dtype=torch.int64, device=x.device),
        )

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
        digest.update(f"{self.noise!r} {self.n} {self.alpha} {DRAWS} {BLOCK}".encode())
        return digest.hexdigest()[:20]

    def _votes(self, x: torch.Tensor, purpose: str, n: int) -> torch.Tensor:
        """Return how many of n noisy copies of each image get each class, int64 (N, C)."""
        classes = self.spec.num_classes
        votes = torch.zeros(len(x), classes, dtype=torch.int64, device=x.device)
        with eval_mode(self.base), torch.no_grad():
            for image, row in zip(x, votes, strict=True):
                for labels in self._labels(image, purpose, n):
                    row += torch.bincount(labels, minlength=classes)
        return votes

    def _labels(
        self, image: torch.Tensor, purpose: str, n: int, looks: Sequence[int] = ()
    ) -> Iterator[torch.Tensor]:
        """Yield the classes of n noisy copies of an image, in parts, each up to a look if not to less.

        The copies are the same whatever the looks are.
        """
        before = 0
        for noise in self.noise.blocks(image, purpose, n):
            within = [look - before for look in looks if before < look < before + len(noise)]
            for copies in noise.add_(image).tensor_split(within):
                yield self.base(copies).argmax(1)
            before += len(noise)

    def _chosen(self, image: torch.Tensor, n0: int) -> tuple[int, int]:
        """Return the class that most copies of an image get, and from how many it was chosen."""
        votes, clear = np.zeros(self.spec.num_classes, np.int64), choosing(n0)
        for labels in self._labels(image, "selection", n0, tuple(clear)):
            votes += np.bincount(labels.cpu().numpy(), minlength=len(votes))
            if np.partition(votes, -2)[-2] <= clear.get(int(votes.sum()), -1):
                break
        return int(votes.argmax()), int(votes.sum())

    def _proven(self, image: torch.Tensor, label: int, rule: Stopping) -> tuple[float, int]:
        """Return the largest radius that is proven for an image, 0 if none is, and by how many copies."""
        copies = misses = radii = 0
        for labels in self._labels(image, "estimate", int(rule.looks[-1]), rule.looks.tolist()):
            copies += len(labels)
            misses += int((labels != label).sum())
            radii, ended = rule.after(copies, misses, radii)
            if ended:
                break
        return float(rule.radii[radii - 1]) if radii else 0.0, copies


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


def _check_radii(name: str, radii: Sequence[float]) -> None:
    if isinstance(radii, str | int | float):
        raise SpecError(f"{name}: radii={radii!r} is not a list of numbers, such as [0.25, 0.5]")
    for each in radii:
        if isinstance(each, bool | str) or not 0 < each < math.inf:
            raise SpecError(f"{name}: radius {each!r} is not a number above 0")


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
