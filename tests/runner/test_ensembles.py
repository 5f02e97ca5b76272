"""Ensembles in runs: members are loaded once, planned before they are trained, and left out if broken."""

import build
import pytest
import torch
from torch import nn

import bench
from bench.adapters.network import NetworkAdapter
from bench.errors import SpecError, TrainingFailed
from bench.runner import loading, training
from bench.runner.estimate import estimate
from bench.runner.execute import execute
from bench.runner.manifest import manifest
from bench.runner.plan import make_plan
from bench.runner.sketch import Outline
from bench.runner.suite import load_suite
from bench.store.results import load_results
from bench.store.store import open_store

BOTH = "digits/mlp + digits/cnn"
FGSM = {"name": "fgsm", "norm": "linf", "eps": "0.1", "toolkits": ["torchattacks"]}
ENSEMBLE = {"name": "digits/ensemble", "members": BOTH, "how": ["bagging", "majority"]}
STACKED = {"name": "digits/ensemble", "members": BOTH, "how": "stacking"}


def suite_of(tmp_path, models, images=20, attacks=(FGSM,)):
    path = tmp_path / "together.toml"
    path.write_text(build.suite(title="Together", images=images, models=models, attacks=attacks))
    return load_suite(str(path))


def test_a_member_is_loaded_once_and_shared_with_its_own_cells(tmp_path, monkeypatch):
    loads = []

    def counted(name, *rest, **more):
        loads.append(name)
        return bench.load_model(name, *rest, **more)

    monkeypatch.setattr(loading, "load_model", counted)
    plan = make_plan(suite_of(tmp_path, ["digits/mlp", ENSEMBLE, STACKED]))
    assert sorted(loads) == ["digits/cnn", "digits/mlp"]
    own, *ensembles = plan.adapters.values()
    assert len(ensembles) == 3
    assert all(ensemble.members[0] is own for ensemble in ensembles)
    assert [request.title() for request in plan.adapters] == [
        "digits/mlp", "digits/ensemble-bagging-mlp+cnn", "digits/ensemble-majority-mlp+cnn",
        "digits/ensemble-stacking-mlp+cnn",
    ]  # fmt: skip


def test_a_run_has_their_rows_and_says_how_members_count(tmp_path):
    plan = make_plan(suite_of(tmp_path, [ENSEMBLE, STACKED]))
    assert {(cell.model.title(), cell.surface) for cell in plan.cells.values()} == {
        ("digits/ensemble-bagging-mlp+cnn", "network"),
        ("digits/ensemble-majority-mlp+cnn", "mean"),
        ("digits/ensemble-stacking-mlp+cnn", "mean"),
    }
    store = open_store(tmp_path / "results")
    assert not execute(plan, store).failed
    results = load_results(tmp_path / "results", "together")
    assert set(results.rows["family"]) == {"ensemble"}
    bagging, majority, stacked = results.models
    assert bagging["importances"] is None
    assert majority["combined"]["surface"] == "mean"
    assert sum(map(sum, stacked["importances"].values())) == pytest.approx(1)
    assert plan.cells.keys() == make_plan(suite_of(tmp_path, [ENSEMBLE, STACKED])).cells.keys()


def test_a_plan_names_cells_of_members_that_are_not_trained_yet(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "empty"))
    linear = {**STACKED, "meta": "LogisticRegression"}
    plan = make_plan(suite_of(tmp_path, [ENSEMBLE, STACKED, linear]), train=False)
    assert plan.untrained == ("digits/mlp", "digits/cnn")
    assert not plan.cells
    assert all(isinstance(adapter, Outline) for adapter in plan.adapters.values())
    assert [cell.surface for cell in plan.later] == ["network", "mean", "mean", "network"]


def test_a_plan_says_that_members_have_to_predict_first(tmp_path):
    bench.load_model("digits/ensemble", {"members": BOTH})  # these are trained already
    suite = suite_of(tmp_path, [{**STACKED, "folds": 4}])
    plan = make_plan(suite, train=False)
    assert plan.uncombined == ("digits/ensemble-stacking-mlp+cnn-folds=4",)
    assert (plan.untrained, plan.unembedded) == ((), ())
    before = estimate(plan, open_store(tmp_path / "results"), []).first
    assert before == "predictions of the members of 1 model"


def test_a_plan_of_trained_members_has_the_keys_of_the_run(tmp_path):
    suite = suite_of(tmp_path, [ENSEMBLE, STACKED])
    keys = make_plan(suite).cells.keys()
    assert make_plan(suite, train=False).cells.keys() == keys


def test_images_that_a_meta_learner_is_fitted_on_are_not_attacked(tmp_path):
    def plan(models, images, attack=FGSM):
        make_plan(suite_of(tmp_path, models, images=images, attacks=[attack]))

    plan([STACKED], 250)
    message = "fitted on the images of digits test after the first 250"
    for images, attack in ((251, FGSM), ("all", FGSM), (10, {**FGSM, "images": 251})):
        with pytest.raises(SpecError, match=message):
            plan([STACKED], images, attack)
    plan([ENSEMBLE, STACKED], "all", {**FGSM, "models": ["*bagging*"]})
    plan([{**STACKED, "leak": True}], "all")


def linear():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))


def test_a_users_model_is_a_member_and_is_observed(tmp_path, registry):
    bench.register_model("mine", data="digits")(lambda: bench.wrap(linear(), 10, (1, 8, 8)))
    plan = make_plan(suite_of(tmp_path, [{**ENSEMBLE, "members": "digits/mlp + mine"}]))
    bagging = next(request for request in plan.suite.models if "bagging" in request.title())
    assert bagging in plan.behaviours
    assert isinstance(plan.adapters[bagging].members[1], NetworkAdapter)
    (known,) = [one for one in manifest(plan, None)["models"] if one["model"] == bagging.title()]
    assert known["combined"]["members"] == ["digits/mlp", "mine"]


def test_an_ensemble_of_a_broken_member_is_left_out(tmp_path, registry):
    @bench.register_model("broken", data="digits")
    def broken():
        raise RuntimeError("no weights")

    members = ["digits/mlp + broken", BOTH]
    models = [{"name": "digits/ensemble", "members": members}]
    plan = make_plan(suite_of(tmp_path, models))
    assert [request.title() for request in plan.adapters] == ["digits/ensemble-bagging-mlp+cnn"]
    said = (
        "digits/ensemble-bagging-mlp+broken: a member cannot be loaded: broken: its factory failed"
    )
    assert any(said in line for line in plan.left_out)


def test_an_ensemble_of_a_member_whose_training_fails_is_left_out(tmp_path, monkeypatch):
    def fails(name, data):
        raise TrainingFailed("the loss is not finite")

    bench.load_model("digits/ensemble", {"members": BOTH})  # these are trained already
    monkeypatch.setattr(training, "train_model", fails)
    members = ["digits/mlp + digits/bp-K5-w3-n1-pool3-relu", BOTH]
    plan = make_plan(suite_of(tmp_path, [{"name": "digits/ensemble", "members": members}]))
    assert [request.title() for request in plan.adapters] == ["digits/ensemble-bagging-mlp+cnn"]
    assert plan.left_out == (
        "digits/bp-K5-w3-n1-pool3-relu: the loss is not finite",
        "digits/ensemble-bagging-mlp+bp-K5-w3-n1-pool3-relu: a member is missing: the loss is not finite",
    )


def test_a_users_own_ensemble_is_a_model(tmp_path, registry):
    @bench.register_model("together", data="digits")
    def together():
        return bench.wrap_ensemble(
            [bench.load_model("digits/mlp"), bench.wrap(linear(), 10, (1, 8, 8))], "majority"
        )

    plan = make_plan(suite_of(tmp_path, ["together"]))
    (adapter,) = plan.adapters.values()
    assert adapter.spec.name == "together"
    assert adapter.spec.data == "digits"
    assert [cell.surface for cell in plan.cells.values()] == ["mean"]
