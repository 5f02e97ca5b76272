"""Plain networks: one differentiable surface, itself, which is also the judge."""

from __future__ import annotations

import dataclasses
import hashlib
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn
from torch.nn.modules.lazy import LazyModuleMixin

from bench.adapters.fingerprint import fingerprint
from bench.adapters.forms import as_logits
from bench.adapters.losses import per_image_loss
from bench.adapters.modes import eval_mode
from bench.adapters.outputs import logits_of, looks_like_probabilities, shape_of
from bench.errors import AdapterError, SpecError
from bench.registry import users_code
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


def weights_digest(module: nn.Module) -> str:
    """Return 20 hex digits over the printed architecture and every weight and buffer of a module."""
    digest = hashlib.sha256(repr(module).encode())
    for name, value in sorted(module.state_dict().items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()[:20]


def network_digest(module: nn.Module, recipe: bool) -> str:
    """Return 20 hex digits that identify a network.

    Args:
        module: the network.
        recipe: whether it is one of Crossfire's own, as those trained by a recipe. Then its weights and
            printed architecture identify it (stored cells depend on that). For a user's network everything
            counts.

    Raises:
        AdapterError: a weight that cannot be read.
    """
    return weights_digest(module) if recipe else fingerprint(module)


@users_code()
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
        loss: a loss of `per_image_loss`.
        surface: which surface; None for the first.

    Raises:
        SpecError: there is no such surface, or none at all.
    """
    if surface is None and not surfaces:
        raise SpecError(f"{name} has no gradient with respect to its images")
    surface = surface or next(iter(surfaces))
    if surface not in surfaces:
        names = ", ".join(surfaces) or "none"
        raise SpecError(f"{name} has no surface {surface!r}; it has: {names}")
    module = surfaces[surface]
    x = x.detach().clone().requires_grad_()
    with eval_mode(module), torch.enable_grad():
        # A copy, since the module may write into its input.
        total = per_image_loss(module(x.clone()).float(), y, loss).sum()
        (gradient,) = torch.autograd.grad(total, x)
    return gradient


@dataclass(frozen=True, slots=True)
class NetworkAdapter:
    """An `nn.Module` from images in [0, 1] to logits, as a model of the benchmark.

    Attributes:
        differentiable: whether its logits have a gradient with respect to the image; if not, it has
            no surface.
        recipe: whether it is one of Crossfire's own, see `network_digest`.
    """

    spec: ModelSpec
    module: nn.Module
    differentiable: bool = True
    recipe: bool = False

    @users_code()
    def predict(self, x: torch.Tensor) -> Prediction:
        """Return the class of the largest logit, and the logits as scores.

        Raises:
            AdapterError: the network gives something other than a tensor.
        """
        with eval_mode(self.module), torch.no_grad():
            # Copy both: some networks write into their input, or return the same tensor every time.
            scores = logits_of(self.module(x.clone())).to(torch.float32, copy=True)
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
        return {"network": self.module} if self.differentiable else {}

    def registered(self, name: str, data: str, ours: bool) -> NetworkAdapter:
        """Return the model under its registered name; see `bench.adapters.abilities.Registrable`."""
        spec = dataclasses.replace(self.spec, name=name, data=data)
        return dataclasses.replace(self, spec=spec, recipe=ours)

    @users_code()
    def fingerprint(self) -> str:
        """Return a digest of everything in the network that can change an answer.

        Raises:
            AdapterError: a weight that cannot be read.
        """
        return network_digest(self.module, self.recipe)


def wrap(
    net: nn.Module,
    num_classes: int,
    input_shape: tuple[int, int, int],
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    name: str = "unnamed",
    data: str = "",
) -> NetworkAdapter:
    """Return a model of the benchmark from any network that gives logits.

    Images are cast to the precision of its weights where it needs that. Logits may also be the only part of
    their shape of a tuple, dict or dataclass, or its part `logits`; and one logit for two classes.

    Args:
        net: images (N, C, H, W), normalised where `mean` and `std` are given, to logits (N, classes).
        num_classes: number of classes.
        input_shape: (C, H, W).
        mean: per channel, subtracted from images in [0, 1]; None if the network takes them as they are.
        std: per channel, the divisor after that.
        name: the model's name; a registered model gets the name it is registered under.
        data: the data set it classifies; likewise.

    Raises:
        AdapterError: the network does not take such images, gives another number of scores, gives
            scores that are not finite, or gives probabilities instead of logits.
    """
    if not isinstance(net, nn.Module):
        raise AdapterError(
            f"wrap: got {_named(net)}, not an nn.Module; call it in the forward of an nn.Module that has "
            f"its networks as attributes, or wrap it with bench.wrap_predict if it can only predict"
        )
    if (mean is None) != (std is None):
        raise AdapterError("wrap: give both mean and std, or neither")
    num_classes, input_shape = shape_of("wrap", num_classes, input_shape)
    if num_classes < 2:
        raise AdapterError("wrap: num_classes=1; a network with one logit has num_classes=2")
    behind = _as_it_is if mean is None or std is None else partial(Normalised, mean=mean, std=std)
    module, differentiable = _probe(net, behind, num_classes, input_shape)
    spec = ModelSpec(
        name=name,
        family="network",
        data=data,
        input_shape=input_shape,
        num_classes=num_classes,
    )
    return NetworkAdapter(spec, module, differentiable)


def _named(thing: object) -> str:
    return f"the class {thing.__name__}" if isinstance(thing, type) else f"a {type(thing).__name__}"


def _as_it_is(net: nn.Module) -> nn.Module:
    return net


@users_code()
def _probe(
    net: nn.Module,
    behind: Callable[[nn.Module], nn.Module],
    num_classes: int,
    input_shape: tuple[int, int, int],
) -> tuple[nn.Module, bool]:
    """Run two images through a network, so that a wrong one fails here and not hours later.

    Returns:
        A module that gives its logits, see `as_logits`; whether they have a gradient with respect to the images.
    """
    ramp = torch.linspace(0, 1, 2 * input_shape[0] * input_shape[1] * input_shape[2])
    x = ramp.view(2, *input_shape)
    parameter = next(net.parameters(), None)
    if any(weight.is_meta for weight in (*net.parameters(), *net.buffers())):
        raise AdapterError(
            "the network is on the meta device, where weights have no values; load them"
        )
    if parameter is not None:
        x = x.to(parameter.device)
    with _attributes_kept(net):
        module, scores = as_logits(net, behind, num_classes, x)
        _check_scores(scores, num_classes)
        return module, _has_gradient(module, x)


@contextmanager
def _attributes_kept(module: nn.Module) -> Iterator[None]:
    """Restore every attribute at the end, since some networks store what they last computed.

    Otherwise their fingerprint would depend on the last images and on the processor.
    """
    parts = list(module.modules())
    lazy = any(isinstance(part, LazyModuleMixin) for part in parts)
    before = [dict(vars(part)) for part in parts]
    try:
        yield
    finally:
        for part, held in zip(parts, before, strict=True):
            if not lazy:  # a lazy layer takes its shape from the first call
                vars(part).clear()
                vars(part).update(held)


def _check_scores(scores: torch.Tensor, num_classes: int) -> None:
    """Raise unless the scores of two images are logits of so many classes."""
    if scores.shape == (2,) and not scores.is_floating_point():
        raise AdapterError(
            "the network gives one whole number an image, a label; attacks need logits, before any argmax, or wrap "
            "it with bench.wrap_predict as a model that gives labels alone"
        )
    if scores.shape != (2, num_classes):
        raise AdapterError(
            f"the network gives {tuple(scores.shape[1:])} an image, not num_classes={num_classes} "
            f"logits; set num_classes to what it gives"
        )
    if not scores.is_floating_point():
        raise AdapterError(
            f"the network gives {scores.dtype}; attacks need logits, before any argmax"
        )
    if not scores.isfinite().all():
        raise AdapterError("the network gives scores that are not finite; check its weights")
    if looks_like_probabilities(scores):
        raise AdapterError(
            "the network returns probabilities (its scores sum to 1); attacks need logits: "
            "leave out its final softmax"
        )


def _has_gradient(module: nn.Module, x: torch.Tensor) -> bool:
    """Return whether torch can differentiate the logits with respect to the images.

    It cannot for quantised networks, or if the network computes under `no_grad`.
    """
    x = x.clone().requires_grad_()
    try:
        with eval_mode(module), torch.enable_grad():
            scores = logits_of(module(x.clone()))
            if not scores.requires_grad:
                return False
            with (
                warnings.catch_warnings()
            ):  # torch warns that there is no gradient, which is the question
                warnings.simplefilter("ignore")
                (gradient,) = torch.autograd.grad(scores.sum(), x, allow_unused=True)
    except (RuntimeError, NotImplementedError):
        return False
    except Exception:  # a fault in the network itself, which its cells will report
        return True
    return gradient is not None
