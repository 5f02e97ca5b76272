"""Linear classifiers whose smallest adversarial perturbations have a closed form."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

SHAPE = (3, 5, 5)
DUAL = {"l1": torch.inf, "l2": 2.0, "linf": 1.0}
ORDER = {"l1": 1.0, "l2": 2.0, "linf": torch.inf}


def size(delta: torch.Tensor, norm: str) -> torch.Tensor:
    """Return the norm (N,) of each image, in float64; l0 counts the positions of pixels."""
    if norm == "l0":
        return (delta != 0).any(1).flatten(1).sum(1).double()
    return delta.double().flatten(1).norm(p=ORDER[norm], dim=1)


class Linear(nn.Module):
    """Logits `W (x - 1/2) + b` of images in [0, 1]."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | float = 0.0) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(weight), bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x - 0.5).flatten(1) @ self.weight.T + self.bias


def distances(model: Linear, x: torch.Tensor, y: torch.Tensor, norm: str) -> torch.Tensor:
    """Return each image's distance to the nearest boundary of its class y, as if there were no box.

    min over k of |f_k - f_y| / ||w_k - w_y||_dual (Moosavi-Dezfooli et al., 2016, eq. 6 and 10).
    """
    with torch.no_grad():
        logits = model(x).double()
        weight = model.weight.double()
        gaps = (logits - logits.gather(1, y[:, None])).abs()
        slopes = (weight[None] - weight[y][:, None]).norm(p=DUAL[norm], dim=2)
        return (gaps / slopes).scatter(1, y[:, None], torch.inf).amin(1)


def two_classes(
    norm: str, wanted: list[float], shape: tuple[int, int, int] = SHAPE
) -> tuple[Linear, torch.Tensor, torch.Tensor]:
    """Return a two-class model and images at exactly the wanted distances from its boundary.

    The images lie near 1/2, so that no closest adversarial image touches the box.
    """
    generator = torch.Generator().manual_seed(1)
    direction = torch.randn(math.prod(shape), generator=generator)
    model = Linear(torch.stack([-direction, direction]) / 2)
    base = 0.2 * torch.rand(len(wanted), len(direction), generator=generator) - 0.1
    y = torch.arange(len(wanted)) % 2
    # On the boundary first, then away from it along its normal.
    base -= (base @ direction)[:, None] * direction / direction.dot(direction)
    size = direction.norm(p=DUAL[norm]) / direction.dot(direction)
    offset = torch.tensor(wanted) * size * (2 * y - 1)
    x = 0.5 + base + offset[:, None] * direction
    assert x.min() > 0.2
    assert x.max() < 0.8
    return model, x.view(-1, *shape), y


def ten_classes(count: int) -> tuple[Linear, torch.Tensor, torch.Tensor]:
    """Return a ten-class model and images near 1/2 with the labels it gives them.

    None lies closer to a boundary than 0.03 in l2: Foolbox's DeepFool adds 1e-4 to every step.
    """
    generator = torch.Generator().manual_seed(2)
    model = Linear(torch.randn(10, 75, generator=generator))
    x = 0.3 + 0.4 * torch.rand(4 * count, *SHAPE, generator=generator)
    with torch.no_grad():
        y = model(x).argmax(1)
    far = distances(model, x, y, "l2") > 0.03
    return model, x[far][:count], y[far][:count]


def grey(
    gap: float, shape: tuple[int, int, int], sure: int | None = None
) -> tuple[Linear, torch.Tensor, torch.Tensor]:
    """Return two classes, a grey image at a logit gap, and its label; one pixel may decide alone."""
    generator = torch.Generator().manual_seed(5)
    weight = torch.randn(shape, generator=generator).flatten(1)
    if sure is not None:
        weight = weight * (torch.arange(weight.shape[1]) == sure)
    weight = weight.flatten()
    model = Linear(torch.stack([-weight, weight]) / 2, torch.tensor([gap, 0.0]))
    return model, torch.full((1, *shape), 0.5), torch.zeros(1, dtype=torch.int64)


def fewest_gains(gains: torch.Tensor, gap: float) -> int:
    """Return the least number of changes that together gain more than `gap`."""
    return int((gains.clamp(min=0).sort(descending=True).values.cumsum(0) <= gap).sum()) + 1


def fewest(model: Linear, x: torch.Tensor, y: torch.Tensor, beyond: float = 0.0) -> torch.Tensor:
    """Return how many pixels (N,) must change at least to get `beyond` the nearest boundary, in l2.

    The pixels that can do most first: each channel value goes to its bound, 0 or 1.
    """
    weight = model.weight.detach().double()
    logits = model(x).detach().double()
    counts = torch.full((len(x), len(weight)), torch.inf, dtype=torch.double)
    for row, label in enumerate(y.tolist()):
        image = x[row].double()
        for other in range(len(weight)):
            if other == label:
                continue
            normal = (weight[other] - weight[label]).view_as(image)
            gap = logits[row, label] - logits[row, other] + beyond * normal.norm()
            most = normal.abs() * torch.where(normal > 0, 1 - image, image)
            total = most.sum(0).flatten().sort(descending=True).values.cumsum(0)
            counts[row, other] = (total < gap).sum() + 1
    return counts.amin(1)


def interpreted(kind: Any) -> Any:
    """Return the solver of a numba class without compiling it, which would take minutes."""

    def plain(compiled: Any) -> Any:
        methods = compiled.class_type.jit_methods.items()
        return type(
            compiled.__name__,
            (),
            {name: method.py_func for name, method in methods if name != "__init__"},
        )

    solver = plain(kind)()
    module = kind.class_type.jit_methods["solve"].py_func.__globals__
    solver.bfgsb = plain(module["BFGSB"])()
    return solver
