"""ART behind the canonical words, with what it does differently put right.

Labels, batch sizes and clip values are always explicit: ART's defaults attack its own predictions,
a batch of 1 or 32, and images without bounds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from bench.attacks.art_driver import brendel_bethge, fixed, minimal, queries, sparse
from bench.attacks.job import Job, Perturbation
from bench.spec import Norm


def prepare() -> None:
    """Import the toolkit, so that the import is not timed as part of an attack."""
    import art.attacks.evasion
    import art.estimators.classification  # noqa: F401


ATTACKS: Mapping[tuple[str, Norm], Callable[[Job], torch.Tensor]] = {
    **fixed.ATTACKS,
    **minimal.ATTACKS,
    **brendel_bethge.ATTACKS,
    **queries.ATTACKS,
    **sparse.ATTACKS,
}

#: What an attack compiles at its first use, which is not timed either.
WARM = brendel_bethge.WARM

FITS: Mapping[tuple[str, Norm], Callable[[Job], Perturbation]] = fixed.FITS
