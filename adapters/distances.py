"""The distances of pytorch-metric-learning, written for large reference sets; tests compare the two.

The library normalises and compares all pairs at every call. Here stored embeddings are prepared once,
one matrix product finds the nearest of them, and gradients flow only through the similarities to
those. Larger means nearer; distances have their sign flipped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from bench.registry import unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Distance:
    """One way to compare embeddings.

    Attributes:
        bounded: whether all similarities lie between -1 and 1.
        ready: prepares stored embeddings (M, D) for `similarity`, (M, D).
        keys: turns prepared embeddings into the columns of a search table, (E, M).
        ranks: given embeddings (N, D) and the tables of C classes (C, E, M), writes into a third
            tensor (C, N, M) values that rank the stored embeddings as their similarities do.
        similarity: similarities (N, L) of embeddings (N, D) to L prepared ones each (N, L, D).
    """

    name: str
    bounded: bool = False
    ready: Callable[[torch.Tensor], torch.Tensor]
    keys: Callable[[torch.Tensor], torch.Tensor]
    ranks: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], None]
    similarity: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def _same(stored: torch.Tensor) -> torch.Tensor:
    return stored


def _centred(stored: torch.Tensor) -> torch.Tensor:
    return stored - stored.mean(1, keepdim=True)


def _with_half_square(stored: torch.Tensor) -> torch.Tensor:
    return torch.cat([stored.T, -stored.square().sum(1).unsqueeze(0) / 2])


def _inner(embeddings: torch.Tensor, keys: torch.Tensor, out: torch.Tensor) -> None:
    torch.bmm(embeddings.expand(len(keys), -1, -1), keys, out=out)


def _inner_less_half_square(
    embeddings: torch.Tensor, keys: torch.Tensor, out: torch.Tensor
) -> None:
    # e.b - |b|^2 / 2 = (|e|^2 - |e - b|^2) / 2, and |e| is the same for the whole row.
    _inner(F.pad(embeddings, (0, 1), value=1.0), keys, out)


def _less_manhattan(embeddings: torch.Tensor, keys: torch.Tensor, out: torch.Tensor) -> None:
    torch.neg(torch.cdist(embeddings.expand(len(keys), -1, -1), keys.mT, p=1), out=out)


def _dot(embeddings: torch.Tensor, ready: torch.Tensor) -> torch.Tensor:
    return torch.bmm(embeddings.unsqueeze(1), ready.mT).squeeze(1)


def _apart(embeddings: torch.Tensor, ready: torch.Tensor) -> torch.Tensor:
    # Not expanded into |e|^2 - 2 e.b + |b|^2, which cancels for near embeddings.
    exact = "donot_use_mm_for_euclid_dist"
    return torch.cdist(embeddings.unsqueeze(1), ready, compute_mode=exact).squeeze(1)


def _snr(embeddings: torch.Tensor, ready: torch.Tensor) -> torch.Tensor:
    apart = _centred(embeddings).unsqueeze(1) - ready
    return -apart.var(2) / embeddings.var(1, keepdim=True)


_DISTANCES = {
    distance.name: distance
    for distance in (
        Distance(
            name="cosine", bounded=True, ready=F.normalize, keys=torch.t, ranks=_inner,
            similarity=lambda embeddings, ready: _dot(F.normalize(embeddings), ready),
        ),
        Distance(
            name="euclidean", ready=_same, keys=_with_half_square, ranks=_inner_less_half_square,
            similarity=lambda embeddings, ready: -_apart(embeddings, ready),
        ),
        Distance(
            name="manhattan", ready=_same, keys=torch.t, ranks=_less_manhattan,
            similarity=lambda embeddings, ready: -(embeddings.unsqueeze(1) - ready).abs().sum(2),
        ),
        Distance(name="dot-product", ready=_same, keys=torch.t, ranks=_inner, similarity=_dot),
        Distance(
            name="snr", ready=_centred, keys=_with_half_square, ranks=_inner_less_half_square,
            similarity=_snr,
        ),
    )
}  # fmt: skip


def distance(name: str) -> Distance:
    """Return a distance by its name: cosine, euclidean, manhattan, dot-product or snr.

    Raises:
        SpecError: there is none of that name.
    """
    if name not in _DISTANCES:
        raise unknown("distance", name, list(_DISTANCES))
    return _DISTANCES[name]
