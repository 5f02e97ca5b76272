"""What a model is to the benchmark: its facts, its answers, and the interface behind which it stands."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, runtime_checkable

from bench.spec.words import Loss

if TYPE_CHECKING:
    import torch
    from torch import nn


_SEED = re.compile(r"-seed[1-9]\d*$")


def configuration(name: str) -> str:
    """Return the name that repeated trainings of a model share: its own without `-seedN`."""
    return _SEED.sub("", name)


class ModelName(NamedTuple):
    """The parts of the name of a model that is trained by a recipe, `data/model`.

    Attributes:
        data: the data set that it classifies.
        model: what it is called among the models of that; empty for a name without a slash.
    """

    data: str
    model: str

    @classmethod
    def read(cls, name: str) -> ModelName:
        """Return the parts of a name or a title."""
        data, _, model = name.partition("/")
        return cls(data, model)


class Prediction(NamedTuple):
    """What a model decides about a batch.

    Attributes:
        labels: int64 (N,), the decision; -1 where the model abstains or its vote is tied.
        scores: float32 (N, C), higher is more likely; what they are is `ModelSpec.scores`.
    """

    labels: torch.Tensor
    scores: torch.Tensor


class Certificate(NamedTuple):
    """What a model guarantees of its decisions about a batch.

    Attributes:
        labels: int64 (N,), the decision; -1 where the model abstains.
        radii: float64 (N,), in l2 and pixel units: no image nearer than that is decided otherwise;
            0 where the model abstains.
    """

    labels: torch.Tensor
    radii: torch.Tensor


class SequentialCertificate(NamedTuple):
    """What a model guarantees of its decisions about a batch, at some radii, and how many copies that took.

    Attributes:
        labels: int64 (N,), the decision; -1 where the model abstains.
        radii: float64 (N,), in l2 and pixel units, as in `Certificate`: above the largest of the radii asked
            for that is guaranteed, by no more than 1e-6; 0 where the model abstains.
        copies: int64 (N,), how many noisy copies of each image were looked at.
    """

    labels: torch.Tensor
    radii: torch.Tensor
    copies: torch.Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """What is known of a model without running it.

    Attributes:
        name: such as `cifar10/cnn`, with its options written out where they matter.
        family: a name of `bench.train.families`; it decides how a model is judged.
        data: the data set it classifies.
        input_shape: (C, H, W) of one image.
        scores: whether `Prediction.scores` are logits or probabilities.
    """

    name: str
    family: str
    data: str
    input_shape: tuple[int, int, int]
    num_classes: int
    scores: Literal["logits", "probabilities"] = "logits"


@runtime_checkable
class Adapter(Protocol):
    """One model behind the common interface; images are float32 (N, C, H, W) in [0, 1]."""

    @property
    def spec(self) -> ModelSpec: ...

    def predict(self, x: torch.Tensor) -> Prediction:
        """Return the model's real decision; only this judges an attack."""
        ...

    def gradient(
        self, x: torch.Tensor, y: torch.Tensor, loss: Loss = "ce", surface: str | None = None
    ) -> torch.Tensor:
        """Return the gradient of each image's own loss, (N, C, H, W); an attack follows it."""
        ...

    def surfaces(self) -> Mapping[str, nn.Module]:
        """Return the differentiable views an attack may use: name to module, images to logits."""
        ...

    def fingerprint(self) -> str:
        """Return a text that changes whenever weights or settings change."""
        ...


@runtime_checkable
class Certifier(Adapter, Protocol):
    """A model that guarantees its decisions."""

    def certify(self, x: torch.Tensor, n0: int, n: int, alpha: float) -> Certificate:
        """Return decisions and radii from n0 + n noisy copies; wrong with probability alpha."""
        ...


@runtime_checkable
class SequentialCertifier(Certifier, Protocol):
    """A model that guarantees its decisions at given radii, from no more noisy copies than these take."""

    def certify_at(
        self, x: torch.Tensor, radii: Sequence[float], n0: int, n: int, alpha: float
    ) -> SequentialCertificate:
        """Return decisions and radii from at most n0 + n noisy copies; wrong with probability alpha."""
        ...


@runtime_checkable
class Random(Adapter, Protocol):
    """A model whose answers vary from call to call, so that several draws of them are asked for."""

    @property
    def draws(self) -> int: ...

    def answers(self, x: torch.Tensor, purpose: str) -> torch.Tensor:
        """Return the labels of independent draws, int64 (draws, N); others for another purpose."""
        ...
