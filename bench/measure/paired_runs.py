"""Whether something is better or worse in a second run than in a first, image by image, and how sure that is.

Each image has a number on both sides, of which more is better: whether it is robust, the distance at
which an attack breaks it, the radius certified for it. Under the hypothesis that nothing changed, an
image with two numbers is as likely to be worse as to be better: the exact sign test, which of shares is
McNemar's (`bench.measure.statistics.mcnemar`).

Tests come in two families, the cells and the figures of models, and each gets half of the level of 5 %.
Within a family p-values are adjusted by Holm's method. Tests of which no image has two numbers cannot
come out significant, so they are not counted (R. E. Tarone, Biometrics 46, 1990). So where nothing
changed, a comparison of two runs finds anything significant with a probability of at most 5 %.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from bench.measure.statistics import holm, mcnemar

#: Level of all tests of a comparison together.
LEVEL = 0.05
_FAMILIES = 2

#: Distances and radii whose relative difference is smaller count as equal.
NEARLY = 0.01

#: What became of a cell or of a figure. `NOISE`: there are differences, but no significant one. `UNTESTED`: rows
#: differ of which is not known what would be better. `NO_RESULT...`: both runs asked for it, and not both
#: have a result that counts, since it did not run, failed or was left out. `OTHER_IMAGES`: the runs have no image in common.
SAME, NOISE, WORSE, BETTER = "same", "noise", "worse", "better"
UNTESTED, OTHER_IMAGES = "not tested", "other images"
NO_RESULT, NO_RESULT_IN_A, NO_RESULT_IN_B = "no result", "no result in A", "no result in B"
ONLY_A, ONLY_B = "only in A", "only in B"
#: Where there is a result that counts on both sides.
COMPARED = (SAME, NOISE, WORSE, BETTER, UNTESTED)


class Paired(NamedTuple):
    """How many of n images are worse, and how many better, in the second run; and the p of that."""

    n: int
    worse_on: int
    better_on: int
    p: float


def paired(a: pd.Series[float], b: pd.Series[float]) -> Paired:
    """Return how the numbers of the same images compare; more is better.

    Args:
        a: by image, in the first run.
        b: in the second, of the same images in the same order.
    """
    first, second = a.to_numpy(float), b.to_numpy(float)
    unequal = ~np.isclose(first, second, rtol=NEARLY, atol=0)
    worse, better = int((unequal & (second < first)).sum()), int((unequal & (second > first)).sum())
    return Paired(len(first), worse, better, mcnemar(worse, better))


def adjusted(tests: Sequence[Paired]) -> list[float]:
    """Return the p-values of one family of tests, adjusted for all tests of the comparison."""
    counted = [turn for turn, test in enumerate(tests) if test.worse_on + test.better_on]
    found = [1.0] * len(tests)
    for turn, p in zip(counted, holm([tests[turn].p for turn in counted]), strict=True):
        found[turn] = min(1.0, _FAMILIES * p)
    return found


def change_of(test: Paired, adjusted_p: float) -> str:
    """Return what became of something that is not all the same: `WORSE`, `BETTER` or `NOISE`."""
    if adjusted_p > LEVEL:
        return NOISE
    return WORSE if test.worse_on > test.better_on else BETTER
