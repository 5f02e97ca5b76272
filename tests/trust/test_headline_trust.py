"""From planted findings to verdicts on figures."""

from __future__ import annotations

from typing import Any

import build
import pytest

from bench.measure.headline import headline
from bench.measure.outcomes import Outcomes
from bench.store.findings import Checked
from bench.trust.checks import registry
from bench.trust.checks.registry import ITSELF_FAILED, Check, Finding
from bench.trust.headline_trust import telling, with_trust
from bench.trust.run_findings import facts, plain, run_findings

#: A figure of 50 % and one of 0 %, of 200 images.
HALF, NONE = range(100), range(200)


@pytest.fixture(autouse=True)
def planted_alone(monkeypatch):
    """Only what is planted is found."""
    monkeypatch.setattr(registry, "_own_checks", dict)


def found(status: str, sentence: str = "said", **more: Any) -> dict[str, Any]:
    """Return the record of a check of model `a` that found one thing."""
    of_check = {name: more.pop(name) for name in ("doubts", "masks", "overstates") if name in more}
    made = {"id": "toy", "title": "toy", "needs": "model", "run": len, **of_check}
    check = Check(**{**made, "id": more.pop("check", "toy")})
    about: dict[str, Any] = {"model": "a", "norm": "", "eps": None, **more}
    finding = Finding(status=status, sentence=sentence, **about)  # type: ignore[arg-type]
    whose = {name: about[name] for name in ("model", "norm", "eps")}
    return {**facts(check), **whose, "seconds": 0.5, "findings": [plain(finding)]}


PASS = found("pass", check="passes")
LIES = found("fail", "zero", check="gradient", subject="network", masks=True)


def judged(*records, broken=HALF, level="quick", not_made=(), cells=(), **fields):
    """Return verdict and reasons of one figure, and the whole headline."""
    checked = Checked(level=level, found=tuple(records), not_made=tuple(not_made))
    planted = [build.cell("a", "pgd", "0.1", broken), *cells]
    results = build.results(planted, checked=checked, **fields)
    outcomes = Outcomes(results)
    findings = run_findings(outcomes)
    rows = with_trust(headline(outcomes), outcomes, findings)
    told = telling(findings, rows, results)
    return rows.iloc[0]["trust"], rows.iloc[0]["reasons"], len(told)


ADAPTIVE = build.cell("a", "adaptive", "0.1", range(120), surface="whole model", auto=True)
UPPER = "an upper bound, since other attacks were misled or none counts; attacked by adaptive, which needs no gradient"
LEFT_OUT = {"check": "slow", "title": "it is slow", "model": "a", "norm": "linf", "eps": 0.1}


@pytest.mark.parametrize(
    ("records", "more", "expected"),
    [
        ([PASS], {}, ("believable", "", 0)),
        # ---- what a check finds ----
        ([PASS, found("fail")], {}, ("invalid", "toy: said", 1)),
        ([PASS, found("warn")], {}, ("doubtful", "toy: said", 0)),
        ([PASS, found("warn", doubts=False)], {}, ("believable", "", 0)),
        ([PASS, found("not applicable")], {}, ("believable", "", 0)),
        ([found("warn", "b"), found("fail", "a")], {}, ("invalid", "toy: a; toy: b", 1)),
        # ---- whom it is about ----
        ([PASS, found("fail", model="b")], {}, ("believable", "", 1)),
        ([PASS, found("fail", norm="l2")], {}, ("believable", "", 1)),
        ([PASS, found("fail", norm="linf", eps=0.2)], {}, ("believable", "", 1)),
        ([PASS, found("fail", norm="linf", eps=0.1)], {}, ("invalid", "toy: said", 1)),
        ([PASS, found("fail", model="")], {}, ("invalid", "toy: said", 1)),
        ([PASS, found("fail", model="", cell="cell-0")], {}, ("invalid", "toy: said", 1)),
        # ---- figures near 0 cannot be overstated ----
        ([PASS, found("fail")], {"broken": NONE}, ("believable", "", 0)),
        ([PASS, found("warn")], {"broken": NONE}, ("believable", "", 0)),
        ([PASS, found("fail", overstates=False)], {"broken": NONE}, ("invalid", "toy: said", 1)),
        ([PASS], {"broken": NONE, "not_made": [LEFT_OUT]}, ("believable", "", 0)),
        # ---- what was not made ----
        ([], {"level": ""}, ("not checked", "", 0)),
        ([], {}, ("not checked", "", 0)),
        ([PASS], {"not_made": [LEFT_OUT]}, ("not checked", "checks not made: slow", 0)),
        ([PASS], {"not_made": [{**LEFT_OUT, "norm": "l2"}]}, ("believable", "", 0)),
        ([PASS], {"not_made": [{**LEFT_OUT, "level": "full"}]}, ("believable", "", 0)),
        ([PASS], {"not_made": [{**LEFT_OUT, "model": "b"}]}, ("believable", "", 0)),
        ([found("warn")], {"not_made": [LEFT_OUT]}, ("doubtful", "toy: said", 0)),
        ([found("fail", f"{ITSELF_FAILED}: x")], {}, ("not checked", "checks not made: toy", 1)),
        # ---- where adaptive was tried ----
        ([PASS, LIES], {}, ("invalid", "gradient of network: zero", 1)),
        ([PASS, LIES], {"cells": [ADAPTIVE]}, ("doubtful", f"{UPPER}; gradient of network: zero", 0)),
        ([PASS, found("warn", masks=True)], {"cells": [ADAPTIVE]}, ("doubtful", "toy: said", 0)),
        ([PASS, found("fail")], {"cells": [ADAPTIVE]}, ("invalid", "toy: said", 1)),
    ],
)  # fmt: skip
def test_verdicts_follow_from_what_was_found(records, more, expected):
    assert judged(*records, **more) == expected


def test_a_figure_that_there_is_not_is_invalid_for_its_own_reason():
    failed = build.cell("a", "pgd", "0.1", (), status="failed", error="boom")
    results = build.results([failed], checked=Checked(level="quick", found=(PASS,)))
    outcomes = Outcomes(results)
    row = with_trust(headline(outcomes), outcomes, run_findings(outcomes)).iloc[0]
    assert (row["trust"], row["reasons"]) == ("invalid", "1 of 1 attacks did not run")


def test_an_attack_that_did_not_count_is_no_remedy():
    dead = build.cell("a", "adaptive", "0.1", (), surface="whole model", status="failed", error="x")
    assert judged(PASS, LIES, cells=[dead])[0] == "invalid"


def test_of_many_reasons_the_first_are_told_and_the_others_counted():
    reasons = judged(*(found("warn", f"reason {turn}") for turn in range(6)))[1]
    assert reasons == "toy: reason 0; toy: reason 1; toy: reason 2; and 3 more"


def test_a_suite_says_how_near_zero_is():
    nearly = range(180)  # of 200
    assert judged(found("fail"), broken=nearly)[0] == "invalid"
    bounds = {"verdict.near-zero": 0.2}
    assert judged(found("fail"), broken=nearly, bounds=bounds)[0] == "believable"
