"""Words and toolkits that several attacks share."""

from __future__ import annotations

from bench.attacks.row import QUARTER_OF_EPS, Word
from bench.spec import Toolkit

THREE: tuple[Toolkit, ...] = ("art", "foolbox", "torchattacks")
STEPS = Word("count", 10, least=1)
STEP_SIZE = Word("amount", QUARTER_OF_EPS)
TARGETED = Word("target", "none")
