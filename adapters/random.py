"""Models whose answers vary from call to call: judged by repeated draws, so that rows repeat.

The draws of an image are seeded by its bytes, so that a decision depends on no other image.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from bench.adapters.abilities import TellsFacts
from bench.adapters.generators import device_of, seeded
from bench.adapters.network import surface_gradient
from bench.adapters.noise import DRAWS, MeanOfDraws
from bench.spec import EXPECTED_SURFACE, ONE_DRAW_SURFACE, Adapter, Loss, ModelSpec, Prediction

#: How many answers decide about an image.
VOTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomAdapter:
    """A model whose answers vary from call to call, as a model of the benchmark.

    Attributes:
        inner: the user's model.
        per_call: whether the images of one call share a draw, so that each draw needs a call of its
            own.
        draws: how many answers decide about an image.
    """

    inner: Adapter
    per_call: bool
    draws: int = VOTES

    @property
    def spec(self) -> ModelSpec:
        """Return the facts of the model; its scores are mean probabilities."""
        return dataclasses.replace(self.inner.spec, scores="probabilities")

    def answers(self, x: torch.Tensor, purpose: str) -> torch.Tensor:
        """Return the labels of independent draws for each image, int64 (draws, N).

        The same image and purpose give the same labels, unless the model draws from a random
        generator of its own (not that of torch, numpy's global one or that of `random`).

        Args:
            x: images, float32 (N, C, H, W) in [0, 1].
            purpose: draws for two purposes are independent.
        """
        labels = [drawn.labels for drawn in self._drawn(x, purpose)]
        if not labels:
            return torch.zeros(self.draws, 0, dtype=torch.int64, device=x.device)
        return torch.stack(labels, dim=1)

    def predict(self, x: torch.Tensor) -> Prediction:
        """Return the most frequent label of the draws and the mean of their probabilities.

        Ties go to the lowest class, and to a class rather than to an abstention (-1).
        """
        classes = self.spec.num_classes
        labels = torch.zeros(len(x), dtype=torch.int64, device=x.device)
        scores = torch.zeros(len(x), classes, device=x.device)
        for i, drawn in enumerate(self._drawn(x, "judge")):
            named = drawn.labels.masked_fill(drawn.labels < 0, classes)
            most = torch.bincount(named, minlength=classes + 1).argmax()
            labels[i] = torch.where(most == classes, -1, most)
            logits = self.inner.spec.scores == "logits"
            scores[i] = (drawn.scores.softmax(1) if logits else drawn.scores).mean(0)
        return Prediction(labels, scores)

    def gradient(
        self, x: torch.Tensor, y: torch.Tensor, loss: Loss = "ce", surface: str | None = None
    ) -> torch.Tensor:
        """Return the gradient of each image's loss on a surface, (N, C, H, W).

        Raises:
            SpecError: there is no such surface, or none at all.
        """
        surfaces = self.surfaces()
        if not surfaces:
            return self.inner.gradient(x, y, loss, surface)  # raises the right error
        return surface_gradient(self.spec.name, surfaces, x, y, loss, surface)

    def surfaces(self) -> Mapping[str, nn.Module]:
        """Return the mean over draws of the model's first surface, and a single draw of it.

        If the model has several surfaces, the others follow under their own names, as means too. Draws
        come from the global generators, which an attack seeds.
        """
        own = dict(self.inner.surfaces())
        if not own:
            return {}
        first = own.pop(next(iter(own)))
        mean = {name: MeanOfDraws(net, None, DRAWS, self.per_call) for name, net in own.items()}
        expected = MeanOfDraws(first, None, DRAWS, self.per_call)
        return {EXPECTED_SURFACE: expected, ONE_DRAW_SURFACE: first, **mean}

    def facts(self) -> dict[str, Any]:
        """Return how many draws judge an image, as `draws`, and the facts of the user's model."""
        own = self.inner.facts() if isinstance(self.inner, TellsFacts) else {}
        return {**own, "draws": self.draws}

    def fingerprint(self) -> str:
        """Return a digest of the model and of how it is judged."""
        # If the model's own fingerprint includes answers, they have to repeat.
        with seeded(0, device_of(self.inner)):
            return self.judging(self.inner.fingerprint())

    def judging(self, inner: str) -> str:
        """Return the fingerprint of a model judged by draws; `inner` is the model's own."""
        digest = hashlib.sha256(inner.encode())
        digest.update(f"random {self.draws} {DRAWS} {self.per_call}".encode())
        return digest.hexdigest()[:20]

    def _drawn(self, x: torch.Tensor, purpose: str) -> Iterator[Prediction]:
        """Yield all draws for each image: labels (draws,) and scores (draws, C).

        Each image goes through the model alone: in a batch of another size it would be rounded
        differently and get other draws.
        """
        for image in x.detach():
            with seeded(_seed(image, purpose), x.device):
                # A copy each time, since the model may write into its input.
                if self.per_call:
                    answers = [self.inner.predict(image[None].clone()) for _ in range(self.draws)]
                    drawn = Prediction(
                        torch.cat([answer.labels for answer in answers]),
                        torch.cat([answer.scores for answer in answers]),
                    )
                else:
                    drawn = self.inner.predict(image.expand(self.draws, *image.shape).clone())
            yield drawn


def _seed(image: torch.Tensor, purpose: str) -> int:
    """Return the seed of an image's draws, computed from its bytes."""
    digest = hashlib.blake2b(f"{purpose} ".encode(), digest_size=7)
    digest.update(image.cpu().contiguous().numpy().tobytes())
    return int.from_bytes(digest.digest(), "big")
