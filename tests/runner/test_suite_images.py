"""Which images a suite attacks: listed, drawn, and those made for the models of another data set."""

import dataclasses

import build
import numpy as np
import pytest
import torch

import bench
from bench.data.datasets import load
from bench.data.orders import places_of
from bench.errors import PrerequisiteError, SpecError
from bench.measure.made_differently import are_other_images, differing_identity
from bench.report.sections.protocol import protocol
from bench.runner.execute import execute
from bench.runner.grown import grown, most_images
from bench.runner.loading import Setting
from bench.runner.plan import images_in, make_plan
from bench.runner.selection import Selection
from bench.runner.suite import load_suite
from bench.spec import ImageSet, list_order
from bench.store.identity import cell_key, identity, sibling_key, suite_content
from bench.store.results import load_results
from bench.store.store import open_store

FGSM = {"name": "fgsm", "norm": "linf", "eps": "0.1", "toolkits": ["foolbox"]}


@pytest.fixture
def suite(tmp_path):
    """Return a function that writes a suite of one network and one attack, and loads it."""

    def suite(models=("digits/mlp",), attacks=(FGSM,), **head):
        path = tmp_path / "drawn.toml"
        path.write_text(build.suite(models, attacks, **head))
        return load_suite(str(path))

    return suite


def planned(suite, **selection):
    return make_plan(suite, Selection(**selection), Setting(batch_size=8))


def test_a_list_lies_beside_the_suite_and_says_how_many(suite, tmp_path):
    (tmp_path / "some.txt").write_text("".join(f"{place}\n" for place in range(40, 20, -1)))
    loaded = suite(images="some.txt")
    (images,) = loaded.images
    assert images == ImageSet(
        data="digits", split="test", count=20, order=list_order(range(40, 20, -1))
    )
    whole = load("digits", "test")
    assert torch.equal(images_in(images, None).raw, whole.raw[list(range(40, 20, -1))])
    (cell,) = planned(loaded, images=5).cells.values()
    assert images_in(cell.images, None).labels.tolist() == whole.labels[36:41].flip(0).tolist()
    with pytest.raises(SpecError, match="21 images were asked for, the list has 20"):
        planned(loaded, images=21)
    (every,) = planned(loaded, images="all").images.values()
    assert len(every) == 20


def test_the_first_images_of_a_draw_are_those_of_a_larger_one(suite):
    loaded = suite(images=10, order="balanced 3")
    few, more = (planned(loaded, images=count) for count in (10, 30))
    (small,), (large,) = few.images.values(), more.images.values()
    assert sorted(small.labels.tolist()) == list(range(10))
    assert torch.equal(large.raw[:10], small.raw)
    places = places_of("balanced 3", load("digits", "test").labels)[:30]
    assert torch.equal(large.raw, load("digits", "test").raw[places])


def test_an_order_is_part_of_a_key_and_of_a_suite_only_where_there_is_one(suite):
    (cell,) = planned(suite(images=10)).cells.values()
    assert "order" not in identity(cell)["images"]
    drawn, other = (
        dataclasses.replace(cell, images=dataclasses.replace(cell.images, order=order))
        for order in ("random 0", "random 1")
    )
    assert len({cell_key(one) for one in (cell, drawn, other)}) == 3
    assert len({sibling_key(identity(one)) for one in (cell, drawn, other)}) == 3
    images_of = [identity(one) for one in (cell, drawn)]
    assert are_other_images(differing_identity(*images_of))
    contents = {
        suite_content(suite(images=10, order=order)) for order in ("", "random", "random 1")
    }
    assert len(contents) == 3
    assert suite_content(suite(images=10, order="random 0")) in contents


def test_more_images_of_an_order_take_over_the_rows_of_fewer(suite, tmp_path):
    loaded, store = suite(images=16, order="random 5"), open_store(tmp_path / "r")
    plan = planned(loaded)
    execute(plan, store)
    (key,) = plan.cells
    first = store.rows(key)
    larger = planned(loaded, images=32)
    events = []
    execute(larger, store, on_event=events.append)
    (taken,) = [event for event in events if event["event"] == "taken over"]
    (key,) = larger.cells
    kept = store.rows(key).head(16).drop(columns="cell")
    assert kept.equals(first.drop(columns="cell"))
    assert taken["images"] == 16
    file_order = planned(suite(images=32))
    events.clear()
    execute(file_order, store, on_event=events.append)
    assert not [event for event in events if event["event"] == "taken over"]


def test_a_cell_grows_along_its_order_and_within_its_list(suite, tmp_path):
    plan = planned(suite(images=8, order="random"))
    ((key, cell),) = plan.cells.items()
    found = grown(plan, {key: 24})
    (more,) = found.cells.values()
    assert torch.equal(
        found.images_of(more).raw, planned(suite(images=24, order="random")).images_of(more).raw
    )
    (tmp_path / "some.txt").write_text("9\n3\n7\n")
    listed = planned(suite(images="some.txt"), images=2)
    ((key, cell),) = listed.cells.items()
    assert most_images(listed, cell) == 3
    with pytest.raises(SpecError, match="it can have 1 to 3"):
        grown(listed, {key: 4})


@pytest.mark.parametrize(("head", "words"), [
    ({"images": "none.txt"}, r"none\.txt: No such file"),
    ({"images": "some.txt", "order": "random"}, "order: the images are listed"),
    ({"images": "some.txt", "data": ["digits", "mnist"]}, "a list is of one data set"),
    ({"data": "zip:birds"}, "no data set named 'zip:birds'; addresses of data sets are folder:PATH, .*npz:FILE"),
    ({"order": "sorted"}, "'sorted' is no order of images"),
])  # fmt: skip
def test_what_is_wrong_is_said_with_the_suite(suite, tmp_path, head, words):
    (tmp_path / "some.txt").write_text("1\n")
    with pytest.raises(SpecError, match=rf"drawn\.toml: .*{words}"):
        suite(**head)
    with pytest.raises(
        PrerequisiteError, match=r"drawn\.toml: data: npz:nowhere\.npz: no such file"
    ):
        suite(data="npz:nowhere.npz")


def test_a_report_says_which_images_they_are(suite, tmp_path):
    (tmp_path / "some.txt").write_text("9\n3\n7\n")
    said = {}
    for name, head in (
        ("list", {"images": "some.txt"}),
        ("drawn", {"images": 4, "order": "balanced 2"}),
    ):
        store = open_store(tmp_path / name)
        loaded = suite(**head)
        execute(planned(loaded), store)
        facts = protocol(load_results(store.root, "drawn", suite_content(loaded)))
        said[name] = next(fact.text for fact in facts if fact.name == "Data")
    assert said["list"].startswith(
        "digits, split test, first 3 images (smoke: n < 100) in a list of 3"
    )
    assert said["drawn"].startswith(
        "digits, split test, 4 images (smoke: n < 100) drawn with seed 2, the classes in turn"
    )


@pytest.fixture
def turned(registry):
    """Register digits upside down, for the models of digits."""

    @bench.register_data("turned", input_shape=(1, 8, 8), splits={"test": 12}, models_of="digits")
    def turned(split):
        x, y = bench.load_data("digits", images=12)
        return x.flip(2), y


def test_models_are_attacked_on_images_made_for_them(suite, turned, tmp_path):
    loaded, store = suite(data="turned", images=8), open_store(tmp_path / "r")
    plan = planned(loaded)
    execute(plan, store)
    results = load_results(store.root, "drawn", suite_content(loaded))
    x, y = bench.load_data("turned", images=8)
    model = bench.load_model("digits/mlp")
    assert results.rows["correct"].tolist() == (model.predict(x).labels == y).tolist()
    assert set(results.rows["dataset"]) == {"turned"}
    (told,) = results.models
    assert (told["data"], told["classes"]) == ("turned", [str(digit) for digit in range(10)])


def test_a_model_of_two_image_sets_needs_two_suites(suite, turned):
    with pytest.raises(
        SpecError, match="classifies the images of digits and turned; write a suite for each"
    ):
        planned(suite(data=["digits", "turned"], images=8))


def test_users_models_join_the_suites_of_images_made_for_them(suite, turned):
    @bench.register_model("flat", data="digits")
    def flat():
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return bench.wrap(
                torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10)), 10, (1, 8, 8)
            )

    plan = planned(suite(data="turned", images=8))
    assert [model.title() for model in plan.suite.models] == ["digits/mlp", "flat"]


def test_an_address_in_a_suite(suite, tmp_path):
    x, y = bench.load_data("digits", images=9)
    np.savez(tmp_path / "own.npz", images=x.numpy(), labels=y.numpy())
    plan = planned(suite(data=f"npz:{tmp_path / 'own.npz'}?models=digits", images="all"))
    (cell,) = plan.cells.values()
    assert torch.equal(plan.images_of(cell).images, x)
    (tmp_path / "own.npz").write_bytes(b"PK")
    with pytest.raises(PrerequisiteError, match=r"drawn\.toml: data: npz:"):
        suite(data=f"npz:{tmp_path}/./own.npz?models=digits")
