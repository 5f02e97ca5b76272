"""A larger radius breaks no fewer images, and one that covers all images leaves next to none."""

from __future__ import annotations

import numpy as np
from planted import PGD, SURROGATE, asking, each, fgsm, found, one, pgd

from bench.trust.checks.larger_radius import LARGER_RADIUS, WHOLE_BOX

#: Within 0.2 the same share of the radius as `PGD` at 0.1.
SCALED = {**PGD, "step_size": "1/20"}


def test_a_larger_radius_that_loses_images_is_a_failure():
    finding = one(LARGER_RADIUS, pgd("0.1", range(30)), pgd("0.2", range(3, 60), parameters=SCALED))
    assert (finding.status, finding.value, finding.eps) == ("fail", 3 / 200, 0.2)
    assert finding.sentence == (
        "3 of 200 images withstand all attacks within linf 0.2, though pgd (torchattacks) breaks them within 0.1, so "
        "attacks within the larger radius miss what is there"
    )
    assert finding.remedy == 'give the attacks within 0.2 `steps = 100` and `step_size = "0.02"`'


def test_only_the_same_attack_is_compared_within_two_radii():
    smaller = pgd("0.1", range(30))
    assert each(
        LARGER_RADIUS,
        (smaller, pgd("0.2", [], parameters=SCALED)),
        (smaller, pgd("0.2", [])),  # steps as long as within the smaller radius
        (smaller, pgd("0.2", range(2, 60))),
        (smaller, pgd("0.2", [], parameters={**PGD, "step_size": "1/10"})),
        (smaller, pgd("0.2", [], toolkit="art")),
        (smaller, pgd("0.2", []), asking("0.2", range(28))),  # what any attack breaks is not lost
        (pgd("0.1", range(30), surface=SURROGATE), pgd("0.2", [], surface=SURROGATE)),
    ) == ["fail", "fail", "pass", "pass", "pass", "pass", "warn"]


def test_a_single_step_may_go_too_far():
    finding = one(LARGER_RADIUS, fgsm("0.1", range(30)), fgsm("0.2", []))
    assert finding.status == "not applicable"
    assert finding.sentence == "no attack of several steps was made within two radii"


def in_classes(eps, broken, **more):
    """Return PGD that broke the first images, which have four classes in turn; `more` are columns."""
    labels = np.arange(200) % 4
    lost = np.arange(200) < broken
    columns = {"label": labels, "clean_label": labels, "adv_label": labels + lost, **more}
    norm = "l2" if "clean_l2" in more else "linf"
    return pgd(eps, range(broken), norm=norm, columns=columns)


def test_within_half_of_the_range_no_more_than_one_class_is_robust():
    finding = one(WHOLE_BOX, in_classes("0.5", 149))
    assert (finding.status, finding.value) == ("fail", 51 / 200)
    assert finding.sentence == (
        "51 images withstand all attacks, though within linf 0.5 200 images can be turned into one and the same, for "
        "which the model is right about 50 at most"
    )
    assert finding.bound == "at most 50 of 200 images"
    assert each(WHOLE_BOX, [in_classes("0.5", 150)]) == ["pass"]
    assert one(WHOLE_BOX, in_classes("0.4", 0)).status == "not applicable"


def test_images_no_farther_from_black_than_the_radius_can_all_be_black():
    # Of the first 20 images, 5 have each label; all others are too bright.
    from_black = {"clean_l2": np.where(np.arange(200) < 20, 1.9, 2.1), "clean_linf": 1.0}
    finding = one(WHOLE_BOX, in_classes("2", 14, **from_black))
    assert (finding.status, finding.bound) == ("fail", "at most 5 of 20 images")
    assert each(WHOLE_BOX, [in_classes("2", 15, **from_black)]) == ["pass"]
    radii = [in_classes(eps, 0, **from_black) for eps in ("1", "2")]
    assert [finding.eps for finding in found(WHOLE_BOX, *radii)] == [2.0]
