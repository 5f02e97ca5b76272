from __future__ import annotations

import itertools
from math import isnan, log

import numpy as np
import pytest

from bench.measure.anytime import (
    Counts,
    Evidence,
    confidence_interval,
    counts_over_time,
    decide,
    last_look,
    log_e_above,
    log_e_apart,
    log_e_within,
    paired_evidence,
)
from bench.measure.statistics import Interval, mcnemar

BETS = np.geomspace(0.05, 0.99, 24)
#: Shares of images of the left side alone, of both or neither, and of the right side alone.
NO_DIFFERENCE = [(0.1, 0.8, 0.1), (0.02, 0.96, 0.02), (0.5, 0.0, 0.5)]


def outcomes(shape, shares, seed=0):
    """Return outcomes of a left and a right side with these shares, (runs, images)."""
    drawn = np.random.default_rng(seed).random(shape)
    return drawn < shares[0], (drawn >= shares[0]) & (drawn < shares[0] + shares[2])


def discordant_runs(runs, images, seed=0):
    """Return the largest two-sided log e-value ever reached in runs of discordant images at p = 1/2."""
    grid = np.arange(images + 1)
    table = log_e_apart(Counts(grid[:, None], np.zeros((1, 1), int), grid[None, :]))
    only_left = np.random.default_rng(seed).random((runs, images)) < 0.5
    left = only_left.cumsum(1)
    return table[left, np.arange(1, images + 1) - left].max(1)


# What the e-value is.


@pytest.mark.parametrize("bound", [-0.3, 0.0, 0.05])
def test_the_e_value_is_the_capital_of_24_bettors(bound):
    differences = np.random.default_rng(1).choice([-1, 0, 1], size=40, p=[0.2, 0.5, 0.3])
    stakes = BETS / (1 + bound)
    capital = np.cumprod(1 + stakes * (differences[:, None] - bound), axis=0).mean(1)
    counts = counts_over_time(differences == 1, differences == -1)
    assert np.exp(log_e_above(counts, bound)) == pytest.approx(capital)


@pytest.mark.parametrize(("bound", "shares"), [
    (0.0, (0.2, 0.6, 0.2)), (0.05, (0.15, 0.75, 0.1)), (-0.4, (0.1, 0.4, 0.5)),
])  # fmt: skip
def test_a_fair_bet_neither_gains_nor_loses_on_average(bound, shares):
    """Every possible outcome of five images, weighted by its probability: the mean capital is 1."""
    mean, less = 0.0, 0.0
    for differences in itertools.product([1, 0, -1], repeat=5):
        counts = Counts(*(np.array(differences.count(value)) for value in (1, 0, -1)))
        probability = np.prod([shares[1 - value] for value in differences])
        mean += probability * np.exp(log_e_above(counts, bound))
        less += probability * np.exp(log_e_above(counts, bound + 0.02))
    assert mean == pytest.approx(1)
    assert less < 1  # a bound above the true mean


def test_images_that_are_not_discordant_tell_nothing_of_which_side_is_ahead():
    few, many = (Counts(np.array(9), np.array(same), np.array(2)) for same in (0, 5000))
    assert log_e_apart(few) == log_e_apart(many)
    assert log_e_apart(few) == log_e_apart(few.mirrored)


# What it never does: decide wrongly more often than the level.


def test_of_a_thousand_runs_without_a_difference_few_are_ever_decided():
    wrong = (discordant_runs(1000, 400) >= log(20)).mean()
    assert 0.01 < wrong < 0.06  # 3.5 % expected; the standard error is 0.6 points


@pytest.mark.slow
def test_of_ten_thousand_runs_without_a_difference_at_most_5_percent_are_ever_decided():
    assert (discordant_runs(10_000, 1000) >= log(20)).mean() <= 0.05


def _share_of_runs(reached, runs, images, shares):
    """Return the share of runs in which a log e-value, by its counts, ever reaches what is asked for."""
    found = [
        reached(counts_over_time(*outcomes((500, images), shares, seed))).any(1)
        for seed in range(runs // 500)
    ]
    return np.concatenate(found).mean()


@pytest.mark.slow
@pytest.mark.parametrize("shares", [(0.05, 0.95, 0.0), (0.08, 0.89, 0.03), (0.2, 0.65, 0.15)])
def test_what_is_no_more_than_just_unequal_is_hardly_ever_found_equal(shares):
    wrong = _share_of_runs(
        lambda counts: log_e_within(counts, 0.05) >= log(20), 10_000, 600, shares
    )
    assert wrong <= 0.05


@pytest.mark.slow
@pytest.mark.parametrize("shares", [*NO_DIFFERENCE, (0.3, 0.65, 0.05), (0.0, 1.0, 0.0)])
def test_the_intervals_of_all_times_hold_the_difference(shares):
    true = shares[0] - shares[2]

    def missed(counts):
        sides = log_e_above(counts, true), log_e_above(counts.mirrored, -true)
        return np.maximum(*sides) >= log(40)

    assert _share_of_runs(missed, 10_000, 600, shares) <= 0.05


@pytest.mark.slow
def test_of_many_comparisons_on_the_same_images_any_is_wrong_in_at_most_5_percent_of_runs():
    """Ten comparisons of one model with ten others, six of them no better; all stop greedily."""
    rng, wrong, right = np.random.default_rng(5), 0, 0
    for _ in range(1000):
        ours = rng.random(300) < 0.5
        theirs = [rng.random(300) < 0.5 for _ in range(6)]
        theirs += [ours & (rng.random(300) < 0.8) for _ in range(4)]
        found = decide([paired_evidence(ours, other, "left > right") for other in theirs])
        wrong += any(decided != "undecided" for decided in found[:6])
        right += found[6:].count("holds")
    assert wrong / 1000 <= 0.05
    assert right / 4000 > 0.95


@pytest.mark.slow
def test_a_last_look_at_all_images_keeps_the_level_too():
    wrong, table = 0, {}
    for left, right in zip(*outcomes((10_000, 400), (0.1, 0.8, 0.1), seed=7), strict=True):
        counts = counts_over_time(left, right)
        last = int(counts.left[-1]), int(counts.right[-1])
        exact = table.setdefault(last, mcnemar(*last))
        anytime = float(np.exp(-max(0, log_e_apart(counts).max())))
        wrong += last_look(anytime, exact) <= 0.05
    assert wrong / 10_000 <= 0.05


# What one comparison comes to.


def test_a_side_that_is_always_ahead_is_found_to_be_after_nine_images():
    def evidence(n):
        return paired_evidence(np.ones(n, bool), np.zeros(n, bool), "left > right")

    needed = next(n for n in range(100) if ((1 + BETS) ** n).mean() / 2 >= 20)
    assert decide([evidence(needed - 1)]) == ["undecided"]
    assert decide([evidence(needed)]) == ["holds"]
    assert evidence(needed).e == pytest.approx(((1 + BETS) ** needed).mean() / 2)
    assert evidence(needed).images == needed == 9


@pytest.mark.parametrize(("expect", "decided"), [
    ("left > right", "holds"), ("left < right", "fails"), ("left = right", "fails"),
])  # fmt: skip
def test_the_left_is_far_ahead(expect, decided):
    left, right = outcomes((400,), (0.3, 0.65, 0.05))
    within = 0.1 if expect == "left = right" else None
    evidence = paired_evidence(left, right, expect, within)
    assert decide([evidence]) == [decided]
    assert evidence.interval.low < 0.25 < evidence.interval.high
    mirrored = paired_evidence(right, left, expect, within)
    assert mirrored.interval == pytest.approx((-evidence.interval.high, -evidence.interval.low))


def test_equal_sides_are_found_equal_and_no_side_ahead():
    left, right = outcomes((1000,), (0.05, 0.9, 0.05))
    assert decide([paired_evidence(left, right, "left = right", 0.05)]) == ["holds"]
    assert decide([paired_evidence(left, right, "left > right")]) == ["undecided"]
    assert decide([paired_evidence(left, left, "left = right", 0.05)]) == ["holds"]


def test_a_decision_stays_however_many_images_are_added():
    left, right = outcomes((3000,), (0.12, 0.8, 0.08), seed=2)
    e_values = [paired_evidence(left[:n], right[:n], "left > right").e for n in range(0, 3000, 300)]
    assert e_values == sorted(e_values)
    assert e_values[0] == 1
    assert e_values[-1] > 20


def test_only_equality_is_within_something():
    sides = np.ones((2, 5), bool)
    with pytest.raises(ValueError, match="only equality"):
        paired_evidence(*sides, "left = right")
    with pytest.raises(ValueError, match="only equality"):
        paired_evidence(*sides, "left > right", 0.05)


# Its interval.


def test_intervals_lie_in_one_another_and_leave_out_0_just_where_a_side_is_found_ahead():
    counts = counts_over_time(*outcomes((600,), (0.2, 0.7, 0.1), seed=3))
    apart = np.maximum.accumulate(log_e_apart(counts)) >= log(20)
    assert not apart[50]
    assert apart[-1]
    before = Interval(-1.0, 1.0)
    for n in range(20, 601, 20):
        interval = confidence_interval(Counts(*(counted[:n] for counted in counts)))
        assert before.low <= interval.low <= interval.high <= before.high
        assert (interval.low > 0 or interval.high < 0) == apart[n - 1]
        before = interval


def test_the_ends_of_the_interval_are_where_the_capital_reaches_what_is_needed():
    counts = counts_over_time(*outcomes((300,), (0.3, 0.6, 0.1), seed=4))
    low, high = confidence_interval(counts, level=0.1)
    for side, bound in ((counts, low), (counts.mirrored, -high)):
        assert log_e_above(side, bound).max() == pytest.approx(log(20), abs=1e-3)
        assert log_e_above(side, bound + 0.001).max() < log(20)


def test_intervals_without_images_and_of_images_that_contradict_one_another():
    nothing = np.zeros(0, bool)
    assert paired_evidence(nothing, nothing, "left > right").interval == (-1, 1)
    first = np.arange(200) < 100
    assert all(isnan(end) for end in confidence_interval(counts_over_time(first, ~first)))


# Several of them.


def test_holm_over_e_values_by_hand():
    def evidence(e_for, e_against=1.0):
        return Evidence(images=9, e_for=e_for, e_against=e_against, interval=Interval(-1.0, 1.0))

    # The largest of three has to reach 60, the second 40, the last 20.
    assert decide([evidence(60), evidence(1, 40), evidence(20)]) == ["holds", "fails", "holds"]
    assert decide([evidence(59), evidence(1, 45), evidence(20)]) == ["undecided"] * 3
    assert decide([evidence(70), evidence(39), evidence(30)]) == ["holds", *["undecided"] * 2]
    assert decide([]) == []


def test_a_last_look_has_half_of_the_level():
    assert last_look(0.01) == 0.02
    assert last_look(0.4, 0.025) == 0.05
    assert last_look(0.01, 0.3) == 0.02
    assert last_look(0.7) == 1
