"""What networks take and give, and how it becomes float32 images and logits (N, classes)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from bench.adapters.modes import eval_mode
from bench.errors import AdapterError

#: How many images, and of which size their values are, tell the only score of a network from a probability.
_MORE, _FAR = 14, 1000

#: What torch raises where a network does not take what it is given.
_MISFITS = (RuntimeError, ValueError, IndexError)


class Cast(nn.Module):
    """A network whose weights are not float32, and that gets its images in their precision."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: torch.Tensor) -> Any:
        """Return what the network gives for images (N, C, H, W)."""
        weight = next(weight for weight in self.net.parameters() if weight.is_floating_point())
        return self.net(x.to(weight.dtype))


class Logits(nn.Module):
    """A network that gives its logits among other things, or one logit for two classes.

    Attributes:
        part: the place or the name of the logits in the network's output; None if they are all of it.
        binary: whether it gives one logit, z, that of the second of two classes: read as (0, z), whose
            softmax is the sigmoid of z.
    """

    def __init__(self, net: nn.Module, part: str | int | None, binary: bool) -> None:
        super().__init__()
        self.net, self.part, self.binary = net, part, binary

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits (N, classes) of images (N, C, H, W), in the precision of these."""
        output = self.net(x)
        logits: torch.Tensor = output if self.part is None else _parts(output)[self.part]
        logits = logits.to(x.dtype)
        if not self.binary:
            return logits
        one = logits.reshape(-1, 1)
        return torch.cat([torch.zeros_like(one), one], 1)


def as_logits(
    net: nn.Module, behind: Callable[[nn.Module], nn.Module], num_classes: int, x: torch.Tensor
) -> tuple[nn.Module, torch.Tensor]:
    """Return a module that gives logits, made of a network, and its logits of two images.

    Most networks do already; others are put into `Cast` or `Logits`.

    Args:
        net: the network.
        behind: puts a network behind its normalisation.
        num_classes: the number of classes.
        x: two images, (2, C, H, W).

    Raises:
        AdapterError: it does not take such images, or it does not say which part of its output are logits.
    """
    inner, output = _called_in_its_precision(net, behind, x)
    part = _part(output, num_classes)
    logits = output if part is None else _parts(output)[part]
    binary = _is_one_logit(logits, num_classes)
    if inner is net and part is None and not binary:
        return behind(net), logits
    module = behind(Logits(inner, part, binary))
    if binary:
        _check_no_sigmoid(module, x)
    return module, _called(module, x)


def _called(module: nn.Module, x: torch.Tensor) -> Any:
    with eval_mode(module), torch.no_grad():
        return module(x.clone())


def _called_in_its_precision(
    net: nn.Module, behind: Callable[[nn.Module], nn.Module], x: torch.Tensor
) -> tuple[nn.Module, Any]:
    """Return a network, behind a cast where it takes no float32 images, and its output."""
    try:
        return net, _called(behind(net), x)
    except _MISFITS as error:
        first = _first(error)
    dtypes = {weight.dtype for weight in net.parameters() if weight.is_floating_point()}
    if len(dtypes) == 1 and torch.float32 not in dtypes:
        inner = Cast(net)
        try:
            return inner, _called(behind(inner), x)
        except _MISFITS as error:
            first = _first(error)
    elif len(dtypes) > 1:
        names = " and ".join(sorted(map(str, dtypes)))
        raise AdapterError(
            f"the network's weights are {names}, images are float32 ({first}); call .float() on it, or cast "
            f"in its forward"
        )
    raise AdapterError(f"the network does not take images of shape {tuple(x.shape[1:])}: {first}")


def _first(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()] or ["no message"]
    return lines[-1] if "TorchScript interpreter" in lines[0] else lines[0]


def _parts(output: Any) -> dict[str | int, Any]:
    """Return the parts of an output that is no tensor, by name or place; none where it has none."""
    if isinstance(output, Mapping):
        return dict(output.items())
    if isinstance(output, tuple | list):
        return dict(enumerate(output))
    if dataclasses.is_dataclass(output):
        return {field.name: getattr(output, field.name) for field in dataclasses.fields(output)}
    return {"logits": output.logits} if hasattr(output, "logits") else {}


def _part(output: Any, num_classes: int) -> str | int | None:
    """Return which part of an output are its logits; None if it is a tensor.

    Raises:
        AdapterError: no part can be its logits, or several can.
    """
    if isinstance(output, torch.Tensor):
        return None
    parts = _parts(output)
    fitting = [
        name
        for name, value in parts.items()
        if isinstance(value, torch.Tensor)
        and value.is_floating_point()
        and (value.shape == (2, num_classes) or _is_one_logit(value, num_classes))
    ]
    if "logits" in fitting:
        return "logits"
    kind = type(output).__name__
    if not fitting:
        raise AdapterError(
            f"the network returns a {kind} without a part of {num_classes} logits an image; return its logits alone"
        )
    if len(fitting) > 1:
        names = ", ".join(map(str, fitting))
        raise AdapterError(
            f"the network returns a {kind} with several parts that may be its logits ({names}); return its "
            f"logits alone"
        )
    return fitting[0]


def _is_one_logit(logits: torch.Tensor, num_classes: int) -> bool:
    return num_classes == 2 and logits.shape in ((2,), (2, 1)) and logits.is_floating_point()


def _check_no_sigmoid(module: nn.Module, x: torch.Tensor) -> None:
    """Raise if the only score of a network lies between 0 and 1 whatever it is given.

    Logits of an image may lie there too, but not those of its values times a thousand.
    """
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn((_MORE, *x.shape[1:]), generator=generator).to(x.device)
    images = (x, *torch.split(_FAR * noise, 2))
    scores = torch.cat([_called(module, pair)[:, 1] for pair in images])
    scores = scores[scores.isfinite()]
    if len(scores) and scores.min() >= 0 and scores.max() <= 1:
        raise AdapterError(
            "the network gives one score between 0 and 1, as a sigmoid does; attacks need the logit that goes "
            "into it: leave out its sigmoid"
        )
