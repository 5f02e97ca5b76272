"""Parameters and toolkits that several attacks share."""

from __future__ import annotations

from bench.attacks.row import QUARTER_OF_EPS, Parameter
from bench.spec import Toolkit

THREE: tuple[Toolkit, ...] = ("art", "foolbox", "torchattacks")
STEPS = Parameter("count", 10, least=1)
STEP_SIZE = Parameter("amount", QUARTER_OF_EPS)
RESTARTS = Parameter("count", 1, least=1)
EOT = Parameter("count", 1, least=1)
TARGETED = Parameter("target", "none")
