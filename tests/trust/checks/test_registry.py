"""The table of checks: what is in it, and what may be added."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

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
    with pytest.raises(SpecError, match=r"'toy' is there already, by .*test_registry.py, line"):
        bench.register_check(check(fails))
    with pytest.raises(SpecError, match="'scores' is there already"):
        bench.register_check(check(passes, id="scores"))
    with pytest.raises(SpecError, match="needs 'everything'; write model, rows, cells"):
        bench.register_check(check(passes, needs="everything"))


@pytest.mark.usefixtures("registry")
def test_after_a_required_check_fails_none_is_run():
    bench.register_check(check(passes, id="first"))
    bench.register_check(check(fails, id="second", required=True))
    bench.register_check(check(passes, id="third"))
    assert [found.id for found, _ in run_checks("cells", None)] == ["first", "second"]


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
