"""The network that stands in for a forest, which has no gradient: fitted to its probabilities.

It is fitted with inside knowledge, namely the trunk, the training features, and as many of the forest's
probabilities as are wanted (distillation: Hinton et al., 2015). An attacker who may only ask has less.
"""

from __future__ import annotations

import hashlib

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import nn
from torch.nn import functional as F

from bench.adapters.forest import Distilled, Forest
from bench.adapters.network import weights_digest
from bench.paths import cache_dir
from bench.store.files import atomic_write

_HIDDEN = 128
_EPOCHS = 15
_BATCH = 256
#: Mixtures of two training features for each training feature: between them lies the forest's boundary.
_MIXTURES = 4


def distil(forest: Forest, features: torch.Tensor) -> tuple[Distilled, float]:
    """Return a network with a forest's probabilities, and how often it decides as the forest does.

    The same forest and features give the same network.

    Args:
        forest: from scaled features to probabilities.
        features: the scaled training features, float32 (N, D).

    Returns:
        The network, and the share of agreeing decisions on N mixtures that it was not fitted on.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        fresh = _mixtures(features, 1)
        points = torch.cat([features, _mixtures(features, _MIXTURES)])
        net = _fitted_to(points, _probabilities(forest, points))
    first, _, last = net
    distilled = Distilled(first.weight, first.bias, last.weight, last.bias)
    agreeing = distilled(fresh).argmax(1) == _probabilities(forest, fresh).argmax(1)
    return distilled, float(agreeing.float().mean())


def kept_distilled(forest: Forest, features: torch.Tensor) -> tuple[Distilled, float]:
    """Return what `distil` does, from the cache if it was computed before.

    Args:
        forest: from scaled features to probabilities.
        features: scaled features, float32 (N, D).
    """
    digest = hashlib.sha256(weights_digest(forest).encode())
    digest.update(features.contiguous().numpy().tobytes())
    digest.update(f"{_HIDDEN} {_EPOCHS} {_BATCH} {_MIXTURES}".encode())
    path = cache_dir() / "distilled" / f"{digest.hexdigest()[:20]}.safetensors"
    try:
        state = load_tensors(path.read_bytes())
        agreement = float(state.pop("agreement"))
        return Distilled(**state), agreement
    except (OSError, SafetensorError, KeyError, TypeError):
        distilled, agreement = distil(forest, features)
    state = {**distilled.state_dict(), "agreement": torch.tensor(agreement, dtype=torch.float64)}
    atomic_write(path, save_tensors(state), "BENCH_CACHE")
    return distilled, agreement


def _mixtures(features: torch.Tensor, times: int) -> torch.Tensor:
    """Return points between random pairs of features, `times` as many as there are features."""
    count = times * len(features)
    one, other = (features[torch.randint(len(features), (count,))] for _ in range(2))
    return torch.lerp(one, other, torch.rand(count, 1))


def _probabilities(forest: Forest, points: torch.Tensor) -> torch.Tensor:
    return torch.cat([forest(some) for some in torch.split(points, 1000)]).float()


def _fitted_to(points: torch.Tensor, probabilities: torch.Tensor) -> nn.Sequential:
    """Return a network trained on the cross-entropy to these probabilities, by Adam."""
    net = nn.Sequential(
        nn.Linear(points.shape[1], _HIDDEN),
        nn.ReLU(),
        nn.Linear(_HIDDEN, probabilities.shape[1]),
    )
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    for _ in range(_EPOCHS):
        for batch in torch.split(torch.randperm(len(points)), _BATCH):
            loss = F.cross_entropy(net(points[batch]), probabilities[batch])
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
    return net
