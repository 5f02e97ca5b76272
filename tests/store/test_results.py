from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from scenes import stored_run

from bench.errors import PrerequisiteError, StoreError
from bench.spec import COLUMNS
from bench.store.identity import cell_key
from bench.store.results import Results, load_results
from bench.store.runlog import start_run
from bench.store.store import open_store


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("results")
    stored_run.write_run(root)
    return root


@pytest.fixture(scope="module")
def results(root: Path) -> Results:
    return load_results(root, stored_run.SUITE)


def test_cells_are_those_of_the_plan_in_its_order(results: Results) -> None:
    plan = list(stored_run.cells())
    assert list(results.cells["cell"]) == [cell_key(cell) for cell, _ in plan]
    assert list(results.cells["parameters"]) == [dict(cell.attack.parameters) for cell, _ in plan]
    assert results.title == "A synthetic run"
    assert results.protocol["images"] == stored_run.IMAGES
    assert [model["model"] for model in results.models] == list(stored_run.MODELS)
    assert len(results.left_out) == 1


def test_status_and_error(results: Results) -> None:
    cells = results.cells.set_index(["model", "attack", "toolkit"])
    failed = cells.loc[stored_run.FAILED]
    failed = failed.iloc[0] if failed.ndim == 2 else failed
    assert failed["status"] == "failed"
    assert failed["error"] == "AttackError: out of memory: try --batch-size 8"
    assert failed[["images", "seconds"]].isna().all()
    others = results.cells[results.cells["status"] != "failed"]
    assert set(others["status"]) == {"done"}
    assert others["error"].isna().all()
    assert (others["images"] == stored_run.IMAGES).all()


def test_radius_and_text_of_eps(results: Results) -> None:
    fixed = results.cells[results.cells["kind"] == "fixed"]
    assert set(zip(fixed["eps"], fixed["radius"], strict=True)) == {
        ("8/255", 8 / 255), ("24/255", 24 / 255),
    }  # fmt: skip
    minimal = results.cells[results.cells["kind"] == "minimal"]
    assert minimal["eps"].isna().all()
    assert minimal["radius"].isna().all()


def test_counts_and_means_are_of_the_images_attacked(results: Results) -> None:
    assert tuple(results.rows.columns) == COLUMNS
    for _, cell in results.cells[results.cells["status"] == "done"].iterrows():
        rows = results.rows[results.rows["cell"] == cell["cell"]]
        tried = [row for row in rows.itertuples() if row.correct]
        assert cell["correct"] == len(tried)
        assert cell["successes"] == sum(row.success for row in tried)
        assert cell["invalid"] == 0
        for name in ("forwards", "backwards", "seconds"):
            mean = sum(getattr(row, name) for row in tried) / len(tried)
            assert cell[name] == pytest.approx(mean)


def test_pictures(results: Results) -> None:
    done = results.cells[results.cells["status"] == "done"]["cell"].iloc[0]
    assert results.pictures(done)["x_adv"].shape == (stored_run.KEPT, 1, 8, 8)


def test_no_such_run(root: Path, tmp_path: Path) -> None:
    for folder in (root, tmp_path, tmp_path / "none"):
        with pytest.raises(PrerequisiteError, match="bench run --suite other"):
            load_results(folder, "other")
    assert list(tmp_path.iterdir()) == []


def test_the_last_run_counts_and_what_it_has_not_done_is_missing(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    plan = list(stored_run.cells())[:3]
    start_run(store, stored_run.run_start(plan, "a"))
    stored_run.write_cell(store, plan[0][0])
    start_run(store, stored_run.run_start(plan, "b"))
    start_run(store, stored_run.run_start(plan[:2], "a"))
    assert list(load_results(tmp_path, "a").cells["status"]) == ["done", "missing"]
    assert list(load_results(tmp_path, "b").cells["status"]) == ["done", "missing", "missing"]


def test_a_cell_that_failed_and_then_succeeded_is_done(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    plan = list(stored_run.cells())[:1]
    start_run(store, stored_run.run_start(plan))
    store.fail(cell_key(plan[0][0]), RuntimeError(""))
    told = load_results(tmp_path, stored_run.SUITE)
    assert list(told.cells["error"]) == ["RuntimeError"]
    assert told.rows.empty
    assert told.rows.dtypes["success"] == "bool"
    stored_run.write_cell(store, plan[0][0])
    assert list(load_results(tmp_path, stored_run.SUITE).cells["status"]) == ["done"]


def test_a_cell_planned_twice_is_counted_once(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    plan = list(stored_run.cells())[:1]
    start_run(store, stored_run.run_start(plan * 2))
    stored_run.write_cell(store, plan[0][0])
    assert len(load_results(tmp_path, stored_run.SUITE).rows) == stored_run.IMAGES


def test_damage_is_not_passed_over(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    plan = list(stored_run.cells())[:2]
    start_run(store, stored_run.run_start(plan))
    for cell, _ in plan:
        stored_run.write_cell(store, cell)
    next((store.folder(cell_key(plan[1][0])) / "parts").iterdir()).unlink()
    with pytest.raises(StoreError, match="is missing"):
        load_results(tmp_path, stored_run.SUITE)


def test_rows_that_do_not_say_why_an_image_came_back_are_told_of(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    plan = list(stored_run.cells())[:3]
    start_run(store, stored_run.run_start(plan))
    rows = [stored_run.make_rows(cell)[0] for cell, _ in plan]
    for made in rows[1:]:
        made.loc[made["correct"], "l0"] = 0.0
    rows[2]["adv_margin"] = 1.0  # this version says more of them
    stored_run.write_cell(store, plan[0][0], rows=rows[0])
    assert not any(
        "older version, which" in one for one in load_results(tmp_path, stored_run.SUITE).notes
    )
    for (cell, _), one in zip(plan[1:], rows[1:], strict=True):
        stored_run.write_cell(store, cell, rows=one)
    *_, line = load_results(tmp_path, stored_run.SUITE).notes
    assert line.startswith("1 of 3 cells are of an older version")
    assert "--overwrite always" in line


def test_results_are_frozen(results: Results) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        results.title = "other"  # type: ignore[misc]
