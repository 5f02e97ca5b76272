"""Foolbox behind the canonical words, with what it does differently put right.

Attacks are started by their `run`, without the forward of Foolbox's own verdict. Gradient attacks
climb the mean loss, as the other toolkits do, instead of the sum: on networks whose gradients fall
below float32's resolution the two differ in sign.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from bench.attacks.foolbox_driver import brendel_bethge, fixed, minimal, queries, sparse
from bench.attacks.job import Job
from bench.spec import Norm


def prepare() -> None:
    """Import the toolkit, so that the import is not timed as part of an attack."""
    import foolbox  # noqa: F401


ATTACKS: Mapping[tuple[str, Norm], Callable[[Job], torch.Tensor]] = {
    **fixed.ATTACKS,
    **minimal.ATTACKS,
    **brendel_bethge.ATTACKS,
    **queries.ATTACKS,
    **sparse.ATTACKS,
}

#: What an attack compiles at its first use, which is not timed either.
WARM = brendel_bethge.WARM
