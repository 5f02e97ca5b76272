"""adv-lib under the canonical parameters, with its deviations from the published attacks corrected.

Its attacks are functions. Where a part of one is wrong, the driver runs the same code with that part
replaced (`common.with_parts`), so that nothing of the package is changed for others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from bench.attacks.adv_lib_driver import fixed, minimal, penalty, sparse
from bench.attacks.adv_lib_driver.common import prepare
from bench.attacks.job import Job
from bench.spec import Norm

__all__ = ["ATTACKS", "prepare"]

ATTACKS: Mapping[tuple[str, Norm], Callable[[Job], torch.Tensor]] = {
    **fixed.ATTACKS,
    **minimal.ATTACKS,
    **penalty.ATTACKS,
    **sparse.ATTACKS,
}
