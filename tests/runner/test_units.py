"""Units of work hold the cells that judge the same images, and each worker goes on with what it has loaded."""

import build

from bench.runner.loading import Setting
from bench.runner.plan import make_plan
from bench.runner.suite import load_suite
from bench.runner.units import Queue, Unit, units_of
from bench.store.identity import cell_key


def unit(model, key):
    return Unit((model,), (key,))


def test_cells_that_judge_the_same_images_are_one_unit(tmp_path, cache):
    path = tmp_path / "s.toml"
    votes = [{"name": "digits/dml-triplet-sgd", "k": [1, 3], "crafted_on": {"k": 1}}]
    path.write_text(build.suite(
        images=4, models=[*votes, "digits/mlp"],
        attacks=[{"name": ["fgsm", "bim"], "norm": "linf", "eps": "0.1", "toolkits": ["torchattacks"]}],
    ))  # fmt: skip
    plan = make_plan(load_suite(str(path)), setting=Setting(batch_size=4))
    units = units_of(plan, list(plan.cells))
    assert sorted(key for unit in units for key in unit.keys) == sorted(plan.cells)
    for one in units:
        assert len({cell_key(plan.cells[key].source()) for key in one.keys}) == 1
        assert one.models == tuple(plan.cells[key].model.title() for key in one.keys)
    assert sorted(len(one.keys) for one in units if "dml" in one.models[0]) == [2] * 6
    assert sum("digits/mlp" in one.models for one in units) == 2


def test_the_longest_units_come_first(tmp_path, cache):
    path = tmp_path / "s.toml"
    path.write_text(build.suite(
        images=4, models=["digits/mlp"],
        attacks=[{"name": ["fgsm", "bim", "pgd"], "norm": "linf", "eps": "0.1", "toolkits": ["torchattacks"]}],
    ))  # fmt: skip
    plan = make_plan(load_suite(str(path)))
    seconds = dict(zip(plan.cells, [1.0, 3.0, 2.0], strict=True))
    keys = [unit.keys[0] for unit in units_of(plan, list(plan.cells), seconds)]
    assert [seconds[key] for key in keys] == [3.0, 2.0, 1.0]
    assert [unit.keys[0] for unit in units_of(plan, list(plan.cells))] == list(plan.cells)


def test_a_worker_goes_on_with_its_models_then_takes_free_ones_then_helps_where_most_is_left():
    queue = Queue([unit("a", "1"), unit("a", "2"), unit("a", "3"), unit("b", "4"), unit("c", "5")])
    assert queue.take((), []) == unit("a", "1")
    assert queue.take((), [("a",)]) == unit("b", "4")
    assert queue.take(("a",), [("b",)]) == unit("a", "2")
    assert queue.take(("b",), [("a",)]) == unit("c", "5")
    queue.put_back(unit("c", "5"))
    assert queue.take(("b",), [("a",), ("c",)]) in (unit("a", "3"), unit("c", "5"))
    queue.take((), [])
    assert queue.take((), []) is None
    assert not queue
