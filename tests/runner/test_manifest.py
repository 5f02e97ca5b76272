"""What a run says of itself, of models with facts of their own and of those with none."""

import json

import pytest
import torch

import bench
from bench.adapters.abilities import (
    Judged,
    KnownAs,
    MayWait,
    Registrable,
    Remembers,
    TellsFacts,
)
from bench.runner.estimate import estimate
from bench.runner.execute import execute
from bench.runner.manifest import manifest
from bench.runner.plan import make_plan
from bench.runner.selection import Selection
from bench.runner.suite import load_suite
from bench.spec import ModelSpec, Prediction
from bench.store.store import open_store


class Bare:
    """An adapter that implements the interface and no more."""

    spec = ModelSpec(
        name="bare", family="network", data="digits", input_shape=(1, 8, 8), num_classes=10
    )

    def __init__(self):
        generator = torch.Generator().manual_seed(0)
        self.net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
        self.net[1].weight.data = torch.randn(10, 64, generator=generator)

    def predict(self, x):
        scores = self.net(x).detach()
        return Prediction(scores.argmax(1), scores)

    def gradient(self, x, y, loss="ce", surface=None):
        x = x.clone().requires_grad_()
        total = torch.nn.functional.cross_entropy(self.net(x), y, reduction="sum")
        return torch.autograd.grad(total, x)[0]

    def surfaces(self):
        return {"network": self.net}

    def fingerprint(self):
        return "bare"


def facts_of(plan):
    logged = json.loads(json.dumps(manifest(plan, None)))
    return {model["model"]: model for model in logged["models"]}


def test_an_adapter_of_the_bare_interface_is_planned_run_and_told_of(
    registry, tiny_suite, tmp_path
):
    bench.register_model("bare", data="digits")(Bare)
    model = bench.load_model("bare")
    for ability in (Judged, KnownAs, MayWait, Registrable, Remembers, TellsFacts):
        assert not isinstance(model, ability)
    plan = make_plan(load_suite(str(tiny_suite)), Selection(models=["bare"], attacks=["fgsm"]))
    store = open_store(tmp_path / "r")
    assert estimate(plan, store, list(plan.cells)).total > 0
    assert execute(plan, store).failed == ()
    facts = facts_of(plan)["bare"]
    optional = ("sigma", "surrogate", "draws", "moments", "filters", "options", "f_score", "curves")
    assert {facts[name] for name in optional} == {None}
    assert (facts["random"], facts["clean_accuracy"]) == (False, None)
    assert facts["request"] == {"name": "bare", "options": {}}


@pytest.mark.parametrize(
    ("model", "settings", "expect"),
    [
        ("digits/randomized-smoothing", "sigma = 0.5", {"sigma": 0.5, "surrogate": None}),
        ("digits/dml-triplet-adam", "k = 5", {"sigma": None, "draws": None}),
        ("digits/ll-K5-w4-m3-p2-n4-pool3-gelu", "", {"surrogate": None}),
    ],
)
def test_models_tell_their_own_facts(tiny_suite, model, settings, expect):
    text = tiny_suite.read_text()
    tiny_suite.write_text(text.replace('name = "digits/mlp"', f'name = "{model}"\n{settings}'))
    plan = make_plan(load_suite(str(tiny_suite)), Selection(attacks=["noise"]))
    (facts,) = facts_of(plan).values()
    assert {name: facts[name] for name in expect} == expect
    assert (facts["surrogate"] or {"k": 5})["k"] == 5
    if facts["family"] == "local-learning":
        assert (facts["options"]["rule"], facts["options"]["K"]) == ("ll", 5)
        assert 0 <= facts["f_score"] <= 1
    if facts["family"] == "neighbours":
        assert facts["request"]["options"] == {"k": 5}
        assert len(facts["moments"]["epochs"]) == 3
    assert (facts["filters"] is None) == (facts["family"] != "local-learning")
