"""Whether more of the same, another loss or targets would break more, from rows alone."""

from __future__ import annotations

import build
from planted import PGD, each, fgsm, one, pgd

from bench.trust.checks.convergence_rows import LONGER_RUNS, LOSSES, TARGETS, TARGETS_REACHED

LONGER = {**PGD, "steps": 20}


def test_steps_that_still_break_more_make_a_figure_doubtful():
    finding = one(LONGER_RUNS, pgd("0.1", range(30)), pgd("0.1", range(40), parameters=LONGER))
    assert (finding.status, finding.value) == ("warn", 10 / 200)
    assert finding.sentence == (
        "pgd (torchattacks) with 20 steps breaks 10 of 200 images that nothing else breaks, not even the same attack "
        "with fewer, so still more steps may break more"
    )
    assert finding.remedy == "give it `steps = 40`"


def test_restarts_that_still_break_more_make_a_figure_doubtful():
    more = pgd("0.1", range(50), parameters={**PGD, "restarts": 5})
    finding = one(LONGER_RUNS, pgd("0.1", range(30)), more)
    assert (finding.status, finding.remedy) == ("warn", "give it `restarts = 10`")


def test_a_gain_of_two_images_or_of_what_others_break_anyway_is_none():
    shorter = pgd("0.1", range(30))
    other = build.cell("m", "autoattack", "0.1", range(60))
    assert each(
        LONGER_RUNS,
        [shorter, pgd("0.1", range(32), parameters=LONGER)],
        [shorter, pgd("0.1", range(50), parameters=LONGER), other],
    ) == ["pass", "pass"]
    assert one(LONGER_RUNS, shorter, other).status == "not applicable"


def apgd(loss, broken):
    """Return APGD by a loss."""
    return build.cell("m", f"apgd-{loss}", "0.1", broken, parameters={"steps": 100, "restarts": 1})


def test_a_loss_far_behind_another_makes_a_figure_doubtful():
    finding = one(LOSSES, apgd("ce", range(40)), apgd("dlr", range(91)))
    assert (finding.status, finding.value) == ("warn", 51 / 200)
    assert finding.sentence == (
        "apgd-dlr (torchattacks) breaks 51 more of 200 images than apgd-ce (torchattacks), which differs in its loss "
        "alone, so the gradient of the weaker loss does not lead to what is there"
    )
    assert each(
        LOSSES,
        [apgd("ce", range(40)), apgd("dlr", range(90))],
    ) == ["pass"]
    few = [apgd("ce", range(3)), apgd("dlr", range(20, 26))]  # chance explains 6 against 3
    assert each(LOSSES, few, bounds={"losses.within": 0.01}) == ["pass"]


def test_fgsm_by_the_logit_is_compared_with_fgsm_by_the_cross_entropy():
    both = fgsm("0.1", []), fgsm("0.1", [], toolkit="art")
    by_logit = fgsm("0.1", range(90), toolkit="native", parameters={"eot": 1, "loss": "logit"})
    finding = one(LOSSES, *both, by_logit)
    assert finding.status == "warn"
    assert finding.sentence.startswith(
        "fgsm (native) by logit breaks 90 more of 200 images than fgsm (torchattacks) by ce, "
    )
    assert one(LOSSES, *both).status == "not applicable"


def aimed(broken):
    """Return PGD aimed at the next class."""
    return pgd("0.1", broken, goal="targeted", parameters={**PGD, "targeted": "next"})


def test_targets_that_break_more_are_noted():
    every = build.cell("m", "apgd-t", "0.1", range(40), parameters={"steps": 100, "targets": 9})
    finding = one(TARGETS, pgd("0.1", range(30)), every)
    assert (finding.status, finding.value) == ("warn", 10 / 200)
    assert finding.sentence == (
        "apgd-t, which aims at single classes, breaks 10 of 200 images that no other attack along a gradient (pgd) "
        "breaks; the worst case has them"
    )
    cases = [pgd("0.1", range(36)), every], [pgd("0.1", range(30)), aimed(range(40))]
    assert each(TARGETS, *cases) == ["pass", "warn"]
    assert not TARGETS.doubts


def test_a_target_that_nobody_reaches_says_nothing_of_robustness():
    finding = one(TARGETS_REACHED, pgd("0.1", range(150)), aimed([]))
    assert (finding.status, finding.value) == ("warn", 0)
    assert finding.sentence == (
        "pgd (torchattacks) reaches its target (next) on 0 of 200 images, though 75% lose their label: the target is out "
        "of reach, which says nothing of robustness"
    )
    cases = [pgd("0.1", range(150)), aimed(range(3))], [pgd("0.1", range(90)), aimed([])]
    assert each(TARGETS_REACHED, *cases) == ["pass", "pass"]
