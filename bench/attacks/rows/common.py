"""Words and toolkits that several attacks share."""

from __future__ import annotations

from bench.attacks.row import QUARTER_OF_EPS, Word
from bench.spec import Toolkit

THREE: tuple[Toolkit, ...] = ("art", "foolbox", "torchattacks")
STEPS = Word("count", 10, least=1)
STEP_SIZE = Word("amount", QUARTER_OF_EPS)
RESTARTS = Word("count", 1, least=1)
EOT = Word("count", 1, least=1)
TARGETED = Word("target", "none")
