"""The phases of a training, and what its frozen first layers give, which is computed once a phase."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeAlias

import torch
from torch import nn

from bench.adapters.modes import eval_mode
from bench.errors import SpecError
from bench.train.recipe import Phase, Recipe

#: From the places of images (N,) to what a network takes.
Inputs: TypeAlias = Callable[[torch.Tensor], torch.Tensor]

#: What frozen layers give for all images is kept in memory up to this size.
_MOST_BYTES = 2 * 2**30

_BATCH = 32


def phases_of(recipe: Recipe) -> Iterator[tuple[Phase, int]]:
    """Yield the phases of a training, each with the number of epochs before it.

    Raises:
        SpecError: they do not make up the epochs of the recipe.
    """
    phases = recipe.phases or (Phase(epochs=recipe.epochs, learning_rate=recipe.learning_rate),)
    total = sum(phase.epochs for phase in phases)
    if total != recipe.epochs:
        raise SpecError(f"recipe: its phases have {total} epochs, epochs says {recipe.epochs}")
    before = 0
    for phase in phases:
        yield phase, before
        before += phase.epochs


def parts_named(net: nn.Module, names: Sequence[str]) -> tuple[nn.Module, ...]:
    """Return parts of a network by the names that torch gives them.

    Raises:
        SpecError: the network has no such part.
    """
    try:
        return tuple(net.get_submodule(name) for name in names)
    except AttributeError as error:
        raise SpecError(f"recipe: the network has no part to freeze as named: {error}") from error


@contextmanager
def frozen(net: nn.Module, names: Sequence[str]) -> Iterator[tuple[nn.Module, ...]]:
    """Freeze the weights of parts of a network, and let all weights learn again at the end.

    Raises:
        SpecError: the network has no such part.
    """
    parts = parts_named(net, names)
    for part in parts:
        part.requires_grad_(False)
    try:
        yield parts
    finally:
        net.requires_grad_()


def repeats_images(recipe: Recipe) -> bool:
    """Return whether a network sees the same images in each epoch, unchanged at random and not attacked."""
    changed = recipe.augmentation or recipe.flip or recipe.crop or recipe.noise
    return not (changed or recipe.adversaries)


def behind_frozen(
    net: nn.Module, parts: Sequence[nn.Module], inputs: Inputs, places: torch.Tensor
) -> tuple[nn.Module, Inputs]:
    """Return a network without its frozen first layers, and what these give for images, as its inputs.

    Both are returned as they are if the network is no plain sequence, if its first layer is not frozen, or if
    so many images would take too much memory.

    Args:
        net: the whole network, whose layers the returned one shares.
        parts: of it, that are frozen; in eval mode they give the same for the same image.
        inputs: of the whole network.
        places: of all images (N,).
    """
    first, rest = _split(net, parts) if type(net) is nn.Sequential else (None, net)
    if not first:
        return net, inputs
    with eval_mode(first), torch.no_grad():
        if first(inputs(places[:1])).nbytes * len(places) > _MOST_BYTES:
            return net, inputs
        outputs = torch.cat([first(inputs(batch)) for batch in torch.split(places, _BATCH)])
    # Indexing makes a copy, so that a layer that writes into its input does not change what is kept.
    return rest, lambda rows: outputs[rows]


def _split(net: nn.Sequential, parts: Sequence[nn.Module]) -> tuple[nn.Sequential, nn.Sequential]:
    """Return the first layers of a network that are all among some parts, and the rest as it is named."""
    count = next((at for at, layer in enumerate(net) if layer not in parts), len(net))
    first, rest = net[:count], net[count:]
    if len(rest) and type(rest[0]) is nn.Sequential:
        front, rest[0] = _split(rest[0], parts)
        first = nn.Sequential(*first, *front)
    return first, rest
