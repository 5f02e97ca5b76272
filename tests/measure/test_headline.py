from __future__ import annotations

import dataclasses
from typing import Any

import build
import numpy as np
import pandas as pd
import pytest
from scenes import stored_run

from bench.measure.attack_rates import attack_rates
from bench.measure.curves import curve
from bench.measure.headline import headline
from bench.measure.outcomes import Outcomes
from bench.measure.statistics import wilson
from bench.store.columns import attacked
from bench.store.results import Results, load_results

A, B = stored_run.MODELS


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    root = tmp_path_factory.mktemp("results")
    return load_results(root, stored_run.write_run(root))


def scrambled(results: Results, seed: int) -> Results:
    """Return results in which who broke what, at which distance, is drawn by chance."""
    rng = np.random.default_rng(seed)
    rows = results.rows.copy()
    tried = attacked(rows).to_numpy()
    n = len(rows)
    rows["success"] = tried & (rng.random(n) < 0.1)
    rows["abstained"] = tried & (rng.random(n) < 0.03)
    rows["invalid"] = pd.Series(
        np.where(tried & (rng.random(n) < 0.01), "over budget: 1 > 0", None)
    )
    rows["invalid"] = rows["invalid"].astype("str").where(~rows["success"])
    rows["adv_label"] = rows["label"].where(tried & ~rows["success"], rows["label"] + 1)
    rows["adv_label"] = rows["adv_label"].astype("Int64").where(tried)
    for norm in ("l1", "l2", "linf"):
        rows[norm] = np.where(
            tried, rng.choice([0.01, 8 / 255, 0.05, 24 / 255, 0.2, 0.9], n), np.nan
        )
    cells = results.cells.copy()
    gone = rng.random(len(cells)) < 0.2
    cells["status"] = cells["status"].where(~gone, "missing")
    done = set(cells.loc[cells["status"] == "done", "cell"])
    return dataclasses.replace(results, cells=cells, rows=rows[rows["cell"].isin(done)])


def with_cells(results: Results, **changes: Any) -> Results:
    return dataclasses.replace(results, cells=results.cells.assign(**changes))


def only(results: Results, keep: pd.Series) -> Results:
    cells = results.cells[keep]
    return dataclasses.replace(
        results, cells=cells, rows=results.rows[results.rows["cell"].isin(cells["cell"])]
    )


def slow_accuracy(results: Results, model: str, norm: str, eps: float) -> float:
    """Return the headline as its definition reads, image by image."""
    broken: dict[int, bool] = {}
    for row in results.rows.to_dict("records"):
        if row["model"] != model:
            continue
        image = row["index"]
        broken[image] = broken.get(image, False) or not row["correct"]
        lost = row["success"] or (row["abstained"] and pd.isna(row["invalid"]))
        if row["norm"] == norm and lost and row[norm] <= eps * (1 + 1e-5) + 1e-6:
            broken[image] = True
    return 1 - sum(broken.values()) / len(broken)


@pytest.mark.parametrize("seed", range(6))
def test_headline_against_a_slow_loop(results: Results, seed: int) -> None:
    results = scrambled(results, seed)
    table = headline(Outcomes(results))
    assert len(table) == 4
    for row in table.itertuples():
        planned = results.cells[
            (results.cells["model"] == row.model)
            & (results.cells["norm"] == row.norm)
            & (results.cells["radius"] == row.eps)
            & (results.cells["attack"] != "noise")
        ]
        assert row.planned == len(planned)
        assert row.attacks == (planned["status"] == "done").sum()
        if row.attacks == 0:
            assert row.flag.startswith("INVALID: ")
            assert np.isnan(row.robust_accuracy)
            continue
        expected = slow_accuracy(results, row.model, row.norm, row.eps)
        assert row.robust_accuracy == pytest.approx(expected)
        assert (row.low, row.high) == wilson(round(expected * row.n), row.n)
        assert row.robust_accuracy <= row.clean_accuracy


def test_headline_of_the_synthetic_run(results: Results) -> None:
    table = headline(Outcomes(results)).set_index(["model", "eps_text"])
    for model in (A, B):
        right, wall = stored_run.correct(model), stored_run.boundary(model)
        for text, eps in (("8/255", 8 / 255), ("24/255", 24 / 255)):
            row = table.loc[(model, text)]
            assert row["n"] == stored_run.IMAGES
            assert row["clean_accuracy"] == pytest.approx(right.double().mean().item())
            assert row["robust_accuracy"] == pytest.approx(
                (right & (wall >= eps)).double().mean().item()
            )
            assert row["flag"] == ""
            assert row["worst"] == "pgd (tie of 3)"
    assert list(table["planned"]) == [3, 3, 3, 3]
    assert set(table["norm"]) == {"linf"}  # nobody named an eps in l2


def test_an_asked_eps_of_a_minimal_norm_attack_and_a_failed_cell(results: Results) -> None:
    # As if deepfool and cw had been run in linf, where 8/255 and 24/255 were asked for.
    rows = results.rows.copy()
    rows["norm"] = "linf"
    moved = dataclasses.replace(with_cells(results, norm="linf"), rows=rows)
    table = headline(Outcomes(moved)).set_index(["model", "eps_text"])
    assert list(table["planned"]) == [9, 9, 9, 9]
    assert table.loc[(A, "8/255"), "flag"] == ""
    assert table.loc[(B, "8/255"), "flag"] == "1 of 9 attacks did not run"
    assert table.loc[(B, "8/255"), "attacks"] == 8
    for (model, _), row in table.iterrows():
        assert row["robust_accuracy"] == pytest.approx(
            slow_accuracy(moved, model, "linf", row["eps"])
        )


def test_a_smaller_budget_counts_for_a_larger_one_but_is_not_planned_for_it(
    results: Results,
) -> None:
    small = (results.cells["eps"] == "8/255") | (results.cells["toolkit"] == "art")
    kept = only(results, (results.cells["attack"] == "pgd") & small)
    row = headline(Outcomes(kept)).set_index(["model", "eps_text"]).loc[(A, "24/255")]
    assert row["planned"] == 1
    assert row["robust_accuracy"] <= headline(Outcomes(kept))["robust_accuracy"].iloc[0]
    assert row["robust_accuracy"] == pytest.approx(slow_accuracy(kept, A, "linf", 24 / 255))


def spoil(results: Results, how: str) -> Results:
    """Return results in which no pgd cell of the first model did anything."""
    rows = results.rows.copy()
    hit = (rows["model"] == A) & (rows["attack"] == "pgd")
    rows.loc[hit, "success"] = False
    rows.loc[hit & attacked(rows), "adv_label"] = rows["label"]
    if how == "unchanged":
        rows.loc[hit, ["l0", "l1", "l2", "linf"]] = 0.0
    else:
        rows.loc[hit & attacked(rows), "invalid"] = "not finite"
    return dataclasses.replace(results, rows=rows)


@pytest.mark.parametrize(
    ("how", "says"), [("unchanged", "changed no image"), ("invalid", "gave no valid image")]
)
def test_an_attack_that_did_nothing_is_invalid_not_robust(
    results: Results, how: str, says: str
) -> None:
    table = headline(Outcomes(spoil(results, how))).set_index(["model", "eps_text"])
    row = table.loc[(A, "8/255")]
    assert row["flag"] == f"INVALID: 3 of 3 attacks {says}"
    assert row[["robust_accuracy", "low", "high"]].isna().all()
    assert row["worst"] == ""
    assert row["clean_accuracy"] == pytest.approx(0.9)
    # At 24/255 the noise still ran, which shows nothing.
    row = table.loc[(A, "24/255")]
    assert row["flag"] == f"INVALID: 3 of 3 attacks {says}"
    assert np.isnan(row["robust_accuracy"])
    assert table.loc[(B, "8/255"), "flag"] == ""
    rates = attack_rates(Outcomes(spoil(results, how)))
    spoilt = rates[(rates["model"] == A) & (rates["attack"] == "pgd")]
    assert set(spoilt["flag"]) == {f"INVALID: {says}"}
    if how == "invalid":
        assert set(spoilt["reasons"]) == {"36 not finite"}
        assert list(spoilt["invalid"]) == list(spoilt["attacked"])


def test_an_attack_counts_on_the_images_it_was_valid_on(results: Results) -> None:
    spoilt = spoil(results, "unchanged")
    cell = spoilt.cells["cell"].iloc[0]
    tried = spoilt.rows[(spoilt.rows["cell"] == cell) & attacked(spoilt.rows)].index
    spoilt.rows.loc[tried[:1], "l0"] = 1.0
    assert attack_rates(Outcomes(spoilt))["flag"].iloc[0] == ""
    row = headline(Outcomes(spoilt)).iloc[0]
    others = "2 of 3 attacks changed no image"
    assert row["flag"] == f"INVALID: no valid attack on 35 of 36 images; {others}"
    assert np.isnan(row["robust_accuracy"])
    assert curve(Outcomes(spoilt))["accuracy"].iloc[1:2].isna().all()
    # One image in thirty-six is less than one in twenty.
    spoilt.rows.loc[tried[1:], "l0"] = 1.0
    spoilt.rows.loc[tried[0], ["l0", "linf"]] = 0.0
    row = headline(Outcomes(spoilt)).iloc[0]
    assert row["flag"] == f"no valid attack on 1 of 36 images; {others}"
    assert row["robust_accuracy"] == pytest.approx(0.9)


def test_a_run_in_which_nothing_ran(results: Results) -> None:
    empty = dataclasses.replace(with_cells(results, status="missing"), rows=results.rows.iloc[:0])
    table = headline(Outcomes(empty))
    assert list(table["flag"])[:2] == [
        "INVALID: 3 of 3 attacks did not run", "INVALID: 3 of 3 attacks did not run",
    ]  # fmt: skip
    assert (table["n"] == stored_run.IMAGES).all()
    assert table[["clean_accuracy", "robust_accuracy", "low", "high"]].isna().all(axis=None)
    assert curve(Outcomes(empty)).empty
    rates = attack_rates(Outcomes(empty))
    assert len(rates) == len(results.cells)
    assert rates[["n", "attacked", "success_rate", "accuracy", "low"]].isna().all(axis=None)
    assert set(rates["flag"]) == {"INVALID: did not run yet"}


def test_a_model_that_no_attack_reaches_is_shown(results: Results) -> None:
    models = [*results.models, {"model": "digits/tree", "family": "features", "data": "digits"}]
    row = headline(Outcomes(dataclasses.replace(results, models=models))).iloc[-1]
    assert row["model"] == "digits/tree"
    assert row["flag"] == "INVALID: no attack of this run applies"
    assert np.isnan(row["robust_accuracy"])


def test_a_model_is_asked_about_the_threats_of_its_own_data_set() -> None:
    cells = [
        build.cell("a", "pgd", "0.1", [1, 2]),
        build.cell("b", "pgd", "0.3", [3], norm="l2"),
        build.cell("b", "pgd", "0.1", [], norm="l2", status="missing"),
    ]
    sets = {"a": "mnist", "b": "cifar10", "c": "cifar10", "d": "flowers17"}
    models = {model: {"data": data} for model, data in sets.items()}
    found = headline(Outcomes(build.results(cells, models=models)))
    threats = found.groupby("model")[["norm", "eps_text"]].apply(lambda it: it.to_numpy().tolist())
    assert threats["a"] == [["linf", "0.1"]]
    assert threats["b"] == threats["c"] == [["l2", "0.1"], ["l2", "0.3"]]
    # Nothing was asked about flowers, which must not look as if all were well.
    assert len(threats["d"]) == 3
    assert set(found.loc[found["model"] == "d", "robust_accuracy"].isna()) == {True}
    lines = curve(Outcomes(build.results(cells, models=models)))
    assert set(lines.loc[lines["model"] == "a", "eps"]) == {0.0, 0.1}


def test_a_model_has_no_row_of_a_threat_that_the_suite_names_for_others() -> None:
    cells = [build.cell("a", "pgd", "0.1", [1, 2]), build.cell("a", "pgd", "3", [3], norm="l2")]
    models = {
        "a": {"threats": [["linf", "0.1"], ["l2", "3"]]},
        "unreached": {"threats": [["linf", "1/10"]]},
        "minimal": {"threats": [["l2", None]]},
        "unnamed": {"threats": []},
    }
    found = headline(Outcomes(build.results(cells, models=models)))
    norms = found.groupby("model")["norm"].apply(list)
    assert norms["unreached"] == ["linf"]
    assert norms["minimal"] == ["l2"]
    # Of a model without an attack there must still be a row that says so.
    assert norms["a"] == norms["unnamed"] == ["linf", "l2"]


def test_a_model_that_is_always_wrong_is_not_robust(results: Results) -> None:
    rows = results.rows.assign(correct=False, success=False)
    table = headline(Outcomes(dataclasses.replace(results, rows=rows)))
    assert (table["robust_accuracy"] == 0).all()
    assert (table["clean_accuracy"] == 0).all()
    assert (table["flag"] == "").all()
    rates = attack_rates(Outcomes(dataclasses.replace(results, rows=rows)))
    done = rates[rates["status"] == "done"]
    assert (done["attacked"] == 0).all()
    assert done[["success_rate", "low", "high", "median_distance"]].isna().all(axis=None)
    assert (done["accuracy"] == 0).all()


def test_surfaces_are_named_where_there_are_several(results: Results) -> None:
    pgd = results.cells["attack"] == "pgd"
    kept = only(results, ~pgd | (results.cells["toolkit"] == "art"))
    kept = with_cells(kept, surface=kept.cells["surface"].mask(kept.cells["eps"].isna(), "vote"))
    assert headline(Outcomes(kept))["worst"].iloc[0] == "pgd (art)"
    surfaces = kept.cells["surface"].mask(kept.cells["eps"] == "24/255", "vote")
    assert (
        headline(Outcomes(with_cells(kept, surface=surfaces)))["worst"].iloc[0]
        == "pgd (art, network)"
    )


@pytest.mark.parametrize("seed", range(3))
def test_curve_falls_begins_at_clean_and_meets_the_headline(results: Results, seed: int) -> None:
    results = scrambled(results, seed)
    lines, asked = (
        curve(Outcomes(results)),
        headline(Outcomes(results)).set_index(["model", "norm", "eps"]),
    )
    assert not lines.duplicated(["model", "norm", "eps"]).any()
    for (model, norm), line in lines.groupby(["model", "norm"]):
        assert line["eps"].is_monotonic_increasing
        assert (line["accuracy"].dropna().diff().dropna() <= 0).all()
        assert line["eps"].iloc[0] == 0
        rows = results.rows[results.rows["model"] == model]
        assert line["accuracy"].iloc[0] == rows.groupby("index")["correct"].first().mean()
        met = [(model, norm, eps) in asked.index for eps in line["eps"]]
        for point in line[np.array(met) | (np.arange(len(line)) % 10 == 0)].itertuples():
            if (model, norm, point.eps) in asked.index:
                told = asked.loc[(model, norm, point.eps), "robust_accuracy"]
                assert point.accuracy == pytest.approx(told, nan_ok=True)
            elif not np.isnan(point.accuracy) and point.eps > 0:
                assert point.accuracy == pytest.approx(
                    slow_accuracy(results, model, norm, point.eps)
                )


def test_at_eps_0_only_the_clean_errors_count(results: Results) -> None:
    rows = results.rows.copy()
    for norm in ("l2", "linf"):
        rows[norm] = rows[norm].where(~rows["success"], 1e-7)  # within the slack of 0
    lines = curve(Outcomes(dataclasses.replace(results, rows=rows))).set_index(
        ["model", "norm", "eps"]
    )
    assert lines.loc[(A, "linf", 0.0), "accuracy"] == pytest.approx(0.9)
    assert lines.loc[(A, "l2", 0.0), "accuracy"] == pytest.approx(0.9)


def test_a_curve_where_no_nearest_image_was_found_and_no_radius_asked_for() -> None:
    alone = build.results([build.cell("m", "deepfool", None, [], norm="l2")])
    assert curve(Outcomes(alone))["accuracy"].tolist() == [1.0]


def test_grid_of_the_curve(results: Results) -> None:
    lines = curve(Outcomes(results))
    linf = lines[(lines["model"] == A) & (lines["norm"] == "linf")]
    assert list(linf["eps"]) == [0, 8 / 255, 24 / 255]  # fixed budgets measure nothing in between
    l2 = lines[(lines["model"] == A) & (lines["norm"] == "l2")]
    assert len(l2) == 51
    assert l2["accuracy"].iloc[-1] == 0  # up to the largest distance


@pytest.mark.parametrize("seed", range(3))
def test_attack_rates_against_a_slow_loop(results: Results, seed: int) -> None:
    results = scrambled(results, seed)
    table = attack_rates(Outcomes(results))
    assert list(table["cell"]) == list(results.cells["cell"])
    for row in table.to_dict("records"):
        rows = results.rows[results.rows["cell"] == row["cell"]].to_dict("records")
        if row["status"] != "done":
            assert pd.isna(row["n"])
            assert row["flag"].startswith("INVALID: did not run")
            continue
        tried = [one for one in rows if one["correct"]]
        won = [one for one in tried if one["success"]]
        spoilt = [one for one in tried if pd.notna(one["invalid"])]
        left = [one for one in tried if one["abstained"] and pd.isna(one["invalid"])]
        lost = {one["index"] for one in [*won, *left]}
        assert (row["n"], row["attacked"], row["successes"]) == (len(rows), len(tried), len(won))
        assert row["success_rate"] == pytest.approx(len(won) / len(tried))
        assert (row["low"], row["high"]) == wilson(len(won), len(tried))
        assert row["accuracy"] == pytest.approx((len(tried) - len(lost)) / len(rows))
        assert row["invalid"] == len(spoilt)
        assert row["reasons"] == (f"{len(spoilt)} over budget" if spoilt else "")
        assert row["borderline"] == sum(one["borderline"] for one in tried)
        assert row["abstained"] == sum(one["abstained"] for one in tried)
        assert row["forwards"] == pytest.approx(np.mean([one["forwards"] for one in tried]))
        if row["kind"] == "minimal" and won:
            middle = np.median([one[row["norm"]] for one in won])
            assert row["median_distance"] == pytest.approx(middle)
        else:
            assert np.isnan(row["median_distance"])


def test_reasons_are_counted_without_their_numbers(results: Results) -> None:
    rows = results.rows.copy()
    at = rows[(rows["cell"] == results.cells["cell"].iloc[0]) & attacked(rows)].index
    rows.loc[at[:2], "invalid"] = ["over budget: linf 0.1 > 8/255", "over budget: linf 0.2 > 8/255"]
    rows.loc[at[2], "invalid"] = "outside [0, 1] by 0.01"
    table = attack_rates(Outcomes(dataclasses.replace(results, rows=rows)))
    assert table["reasons"].iloc[0] == "2 over budget, 1 outside [0, 1]"
    assert table["flag"].iloc[0] == ""


def test_words_of_eps(results: Results) -> None:
    table = attack_rates(Outcomes(results))
    assert set(zip(table["kind"], table["eps_text"], strict=True)) == {
        ("fixed", "8/255"), ("fixed", "24/255"), ("minimal", "minimal"),
    }  # fmt: skip


def test_no_image_is_robust_to_an_attack_that_did_not_try_it() -> None:
    many = build.cell("a", "fgsm", "0.1", range(50, 60))
    few = build.cell("a", "pgd", "0.1", range(10), images=40)
    weak = build.cell("a", "pgd", "0.05", (), images=5)
    found = headline(Outcomes(build.results([many, few, weak], wrong={"a": (39, 150)})))
    at = found.set_index("eps_text").loc["0.1"]
    assert (at["n"], at["clean_accuracy"], at["robust_accuracy"]) == (40, 39 / 40, 29 / 40)
    assert found.set_index("eps_text").loc["0.05", "n"] == 5
    points = curve(Outcomes(build.results([many, few])))
    assert set(points["n"]) == {40}
    assert points["accuracy"].tolist() == [1.0, 0.75]
