"""Images crafted once on a surface and judged by several votes; suites of several data sets."""

import dataclasses

import pytest
import torch
from scenes.mnist import write_mnist
from torch import nn

import bench
from bench.errors import SpecError
from bench.runner import attack as attacks
from bench.runner.execute import execute
from bench.runner.loading import Setting
from bench.runner.plan import make_plan
from bench.runner.scope import Scope
from bench.runner.selection import Selection
from bench.runner.suite import load_suite
from bench.store.results import load_results
from bench.store.store import open_store

NAME = "digits/dml-triplet-adam"
SUITE = f"""\
title  = "Votes"
data   = "digits"
images = 60

[[models]]
name = "digits/mlp"

[[models]]
name     = "{NAME}"
k        = [1, 4]
distance = ["cosine", "euclidean"]
crafted_on = {{ k = 1, distance = "cosine" }}

[[attacks]]
name     = "pgd"
norm     = "linf"
eps      = ["0.1", "0.2"]
steps    = 3
surfaces = ["network", "nearest-other"]
toolkits = ["torchattacks"]

[[attacks]]
name     = "fgsm"
norm     = "linf"
eps      = "0.1"
surfaces = ["soft-knn"]
toolkits = ["foolbox"]
models   = ["*-knn1-cosine"]

[[attacks]]
name     = "noise"
norm     = "linf"
eps      = "0.2"
toolkits = ["native"]
models   = ["*knn4*"]
"""


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "votes.toml"
    path.write_text(SUITE)
    return path


@pytest.fixture
def plan(path):
    return make_plan(load_suite(str(path)), setting=Setting(batch_size=25))


def rows(root):
    found = load_results(root, "votes").rows.drop(columns="seconds")
    return found.sort_values(["cell", "index"], ignore_index=True)


def of(plan, **facts):
    return [
        (key, cell)
        for key, cell in plan.cells.items()
        if all(getattr(cell, name) == value for name, value in facts.items())
    ]


def test_options_multiply_and_attacks_choose_their_models(plan):
    titles = [model.title() for model in plan.suite.models]
    votes = [f"{NAME}-knn{k}-{d}" for d in ("cosine", "euclidean") for k in (1, 4)]
    assert titles == ["digits/mlp", *votes]
    called = [(cell.attack.name, cell.model.title()) for cell in plan.cells.values()]
    assert sorted(name for attack, name in called if attack == "fgsm") == [votes[0]]
    assert sorted(name for attack, name in called if attack == "noise") == sorted(votes[1::2])
    assert len(called) == 2 + 2 * 4 + 1 + 2


def test_a_surface_is_climbed_once_and_every_vote_judges_the_same_images(
    plan, tmp_path, monkeypatch
):
    crafted = []
    real = attacks.run_attack

    def counting(spec, toolkit, module, batch, **settings):
        crafted.append((spec.title(), len(batch.x)))
        return real(spec, toolkit, module, batch, **settings)

    monkeypatch.setattr(attacks, "run_attack", counting)
    store = open_store(tmp_path / "r")
    votes = [
        key for key, cell in plan.cells.items() if cell.crafted_on and cell.attack.name == "pgd"
    ]
    execute(plan, store, wanted=votes)
    # Three chunks of every image, for each of two radii; four votes judge them.
    assert [count for _, count in crafted] == [25, 25, 10] * 2
    found = {key: store.rows(key).set_index("index") for key in votes}
    for radius in ("0.1", "0.2"):
        group = [found[key] for key in votes if plan.cells[key].attack.eps == radius]
        both = group[0].correct & group[3].correct
        assert both.sum() > 40
        assert (group[0].linf[both] == group[3].linf[both]).all()
        assert (group[0].l2[both] == group[3].l2[both]).all()
        assert (group[0].backwards[both] == 3).all()
        assert (group[0].adv_label[both] != group[3].adv_label[both]).any()


def test_votes_are_those_of_the_images_tried(plan, tmp_path):
    store = open_store(tmp_path / "r")
    execute(plan, store, Scope(keep_all=True))
    (source, cell), *_ = of(plan, surface="nearest-other", model=plan.suite.models[1])
    tried = store.pictures(source)["x_adv"]
    for key, other in of(plan, surface="nearest-other", attack=cell.attack):
        told = store.rows(key)
        judged = plan.adapters[other.model].predict(tried).labels
        right = told.correct.to_numpy()
        assert judged[torch.tensor(right)].tolist() == told.adv_label[right].tolist()
        assert (len(store.pictures(key)) == 0) == (key != source)  # they lie in the source's cell
    results = load_results(tmp_path / "r", "votes").cells.set_index("cell")
    assert results.crafted_on.notna().sum() == 2 * 3
    assert set(results.crafted_on.dropna()) == {f"{NAME}-knn1-cosine"}


def test_the_same_rows_whichever_votes_there_are_resumed_and_sharded(plan, path, tmp_path):
    execute(plan, open_store(tmp_path / "whole"))
    whole = rows(tmp_path / "whole")
    for part in ("1/3", "2/3", "3/3"):
        execute(plan, open_store(tmp_path / "shards"), Scope(shard=part))
    assert rows(tmp_path / "shards").equals(whole)
    path.write_text(SUITE.replace("k        = [1, 4]", "k        = [4, 1]"))
    turned = make_plan(load_suite(str(path)), setting=Setting(batch_size=25))
    assert turned.cells.keys() == plan.cells.keys()
    execute(turned, open_store(tmp_path / "turned"), wanted=list(reversed(turned.cells)))
    assert rows(tmp_path / "turned").equals(whole)


def test_what_is_climbed_elsewhere_is_another_cell(plan, path):
    path.write_text(SUITE.replace('crafted_on = { k = 1, distance = "cosine" }\n', ""))
    alone = make_plan(load_suite(str(path)), setting=Setting(batch_size=25))
    same = [plan.cells[key].attack.name for key in alone.cells if key in plan.cells]
    assert sorted(same) == ["noise", "noise", "pgd", "pgd"]  # black boxes, and the network


@pytest.mark.parametrize(("old", "new", "says"), [
    ("{ k = 1, dis", "{ k = 2, dis", r"models\[2\]\.crafted_on: .*not a combination of"),
    ('crafted_on = { k = 1, distance = "cosine" }', "crafted_on = 3", r"models\[2\]\.crafted_on"),
    ('["*knn4*"]', '["*knn7*"]', r"attacks\[3\]\.models: no model in this suite"),
    ("k        = [1, 4]", "k        = [1, [4]]", r"models\[2\]\.k: \[4\] is not"),
    ('data   = "digits"', 'data   = ["digits", "digit"]', "data: no data set named 'digit'"),
    ('data   = "digits"', "data   = []", "data"),
])  # fmt: skip
def test_what_cannot_be_meant_is_said(path, old, new, says):
    path.write_text(SUITE.replace(old, new))
    with pytest.raises(SpecError, match=says):
        load_suite(str(path))


def test_a_suite_of_two_sets_attacks_each_model_on_its_own(registry, tmp_path):
    write_mnist(tmp_path / "data")

    @bench.register_model("mnist/line", data="mnist")
    def line():
        torch.manual_seed(0)
        return bench.wrap(nn.Sequential(nn.Flatten(), nn.Linear(784, 10)), 10, (1, 28, 28))

    path = tmp_path / "two.toml"
    path.write_text("""\
title  = "Two sets"
data   = ["digits", "mnist"]
images = 5

[[models]]
name = ["digits/mlp", "mnist/line"]

[[attacks]]
name     = "fgsm"
norm     = "linf"
eps      = "0.1"
toolkits = ["art"]
""")
    run = bench.run(path, data=tmp_path / "data", results=tmp_path / "r")
    assert run.outcome.failed == ()
    told = run.samples().groupby("model")
    assert told.dataset.unique().map(list).to_dict() == {
        "digits/mlp": ["digits"], "mnist/line": ["mnist"],
    }  # fmt: skip
    assert told.size().tolist() == [5, 5]
    assert run.results.protocol["data"] == ["digits", "mnist"]
    suite = load_suite(str(path))
    only = make_plan(suite, Selection(models=["digits/*"]), Setting(data=tmp_path / "nowhere"))
    assert [wanted.data for wanted in only.images] == ["digits"]  # the other set is not even read
    alone = dataclasses.replace(suite, images=suite.images[:1])
    with pytest.raises(SpecError, match="mnist/line classifies mnist, suite two is digits"):
        make_plan(alone, setting=Setting(data=tmp_path / "data"))
