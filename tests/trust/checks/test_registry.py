"""The table of checks: what is in it, and what may be added."""

from __future__ import annotations

import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import bench
from bench.errors import BenchError, SpecError
from bench.trust.checks.registry import all_checks, run_checks


def passes(subject):
    return bench.Finding(status="pass", sentence="fine")


def fails(subject):
    return bench.Finding(status="fail", sentence="wrong")


def check(run, **said):
    return bench.Check(**{"id": "toy", "title": "toy", "needs": "cells", "run": run, **said})


@pytest.mark.usefixtures("registry")
def test_no_two_checks_have_one_name_but_one_may_be_defined_again():
    bench.register_check(check(passes))
    bench.register_check(check(passes, title="again"))
    assert all_checks()["toy"].title == "again"
    with pytest.raises(
        SpecError, match=r"'toy' is registered twice: by .*test_registry.py, line \d+ and by"
    ):
        bench.register_check(check(fails))
    with pytest.raises(SpecError, match=r"'scores' is registered twice: by .*bench/trust/checks"):
        bench.register_check(check(passes, id="scores"))
    with pytest.raises(SpecError, match="needs 'everything'; write model, rows, cells, threat"):
        bench.register_check(check(passes, needs="everything"))


@pytest.mark.usefixtures("registry")
def test_after_a_required_check_fails_none_is_run():
    bench.register_check(check(passes, id="first"))
    bench.register_check(check(fails, id="second", required=True))
    bench.register_check(check(passes, id="third"))
    others = [*set(all_checks()) - {"first", "second", "third"}]
    assert [found.id for found, _ in run_checks("cells", None, others)] == ["first", "second"]


def test_a_check_may_find_several_things_and_each_line_says_of_what():
    finding = bench.Finding(status="pass", sentence="fine", subject="soft-knn")
    several = check(lambda subject: [finding, finding], id="two-words")
    assert several.findings(None) == [finding, finding]
    assert several.label(finding) == "two words of soft-knn"


@pytest.mark.parametrize("returned", ["text", None, [1], True])
def test_a_check_that_finds_nothing_of_the_kind_is_told_what_to_return(returned):
    with pytest.raises(SpecError, match=r"'toy' returned .*; return bench.Finding\("):
        check(lambda subject: returned).findings(None)


def test_a_check_that_fails_itself_is_no_finding():
    def divides(subject):
        return subject.images / 0

    with pytest.raises(BenchError, match=r"'toy' failed itself: test_registry.py, line \d+: Zero"):
        check(divides).findings(SimpleNamespace(images=1))


def divides(subject):
    return 1 / 0


def refuses(subject):
    raise SpecError("no such thing")


def ends(subject):
    raise SystemExit(3)


def returns(**said):
    return lambda subject: bench.Finding(**{"status": "pass", "sentence": "fine", **said})


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize(("run", "what"), [
    (divides, "ZeroDivisionError: division by zero"),
    (refuses, "no such thing"),
    (ends, "SystemExit: 3"),
    (lambda subject: bench.Finding(), "TypeError: .*missing"),
    (lambda subject: "text", r"it returned str; return bench.Finding\("),
    (returns(value="high"), "it returned value='high', which is no number"),
    (returns(value=True), "it returned value=True, which is no number"),
    (returns(status="good"), "it returned status='good'; write pass, warn, fail"),
    (returns(sentence=3), "it returned sentence=3, which is no text"),
])  # fmt: skip
@pytest.mark.parametrize("needs", ["rows", "cells"])
def test_a_check_of_a_run_that_fails_itself_is_a_finding(run, what, needs):
    bench.register_check(check(run, id="broken", needs=needs))
    bench.register_check(check(passes, id="next", needs=needs))
    broken, last = run_checks(needs, None, without=[*set(all_checks()) - {"broken", "next"}])
    assert broken[1].status == "fail"
    place = r"the check itself failed: test_registry.py, line \d+: "
    assert re.fullmatch(f"{place}{what}.*", broken[1].sentence)
    assert last[1].status == "pass"


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize("value", [0.5, 3, np.float32(2), torch.tensor(1.0), None])
def test_a_value_may_be_any_number(value):
    assert check(returns(value=value)).findings(None)[0].value is value


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize(("wrong", "words"), [
    (lambda: 3, "register_check was given int; give it bench.Check"),
    (lambda: check(None), r"'toy': run=None cannot be called; give a function"),
    (lambda: check(passes, id="two words"), "'two words': its id must be words joined by hyphens"),
    (lambda: check(passes, id="a--b"), "'a--b': its id"),
    (lambda: check(passes, id=""), "'': its id"),
    (lambda: check(passes, id=None), "None: its id"),
    (lambda: check(passes, title=" "), "'toy': title=' '; say in a few words"),
])  # fmt: skip
def test_what_is_no_check_is_not_registered(wrong, words):
    with pytest.raises(SpecError, match=words):
        bench.register_check(wrong())
    assert "toy" not in all_checks()
