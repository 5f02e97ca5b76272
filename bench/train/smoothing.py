"""From a network trained under noise to its smoothed model."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from bench.adapters.network import NetworkAdapter
from bench.adapters.smoothed import SmoothedAdapter, smooth
from bench.spec import Scalar
from bench.train.recipes import SMOOTHING


def smoothed(name: str, base: NetworkAdapter, options: Mapping[str, Scalar]) -> SmoothedAdapter:
    """Return the smoothed model of a network.

    Args:
        name: of the smoothed model.
        base: of `bench.train.recipes.base_name`.
        options: `sigma` of the noise; `n` noisy copies vote, at level `alpha`.

    Raises:
        SpecError: one that is out of range.
    """
    given: dict[str, Any] = {**SMOOTHING, **options}
    return smooth(dataclasses.replace(base.spec, name=name), base.module, **given)
