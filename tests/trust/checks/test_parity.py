from __future__ import annotations

import dataclasses
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pytest
import torch
from scenes import stored_run

from bench.errors import SpecError
from bench.measure.outcomes import Outcomes
from bench.spec import AttackSpec
from bench.store.columns import attacked
from bench.store.results import Results, load_results
from bench.trust.checks.parity import PARITY, parity, parity_findings

A = stored_run.MODELS[0]


@dataclass(frozen=True)
class Expected:
    cls: str
    low: float = 0.9
    high: float = 1.1
    cause: str = "why not closer"
    within: float = 0.05


#: As the catalogue has them: at least 99 % of equal verdicts.
VERDICT = Expected("verdict", low=0.99, high=1.0)
ONE_ULP = Expected("one-ulp", low=1.0, high=1.0)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    root = tmp_path_factory.mktemp("results")
    return load_results(root, stored_run.write_run(root))


@pytest.fixture
def expect(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], list[tuple[AttackSpec, str, str]]]:
    """Put a catalogue in place that answers as told, and return what it was asked."""

    def put(answer: Any) -> list[tuple[AttackSpec, str, str]]:
        asked = []

        def expected_parity(spec: AttackSpec, left: str, right: str) -> Any:
            asked.append((spec, left, right))
            if isinstance(answer, Exception):
                raise answer
            return answer

        module = types.ModuleType("bench.attacks.catalogue")
        module.expected_parity = expected_parity  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "bench.attacks.catalogue", module)
        return asked

    return put


def pick(table: pd.DataFrame, attack: str = "pgd", eps: str = "8/255") -> pd.Series:
    """Return the first model's row of art against foolbox."""
    chosen = table[
        (table["model"] == A) & (table["attack"] == attack) & (table["eps_text"] == eps)
        & (table["left"] == "art") & (table["right"] == "foolbox")
    ]  # fmt: skip
    assert len(chosen) == 1
    return chosen.iloc[0]


def cell_of(results: Results, attack: str, toolkit: str) -> str:
    cells = results.cells
    chosen = cells[
        (cells["model"] == A) & (cells["attack"] == attack) & (cells["toolkit"] == toolkit)
    ]
    return str(chosen["cell"].iloc[0])


def changed(
    results: Results, attack: str, column: str, value: Any, count: int, toolkit: str = "foolbox"
) -> Results:
    """Return results with `count` of a toolkit's attacked rows changed, alternating for `success`."""
    rows = results.rows.copy()
    mine = rows[(rows["cell"] == cell_of(results, attack, toolkit)) & attacked(rows)].index[:count]
    rows.loc[mine, column] = value(rows.loc[mine, column])
    return dataclasses.replace(results, rows=rows)


def flip(values: pd.Series) -> pd.Series:
    return ~values


class Shifted(Results):
    """Results whose pictures of one cell are shifted by some amount at one pixel."""

    def pictures(self, cell: str) -> dict[str, torch.Tensor]:
        found = self.store.pictures(cell)
        how = dict(self.protocol.get("shift", {}))
        if cell in how:
            found["x_adv"][3, 0, 2, 2] += how[cell]
        return found


def shifted(results: Results, by: float) -> Results:
    values = {field.name: getattr(results, field.name) for field in dataclasses.fields(results)}
    shift = {cell_of(results, "pgd", "foolbox"): by}
    return Shifted(**(values | {"protocol": {**results.protocol, "shift": shift}}))


def test_pairs_and_what_the_catalogue_is_asked(results: Results, expect: Any) -> None:
    asked = expect(Expected("identical"))
    table = parity(results)
    assert len(table) == 2 * (4 * 3 + 1)
    pairs = table[(table["model"] == A) & (table["attack"] == "cw")]
    assert list(zip(pairs["left"], pairs["right"], strict=True)) == [
        ("art", "foolbox"), ("art", "torchattacks"), ("foolbox", "torchattacks"),
    ]  # fmt: skip
    noise = table[table["attack"] == "noise"]
    assert set(zip(noise["left"], noise["right"], strict=True)) == {("foolbox", "native")}
    specs = {spec for spec, _, _ in asked}
    assert specs == {spec for spec, _, _ in stored_run.ATTACKS}


def test_cells_with_other_words_or_surfaces_are_not_compared(results: Results, expect: Any) -> None:
    expect(Expected("identical"))
    words = list(results.cells["parameters"])
    words[0] = words[0] | {"steps": 11}  # art's first pgd
    surfaces = results.cells["surface"].where(results.cells.index != 1, "vote")  # foolbox's
    for cells in (results.cells.assign(parameters=words), results.cells.assign(surface=surfaces)):
        table = parity(dataclasses.replace(results, cells=cells))
        assert len(table) == 2 * (4 * 3 + 1) - 2


def test_identical(results: Results, expect: Any) -> None:
    expect(Expected("identical"))
    row = pick(parity(results))
    assert row["passed"]
    assert (row["n"], row["equal_verdicts"], row["discordant"]) == (36, 1.0, 0)
    assert (row["mcnemar_p"], row["max_difference"], row["norm_ratio"]) == (1.0, 0.0, 1.0)
    assert row["expected"] == "identical"
    assert row["cause"] == "why not closer"


@pytest.mark.parametrize("norm", ["l0", "l1", "l2", "linf"])
def test_identical_fails_on_one_norm_of_one_image(results: Results, expect: Any, norm: str) -> None:
    expect(Expected("identical"))
    other = changed(results, "pgd", norm, lambda values: values + 1e-12, 1)
    assert not pick(parity(other))["passed"]


def test_identical_fails_on_one_verdict(results: Results, expect: Any) -> None:
    expect(Expected("identical"))
    row = pick(parity(changed(results, "pgd", "success", flip, 1)))
    assert not row["passed"]
    assert row["discordant"] == 1


def test_identical_fails_on_one_pixel(results: Results, expect: Any) -> None:
    expect(Expected("identical"))
    row = pick(parity(shifted(results, 2.0**-20)))
    assert not row["passed"]
    assert row["max_difference"] == pytest.approx(2.0**-20, rel=0.1)


def test_a_nan_in_a_picture_is_no_agreement(results: Results, expect: Any) -> None:
    expect(Expected("identical"))
    row = pick(parity(shifted(results, float("nan"))))
    assert not row["passed"]
    assert row["max_difference"] == float("inf")


@pytest.mark.parametrize(("by", "passed"), [(0.0, True), (2.0**-23, True), (2.0**-21, False)])
def test_one_ulp(results: Results, expect: Any, by: float, passed: bool) -> None:
    expect(ONE_ULP)
    assert pick(parity(shifted(results, by)))["passed"] == passed


def test_one_ulp_needs_the_verdicts_too(results: Results, expect: Any) -> None:
    expect(ONE_ULP)
    assert pick(parity(changed(results, "pgd", "success", flip, 2)))["passed"]
    assert not pick(parity(changed(results, "pgd", "success", flip, 3)))["passed"]


def test_verdict_allows_two_or_one_in_a_hundred(results: Results, expect: Any) -> None:
    expect(VERDICT)
    row = pick(parity(changed(results, "pgd", "success", flip, 2)))
    assert row["passed"]
    assert row["equal_verdicts"] == pytest.approx(34 / 36)
    assert pd.isna(row["max_difference"])
    assert not pick(parity(changed(results, "pgd", "success", flip, 3)))["passed"]


def test_rate_asks_how_many_fall_not_which(results: Results, expect: Any) -> None:
    def passed(stand: int, fall: int) -> bool:
        """Return the verdict where some of one toolkit's that fell stand and others fall."""

        def exchange(values: pd.Series) -> pd.Series:
            fell, stood = values.index[values][:stand], values.index[~values][:fall]
            assert (len(fell), len(stood)) == (stand, fall)
            return values.where(~values.index.isin(fell), False) | values.index.isin(stood)

        found = parity(changed(results, "pgd", "success", exchange, 36))
        return bool(pick(found)["passed"])

    expect(Expected("rate", low=-0.1, high=0.1))
    assert passed(5, 5)
    assert [passed(count, 0) for count in (3, 4)] == [True, False]
    expect(Expected("rate", low=-0.01, high=0.01))
    assert [passed(0, count) for count in (2, 3)] == [True, False]


@pytest.mark.parametrize(("flips", "passed"), [(3, True), (4, False)])
def test_verdict_of_300_images_allows_three(
    results: Results, expect: Any, flips: int, passed: bool
) -> None:
    expect(VERDICT)
    rows = results.rows[results.rows["index"] == 1]
    many = pd.concat([rows.assign(index=i) for i in range(300)], ignore_index=True)
    larger = changed(dataclasses.replace(results, rows=many), "pgd", "success", flip, flips)
    row = pick(parity(larger))
    assert row["n"] == 300
    assert row["passed"] == passed


def test_norm_ratio_is_left_over_right(results: Results, expect: Any) -> None:
    expect(Expected("norm", low=1.08, high=1.10))
    row = pick(parity(results), "cw", "minimal")
    assert row["norm_ratio"] == pytest.approx(1.1 / 1.01, rel=1e-4)  # art's median over foolbox's
    assert row["passed"]
    expect(Expected("norm", low=0.91, high=0.93))
    assert not pick(parity(results), "cw", "minimal")["passed"]


def test_norm_ratio_counts_images_that_both_broke(results: Results, expect: Any) -> None:
    expect(Expected("norm"))
    # Where foolbox failed, what it tried may be anything.
    failed = changed(results, "cw", "success", flip, 10)
    failed = changed(failed, "cw", "l2", lambda values: values * 0 + 99.0, 10)
    rows = {
        toolkit: failed.rows[failed.rows["cell"] == cell_of(failed, "cw", toolkit)].set_index(
            "index"
        )
        for toolkit in ("art", "foolbox")
    }
    both = rows["art"]["success"] & rows["foolbox"]["success"]
    expected = rows["art"].loc[both, "l2"].median() / rows["foolbox"].loc[both, "l2"].median()
    assert pick(parity(failed), "cw", "minimal")["norm_ratio"] == pytest.approx(expected)


def test_norm_ratio_of_a_fixed_budget_counts_all_attacked(results: Results, expect: Any) -> None:
    expect(Expected("norm"))
    longer = changed(results, "pgd", "linf", lambda values: values * 2, 36)
    assert pick(parity(longer))["norm_ratio"] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("kept", "passed"), [(36, True), (34, True), (33, False), (1, False), (0, False)]
)
def test_norm_asks_how_many_fall_too(
    results: Results, expect: Any, kept: int, passed: bool
) -> None:
    """Equal norms of the images that both broke are no agreement where one toolkit broke few."""
    expect(Expected("norm", low=1.0, high=1.2))
    row = pick(parity(changed(results, "cw", "success", flip, 36 - kept)), "cw", "minimal")
    assert row["passed"] is not pd.NA
    assert row["passed"] == passed
    assert (row["n"], row["bound"]) == (36, "ratio 1 to 1.2, ±2 images")


def test_norms_that_nobody_reached_cannot_be_judged(results: Results, expect: Any) -> None:
    expect(Expected("norm"))
    none = changed(results, "cw", "success", flip, 36)
    none = changed(none, "cw", "success", flip, 36, toolkit="art")
    row = pick(parity(none), "cw", "minimal")
    assert pd.isna(row["passed"])
    assert pd.isna(row["norm_ratio"])
    assert "no norms" in row["cause"]


@pytest.mark.parametrize(("expected", "bound"), [
    (Expected("identical"), "all equal"),
    (ONE_ULP, "2^-23 a pixel, 2 may differ"),
    (VERDICT, "2 may differ"),
    (Expected("verdict", low=0.8, high=1.0), "7 may differ"),
    (Expected("rate", low=-0.2, high=0.2), "±7 images"),
    (Expected("rate", low=-0.2, high=0.1), "-7 to +3 images"),
    (Expected("norm", low=0.9, high=1.25, within=0.1), "ratio 0.9 to 1.25, ±3 images"),
])  # fmt: skip
def test_each_row_says_what_it_was_held_to(
    results: Results, expect: Any, expected: Expected, bound: str
) -> None:
    expect(expected)
    assert pick(parity(results))["bound"] == bound  # of 36 images
    expect(Expected("differs"))
    assert pd.isna(pick(parity(results))["bound"])


def test_a_cell_that_did_not_run_cannot_be_judged(results: Results, expect: Any) -> None:
    expect(VERDICT)
    table = parity(results)
    model, attack, toolkit = stored_run.FAILED
    rows = table[(table["model"] == model) & (table["attack"] == attack)]
    assert len(rows) == 3  # of three toolkits each two
    for row in rows.itertuples():
        if toolkit in (row.left, row.right):
            assert pd.isna(row.passed)
            assert row.cause == f"{toolkit} did not run"
            assert row.n == 0
            assert row.expected == "verdict"
        else:
            assert row.passed


def test_no_image_in_common_cannot_be_judged(results: Results, expect: Any) -> None:
    expect(VERDICT)
    rows = results.rows.assign(correct=False)
    row = pick(parity(dataclasses.replace(results, rows=rows)))
    assert pd.isna(row["passed"])
    assert row["n"] == 0
    assert row["cause"] == "no image was attacked by both"


def test_without_pictures_equality_can_be_refuted_but_not_shown(
    results: Results, expect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    expect(Expected("identical"))
    monkeypatch.setattr(Results, "pictures", lambda self, cell: {})
    row = pick(parity(results))
    assert pd.isna(row["passed"])
    assert row["cause"] == "no pictures kept"
    assert not pick(parity(changed(results, "pgd", "success", flip, 1)))["passed"]


def test_a_pair_the_catalogue_does_not_know(results: Results, expect: Any) -> None:
    expect(SpecError("no parity is known of pgd"))
    row = pick(parity(results))
    assert pd.isna(row["passed"])
    assert pd.isna(row["expected"])
    assert row["cause"] == "no parity is known of pgd"
    assert row["equal_verdicts"] == 1.0


def test_mcnemar_of_the_discordant_images(results: Results, expect: Any) -> None:
    expect(VERDICT)
    rows = results.rows
    won = rows[(rows["cell"] == cell_of(results, "cw", "foolbox")) & rows["success"]]
    assert len(won) == 36
    row = pick(parity(changed(results, "cw", "success", flip, 6)), "cw", "minimal")
    assert row["discordant"] == 6
    assert row["mcnemar_p"] == pytest.approx(2 * 0.5**6)


def test_two_algorithms_under_one_name_are_shown_and_not_judged(
    results: Results, expect: Any
) -> None:
    expect(Expected("differs"))
    row = pick(parity(results))
    assert row["expected"] == "differs"
    assert pd.isna(row["passed"])
    assert row["cause"] == "why not closer"
    assert row["norm_ratio"] > 0


@pytest.mark.parametrize(("answer", "flips", "status", "sentence"), [
    (VERDICT, 2, "pass", "art and foolbox agree as expected: 2 of 36 verdicts differ"),
    (VERDICT, 3, "fail", "art and foolbox differ more than they should: 3 of 36 verdicts differ"),
    (Expected("differs"), 3, "not applicable",
     "art and foolbox have two algorithms under one name: why not closer"),
    (SpecError("no parity is known of pgd"), 0, "warn",
     "art and foolbox could not be compared: no parity is known of pgd"),
])  # fmt: skip
def test_a_pair_is_a_finding(
    results: Results, expect: Any, answer: Any, flips: int, status: str, sentence: str
) -> None:
    expect(answer)
    (finding,) = parity_findings(
        pick(parity(changed(results, "pgd", "success", flip, flips))).to_frame().T
    )
    assert (finding.status, finding.sentence, finding.value) == (status, sentence, flips)
    assert finding.subject == f"pgd linf 8/255 on {A}, network"
    assert finding.bound == ("2 may differ" if answer is VERDICT else "")


def test_the_check_of_a_run_finds_something_of_every_pair(results: Results, expect: Any) -> None:
    expect(Expected("identical"))
    statuses = [finding.status for finding in PARITY.findings(Outcomes(results))]
    table = parity(results)
    assert statuses.count("pass") == int(table["passed"].fillna(False).sum()) > 0
    assert statuses.count("warn") == int(table["passed"].isna().sum()) > 0
    assert len(statuses) == len(table)
