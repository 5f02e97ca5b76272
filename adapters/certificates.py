"""What the votes of noisy copies prove: when to abstain, and how far a decision is guaranteed.

Randomized smoothing of Cohen, Rosenfeld and Kolter (ICML 2019), section 3.2; tables of scipy.
"""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
from scipy.stats import beta, binom, norm

from bench.errors import SpecError

Counts = npt.NDArray[np.int64]
Array = npt.NDArray[np.float64]


def separated(counts: Counts, alpha: float) -> npt.NDArray[np.bool_]:
    """Return where the class with most votes is ahead of the second at level alpha, bool (N,).

    The exact two-sided binomial test of n_A successes in n_A + n_B at 1/2 (PREDICT).

    Args:
        counts: votes, int64 (N, C), two classes or more.
        alpha: largest share of images that may get a class other than the likeliest.
    """
    second, first = np.sort(counts, axis=1)[:, -2:].T
    # At 1/2 the test is symmetric, so the two-sided p-value is twice the one-sided.
    p_value = np.minimum(1, 2 * binom.sf(first - 1, first + second, 0.5))
    clearly_ahead: npt.NDArray[np.bool_] = p_value <= alpha
    return clearly_ahead


def least_votes(alpha: float) -> int:
    """Return the fewest unanimous votes that `separated` accepts: 2 / 2^n <= alpha."""
    return next(n for n in itertools.count(1) if 2 * 0.5**n <= alpha)


def least_copies(alpha: float) -> int:
    """Return the fewest unanimous votes that prove a share above one half: 1 / 2^n < alpha."""
    return next(n for n in itertools.count(1) if 0.5**n < alpha)


def check_enough(name: str, n: int, alpha: float, least: int, what: str) -> None:
    """Raise if so few copies vote that even unanimous votes would decide nothing.

    Raises:
        SpecError: `n` is below `least`.
    """
    if n < least:
        raise SpecError(
            f"{name}: n={n} noisy copies are too few: at alpha={alpha:g} no image can be {what} with "
            f"fewer than {least}, even where all agree; set n={least} or more"
        )


def lower_bound(votes: Counts, n: int, alpha: float) -> Array:
    """Return the lower confidence bound of a share, float64 (N,): one-sided Clopper-Pearson.

    The p with P(Binomial(n, p) >= votes) = alpha, a quantile of Beta(votes, n - votes + 1); 0 where
    there are no votes (C. J. Clopper and E. S. Pearson, Biometrika 26, 1934).

    Args:
        votes: for one class, int64 (N,).
        n: number of all votes.
        alpha: probability that the true share is smaller.
    """
    none = votes == 0
    bound = np.asarray(beta.ppf(alpha, np.where(none, 1, votes), n - votes + 1))
    return np.where(none, 0.0, bound)


def radius(share: Array, sigma: float) -> Array:
    """Return the l2 radius sigma Phi^-1(share) in which a class stays the likeliest, float64 (N,).

    0 where the share is no more than a half (Cohen et al., theorem 1 with 1 - share for the others).

    Args:
        share: share of noisy copies that get the class, or a lower bound of it.
        sigma: standard deviation of the noise.
    """
    return np.where(share > 0.5, sigma * norm.ppf(np.maximum(share, 0.5)), 0.0)
