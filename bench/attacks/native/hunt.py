"""The images of a batch that an attack is still after: what it found for the others, and passes for these."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from bench.attacks.instrument import Probe


class Hunt:
    """What an attack has found so far. An image drops out once the model gets it wrong.

    Attributes:
        x: the clean images (N, C, H, W).
        y: their labels (N,).
        x_adv: the first image found for each, the clean one where none was.
        broken: bool (N,), for which one was found.
    """

    def __init__(self, probe: Probe, x: torch.Tensor, y: torch.Tensor) -> None:
        self.probe, self.x, self.y = probe, x, y
        self.x_adv = x.clone()
        self.broken = torch.zeros(len(x), dtype=torch.bool, device=x.device)
        # Convolutions of several channels take less time so on a CPU.
        faster = x.device.type == "cpu" and x.shape[1] > 1
        self._layout = torch.channels_last if faster else torch.contiguous_format

    def left(self) -> torch.Tensor:
        """Return the rows of the images that are not broken, int64 on the CPU."""
        return (~self.broken).nonzero().flatten().cpu()

    def ask(self, images: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """Return the logits (n, K) of images (n, C, H, W) of some rows (n,), one pass each."""
        with self.probe.playing(rows):
            try:
                logits: torch.Tensor = self.probe(images.contiguous(memory_format=self._layout))
            except RuntimeError:
                if self._layout is torch.contiguous_format:
                    raise
                # Some networks flatten by `view`, which takes no other layout.
                self._layout = torch.contiguous_format
                logits = self.probe(images)
        return logits

    def keep(self, rows: torch.Tensor, images: torch.Tensor, wrong: torch.Tensor) -> bool:
        """Keep the images (n, C, H, W) of some rows (n,) that are wrong, bool (n,).

        A row that comes several times keeps the first of its wrong ones.

        Returns:
            Whether any is wrong.
        """
        at = wrong.nonzero().flatten()
        if not len(at):
            return False
        named = rows.to(at.device)[at]
        # Of a row that comes twice, the first; writing both would leave it to chance which stays.
        first = torch.full((len(self.x),), len(rows), device=at.device)
        first.scatter_reduce_(0, named, at, "amin")
        found = first[first < len(rows)]
        named = rows.to(at.device)[found]
        self.x_adv[named], self.broken[named] = images.detach()[found], True
        return True

    def begin(self, classes: int) -> torch.Tensor:
        """Look at the clean images, one pass each; those that the model gets wrong are broken as they are.

        Returns:
            The `classes` likeliest classes (N, classes) beside the labels, the likeliest first; fewer if
            there are fewer.
        """
        rows = torch.arange(len(self.x))
        with torch.no_grad():
            logits = self.ask(self.x, rows)
        self.keep(rows, self.x, logits.argmax(1) != self.y)
        others = logits.scatter(1, self.y[:, None], -torch.inf)
        return others.topk(min(classes, logits.shape[1] - 1), dim=1).indices

    def rounds(self, targets: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield rows (n,) of images that are left, with the rank (n,) of the class that each aims at next.

        One rank at a time while all images are left, more once some have dropped out, as many as make a batch
        of the size of the first: small batches take more time an image, and no more memory is needed.
        """
        rank = 0
        while rank < targets and len(left := self.left()):
            together = min(targets - rank, max(1, len(self.x) // len(left)))
            ranks = torch.arange(rank, rank + together)
            yield left.repeat(together), ranks.repeat_interleave(len(left))
            rank += together
