"""Foolbox under the canonical parameters, with its deviations from the published attacks corrected.

Attacks are started by their `run`, which skips the forward pass for Foolbox's own verdict. Gradient
attacks increase the mean loss, as in the other toolkits, instead of the sum: if gradients fall below
the resolution of float32, the signs of the two differ.
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

#: What an attack compiles at first use; called before the attack, so it is not timed as part of it.
WARM = brendel_bethge.WARM
