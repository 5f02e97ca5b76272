"""The family of smoothed models: networks trained under noise, whose noisy copies vote.

Imports torch when called.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from bench.errors import SpecError
from bench.spec import Adapter, ModelName, Scalar
from bench.train import networks
from bench.train.cards import Weights

#: The models; whose weights they have: `base_name`.
SMOOTHED = ("digits/randomized-smoothing", "cifar10/randomized-smoothing")

#: Noise that networks to be smoothed are trained under; the first is that of the study's own.
SIGMAS = (0.25, 0.12, 0.5)

#: The options of a smoothed model, with their defaults.
SMOOTHING: Mapping[str, Scalar] = {"sigma": SIGMAS[0], "n": 100, "alpha": 0.001}


def noisy_name(data: str, sigma: float) -> str:
    """Return what the network trained under noise is called that is smoothed by the same noise."""
    return f"{data}/noisy" if sigma == SIGMAS[0] else f"{data}/noisy-{sigma:g}"


def base_name(name: str, options: Mapping[str, Scalar]) -> str:
    """Return the name of the network that a smoothed model smooths.

    Raises:
        SpecError: no network was trained under that noise.
    """
    sigma = options.get("sigma", SMOOTHING["sigma"])
    if isinstance(sigma, bool | str) or sigma not in SIGMAS:
        known = ", ".join(f"{known:g}" for known in sorted(SIGMAS))
        raise SpecError(f"{name}: sigma={sigma!r} has no network trained under it; take {known}")
    return noisy_name(ModelName.read(name).data, sigma)


def assemble(name: str, weights: Weights, options: Mapping[str, Scalar]) -> Adapter:
    """Return the smoothed model of a network.

    Args:
        name: of the smoothed model.
        weights: of the network, see `base_name`.
        options: `sigma` of the noise; `n` noisy copies vote, at level `alpha`.

    Raises:
        SpecError: one that is out of range.
    """
    from bench.adapters.smoothed import smooth

    base = networks.assemble(weights.name, weights, {})
    given: dict[str, Any] = {**SMOOTHING, **options}
    return smooth(dataclasses.replace(base.spec, name=name), base.surfaces()["network"], **given)
