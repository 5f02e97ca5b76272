"""Smooth stand-ins for tensors that have no gradient: whole numbers, truth values, and indices.

A model may compare pixels with levels, cast them to whole numbers, or look up the nearest of some codes. What it
makes of these has a gradient again if a smooth stand-in goes with them until they become numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch

from bench.attacks.native.adaptive.replaced import replaced

#: Functions that make another kind of number of a tensor.
CASTS = {
    "float", "double", "half", "bfloat16", "long", "int", "short", "byte", "char", "bool", "to", "type",
    "type_as",
}  # fmt: skip
FLOOR_DIVISIONS = {"floor_divide", "__floordiv__"}
_NOT = {"logical_not", "bitwise_not", "__invert__"}
_AND = {"logical_and", "bitwise_and", "__and__", "__rand__"}
_OR = {"logical_or", "bitwise_or", "__or__", "__ror__"}
#: Of whole numbers, what drops or moves their last bits: its slope is 1.
_BITS = {"bitwise_and", "__and__", "bitwise_right_shift", "__rshift__"}


class StandIns:
    """The tensors without a gradient that a model has made so far, with what stands in for each."""

    def __init__(self) -> None:
        # By id, beside the tensor itself, which keeps the id from being used again.
        self._smooth: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        self._choices: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def note(self, whole: torch.Tensor, smooth: torch.Tensor) -> torch.Tensor:
        """Note what stands in for a tensor of whole numbers or truth values; return that tensor."""
        self._smooth[id(whole)] = (whole, smooth)
        return whole

    def note_choice(self, index: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Note the weights (N, K) of a soft choice that stands in for indices (N,); return these."""
        self._choices[id(index)] = (index, weights)
        return index

    def concern(self, args: Iterable[Any]) -> bool:
        """Return whether an argument of a function has a stand-in."""
        held = self._smooth.keys() | self._choices.keys()
        return bool(held) and any(id(arg) in held for arg in _tensors(args))

    def call(
        self, func: Callable[..., Any], name: str, args: tuple[Any, ...], named: dict[str, Any]
    ) -> Any:
        """Return what a function gives for arguments of which some have stand-ins, with a gradient or another one."""
        out = func(*args, **named)
        if not isinstance(out, torch.Tensor):
            return out
        try:
            smooth = self._picked(name, args) if self._choices else None
            smooth = self._smoothly(func, name, args, named) if smooth is None else smooth
        except (RuntimeError, TypeError, IndexError, NotImplementedError):
            return out  # it has no meaning for the stand-ins
        if not isinstance(smooth, torch.Tensor) or smooth.shape != out.shape:
            return out
        if not smooth.requires_grad:
            return out
        return (
            replaced(out, smooth.to(out.dtype))
            if out.is_floating_point()
            else self.note(out, smooth)
        )

    def _picked(self, name: str, args: tuple[Any, ...]) -> torch.Tensor | None:
        """Return what a soft choice picks out of a table (K, ...), or the choice itself for one-hot indices."""
        places = {
            "__getitem__": (0, 1),
            "embedding": (1, 0),
            "index_select": (0, 2),
            "one_hot": (0, 0),
        }
        if name not in places or len(args) <= max(places[name]):
            return None
        table, index = (args[place] for place in places[name])
        held = self._choices.get(id(index))
        if held is None:
            return None
        if name == "one_hot":
            return held[1]
        return torch.einsum("nk,k...->n...", held[1], table)

    def _smoothly(
        self, func: Callable[..., Any], name: str, args: tuple[Any, ...], named: dict[str, Any]
    ) -> Any:
        """Return the same function of the stand-ins, or what comes nearest to it with a slope."""
        truth = isinstance(args[0], torch.Tensor) and args[0].dtype is torch.bool
        first, *others = (_map(arg, self._stand_in) for arg in args)
        if name in CASTS:
            return first
        if name in _NOT:
            return 1 - first
        if name in _AND and truth:
            return first * others[0]
        if name in _OR and truth:
            return first + others[0] - first * others[0]
        if name in _BITS:
            return first
        if name in FLOOR_DIVISIONS:
            return first / others[0]
        if name == "where" and len(others) == 2:
            return first * others[0] + (1 - first) * others[1]
        if name == "masked_fill" and len(others) == 2:
            return first * (1 - others[0]) + others[0] * others[1]
        return func(first, *others, **named)

    def _stand_in(self, value: torch.Tensor) -> torch.Tensor:
        held = self._smooth.get(id(value))
        if held is not None:
            return held[1]
        return value if value.is_floating_point() else value.float()


def _tensors(args: Iterable[Any]) -> Iterable[torch.Tensor]:
    for arg in args:
        if isinstance(arg, torch.Tensor):
            yield arg
        elif isinstance(arg, list | tuple):
            yield from _tensors(arg)


def _map(value: Any, change: Callable[[torch.Tensor], Any]) -> Any:
    if isinstance(value, list | tuple):
        return type(value)(_map(part, change) for part in value)
    return change(value) if isinstance(value, torch.Tensor) else value
