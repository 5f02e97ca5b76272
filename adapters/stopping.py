"""When a noisy copy more cannot change what is certified: a test of each radius that may end early.

A fixed number n of noisy copies certifies an image within a radius r if the share of copies that get its
class is above Phi(r / sigma) by an exact binomial test at level alpha. Where only some radii matter, most
images are decided by far fewer copies: nearly all copies get the class, or hardly more than half.

Here each radius is tested at several looks. At each, a bound on the misses (copies of another class) proves
the radius, and the bounds are chosen so that the probability that *any* look ever proves a radius that is not
true is at most alpha, computed exactly from the binomial distribution (N. Stallard and S. Todd, Statistics in
Medicine 19, 2000, pp. 3051-3064). So whatever ends an image, what was proven up to then holds: the largest share
proven is the lower end of a sequential confidence interval (repeated confidence intervals of C. Jennison and
B. W. Turnbull, J. R. Stat. Soc. B 51, 1989, pp. 305-361) that holds at all looks together with probability
1 - alpha. Early looks spend a tenth of alpha, in proportion to the copies so far (K. K. G. Lan and D. L. DeMets,
Biometrika 70, 1983, pp. 659-663), or what the test of fixed n leaves of alpha because votes are whole, if that is
more. So the last look, at n, proves very nearly what a fixed n proves.

An image ends once its next radius is hopeless: if the share were equally likely to be anything, what was
counted so far would leave a chance of less than 0.5 % that n copies prove the radius. To give up can lose a
certificate, never make a wrong one. That numbers of copies may follow the image is shown by R. Chen et al.
(Input-specific robustness certification for randomized smoothing, AAAI 2022), that sequential tests of radii save
most of them by V. Voráček (Treatment of statistical estimation problems in randomized smoothing for adversarial
robustness, NeurIPS 2024). Bounds that hold for any number of copies, such as those of `bench.measure.anytime`, are
wider at n than those for looks that are planned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import binom, hypergeom, norm

Counts = npt.NDArray[np.int64]
Array = npt.NDArray[np.float64]

#: The first looks are so many copies apart; later ones a tenth of the copies so far.
_APART, _GROWTH = 20, 10

#: The share of alpha that the looks before the last may spend at least.
_EARLY = 0.1

#: What has a smaller chance than this is given up, so that about half a point of certified accuracy is lost at most.
_HOPELESS = 0.005

#: Each radius is tested so much further out, in pixel units, so that what is proven lies above it.
_BEYOND = 1e-6

_NOTHING = 1e-40  # probabilities that are left out, since all of them together change no digit


class Proven(NamedTuple):
    """What is known of an image so far.

    Attributes:
        radii: how many of the radii are proven, the smallest first.
        ended: whether more copies would change nothing.
    """

    radii: int
    ended: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stopping:
    """The looks at an image and what each of them proves.

    Attributes:
        radii: float64 (R,), the radii that are tested, ascending; those that even n unanimous copies do not prove
            are left out.
        looks: int64 (K,), the numbers of copies after which it is looked, up to n.
        enough: int64 (R, K), the most misses that prove a radius at a look; -1 where nothing does.
        hopeless: int64 (R, K), the fewest misses with which the radius is given up.
    """

    radii: Array
    looks: Counts
    enough: Counts
    hopeless: Counts

    def after(self, copies: int, misses: int, proven: int = 0) -> Proven:
        """Return what is known after so many copies; nothing new if this is no look.

        Args:
            copies: noisy copies so far.
            misses: how many of them got another class than the one chosen.
            proven: how many radii were proven before.
        """
        look = int(np.searchsorted(self.looks, copies))
        if look == len(self.looks) or self.looks[look] != copies:
            return Proven(proven, False)
        while proven < len(self.radii) and misses <= self.enough[proven, look]:
            proven += 1
        last = look == len(self.looks) - 1 or proven == len(self.radii)
        return Proven(proven, last or misses >= self.hopeless[proven, look])


@lru_cache(maxsize=64)
def choosing(n0: int) -> dict[int, int]:
    """Return when it is clear which class may have more than half of the copies, as nothing else is certified.

    That no class but the leading one may: with a true share above one half, a class has so few votes with a
    probability of at most 0.5 %. To choose badly costs a certificate and makes none wrong.

    Args:
        n0: the largest number of copies.

    Returns:
        For each look the most votes of the second class with which the first is chosen; -1 for none.
    """
    looks = planned_looks(n0)
    most = np.asarray(binom.ppf(_HOPELESS, looks, 0.5)).astype(np.int64)
    most -= binom.cdf(most, looks, 0.5) > _HOPELESS
    return dict(zip(looks.tolist(), most.tolist(), strict=True))


@lru_cache(maxsize=64)
def stopping(radii: tuple[float, ...], sigma: float, n: int, alpha: float) -> Stopping:
    """Return when to stop, for the radii of a suite and for 0: whether anything is certified at all.

    Args:
        radii: in l2 and pixel units, above 0, in any order.
        sigma: standard deviation of the noise.
        n: the largest number of copies.
        alpha: probability that any radius is proven for an image that does not have it.
    """
    asked = np.unique([0.0, *radii]) + _BEYOND
    looks = planned_looks(n)
    enough = np.array([proving(share, looks, alpha) for share in norm.cdf(asked / sigma)])
    # Whatever proves a radius proves all smaller ones, so that all of them share a single alpha.
    enough = np.minimum.accumulate(enough, axis=0)
    possible = enough[:, -1] >= 0
    enough = enough[possible]
    return Stopping(
        radii=asked[possible], looks=looks, enough=enough,
        hopeless=np.array([_giving_up(int(row[-1]), looks) for row in enough]).reshape(enough.shape),
    )  # fmt: skip


def planned_looks(n: int) -> Counts:
    """Return after how many of n copies it is looked, int64 (K,), ascending; the last is n."""
    looks = [0]
    while looks[-1] < n:
        apart = max(_APART, looks[-1] // _GROWTH)
        rest = n - looks[-1]
        looks.append(n if 2 * rest < 3 * apart else looks[-1] + apart)
    return np.array(looks[1:])


def proving(share: float, looks: Sequence[int] | Counts, alpha: float) -> Counts:
    """Return the most misses at each look that prove a share above the given one, int64 (K,); -1 for none.

    If the true share is at most this one, the probability that the misses are ever so few is at most alpha.

    Args:
        share: above 0, below 1.
        looks: the numbers of copies, ascending; the last is the largest.
        alpha: the level of all looks together.
    """
    n, miss = int(looks[-1]), 1 - share
    fixed = int(binom.ppf(alpha, n, miss))
    fixed -= bool(binom.cdf(fixed, n, miss) > alpha)
    early = max(alpha - float(binom.cdf(fixed, n, miss)), _EARLY * alpha)
    bounds, spent = np.full(len(looks), -1), 0.0
    # The probabilities of `first` misses and more, where nothing was proven yet.
    first, going_on = 0, np.ones(1)
    before = 0
    for place, copies in enumerate(map(int, looks)):
        first, going_on = _convolved(first, going_on, copies - before, miss)
        ever = spent + going_on.cumsum()
        budget = alpha if copies == n else early * copies / n
        proven = int(np.searchsorted(ever, budget, side="right"))
        if proven:
            bounds[place], spent = first + proven - 1, float(ever[proven - 1])
            first, going_on = first + proven, going_on[proven:]
        before = copies
    return bounds


def _convolved(first: int, given: Array, copies: int, miss: float) -> tuple[int, Array]:
    """Return the distribution of the misses after more copies: the first number of misses, and from there on."""
    added = binom.pmf(np.arange(copies + 1), copies, miss)
    start, added = _without_nothing(added)
    skipped, both = _without_nothing(np.convolve(given, added))
    return first + start + skipped, both


def _without_nothing(probabilities: Array) -> tuple[int, Array]:
    """Return where the first probability stands that matters, and all up to the last such."""
    matter = np.flatnonzero(probabilities > _NOTHING)
    if not len(matter):
        return 0, probabilities[:1]
    return int(matter[0]), probabilities[matter[0] : matter[-1] + 1]


def _giving_up(proving_at_last: int, looks: Counts) -> Counts:
    """Return the fewest misses at each look with which a radius is hopeless, int64 (K,).

    With m misses in t of n copies and a share that may be anything with equal probability, all n copies have
    at most M misses with the probability that a draw of M + 1 from n + 1 balls, t + 1 of them marked, has
    more than m marked ones: the shares of the copies and the true one are n + 1 points of which each order
    is equally likely.

    Args:
        proving_at_last: M, the most misses of n copies that prove the radius.
        looks: t.
    """
    drawn = hypergeom.isf(_HOPELESS, looks[-1] + 1, looks + 1, proving_at_last + 1)
    return np.asarray(drawn).astype(np.int64)
