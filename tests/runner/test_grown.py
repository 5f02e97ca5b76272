"""Plans in which some cells have more images than the others."""

import dataclasses

import build
import pandas as pd
import pytest

from bench.data.datasets import load
from bench.errors import SpecError
from bench.report.measured import measure
from bench.report.sections.protocol import protocol
from bench.runner.execute import execute
from bench.runner.grown import grown, most_images, with_cells
from bench.runner.loading import Setting
from bench.runner.plan import make_plan
from bench.runner.selection import Selection
from bench.runner.suite import load_suite
from bench.spec import CraftedOn, FittedOn, ImageSet, ModelRequest
from bench.store.identity import cell_key
from bench.store.results import load_results
from bench.store.store import open_store


@pytest.fixture
def plan(tiny_suite):
    return make_plan(load_suite(str(tiny_suite)), setting=Setting(batch_size=8))


def test_a_grown_cell_is_the_one_that_a_suite_of_so_many_images_has(plan, tiny_suite):
    larger = make_plan(
        load_suite(str(tiny_suite)), Selection(images=50), Setting(batch_size=8)
    ).cells
    first, second, *others = plan.cells
    found = grown(plan, {second: 50})
    (new,) = set(found.cells) - set(plan.cells)
    assert list(found.cells) == [first, new, *others]
    assert found.cells[new] == larger[new]
    assert len(found.images_of(found.cells[new])) == 50
    assert len(found.images_of(found.cells[first])) == 30
    assert found.suite == plan.suite
    back = grown(found, {new: 30})
    assert back.cells == plan.cells
    assert grown(plan, {first: 30}).cells == plan.cells


def test_what_a_cell_cannot_have_is_said(plan):
    key, cell = next(iter(plan.cells.items()))
    assert most_images(plan, cell) == len(load("digits", "test")) == 500
    for count in (0, 501):
        with pytest.raises(SpecError, match=f"{count} images were asked for; it can have 1 to 500"):
            grown(plan, {key: count})
    with pytest.raises(SpecError, match="the plan has no cell"):
        grown(plan, {"0" * 20: 40})


def test_no_cell_grows_into_images_that_its_model_was_fitted_on(plan):
    ((request, adapter),) = plan.adapters.items()
    key, cell = next(iter(plan.cells.items()))
    fitted = {}
    for split in ("train", "test"):
        free = ImageSet(data="digits", split=split, count=40)
        apart = type("Apart", (type(adapter),), {"attackable": free})(adapter.spec, adapter.module)
        fitted[split] = dataclasses.replace(plan, adapters={request: apart})
    assert most_images(fitted["train"], cell) == 500
    assert most_images(fitted["test"], cell) == 40
    assert len(grown(fitted["test"], {key: 40}).cells) == len(plan.cells)
    with pytest.raises(SpecError, match="it can have 1 to 40"):
        grown(fitted["test"], {key: 41})


def test_cells_that_a_plan_lacks_join_it_unless_they_are_others_here(plan):
    first = next(iter(plan.cells))
    larger = grown(plan, {first: 40})
    (more,) = larger.cells.keys() - plan.cells.keys()
    found = with_cells(plan, larger.cells)
    assert found.cells == plan.cells | {more: larger.cells[more]}
    assert len(found.images_of(found.cells[more])) == 40
    assert with_cells(plan, {first: plan.cells[first]}) is plan
    cell = larger.cells[more]
    for other in (
        {"fingerprint": "another"},
        {"checksum": "of other images"},
        {"fit": FittedOn(fingerprint=cell.fingerprint, surface="own", checksum=cell.checksum)},
    ):
        changed = dataclasses.replace(cell, **other)
        assert with_cells(plan, {"new": changed}).cells == plan.cells


def test_judges_of_the_same_images_stay_side_by_side(plan):
    cell = next(iter(plan.cells.values()))
    on = CraftedOn(model=cell.model, fingerprint=cell.fingerprint)
    votes = [ModelRequest(name="digits/mlp", options=(("k", k),)) for k in (1, 2, 4)]
    cells = [dataclasses.replace(cell, model=vote, crafted_on=on) for vote in votes]
    plan = dataclasses.replace(
        plan,
        cells={cell_key(cell): cell for cell in cells},
        adapters=dict.fromkeys(votes, plan.adapters[cell.model]),
    )
    first, second, third = plan.cells
    found = grown(plan, {first: 40, third: 40}).cells
    assert [cell.images.count for cell in found.values()] == [40, 40, 30]
    assert list(found)[2] == second


def test_figures_of_a_grown_run_are_of_the_images_asked_for_and_claims_of_all(tmp_path):
    path = tmp_path / "claimed.toml"
    attacks = [
        {"name": name, "norm": "linf", "eps": "0.1", "toolkits": ["foolbox"]}
        for name in ("fgsm", "noise", "bim")
    ]
    claim = {"says": "a step does it", "left": "digits/mlp", "right": "digits/mlp", "norm": "linf",
             "left_attacks": ["fgsm"], "right_attacks": ["bim"], "eps": ["0.1"],
             "expect": "left = right", "within": 5}  # fmt: skip
    path.write_text(build.suite(["digits/mlp"], attacks, [claim], images=16))
    plan = make_plan(load_suite(str(path)), setting=Setting(batch_size=8))
    store = open_store(tmp_path / "r")
    execute(plan, store)
    before = load_results(store.root, "claimed")
    assert before.as_asked() is before
    first, _, last = plan.cells
    execute(grown(plan, {first: 40, last: 48}), store)
    after = load_results(store.root, "claimed")
    assert after.protocol["images"] == 16
    assert after.cells["images"].tolist() == [40, 16, 48]
    assert list(after.asked_images.values()) == [16, 16]
    asked = after.as_asked()
    assert asked.cells["images"].tolist() == [16, 16, 16]
    pd.testing.assert_frame_equal(
        asked.rows.drop(columns=["cell", "seconds"]), before.rows.drop(columns=["cell", "seconds"])
    )
    figures, old = measure(after), measure(before)
    for name in ("headline", "curve"):
        pd.testing.assert_frame_equal(getattr(figures, name), getattr(old, name))
    assert old.comparisons["n"].tolist() == [16]
    assert figures.comparisons["n"].tolist() == [40]
    facts = {fact.name: fact.text for fact in protocol(after)}
    assert facts["Data"].endswith("first 16 images (smoke: n < 100); 40 under fgsm; 48 under bim")
