"""What attacks tried: whether it moved, counts, and is called a success where it is one."""

from __future__ import annotations

import dataclasses

import build
import numpy as np
import pytest
from planted import each, fgsm, one, pgd

from bench.trust.checks.images_tried import MOVED, SPOILT, STORED_ROWS, VALID_IMAGES

#: As if the attack wanted half of the confidence, which leaves the label.
HALF = {"adv_label": 0, "goal": "confidence-reduction"}


def test_rows_that_agree_with_themselves_pass():
    aimed = pgd("0.1", range(3), goal="targeted", columns={"adv_label": 1, "target": 1})
    finding = one(
        STORED_ROWS,
        aimed,
        pgd("0.1", range(30), columns={**HALF, "target": None}),
    )
    assert (finding.status, finding.value) == ("pass", 0)
    assert finding.sentence == (
        "of 400 rows, all that say success are one by their own label and norm"
    )


@pytest.mark.parametrize(("columns", "what"), [
    ({"linf": 0.11, "l2": 0.11, "l1": 0.11}, "a success lies outside its radius in 30"),
    ({"adv_label": 0}, "a success still has the right label in 30"),
    ({"invalid": "not finite"}, "a success has a reason why it cannot count in 30"),
    ({"goal": "targeted", "target": 2}, "a success has another label than the wanted one in 30"),
    ({"l2": 0.05}, "a norm is above one that is always at least as large in 200"),
])  # fmt: skip
def test_a_row_that_contradicts_itself_is_a_failure(columns, what):
    finding = one(STORED_ROWS, pgd("0.1", range(30), columns=columns))
    assert finding.status == "fail"
    assert finding.sentence == (
        f"{what} of 200 rows, first for image 0 of cell cell-0: rows were changed, or a faulty version wrote them"
    )
    assert finding.cell == "cell-0"


def test_images_without_a_valid_attack_follow_the_rule_of_the_headline():
    finding = one(VALID_IMAGES, pgd("0.1", range(100, 120), invalid=range(11)))
    assert (finding.status, finding.value) == ("fail", 11 / 200)
    assert finding.sentence == (
        "no valid attack on 11 of 200 images: nothing shows whether these are robust"
    )
    cases = ([pgd("0.1", [], invalid=range(spoilt))] for spoilt in (0, 1, 10, 11))
    assert each(VALID_IMAGES, *cases) == ["pass", "warn", "warn", "fail"]


def test_a_users_attack_that_took_no_gradient_is_named():
    columns = {"forwards": 3, "backwards": 0, "ineffective": "no gradient"}
    mine = build.cell("m", "mine", "0.1", range(20), toolkit="plugin", columns=columns)
    finding = one(VALID_IMAGES, mine)
    assert finding.status == "fail"
    assert '(mine took no gradient: if it needs none, register it with access="score"' in (
        finding.sentence
    )


def unmoved(count, **more):
    """Return PGD that broke nothing and returned some images as they were; `more` are other attributes."""
    still = np.where(np.arange(200) < count, 0.0, 0.1)
    columns = {**dict.fromkeys(("l0", "l1", "l2", "linf"), still), "adv_margin": 1.0}
    return dataclasses.replace(pgd("0.1", [], columns=columns), **more)


def test_an_attack_that_returns_its_images_is_a_failure_where_it_is_alone():
    finding = one(MOVED, unmoved(200))
    assert (finding.status, finding.value, finding.cell) == ("fail", 1.0, "cell-0")
    assert finding.sentence == (
        "pgd (torchattacks) returns 100% of its images as they were, so it did not attack these"
    )
    assert finding.remedy == (
        "see what it did with `bench show cell-0`, and other toolkits with `bench parity --suite planted`"
    )
    assert each(
        MOVED,
        [unmoved(200), unmoved(0, attack="square", access="score", surface="predict")],
        [unmoved(200), unmoved(0, toolkit="art")],
        [unmoved(10)],
        [unmoved(200, attack="apgd-ce")],  # returns the clean image where it finds nothing
    ) == ["fail", "warn", "pass", "pass"]


def test_images_that_cannot_count_are_noted_for_the_worst_attack_of_a_threat():
    finding = one(SPOILT, pgd("0.1", []), fgsm("0.1", [], invalid=range(40)))
    assert (finding.status, finding.value, finding.cell) == ("warn", 0.2, "cell-1")
    assert finding.sentence == (
        "40 of 200 images that fgsm (torchattacks) tried cannot count (not finite): they are neither broken nor robust "
        "by this attack"
    )
    assert each(SPOILT, [pgd("0.1", [], invalid=[1])], [pgd("0.1", [], invalid=[1, 2])]) == [
        "pass",
        "warn",
    ]
    assert not SPOILT.doubts


@pytest.mark.parametrize("check", [STORED_ROWS, VALID_IMAGES, MOVED, SPOILT])
def test_without_attacks_there_is_nothing_to_check(check):
    certified = build.cell("m", "certify", None, [], certified=[0.5] * 200)
    assert one(check, certified).status == "not applicable"
