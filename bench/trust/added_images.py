"""How the claims of a run are judged that added images to undecided comparisons (`bench run --decide`).

Such a run looks at its outcomes again and again, and stops where they please. A test for a number of images
that was fixed beforehand finds differences too often then, where there are none: of runs that look after
every image, most find one in the end. So, in a run whose log says that it added images,

- accuracies are tested by e-values (`bench.measure.anytime`), whose inverse is a p-value whenever one stops (J.
  Ville, 1939; I. Waudby-Smith and A. Ramdas, J. R. Stat. Soc. B 86, 2024, pp. 1-27). Once all images that there are
  have been used, which no outcome can change, the exact test of all images counts too, each at half of the level
  (`last_look`);
- the interval of a difference is that of the confidence sequence, which holds at all times;
- a claim holds only against weaker attacks if the study's attack supports it, and an e-value speaks against the
  strongest attack leaving at least half of the study's lead: that is a test of the mean of a bounded difference,
  that under the strongest less half of that under the study's, on the images of both;
- p-values of accuracies, those of equality too and under both attacks, are adjusted together by Holm's method (S.
  Holm, Scand. J. Stat. 6, 1979, pp. 65-70). What has no figures counts with p = 1, so that how many there are
  follows from the claims and not from outcomes. So the probability that any comparison without a difference is
  ever decided is at most 0.05 in the whole suite, whatever made it stop;
- all other measures have no such test. They are judged by their usual tests, on the images that the suite asks for,
  and adjusted among themselves.

In all other runs the tests of a fixed number of images are valid, and are used (`bench.trust.comparisons`).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.stats import norm

from bench.measure.anytime import (
    Evidence,
    Expected,
    Flags,
    Floats,
    largest_e,
    last_look,
    log_e_below,
    paired_evidence,
)
from bench.measure.statistics import mcnemar, paired_equality
from bench.trust.claim_measures.registry import Shown, Statement
from bench.trust.verdicts import GONE

_LEAST = 1e-300  # a p-value is never 0, so that adjusted ones can be divided by it


def shown_at_any_time(
    sides: tuple[pd.Series[bool], pd.Series[bool]],
    expect: Expected,
    within: float | None,
    everything: bool,
) -> tuple[dict[Statement, Shown], Evidence]:
    """Return what paired outcomes show of a claim about two accuracies, and the evidence behind it.

    Args:
        sides: by image, whether each side is robust, on the same images in their order.
        expect: of the accuracies.
        within: half the width of what counts as equal, as a share; with `left = right` alone.
        everything: whether these are all images that there are.
    """
    left, right = (side.to_numpy(dtype=bool) for side in sides)
    evidence = paired_evidence(left, right, expect, within)
    exact = _exact(left, right, expect, within) if everything else {}
    differences = left.astype(float) - right
    margins = _margins(differences, expect, within)
    e_values: dict[Statement, float] = {"for": evidence.e_for, "against": evidence.e_against}
    shown = {
        statement: _shown(e, exact.get(statement), *margins[statement])
        for statement, e in e_values.items()
    }
    return shown, evidence


def lead_gone(
    study: tuple[pd.Series[bool], pd.Series[bool]],
    strongest: tuple[pd.Series[bool], pd.Series[bool]],
    expect: Expected,
    everything: bool,
) -> tuple[Shown, float]:
    """Return whether the strongest attack is shown to leave at most half of the study's lead, and the e-value.

    Args:
        study: by image, whether each side is robust to the study's attack.
        strongest: the same of the strongest attack.
        expect: a direction.
        everything: whether these are all images that there are.
    """
    shared = study[0].index
    for side in (study[1], *strongest):
        shared = shared.intersection(side.index)
    shared = shared.sort_values()
    ahead = 1 if expect == "left > right" else -1
    leads = [
        np.asarray(left.loc[shared], dtype=float) - np.asarray(right.loc[shared], dtype=float)
        for left, right in (study, strongest)
    ]
    beyond: Floats = ahead * (leads[1] - GONE * leads[0])
    # Half is bet on it, since the same outcomes are asked whether the other side is ahead.
    e = largest_e(log_e_below(beyond, 1 + GONE) - np.log(2))
    exact = None
    if everything and len(beyond) > 1:
        error = float(beyond.std(ddof=1)) / len(beyond) ** 0.5
        exact = float(2 * norm.cdf(beyond.mean() / error)) if error else None
    return _shown(e, exact, -_mean(beyond), _square(beyond)), e


def _shown(e: float, exact: float | None, mean: float, square: float) -> Shown:
    p = max(_LEAST, last_look(min(1.0, 1 / e), exact))
    return Shown(p=p, mean=mean, square=square)


def _exact(
    left: Flags, right: Flags, expect: Expected, within: float | None
) -> Mapping[Statement, float]:
    """Return the p-values of the tests of all images, of what they speak for."""
    only_left, only_right = int((left & ~right).sum()), int((right & ~left).sum())
    if within is not None:
        inside, outside = paired_equality(only_left, only_right, len(left), within)
        return {"for": inside, "against": outside}
    left_ahead = only_left > only_right
    return {
        "for" if left_ahead == (expect == "left > right") else "against": mcnemar(
            only_left, only_right
        )
    }


def _margins(
    differences: Floats, expect: Expected, within: float | None
) -> dict[Statement, tuple[float, float]]:
    """Return mean and mean square of what speaks for each statement where it is positive on average."""
    if within is None:
        mean, square = _mean(differences), _square(differences)
        ahead = 1 if expect == "left > right" else -1
        return {"for": (ahead * mean, square), "against": (-ahead * mean, square)}
    sign = 1 if differences.sum() >= 0 else -1
    inside = within - sign * differences
    return {"for": (_mean(inside), _square(inside)), "against": (-_mean(inside), _square(inside))}


def _mean(values: Floats) -> float:
    return float(values.sum() / (len(values) + 1))


def _square(values: Floats) -> float:
    """Return the mean square, with one more of 1, so that few values do not seem to be sure."""
    return float(((values**2).sum() + 1) / (len(values) + 1))
