"""Notes on units, sizes and cost, of which none makes a figure wrong."""

from __future__ import annotations

import build
import pytest
from planted import PGD, fgsm, found, one, pgd

from bench.trust.checks.notes import CLEAN_WRONG, EQUAL_PASSES, SAMPLE_SIZE, UNITS


def test_no_note_makes_a_figure_doubtful():
    assert not any(check.doubts for check in (UNITS, SAMPLE_SIZE, CLEAN_WRONG, EQUAL_PASSES))


@pytest.mark.parametrize(("eps", "sentence"), [
    ("8", "within linf 8 every image can be turned into the same grey one"),
    ("1/600", "linf 1/600 is less than half a step of an 8-bit image, and is lost where it is saved as one"),
])  # fmt: skip
def test_radii_of_odd_size_are_noted(eps, sentence):
    findings = found(UNITS, pgd(eps, []), pgd("8/255", []), pgd(eps, [], norm="l2"))
    assert [(finding.status, finding.sentence) for finding in findings] == [("warn", sentence)]
    assert findings[0].bound == "from 0.0019 to 0.5"


def test_radii_of_the_usual_size_pass():
    assert one(UNITS, pgd("1/510", []), pgd("0.5", [])).status == "pass"
    assert one(UNITS, pgd("4", [], norm="l2")).status == "not applicable"


def test_few_images_are_a_smoke_test():
    finding = one(SAMPLE_SIZE, pgd("0.1", []), pgd("0.2", [], images=50))
    assert (finding.status, finding.value) == ("warn", 50)
    assert finding.sentence == (
        "1 of 2 figures are of fewer than 100 images, which is a smoke test: on 50 images (m, linf 0.2) a share of one "
        "half is known to within 13 points"
    )
    finding = one(SAMPLE_SIZE, pgd("0.1", []))
    assert (finding.status, finding.sentence) == (
        "pass",
        "on 200 images, the fewest of any figure, a share of one half is known to within 7 points",
    )


def test_images_that_are_wrong_anyway_are_counted_apart():
    cells = pgd("0.1", []), build.cell("other", "pgd", "0.1", [])
    finding = one(CLEAN_WRONG, *cells, wrong={"m": range(50), "other": range(20)})
    assert (finding.status, finding.value, finding.model) == ("pass", 0.75, "m")
    assert finding.sentence == (
        "m gets 50 of 200 images wrong without any attack; they count as broken within every radius, and in no success "
        "rate of an attack"
    )
    assert one(CLEAN_WRONG, *cells, wrong={"m": range(101)}).status == "warn"


def test_attacks_of_unequal_cost_are_noted():
    cells = fgsm("0.1", []), pgd("0.1", [], steps=10)
    apgd = build.cell("m", "apgd-ce", "0.1", [], steps=100, parameters={"steps": 100})
    finding = one(EQUAL_PASSES, *cells, apgd)
    assert finding.status == "warn"
    assert finding.sentence == (
        "attacks had different numbers of passes, apgd-ce (torchattacks) 202 an image and pgd (torchattacks) 22, so "
        "their success rates say nothing of which is better; the worst case stands"
    )
    bim = build.cell("m", "bim", "0.1", [], steps=11, parameters={**PGD, "steps": 11})
    assert one(EQUAL_PASSES, *cells, bim).status == "pass"
    assert one(EQUAL_PASSES, *cells).status == "not applicable"
