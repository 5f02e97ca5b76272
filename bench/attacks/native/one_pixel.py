"""A few pixels by differential evolution, for all images of a batch together."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import torch

from bench.attacks.instrument import Probe
from bench.attacks.native.result import NativeResult

#: F, the weight of the difference of two pixels that is added to a third.
_WEIGHT = 0.5

#: Candidate images that go through the model at once, and the most values in them: on a CPU so few that
#: they stay in its cache, on a GPU so many that it is busy.
_AT_ONCE = {"cpu": (256, 2**18), "cuda": (2**14, 2**23)}

#: Columns of what describes a pixel before its colours: its row and its column, as shares of the image.
_PLACE = 2
#: Random numbers for a pixel beside those for its values: which three others it comes from.
_PARENTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class OnePixel:
    """The parameters of the attack.

    Attributes:
        pixels: how many may change.
        population: candidates for each image, of so many pixels each.
        generations: at most so many.
        stop: the probability of the label below which a search ends, or of the wanted class above which
            it does; None where it ends when the class of the best candidate is another, or the wanted one.
    """

    pixels: int
    population: int
    generations: int
    stop: float | None = None


def one_pixel(
    f: Probe,
    x: torch.Tensor,
    y: torch.Tensor,
    target: torch.Tensor | None,
    parameters: OnePixel,
    seed: int,
) -> NativeResult:
    """Look for the pixels that lower the probability of the label most, or raise that of a class.

    Su, Vargas and Sakurai, 'One pixel attack for fooling deep neural networks', IEEE Transactions on
    Evolutionary Computation 23 (2019). A candidate is the rows, columns and colours of its pixels:
    places uniform, colours N(0.5, 0.5) clipped to [0, 1]. In each generation every candidate has one
    child, each pixel of which is x1 + F (x2 - x3) of three distinct pixels drawn from those of all
    candidates, F = 0.5, without crossover; a value outside [0, 1] is drawn anew, uniformly. A child
    replaces its own parent if it is better. Whether to stop is looked at before each generation.

    An image that stopped leaves the batch. The random numbers of an image come from its bytes and the seed,
    not from its neighbours; but a model may round probabilities otherwise in a batch of another size.

    Args:
        f: images in [0, 1] to scores.
        x: float32 (N, C, H, W) in [0, 1], of class y.
        y: int64 (N,).
        target: int64 (N,), the wanted classes; None for any but y.
        parameters: of the attack.
        seed: of the random numbers, drawn on the CPU so that devices agree.

    Returns:
        The best candidate of each image, whether it fools or not, the generations made, and as the trace
        the probability of its label or of the wanted class, at first and after each generation.
    """
    search = _Search(f, x, y, target, parameters)
    draws = _Draws(x, seed, (parameters.population, parameters.pixels))
    at = torch.arange(len(x), device=x.device)
    pixels = _first(draws.of(at))
    loss, reached = search.look(at, pixels)
    best, iterations = [loss.amin(1)], torch.zeros_like(at)
    for _ in range(parameters.generations):
        at = at[~search.over(loss[at], reached[at])]
        if not len(at):
            break
        children = _children(pixels[at], draws.of(at))
        new_loss, new_reached = search.look(at, children)
        better = new_loss < loss[at]
        pixels[at] = torch.where(better[..., None, None], children, pixels[at])
        loss[at] = torch.where(better, new_loss, loss[at])
        reached[at] = torch.where(better, new_reached, reached[at])
        iterations[at] += 1
        best.append(loss.amin(1))
    every = torch.arange(len(x), device=x.device)
    x_adv = _painted(x, pixels[every, loss.argmin(1)])
    trace = torch.stack(best, 1).abs().float()
    made = torch.arange(len(best), device=x.device)
    trace[made > iterations[:, None]] = torch.nan
    return NativeResult(x_adv, iterations.cpu(), trace=trace.cpu())


class _Draws:
    """Random numbers of images: for each image those of its own generator, one call a generation."""

    def __init__(self, x: torch.Tensor, seed: int, candidates: tuple[int, int]) -> None:
        numbers = _PARENTS + _PLACE + x.shape[1]
        self.shape, self.device = (*candidates, numbers), x.device
        self.generators = [
            torch.Generator().manual_seed(_seed_of(image, seed)) for image in x.cpu()
        ]

    def of(self, rows: torch.Tensor) -> torch.Tensor:
        """Return new numbers in [0, 1) for some images, (n, population, pixels, 3 + 2 + C)."""
        drawn = torch.empty(len(rows), *self.shape)
        for row, numbers in zip(rows.tolist(), drawn, strict=True):
            torch.rand(self.shape, generator=self.generators[row], out=numbers)
        return drawn.to(self.device)


def _seed_of(image: torch.Tensor, seed: int) -> int:
    digest = hashlib.blake2b(f"{seed} ".encode(), digest_size=8)
    digest.update(image.contiguous().numpy().tobytes())
    return int.from_bytes(digest.digest(), "big")


def _first(numbers: torch.Tensor) -> torch.Tensor:
    """Return the first candidates (n, population, pixels, 2 + C), from numbers in [0, 1)."""
    values = numbers[..., _PARENTS:].clone()
    normal = torch.erfinv(2 * values[..., _PLACE:] - 1) * math.sqrt(2)
    values[..., _PLACE:] = (0.5 + 0.5 * normal).clamp(0, 1)
    return values


def _children(parents: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    """Return a child of each candidate (n, population, pixels, 2 + C), from numbers in [0, 1)."""
    pool = parents.flatten(1, 2)
    size, width = pool.shape[1:]
    places = _distinct(numbers[..., :_PARENTS], size)
    first, second, third = (
        pool.gather(1, place.flatten(1)[..., None].expand(-1, -1, width)).view_as(parents)
        for place in places
    )
    child = first + _WEIGHT * (second - third)
    return torch.where((child < 0) | (child > 1), numbers[..., _PARENTS:], child)


def _distinct(numbers: torch.Tensor, size: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return three numbers below `size`, of which no two are equal, for each three (..., 3) in [0, 1)."""
    # A number just below 1 times a size is rounded up to it.
    first, second, third = (
        (numbers[..., i] * (size - i)).long().clamp(max=size - i - 1) for i in range(_PARENTS)
    )
    second = second + (second >= first)
    third = third + (third >= torch.minimum(first, second))
    third = third + (third >= torch.maximum(first, second))
    return first, second, third


def _painted(x: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor:
    """Return images (M, C, H, W) with the pixels (M, pixels, 2 + C) painted on, the last one on top."""
    images, every = x.clone(), torch.arange(len(x), device=x.device)
    height, width = x.shape[2:]
    for pixel in pixels.unbind(1):
        row = (pixel[:, 0] * height).long().clamp(max=height - 1)
        column = (pixel[:, 1] * width).long().clamp(max=width - 1)
        images[every, :, row, column] = pixel[:, _PLACE:]
    return images


@dataclass(frozen=True, slots=True)
class _Search:
    """What is looked for, of which model, in which images."""

    f: Probe
    x: torch.Tensor
    y: torch.Tensor
    target: torch.Tensor | None
    parameters: OnePixel

    def look(self, at: torch.Tensor, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the loss of candidates, float64 (n, population), and which reach the class, bool.

        The loss is the probability of the label, or that of the wanted class with a minus sign. Scores
        that are no numbers are as bad as can be.

        Args:
            at: int64 (n,), the images.
            pixels: (n, population, pixels, 2 + C).
        """
        n, population = pixels.shape[:2]
        of = at.repeat_interleave(population)
        most, values = _AT_ONCE[self.x.device.type]
        count = min(most, max(1, values // self.x[0].numel()))
        parts = [
            self._ask(*part)
            for part in zip(
                torch.split(of, count), torch.split(pixels.flatten(0, 1), count), strict=True
            )
        ]
        loss, reached = (
            torch.cat(values).view(n, population) for values in zip(*parts, strict=True)
        )
        return loss, reached

    def _ask(self, of: torch.Tensor, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        with torch.no_grad(), self.f.playing(of):
            scores = self.f(_painted(self.x[of], pixels)).double()
        shares = scores.softmax(1) if self.f.scores == "logits" else scores
        goal, sign = (self.y, 1) if self.target is None else (self.target, -1)
        loss = sign * shares.gather(1, goal[of][:, None]).squeeze(1)
        chosen = scores.argmax(1) == goal[of]
        reached = (~chosen if self.target is None else chosen) & loss.isfinite()
        return loss.nan_to_num(nan=1.0 if self.target is None else 0.0), reached

    def over(self, loss: torch.Tensor, reached: torch.Tensor) -> torch.Tensor:
        """Return which searches end, bool (n,), by the loss of candidates and which reach the class."""
        least, best = loss.min(1)
        if self.parameters.stop is None:
            return reached.gather(1, best[:, None]).squeeze(1)
        return least < (self.parameters.stop if self.target is None else -self.parameters.stop)
