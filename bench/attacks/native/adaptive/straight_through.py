"""Gradients made to flow through what has none: rounding, comparisons, casts, look-ups, detached tensors.

The functions that a model calls on tensors with a gradient are replaced while it runs, so that it needs no
change, and nothing has to be known of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from bench.attacks.native.adaptive.replaced import replaced
from bench.attacks.native.adaptive.stand_ins import CASTS, FLOOR_DIVISIONS, StandIns

_DETACH = torch.Tensor.detach
#: `x.data`, which is another way to detach.
_DATA = torch.Tensor.data.__get__  # type: ignore[attr-defined]
_SET_GRAD = torch._C._set_grad_enabled

_STEPS = {"round", "floor", "ceil", "trunc", "fix", "sign", "sgn", "heaviside"}
_REMAINDERS = {"remainder", "fmod", "__mod__", "frac"}
_ABOVE = {"gt", "ge", "greater", "greater_equal", "__gt__", "__ge__"}
_BELOW = {"lt", "le", "less", "less_equal", "__lt__", "__le__"}
_EXPORTS = {"numpy", "__array__", "tolist", "item", "__float__", "__int__", "__bool__"}
_COPIES = {"tensor", "as_tensor", "asarray"}
_CHOICES = {"argmin": -1.0, "argmax": 1.0}

#: How wide the slope of a comparison is, as a share of the standard deviation of what is compared.
_WIDTH = 0.5

#: How soft the choice of a largest value is, as a share of how far the mean of the values is below it.
_SOFT = 0.05


class StraightThrough(nn.Module):
    """A network in which gradients flow through what stops them.

    Args:
        net: images to scores.
        classes: number of scores; a softmax over so many is passed straight through, too.
    """

    def __init__(self, net: nn.Module, classes: int) -> None:
        super().__init__()
        self.net, self.classes = net, classes

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with _Through(self.classes):
            scores: torch.Tensor = self.net(x)
        return scores


class _Through(TorchFunctionMode):
    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes, self.stand_ins = classes, StandIns()

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        named, name = dict(kwargs or {}), getattr(func, "__name__", "")
        if func is _SET_GRAD:  # a gradient flows where the model switches it off, too
            return func(True)
        first = args[0] if args else None
        if isinstance(first, torch.Tensor) and first.requires_grad:
            found = self._carried(func, name, args, named)
            if found is not None:
                return found
        if name not in _EXPORTS and self.stand_ins.concern(args):
            return self.stand_ins.call(func, name, args, named)
        return func(*args, **named)

    def _carried(
        self, func: Callable[..., Any], name: str, args: tuple[Any, ...], named: dict[str, Any]
    ) -> Any:
        """Return the result of a function that stops the gradient of its first argument; None if it does not."""
        first = args[0]
        if func is _DETACH or func == _DATA:
            return first.view_as(first)
        if name in ("requires_grad_", "detach_"):
            return first
        if name in _EXPORTS:
            return func(_DETACH(first), *args[1:], **named)
        if name in _REMAINDERS:
            return func(_DETACH(first), *args[1:], **named)
        if name in _ABOVE | _BELOW and len(args) > 1:
            return self._compared(func, name, first, args[1])
        if name in _CHOICES and _dim(args, named) in (1, -1) and first.ndim == 2:
            return self._choice(func, name, args, named)
        if name in CASTS:
            out = func(*args, **named)
            return None if out.is_floating_point() else self.stand_ins.note(out, first)
        if name in _COPIES:
            out = func(_DETACH(first), *args[1:], **named)
            return (
                replaced(out, first) if out.is_floating_point() else self.stand_ins.note(out, first)
            )
        if name == "softmax" and first.ndim == 2 and first.shape[1] == self.classes:
            known = _DETACH(first)
            size = (known.amax(1) - known.amin(1)).clamp(min=1e-12)
            return replaced(func(known, *args[1:], **named), first / size[:, None])
        return _stepped(name, args, named)

    def _compared(
        self, func: Callable[..., Any], name: str, left: torch.Tensor, right: Any
    ) -> torch.Tensor:
        """Return a comparison; a sigmoid of the difference stands in for it."""
        apart = left - right if name in _ABOVE else right - left
        width = _WIDTH * _DETACH(apart).float().std(unbiased=False).clamp(min=1e-6)
        return self.stand_ins.note(func(left, right), torch.sigmoid(apart / width))

    def _choice(
        self, func: Callable[..., Any], name: str, args: tuple[Any, ...], named: dict[str, Any]
    ) -> torch.Tensor | None:
        """Return which of K values (N, K) is the largest or smallest; a softer choice stands in for it."""
        index: torch.Tensor = func(*args, **named)
        if index.ndim != 1:
            return None
        values = _CHOICES[name] * args[0]
        known = _DETACH(values)
        size = _SOFT * (known.amax(1) - known.mean(1)).clamp(min=1e-12)
        return self.stand_ins.note_choice(index, (values / size[:, None]).softmax(1))


def _stepped(name: str, args: tuple[Any, ...], named: dict[str, Any]) -> torch.Tensor | None:
    """Return a rounding, the sign or a floor division with the slope of the identity; None for other functions."""
    first = args[0]
    in_place = name.endswith("_") and not name.endswith("__")
    base = name[:-1] if in_place else name
    if base in _STEPS:
        value = replaced(getattr(torch, base)(_DETACH(first), *args[1:], **named), first)
    elif base in FLOOR_DIVISIONS:
        value = replaced(torch.floor_divide(_DETACH(first), args[1]), first / args[1])
    else:
        return None
    return first.copy_(value) if in_place else value


def _dim(args: tuple[Any, ...], named: Mapping[str, Any]) -> Any:
    return args[1] if len(args) > 1 else named.get("dim", named.get("axis"))
