"""The networks that a model runs inside, on the image itself or on one close to it.

A defence that is built around a network can often be attacked as if it were not there: what changes the answer
of the network alone changes that of the whole (Tramèr et al., On adaptive attacks to adversarial example
defenses, NeurIPS 2020, section 3).
"""

from __future__ import annotations

from types import TracebackType
from typing import Any

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

#: How far the input of a network may lie from the image, in pixels of [0, 1] on average: one that is normalised
#: lies further away.
_CLOSE = 0.1


class InnerNetworks:
    """Notes which modules a network calls, from an image like the one it was given to scores, while it runs.

    Args:
        net: images to scores.
        image: what it is given, (N, C, H, W).
        classes: the number of scores.
    """

    def __init__(self, net: nn.Module, image: torch.Tensor, classes: int) -> None:
        self._net, self._image, self._shape = net, image.detach(), (len(image), classes)
        self._scores: dict[nn.Module, torch.Tensor] = {}
        self._handles: list[RemovableHandle] = []

    def __enter__(self) -> InnerNetworks:
        inside = [module for module in self._net.modules() if module is not self._net]
        self._handles = [module.register_forward_hook(self._note) for module in inside]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        for handle in self._handles:
            handle.remove()

    def _note(self, module: nn.Module, given: tuple[Any, ...], scores: Any) -> None:
        if module in self._scores or len(given) != 1 or not isinstance(scores, torch.Tensor):
            return
        (asked,) = given
        if not isinstance(asked, torch.Tensor) or asked.shape != self._image.shape:
            return
        close = (asked.detach() - self._image).abs().mean() <= _CLOSE
        if tuple(scores.shape) == self._shape and bool(close):
            self._scores[module] = scores.detach()

    def beside(self, scores: torch.Tensor) -> list[nn.Module]:
        """Return the modules that answer otherwise than the whole network and than one another.

        Args:
            scores: of the whole network for the image, (N, classes).
        """
        found: list[nn.Module] = []
        seen = [scores.detach()]
        for module, answer in self._scores.items():
            if not any(torch.equal(answer, other) for other in seen):
                found.append(module)
                seen.append(answer)
        return found
