"""Attacks that never ran, and goals that show no robustness."""

from __future__ import annotations

from planted import asking, each, fgsm, one, pgd

from bench.trust.checks.attacks_ran import RAN

FAILED = {"status": "failed", "error": "RuntimeError: out of memory"}


def test_where_no_attack_ran_there_is_no_figure():
    finding = one(RAN, pgd("0.1", [], **FAILED), fgsm("0.1", [], **FAILED), asking("0.2", []))
    assert (finding.status, finding.eps) == ("fail", 0.1)
    assert finding.sentence == "no attack counts: 2 of 2 did not run"
    assert finding.remedy == "see why with `bench show cell-0`, then run the suite again"


def test_an_attack_that_changed_no_image_does_not_count():
    unmoved = dict.fromkeys(("l0", "l1", "l2", "linf"), 0.0)
    finding = one(RAN, pgd("0.1", [], columns=unmoved))
    assert finding.status == "fail"
    assert finding.sentence == "no attack counts: 1 of 1 changed no image"


def test_where_no_gradient_was_followed_though_asked_for_the_figure_is_doubtful():
    finding = one(RAN, pgd("0.1", [], **FAILED), asking("0.1", []))
    assert finding.status == "warn"
    assert finding.sentence == (
        "no attack along a gradient counts (1 of 1 did not run), so the figure rests on attacks that know less"
    )
    cases = [asking("0.1", [])], [pgd("0.1", []), fgsm("0.1", [], **FAILED)]
    assert each(RAN, *cases) == ["pass", "pass"]


def test_goals_alone_show_no_robustness():
    finding = one(RAN, pgd("0.1", [], goal="targeted", parameters={"targeted": "next"}))
    assert finding.status == "fail"
    assert finding.sentence == (
        "none of the 1 attacks wants any other label of any image, so none shows that an image is robust"
    )
    assert finding.remedy == "leave `targeted` and `goal` out of pgd"


def test_cells_that_did_not_run_yet_are_no_failure():
    assert one(RAN, pgd("0.1", [], status="missing")).status == "not applicable"
