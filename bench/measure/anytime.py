"""Tests of paired outcomes that stay valid however often one looks and whenever one stops.

On each image the difference of two sides is 1 if only the left one is robust, -1 if only the right one
is, and else 0. Somebody bets before each image that the mean difference is above a bound m: a capital,
at first 1, is multiplied by 1 + stake (difference - m). If the mean is at most m, no stake makes the
capital grow on average, and the probability that it *ever* reaches 1/a is at most a (J. Ville, Étude
critique de la notion de collectif, 1939). So the capital is an e-value, evidence against a mean of at
most m, whenever it is looked at; its inverse is a p-value.

Here the capital is divided equally among 24 bettors, each of whom always bets the same part b of the most
that may be bet:

    K(m) = mean over b of  (1 + b (1 - m) / (1 + m))^L  (1 - b m / (1 + m))^S  (1 - b)^R

with L images robust on the left alone, R on the right alone and S on both or neither: the grid of
constant bets of I. Waudby-Smith and A. Ramdas (Estimating means of bounded random variables by betting,
J. R. Stat. Soc. B 86, 2024, pp. 1-27; "GridKelly"), with bets in geometric steps, so that small and large
differences are found about as soon. For m = 0 this is a mixture of likelihood ratios over the
discordant images alone, the counterpart of McNemar's test at any time. K falls as m grows, so the
values of m that it has not spoken against are an interval.

What is assumed: the images come in an order that has nothing to do with the outcomes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from bench.measure.statistics import Interval, holm

Floats = npt.NDArray[np.float64]
Counted = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

#: What a claim about two shares expects of them.
Expected = Literal["left > right", "left < right", "left = right"]

#: What the outcomes so far say of a claim.
Decided = Literal["holds", "fails", "undecided"]

#: The part of the largest possible stake that each bettor stakes.
_BETS = np.geomspace(0.05, 0.99, 24)
_HALVINGS = 24  # of the range in which a bound is looked for
_EXACT = 1e-6  # bounds nearer than this are the same
_LARGEST = 700.0  # the logarithm of the largest e-value that is told apart


class Counts(NamedTuple):
    """How many images only the left side is robust on, both or neither, and only the right one.

    Three arrays of one shape, such as (n,) for the counts after each of n images.
    """

    left: Counted
    same: Counted
    right: Counted

    @property
    def mirrored(self) -> Counts:
        """The counts with the sides exchanged."""
        return Counts(self.right, self.same, self.left)

    def at(self, place: int) -> Counts:
        """Return the counts at one place of the last axis."""
        return Counts(*(counted[..., place] for counted in self))


def counts_over_time(left: Flags, right: Flags) -> Counts:
    """Return the counts after each image.

    Args:
        left: bool (..., n), whether the left side is robust on each image, in their order.
        right: the same of the right side.
    """
    only_left, only_right, same = left & ~right, right & ~left, left == right
    return Counts(*(each.cumsum(axis=-1, dtype=np.int64) for each in (only_left, same, only_right)))


def log_e_above(counts: Counts, bound: float = 0.0) -> Floats:
    """Return the logarithm of the e-value against a difference (left minus right) of at most a bound.

    The capital K of the head of this file; that against a difference of at least a bound is
    `log_e_above(counts.mirrored, -bound)`.

    Args:
        counts: of any shape.
        bound: of the difference of the two shares, above -1, below 1; 0 is the one-sided test of
            discordant images.

    Returns:
        One for each of the counts, in their shape.
    """
    stakes = _BETS / (1 + bound)
    grown = (
        np.multiply.outer(counts.left, np.log1p(stakes * (1 - bound)))
        + np.multiply.outer(counts.same, np.log1p(-stakes * bound))
        + np.multiply.outer(counts.right, np.log1p(-_BETS))
    )
    largest = grown.max(axis=-1, keepdims=True)  # the capital itself may be too large for a float
    return np.asarray(np.log(np.exp(grown - largest).mean(axis=-1)) + largest[..., 0])


def log_e_apart(counts: Counts) -> Floats:
    """Return the logarithm of the e-value against equal shares: half of the capital is bet on either side."""
    return np.asarray(np.maximum(log_e_above(counts), log_e_above(counts.mirrored)) - np.log(2))


def log_e_within(counts: Counts, within: float) -> Floats:
    """Return the logarithm of the e-value against a difference of at least `within` to either side.

    The less of two, against a difference of at least `within` and against one of at most its negative; one
    of these is true where the shares are not equivalent (D. J. Schuirmann, J. Pharmacokinet. Biopharm.
    15, 1987, pp. 657-680, for p-values).

    Args:
        counts: of any shape.
        within: half the width of what counts as equal, as a share: 0.05 for 5 points.
    """
    return np.asarray(
        np.minimum(log_e_above(counts.mirrored, -within), log_e_above(counts, -within))
    )


def log_e_below(values: Floats, most: float) -> Floats:
    """Return the logarithm of the e-value against a mean of at least 0, after each of some values.

    The same bettors, on values that need not be whole: each stakes its part of 1 / most against them.

    Args:
        values: (n,), in their order.
        most: the largest absolute value that there can be.
    """
    grown = np.log1p(np.multiply.outer(-values / most, _BETS)).cumsum(axis=0)
    largest = grown.max(axis=-1, keepdims=True)
    return np.asarray(np.log(np.exp(grown - largest).mean(axis=-1)) + largest[..., 0])


def confidence_interval(counts: Counts, level: float = 0.05) -> Interval:
    """Return the interval of the difference of two shares, left minus right, that holds at every time.

    All bounds that the capital of neither side has reached 2 / level against, up to now. With
    probability 1 - level the intervals at *all* times hold the difference; each lies in those before it
    (Waudby-Smith and Ramdas, 2024: a confidence sequence and its running intersection).

    Args:
        counts: after each image, (n,).
        level: the probability of an error.

    Returns:
        -1 and 1 without images; both NaN where no difference is left, since early and late images contradict
        one another. If the order of the images means nothing, that is rarer than `level`.
    """
    needed = float(np.log(2 / level))
    low, high = _lower_bound(counts, needed), -_lower_bound(counts.mirrored, needed)
    return Interval(low, high) if low <= high else Interval(float("nan"), float("nan"))


def _lower_bound(counts: Counts, needed: float) -> float:
    """Return the largest bound against which the logarithm of the capital has ever been `needed`."""
    low, place = -1.0, len(counts.left) - 1
    while place >= 0 and (bound := _bound_at(counts.at(place), needed)) > low + _EXACT:
        # The time that says most against this bound says something against larger ones too.
        low, place = bound, int(np.argmax(log_e_above(counts, bound)))
    return low


def _bound_at(counts: Counts, needed: float) -> float:
    """Return the bound at which the logarithm of the capital is `needed` at one time, rounded down."""
    low, high = -1.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        reached = log_e_above(counts, middle) >= needed
        low, high = (middle, high) if reached else (low, middle)
    return low


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the outcomes of one comparison say of its claim, up to now.

    Attributes:
        images: how many were used.
        e_for: the largest e-value so far that speaks for the claim: against its negation.
        e_against: the largest so far that speaks against it.
        interval: of the difference of the two shares, left minus right; it holds at every time.
    """

    images: int
    e_for: float
    e_against: float
    interval: Interval

    @property
    def e(self) -> float:
        """The larger of both e-values."""
        return max(self.e_for, self.e_against)

    @property
    def p(self) -> float:
        """The p-value at any time: the inverse of the e-value, at most 1."""
        return min(1.0, 1 / self.e)


def paired_evidence(
    left: Flags, right: Flags, expect: Expected, within: float | None = None
) -> Evidence:
    """Return what paired outcomes say of a claim.

    Of a direction: half of the capital is bet on either side, so that the probability that a side is
    ever found ahead is at most `level` if none is, and at most half of it if the other one is.
    Of equality: the claim is wrong, or right, and is found to be the contrary with a probability of at
    most `level`; to be found wrong, half is bet on either side.

    Args:
        left: bool (n,), whether the left side is robust on each image, in their order.
        right: the same of the right side, on the same images.
        expect: of the shares of images on which each side is robust.
        within: half the width of what counts as equal, as a share; with `left = right`, and only there.

    Raises:
        ValueError: equality without `within`, or a direction with it.
    """
    if (expect == "left = right") != (within is not None):
        raise ValueError(f"{expect!r} with within = {within}: only equality is within something")
    counts = counts_over_time(left, right)
    if within is not None:
        above, below = log_e_above(counts, within), log_e_above(counts.mirrored, within)
        log_for, log_against = log_e_within(counts, within), np.maximum(above, below) - np.log(2)
    else:
        ahead = counts if expect == "left > right" else counts.mirrored
        log_for, log_against = (log_e_above(side) - np.log(2) for side in (ahead, ahead.mirrored))
    return Evidence(
        images=len(left),
        e_for=largest_e(log_for),
        e_against=largest_e(log_against),
        interval=confidence_interval(counts),
    )


def largest_e(log_e: Floats) -> float:
    """Return the largest e-value so far; that of no image is 1."""
    return float(np.exp(min(_LARGEST, np.max(log_e, initial=0.0))))


def decide(compared: Sequence[Evidence], level: float = 0.05) -> list[Decided]:
    """Return what is decided of comparisons that are tested together.

    By Holm's procedure over the inverses of the largest e-values. These are p-values whatever made each
    comparison stop, so the probability that any claim without a difference is ever decided is at most
    `level`, under any dependence (S. Holm, Scand. J. Stat. 6, 1979, pp. 65-70), and no decision is taken back as
    images are added. The mean of e-values, which V. Vovk and R. Wang (Ann. Stat. 49, 2021, pp.
    1736-1754) and W. Hartog and L. Lei (arXiv 2501.09015, 2025) use in Holm's place, decides a little more,
    but asks for e-values of one time; over largest e-values it does not keep the level (Y. Tavyrikov, J. J.
    Goeman and R. de Heide, arXiv 2501.19360, 2025).

    Args:
        compared: all comparisons of the suite; how many there are may not depend on the outcomes.
        level: the probability of any error.
    """
    adjusted = holm([evidence.p for evidence in compared])
    return [
        "undecided" if p > level else "holds" if evidence.e_for > evidence.e_against else "fails"
        for evidence, p in zip(compared, adjusted, strict=True)
    ]


def last_look(anytime: float, exact: float | None = None) -> float:
    """Return the p-value of a comparison that is tested at any time, and by an exact test on all images.

    Each test has half of the level: min(1, 2 min(anytime, exact)). So nothing stays undecided that the exact
    test on all images decides at half the level; before that, a decision takes about a fifth more images.

    Args:
        anytime: the p-value at any time, `Evidence.p`.
        exact: the p-value of a test of fixed n, such as `mcnemar`, on all images that there are; None
            before the last of them. How many there are is fixed before the first.
    """
    return min(1.0, 2 * (anytime if exact is None else min(anytime, exact)))
