from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import digits_network
import numpy as np
import pytest
import torch
from torch import nn

from bench.attacks.brendel_bethge import Solver
from bench.data.datasets import load


class Trained(NamedTuple):
    net: nn.Module
    x: torch.Tensor
    y: torch.Tensor


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Run these tiny networks on one thread: sharing them out costs more than it gains."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Nearest:
    """A solver of a few lines for Brendel-Bethge: the libraries' take minutes to compile.

    The point of the plane nearest to x0 in l2, as far as the trust region and the box allow.
    """

    def solve(self, x0: Any, x: Any, b: Any, low: float, high: float, c: float, r: float) -> Any:
        step = x0 - x
        step = step + b * (c - b @ step) / (b @ b)
        return np.clip(x + step * min(1, r / (np.linalg.norm(step) + 1e-12)), low, high) - x


@pytest.fixture(scope="session", autouse=True)
def _compiles_nothing() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for toolkit in ("art", "foolbox"):
            where = f"bench.attacks.{toolkit}_driver.brendel_bethge.compiled"
            patch.setattr(where, lambda kind: Solver(Nearest()))
        yield


@pytest.fixture(autouse=True)
def _no_gradient_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """Forget what toolkits, run raw, accumulate in the parameters of the shared network."""
    yield
    if "trained" in request.fixturenames:
        request.getfixturevalue("trained").net.zero_grad(set_to_none=True)


@pytest.fixture(scope="session")
def trained() -> Trained:
    """The network of `digits_network.py`, and 32 test images of the digits that it gets right."""
    net = digits_network.shipped()
    test = load("digits", "test")
    with torch.no_grad():
        right = net(test.images).argmax(1) == test.labels
    assert right.float().mean() > 0.85
    return Trained(net, test.images[right][:32], test.labels[right][:32])
