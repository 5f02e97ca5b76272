"""Plain networks: one differentiable surface, itself, which is also the judge."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from bench.adapters.losses import per_image_loss
from bench.errors import AdapterError, SpecError
from bench.spec import Loss, ModelSpec, Prediction


class Normalised(nn.Module):
    """A network behind its normalisation: images in [0, 1] to logits."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, net: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(-1, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits (N, classes) of images (N, C, H, W) in [0, 1]."""
        logits: torch.Tensor = self.net((x - self.mean) / self.std)
        return logits


@contextmanager
def eval_mode(module: nn.Module) -> Iterator[None]:
    """Put a module and all it holds in eval mode, and each part back as it was."""
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        yield
    finally:
        for part in training:
            part.training = True


def weights_digest(module: nn.Module) -> str:
    """Return 20 hex digits over the printed architecture and every weight and buffer of a module."""
    digest = hashlib.sha256(repr(module).encode())
    for name, value in sorted(module.state_dict().items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()[:20]


def surface_gradient(
    name: str,
    surfaces: Mapping[str, nn.Module],
    x: torch.Tensor,
    y: torch.Tensor,
    loss: Loss,
    surface: str | None,
) -> torch.Tensor:
    """Return the gradient of each image's loss on a surface of a model, (N, C, H, W).

    Args:
        name: of the model.
        surfaces: of the model.
        x: images (N, C, H, W) in [0, 1].
        y: labels, int64 (N,).
        loss: of `per_image_loss`.
        surface: which; None for the first.

    Raises:
        SpecError: there is no such surface.
    """
    surface = surface or next(iter(surfaces))
    if surface not in surfaces:
        raise SpecError(f"{name} has no surface {surface!r}; it has: {', '.join(surfaces)}")
    module = surfaces[surface]
    x = x.detach().clone().requires_grad_()
    with eval_mode(module), torch.enable_grad():
        total = per_image_loss(module(x), y, loss).sum()
        (gradient,) = torch.autograd.grad(total, x)
    return gradient


@dataclass(frozen=True, slots=True)
class NetworkAdapter:
    """An `nn.Module` from images in [0, 1] to logits, as a model of the benchmark."""

    spec: ModelSpec
    module: nn.Module

    def predict(self, x: torch.Tensor) -> Prediction:
        """Return the class of the largest logit, and the logits as scores."""
        with eval_mode(self.module), torch.no_grad():
            scores = self.module(x)
        return Prediction(scores.argmax(1), scores)

    def gradient(
        self, x: torch.Tensor, y: torch.Tensor, loss: Loss = "ce", surface: str | None = None
    ) -> torch.Tensor:
        """Return the gradient of each image's loss with respect to its pixels, (N, C, H, W).

        Raises:
            SpecError: a surface other than `network`.
        """
        return surface_gradient(self.spec.name, self.surfaces(), x, y, loss, surface)

    def surfaces(self) -> Mapping[str, nn.Module]:
        return {"network": self.module}

    def fingerprint(self) -> str:
        """Return a digest of the architecture's printed form and every weight and buffer."""
        return weights_digest(self.module)


def wrap(
    net: nn.Module,
    num_classes: int,
    input_shape: tuple[int, int, int],
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    name: str = "unnamed",
    data: str = "",
) -> NetworkAdapter:
    """Return a model of the benchmark made of any network that gives logits.

    Args:
        net: images (N, C, H, W), normalised where `mean` and `std` are given, to logits (N, classes).
        num_classes: how many logits it gives.
        input_shape: (C, H, W).
        mean: per channel, subtracted from images in [0, 1]; None where the network wants them raw.
        std: per channel, dividing them.
        name: what to call it; a registered model gets the name it is registered under.
        data: the data set it classifies; likewise.

    Raises:
        AdapterError: the network does not take such images, gives another number of scores, gives
            scores that are not finite, or gives probabilities instead of logits.
    """
    if (mean is None) != (std is None):
        raise AdapterError("wrap: give both mean and std, or neither")
    module = net if mean is None or std is None else Normalised(net, mean, std)
    _probe(module, num_classes, input_shape)
    spec = ModelSpec(
        name=name,
        family="network",
        data=data,
        input_shape=input_shape,
        num_classes=num_classes,
    )
    return NetworkAdapter(spec, module)


def looks_like_probabilities(scores: torch.Tensor) -> bool:
    """Return whether every row of scores (N, C) is a probability distribution."""
    sums = scores.sum(1)
    return bool(
        (scores.min() > -1e-5) & (scores.max() < 1 + 1e-5) & ((sums - 1).abs() < 1e-4).all()
    )


def _probe(module: nn.Module, num_classes: int, input_shape: tuple[int, int, int]) -> None:
    """Run two images through a network, so that a wrong one fails here and not hours later."""
    ramp = torch.linspace(0, 1, 2 * input_shape[0] * input_shape[1] * input_shape[2])
    x = ramp.view(2, *input_shape)
    parameter = next(module.parameters(), None)
    if parameter is not None:
        x = x.to(parameter.device)
    try:
        with eval_mode(module), torch.no_grad():
            scores = module(x)
    except (RuntimeError, ValueError, IndexError) as error:
        first = str(error).splitlines()[0]
        raise AdapterError(
            f"the network does not take images of shape {tuple(input_shape)}: {first}"
        ) from error
    if not isinstance(scores, torch.Tensor) or scores.shape != (2, num_classes):
        got = tuple(scores.shape[1:]) if isinstance(scores, torch.Tensor) else type(scores).__name__
        raise AdapterError(
            f"the network gives {got} an image, not num_classes={num_classes} logits; "
            f"set num_classes to what it gives"
        )
    if not scores.isfinite().all():
        raise AdapterError("the network gives scores that are not finite; check its weights")
    if num_classes > 1 and looks_like_probabilities(scores):
        raise AdapterError(
            "the network returns probabilities (its scores sum to 1); attacks need logits: "
            "leave out its final softmax"
        )
