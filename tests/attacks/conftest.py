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

#: Tests of what the harness does alike for every attack. Those of adv-lib, which has many, run with the slow
#: ones; what is its own, the oracles and the faults put right, runs always.
ALIKE = {
    "test_misclassification_is_any_other_label",
    "test_source_and_target_is_one_label_for_images_of_one_class",
    "test_confidence_reduction_succeeds_wherever_misclassification_does",
    "test_the_same_seed_gives_the_same_images",
    "test_everything_is_as_before_after_a_call",
    "test_restarts_on_what_resists_are_no_error",
    "test_a_class_that_is_never_reached_is_no_error",
    "test_fmn_takes_one_image_at_a_time_as_well",
    "test_noise_never_beats_a_minimal_attack",
    "test_noise_never_beats_an_attack_with_a_budget",
}
#: The oracles take batches of several sizes; of adv-lib's attacks the largest in any case.
BATCHES = {
    "test_a_minimal_attack_comes_close_to_the_optimum",
    "test_a_gradient_attack_succeeds_exactly_where_the_optimum_does",
}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        words = getattr(item, "callspec", None)
        if words is None or not isinstance(item, pytest.Function) or "adv-lib" not in item.name:
            continue
        alone = item.originalname in BATCHES and words.params.get("count") != 8
        if alone or item.originalname in ALIKE:
            item.add_marker(pytest.mark.slow)


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
