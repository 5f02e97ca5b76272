"""Certificates against attacks on the same images."""

from __future__ import annotations

import build
from planted import one, pgd

from bench.trust.checks.certificates import CERTIFICATES

ALPHA = {"n0": 100, "n": 1000, "alpha": "0.001"}


def certified(radius):
    """Return certificates of one radius for all images of model `m`."""
    return build.cell(
        "m", "certify", None, [], norm="l2", certified=[radius] * 200, parameters=ALPHA
    )


def test_labels_changed_within_certified_radii_are_a_failure():
    finding = one(CERTIFICATES, certified(0.5), pgd("0.4", range(10), norm="l2"))
    assert (finding.status, finding.value, finding.model) == ("fail", 10, "m")
    assert finding.sentence == (
        "attacks change the label of 10 images within the certified radius, more than 200 certificates (n0 100, n 1000, "
        "alpha 0.001) allow, so these certificates are wrong"
    )


def test_as_many_as_alpha_explains_are_a_warning_where_certified_is_above_attacked():
    finding = one(CERTIFICATES, certified(0.5), pgd("0.4", [3], norm="l2"))
    assert (finding.status, finding.eps) == ("warn", 0.4)
    assert finding.sentence == (
        "100.0% of images are certified within l2 0.4, but only 99.5% withstand the attacks: some certificates are "
        "wrong, no more than alpha allows"
    )


def test_attacks_outside_the_certified_radii_contradict_nothing():
    finding = one(CERTIFICATES, certified(0.5), pgd("0.6", range(90), norm="l2"))
    assert (finding.status, finding.sentence) == (
        "pass",
        "no attack changes a label within its certified radius",
    )
    assert one(CERTIFICATES, pgd("0.6", [])).status == "not applicable"
