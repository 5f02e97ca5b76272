"""torchattacks under the canonical parameters, with its deviations from the published attacks corrected.

Most corrections override `get_logits`, through which its attacks call the model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from bench.attacks.job import Job
from bench.attacks.torchattacks_driver import ensemble, fixed, minimal, queries, sparse
from bench.spec import Norm


def prepare() -> None:
    """Import the toolkit, so that the import is not timed as part of an attack."""
    import torchattacks  # noqa: F401


ATTACKS: Mapping[tuple[str, Norm], Callable[[Job], torch.Tensor]] = {
    **fixed.ATTACKS,
    **minimal.ATTACKS,
    **queries.ATTACKS,
    **sparse.ATTACKS,
    **ensemble.ATTACKS,
}
