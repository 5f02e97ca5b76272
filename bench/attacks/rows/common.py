"""Parameters and toolkits that several attacks share."""

from __future__ import annotations

from bench.attacks.row import QUARTER_OF_EPS, Agreement, Parameter, Parity, norm
from bench.spec import Toolkit

THREE: tuple[Toolkit, ...] = ("art", "foolbox", "torchattacks")
ADV_LIB: tuple[Toolkit, ...] = ("adv-lib",)
#: Of the parts of AutoAttack, which toolkits had before ours and adv-lib's: those run where none is named.
NATIVE: tuple[Toolkit, ...] = ("native",)
STEPS = Parameter("count", 10, least=1)
STEP_SIZE = Parameter("amount", QUARTER_OF_EPS)
RESTARTS = Parameter("count", 1, least=1)
EOT = Parameter("count", 1, least=1)
TARGETED = Parameter("target", "none")


def as_adv_lib(parity: Parity) -> Agreement:
    """Return the parity of adv-lib and any other toolkit."""
    return Agreement(parity, toolkit="adv-lib")


def alike(most: float, cause: str) -> Parity:
    """Return the parity under which median norms differ by at most a factor, and verdicts hardly."""
    return norm(1 / most, most, cause, within=0.02)
