"""The family of smoothed models: networks trained with noise, which vote on noisy copies.

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

#: The models; `base_name` says whose weights they use.
SMOOTHED = ("digits/randomized-smoothing", "cifar10/randomized-smoothing")

#: The noise levels that networks are trained with; the first is the study's, and the default.
SIGMAS = (0.25, 0.12, 0.5)

#: The options of a smoothed model, with their defaults.
SMOOTHING: Mapping[str, Scalar] = {"sigma": SIGMAS[0], "n": 100, "alpha": 0.001}


def noisy_name(data: str, sigma: float) -> str:
    """Return the name of the network trained with this noise; without a number for the default noise."""
    return f"{data}/noisy" if sigma == SIGMAS[0] else f"{data}/noisy-{sigma:g}"


def base_name(name: str, options: Mapping[str, Scalar]) -> str:
    """Return the name of the network that a smoothed model smooths.

    Raises:
        SpecError: no network was trained with that noise.
    """
    sigma = options.get("sigma", SMOOTHING["sigma"])
    if isinstance(sigma, bool | str) or sigma not in SIGMAS:
        sigmas = ", ".join(f"{each:g}" for each in sorted(SIGMAS))
        raise SpecError(f"{name}: sigma={sigma!r} has no network trained under it; take {sigmas}")
    return noisy_name(ModelName.read(name).data, sigma)


def assemble(name: str, weights: Weights, options: Mapping[str, Scalar]) -> Adapter:
    """Return the smoothed model of a network.

    Args:
        name: of the smoothed model.
        weights: of the network, see `base_name`.
        options: `sigma` of the noise, `n` noisy copies and level `alpha` of the vote.

    Raises:
        SpecError: an option out of range.
    """
    from bench.adapters.smoothed import smooth

    base = networks.assemble(weights.name, weights, {})
    settings: dict[str, Any] = {**SMOOTHING, **options}
    return smooth(dataclasses.replace(base.spec, name=name), base.surfaces()["network"], **settings)
