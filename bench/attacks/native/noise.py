"""Random perturbations of a given size, drawn from a seed, equal on every device."""

from __future__ import annotations

import torch

from bench.spec import Norm


def _column(values: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return values.view(-1, *[1] * (like.ndim - 1))


def _gaussian(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return random directions of length 1, uniform on the l2 sphere."""
    draw = torch.randn(x.shape, generator=generator)
    return draw / _column(draw.flatten(1).norm(dim=1), draw)


def _uniform(x: torch.Tensor, eps: float, generator: torch.Generator) -> torch.Tensor:
    return torch.empty(x.shape).uniform_(-eps, eps, generator=generator)


def ball_point(x: torch.Tensor, norm: Norm, eps: float, seed: int) -> torch.Tensor:
    """Return perturbations (N, C, H, W) drawn uniformly from the ball of radius eps.

    Args:
        x: the images; the result has their shape and device.
        norm: `linf` or `l2`.
        eps: the radius.
        seed: of the draw, made on the CPU so that devices agree.
    """
    generator = torch.Generator().manual_seed(seed)
    if norm == "linf":
        return _uniform(x, eps, generator).to(x.device)
    direction = _gaussian(x, generator)
    radius = torch.rand(len(x), generator=generator) ** (1 / max(1, x[0].numel()))
    return (eps * _column(radius, direction) * direction).to(x.device)


def noise(x: torch.Tensor, norm: Norm, eps: float, seed: int) -> torch.Tensor:
    """Return images with noise added, clipped to [0, 1].

    Uniform in [-eps, eps] for linf; for l2 a Gaussian direction of length eps, for l1 a point drawn uniformly
    from the sphere, both of which clipping may shorten; for l0 eps pixels drawn at random, each value of which
    becomes 0 or 1.

    Args:
        x: images, float32 (N, C, H, W) in [0, 1].
        norm: any; in l0 eps is a whole number of pixels.
        eps: the radius.
        seed: of the draw, made on the CPU so that devices agree.
    """
    generator = torch.Generator().manual_seed(seed)
    if norm == "l0":
        return _pixels(x, int(eps), generator)
    if norm == "linf":
        delta = _uniform(x, eps, generator).to(x.device)
    else:
        direction = (_laplace if norm == "l1" else _gaussian)(x, generator)
        delta = (eps * direction).to(x.device)
    return (x + delta).clamp(0, 1)


def _laplace(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return random directions of length 1 in l1, uniform on its sphere."""
    draw = torch.empty(x.shape).exponential_(generator=generator)
    signs = torch.randint(0, 2, x.shape, generator=generator) * 2 - 1
    return signs * draw / _column(draw.flatten(1).sum(1), draw)


def _pixels(x: torch.Tensor, count: int, generator: torch.Generator) -> torch.Tensor:
    """Return images of which `count` random pixels have random colours at the bounds of [0, 1]."""
    order = torch.rand(len(x), x[0, 0].numel(), generator=generator).argsort(1).argsort(1)
    drawn = (order < count).view(len(x), 1, *x.shape[2:]).to(x.device)
    colours = torch.randint(0, 2, x.shape, generator=generator).to(x)
    return torch.where(drawn, colours, x)
