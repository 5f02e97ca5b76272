"""How many images tests at any time take, beside tests of a fixed number of images and the same power.

A test of fixed n is given the least n with a power of 80 %. The test at any time looks after every image,
stops when it has decided, and gives up at the number of images by which 80 % of its runs have decided. The
tables are printed: n of the fixed test, then of the test at any time the mean number of images and the
number at which it gives up. Fixed tests are those of claims: the exact McNemar test, and for equality a 95 %
interval of the paired difference that lies within the bounds.
"""

import numpy as np
import pytest

from bench.measure.anytime import counts_over_time, log_e_apart, log_e_within
from bench.measure.statistics import mcnemar, paired_difference

pytestmark = pytest.mark.speed

POWER, LEVEL = 0.8, 0.05
RUNS = 2000
#: Shares of images that only the left and only the right side is robust on.
AHEAD = [(0.15, 0.05), (0.12, 0.08), (0.06, 0.02), (0.25, 0.15), (0.10, 0.0), (0.03, 0.02)]
EQUAL = [(0.0, 0.0), (0.02, 0.02), (0.05, 0.05), (0.15, 0.15), (0.04, 0.02)]
WITHIN = 0.05
#: At most this many times the images of the fixed test, on average over the runs.
TIMES = {"ahead": 1.2, "equal": 1.4}
TINY = {
    "RUNS": 50,
    "AHEAD": [(0.3, 0.0)],
    "EQUAL": [(0.02, 0.02)],
    "TIMES": {"ahead": 9, "equal": 9},
}


def power(decides, n, shares):
    """Return the share of runs of n images that a test of the two discordant counts decides."""
    left, right = shares
    drawn = np.random.default_rng(n).multinomial(n, [left, 1 - left - right, right], size=RUNS)
    pairs, times = np.unique(drawn[:, [0, 2]], axis=0, return_counts=True)
    return sum(
        many for (a, b), many in zip(pairs, times, strict=True) if decides(int(a), int(b), n)
    ) / len(drawn)


def fixed_number(decides, shares):
    """Return about the least number of images with the power wanted, to 2 %."""
    n = 10
    while power(decides, n, shares) < POWER:
        n = int(n * 1.02) + 1
    return n


def anytime_number(log_e, shares, images):
    """Return the mean number of images of runs that stop greedily, and where they give up."""
    first = []
    for seed in range(RUNS // 50):
        drawn = np.random.default_rng(seed).random((50, images))
        left = drawn < shares[0]
        reached = log_e(counts_over_time(left, ~left & (drawn < sum(shares)))) >= np.log(1 / LEVEL)
        first.append(np.where(reached.any(1), reached.argmax(1) + 1, images))
    first = np.concatenate(first)
    last = np.quantile(first, POWER)
    assert last < images, "runs are too short"
    return np.minimum(first, last).mean(), last


def table(kind, cases, decides, log_e):
    print(f"\n{kind}: left, right; fixed n; mean n at any time, most; ratio")
    ratios = []
    for shares in cases:
        fixed = fixed_number(decides, shares)
        mean, last = anytime_number(log_e, shares, 3 * fixed + 100)
        ratios.append(mean / fixed)
        print(
            f"{shares[0]:.2f} {shares[1]:.2f} {fixed:6d} {mean:7.0f} {last:6.0f} {ratios[-1]:6.2f}"
        )
    assert np.mean(ratios) <= TIMES[kind]


def test_which_side_is_ahead():
    table("ahead", AHEAD, lambda left, right, n: mcnemar(left, right) <= LEVEL, log_e_apart)


def test_equality():
    def decides(left, right, n):
        _, (low, high) = paired_difference(left, right, n)
        return low >= -WITHIN and high <= WITHIN

    table("equal", EQUAL, decides, lambda counts: log_e_within(counts, WITHIN))
