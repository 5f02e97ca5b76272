"""ART under the canonical parameters, with its deviations from the published attacks corrected.

Labels, batch sizes and clip values are always given: by default ART attacks its own predictions, in
batches of 1 or 32, without bounds on images.
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

#: What an attack compiles at first use; called before the attack, so it is not timed as part of it.
WARM = brendel_bethge.WARM

FITS: Mapping[tuple[str, Norm], Callable[[Job], Perturbation]] = fixed.FITS
