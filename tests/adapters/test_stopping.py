"""When noisy copies end: exact levels by counting, coverage in simulation, and what is given up."""

import itertools

import numpy as np
import pytest
from scipy.stats import betabinom, binom, norm

from bench.adapters.certificates import lower_bound, radius
from bench.adapters.stopping import choosing, planned_looks, proving, stopping

RADII = (0.045, 0.25, 0.5, 0.83)


@pytest.mark.parametrize("n", [1, 10, 21, 100, 1000, 12_345])
def test_looks_are_some_copies_apart_and_the_last_is_at_n(n):
    looks = planned_looks(n)
    assert looks[-1] == n
    assert len(looks) == 1 or np.diff(looks).min() >= 10
    assert len(looks) <= 60


def test_the_level_is_exact_by_all_sequences_of_answers():
    looks, share, alpha = [4, 8, 12], 0.6, 0.1
    bounds = proving(share, looks, alpha)

    def ever(bounds):
        """Return the probability that some look proves the share, one sequence after the other."""
        total = 0.0
        for wrong in itertools.product((0, 1), repeat=looks[-1]):
            misses = np.cumsum(wrong)[np.array(looks) - 1]
            if (misses <= bounds).any():
                total += (1 - share) ** sum(wrong) * share ** (looks[-1] - sum(wrong))
        return total

    assert 0 < ever(bounds) <= alpha
    assert (
        ever(bounds + np.array([0, 0, 1])) > alpha
    )  # the last look spends all that whole votes let it


def ever_proves(bounds, looks, share):
    """Return the probability that some look proves a share, one copy after the other."""
    going_on, proven = {0: 1.0}, 0.0
    for copies in range(1, int(looks[-1]) + 1):
        after = {}
        for misses, probability in going_on.items():
            after[misses] = after.get(misses, 0) + probability * share
            after[misses + 1] = after.get(misses + 1, 0) + probability * (1 - share)
        bound = bounds[list(looks).index(copies)] if copies in looks else -1
        proven += sum(after.pop(misses) for misses in list(after) if misses <= bound)
        going_on = after
    return proven


@pytest.mark.parametrize("alpha", [0.001, 0.05])
@pytest.mark.parametrize("share", [0.5, 0.8, 0.95])
def test_no_look_proves_a_share_that_is_not_so_large_more_often_than_alpha(share, alpha):
    looks = planned_looks(150)
    bounds = proving(share, looks, alpha)
    level = ever_proves(bounds, looks, share)
    assert level <= alpha * (1 + 1e-9)
    assert level >= alpha / 3  # and the level is used
    assert ever_proves(bounds, looks, share - 0.03) < level


def misses_at_looks(rule, share, trials, random):
    """Return simulated misses at each look, int (trials, K)."""
    steps = np.diff(rule.looks, prepend=0)
    return random.binomial(steps, 1 - share, (trials, len(steps))).cumsum(axis=1)


# The boundaries themselves, where errors are likeliest, and shares between and beyond them.
SHARES = [*norm.cdf(np.array([0, *RADII]) / 0.25), *np.linspace(0.05, 0.995, 12)]


@pytest.mark.parametrize("alpha", [0.001, 0.05])
def test_the_lower_bound_is_never_above_the_true_share_more_often_than_alpha(alpha):
    sigma, n, trials = 0.25, 500, 20_000
    rule, random = stopping(RADII, sigma, n, alpha), np.random.default_rng(7)
    bounds = norm.cdf(rule.radii / sigma)
    used = 0.0
    for share in SHARES:
        misses = misses_at_looks(rule, share, trials, random)
        proven = (misses[:, None, :] <= rule.enough).any(
            axis=2
        )  # at any look, whether an image ended or not
        wrong = int((proven & (bounds > share)).any(axis=1).sum())
        assert wrong <= binom.ppf(1 - 1e-6, trials, alpha)
        used = max(used, wrong / trials)
    assert used >= alpha / 2


def test_what_is_proven_when_an_image_ends_is_wrong_no_more_often_than_alpha():
    sigma, n, trials, alpha = 0.25, 300, 1500, 0.05
    rule, random = stopping(RADII, sigma, n, alpha), np.random.default_rng(8)
    used = 0
    for share in SHARES:
        wrong = 0
        for misses in misses_at_looks(rule, share, trials, random):
            proven, ended, look = 0, False, 0
            while not ended:
                proven, ended = rule.after(int(rule.looks[look]), int(misses[look]), proven)
                look += 1
            wrong += bool(proven) and norm.cdf(rule.radii[proven - 1] / sigma) > share
        assert wrong <= binom.ppf(1 - 1e-6, trials, alpha)
        used = max(used, wrong)
    assert used >= trials * alpha / 4


@pytest.mark.parametrize("n", [100, 1000, 10_000])
def test_the_last_look_proves_what_a_fixed_number_proves_but_for_a_vote_or_two(n):
    rule = stopping(RADII, 0.5, n, 0.001)
    for asked, at_last in zip(rule.radii, rule.enough[:, -1], strict=True):
        votes = np.arange(n + 1)
        enough = radius(lower_bound(votes, n, 0.001), 0.5) > asked
        fixed = n - int(votes[enough].min())
        assert fixed - max(1, n // 5000) <= at_last <= fixed


def test_radii_that_no_copies_prove_are_left_out_and_larger_ones_take_fewer_misses():
    rule = stopping((0.83, 0.045, 0.5), 0.25, 1000, 0.001)
    # 0.001 ** (1 / 1000) is the share that 1000 unanimous copies prove: a radius of 0.616.
    np.testing.assert_allclose(rule.radii, [1e-6, 0.045001, 0.500001])
    assert (np.diff(rule.enough, axis=0) <= 0).all()
    assert (rule.enough < rule.hopeless).all()
    assert len(stopping((), 0.25, 9, 0.001).radii) == 0
    assert stopping((), 0.25, 9, 0.001).after(9, 0) == (0, True)


def test_a_radius_is_given_up_where_its_chance_is_below_half_a_percent():
    rule = stopping((0.1, 0.3), 0.25, 200, 0.01)
    for row, at_last in zip(rule.hopeless, rule.enough[:, -1], strict=True):
        for copies, fewest in zip(rule.looks.tolist(), row.tolist(), strict=True):
            chances = [
                betabinom.cdf(at_last - misses, 200 - copies, misses + 1, copies - misses + 1)
                for misses in (fewest - 1, fewest)
            ]
            assert chances[0] >= 0.005 > chances[1]


def test_an_image_ends_when_all_is_proven_or_nothing_more_can_be():
    rule = stopping((0.1,), 0.25, 1000, 0.001)
    ends = {}
    for share in (1.0, 0.0):
        ends[share] = next(
            (copies, found.radii)
            for copies in rule.looks.tolist()
            if (found := rule.after(copies, round(copies * (1 - share)))).ended
        )
    assert ends[1.0] == (40, 2)  # 0.66 ** 40 is below the 4e-6 that may be spent by then
    assert ends[0.0] == (20, 0)
    assert rule.after(30, 0, 1) == (1, False)  # between two looks nothing is said
    assert rule.after(1000, 450, 0).ended


def test_a_class_is_chosen_once_no_other_is_likely_to_have_more_than_half():
    clear = choosing(100)
    assert list(clear) == [20, 40, 60, 80, 100]
    for copies, most in clear.items():
        assert binom.cdf(most, copies, 0.5) <= 0.005 < binom.cdf(most + 1, copies, 0.5)
    assert choosing(5) == {5: -1}  # of so few copies none is clear
