"""Attacks that cannot use their budget, or do not."""

from __future__ import annotations

import build
import pytest
from planted import PGD, each, fgsm, one, pgd

from bench.trust.checks.budgets import ENOUGH_STEPS, SPENT_BUDGET, WASTED


def within(eps, share):
    """Return PGD of which no image changed by more than a share of its radius."""
    return pgd(eps, [], distance=dict.fromkeys(range(200), share * float(eps)))


def test_a_radius_of_another_scale_is_a_failure():
    finding = one(SPENT_BUDGET, within("0.1", 1 / 255))
    assert (finding.status, finding.cell) == ("fail", "cell-0")
    assert finding.value == 1
    assert finding.sentence == (
        "200 of 200 images that withstand pgd (torchattacks) differ by less than 90% of the radius 0.1, by 0.39% in the "
        "median, so it did not use what it had"
    )


def test_only_images_that_withstand_count_and_one_other_attack_is_enough():
    nearer = dict.fromkeys(range(100), 0.08)
    assert each(
        SPENT_BUDGET,
        [within("0.1", 0.5)],
        [pgd("0.1", range(150), distance=nearer)],  # broken within less than the radius
        [pgd("0.1", range(100, 150), distance=nearer)],
        [pgd("0.1", [], distance=dict.fromkeys(range(50), 0.08))],
        [within("0.1", 0.5), pgd("0.1", [], toolkit="art")],
        [within("1", 0.55)],  # a pixel in the middle of its range cannot change by more than a half
        [within("1", 0.3)],
        [build.cell("m", "fab", "0.1", [], distance={0: 0.01})],  # takes the nearest image
    ) == ["fail", "pass", "fail", "pass", "warn", "pass", "fail", "pass"]


def test_steps_too_short_to_reach_the_radius_are_a_failure():
    short = {**PGD, "step_size": "0.001"}
    finding = one(ENOUGH_STEPS, pgd("0.1", [], parameters=short))
    assert (finding.status, finding.value) == ("fail", pytest.approx(0.1))
    assert finding.sentence == (
        "10 steps of 0.001 lead pgd (torchattacks) at most 10% of the way to linf 0.1, and no attack along a gradient "
        "goes farther"
    )
    assert finding.remedy == 'give pgd `step_size = "0.025"`'
    assert each(
        ENOUGH_STEPS,
        [pgd("0.1", [], parameters={**PGD, "step_size": "0.009"})],
        [pgd("0.1", [], parameters={**PGD, "step_size": "0.01"})],
        [pgd("0.1", [], parameters=short), pgd("0.1", [])],
    ) == ["fail", "pass", "pass"]


def test_how_many_steps_a_users_attack_takes_follows_from_its_passes_where_it_does_not_say():
    def mine(passes, **more):
        columns = {"forwards": passes, "backwards": passes}
        return [build.cell("m", "mine", "0.1", [], toolkit="plugin", columns=columns, **more)]

    told = {"parameters": {"steps": 1}}
    assert each(ENOUGH_STEPS, mine(1), mine(40), mine(40, **told)) == ["warn", "pass", "warn"]


def test_a_single_step_alone_makes_a_figure_doubtful():
    finding = one(ENOUGH_STEPS, fgsm("8/255", []))
    assert (finding.status, finding.value) == ("warn", 1)
    assert finding.sentence == (
        "the only attack along a gradient is a single step (fgsm), and several break more in most models"
    )
    assert finding.remedy == (
        'add to the suite an [[attacks]] table with name = "pgd", norm = "linf", eps = "8/255"'
    )


def test_few_steps_make_a_figure_doubtful():
    six, seven = (pgd("0.1", [], parameters={**PGD, "steps": steps}) for steps in (6, 7))
    finding = one(ENOUGH_STEPS, six)
    assert (finding.status, finding.value) == ("warn", 6)
    assert finding.sentence == (
        "no attack along a gradient takes more than 6 steps (pgd (torchattacks)), and more break more in most models"
    )
    nearest = build.cell("m", "deepfool", None, [], parameters={"steps": 3})
    assert each(ENOUGH_STEPS, [seven], [six, nearest]) == ["pass", "pass"]


def test_passes_on_images_that_are_wrong_anyway_show_nothing():
    spent = {"forwards": 10, "backwards": 10}
    finding = one(WASTED, pgd("0.1", [], columns=spent), wrong={"m": range(50)})
    assert (finding.status, finding.value) == ("warn", 0.25)
    assert finding.sentence == (
        "25% of all passes were spent on images that are wrong without any attack, which shows nothing"
    )
    assert one(WASTED, pgd("0.1", []), wrong={"m": range(50)}).status == "pass"
