"""Feature models by name: fitted at first use, loaded with equal decisions, attacked and told of."""

import dataclasses
import json

import pytest
import torch
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler

import bench
from bench.errors import PrerequisiteError, SpecError
from bench.store.results import load_results
from bench.train.cards import read_card, retrained_dir
from bench.train.features.head import KINDS
from bench.train.features.names import TOPS, features_recipe
from bench.train.features.trunks import trunk_named
from bench.train.recipes import RECIPES, recipe
from bench.train.weights import check_weights

SUITE = """
title  = "Features"
data   = "digits"
images = 12

[[models]]
name = ["digits/features-cnn-naive-bayes", "digits/features-cnn-forest"]

[[models]]
name = "digits/features-cnn-knn"
k    = 3

[[attacks]]
name     = "fgsm"
norm     = "linf"
eps      = "0.2"
toolkits = ["torchattacks"]

[[attacks]]
name     = "boundary"
norm     = "l2"
queries  = 30
models   = ["*forest"]
toolkits = ["foolbox"]
"""


@pytest.fixture
def quick(registry, monkeypatch, tmp_path):
    """A trunk of one epoch, and classifiers of few images, in a cache of their own."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    RECIPES["digits/cnn"] = dataclasses.replace(RECIPES["digits/cnn"], epochs=1)
    for top in TOPS:
        rules = recipe(f"digits/features-cnn-{top}")
        options = (*rules.options[:2], ("images", 300), *rules.options[3:])
        RECIPES[f"digits/features-cnn-{top}"] = dataclasses.replace(rules, options=options)
    trunk_named.cache_clear()
    yield
    trunk_named.cache_clear()


def test_every_classifier_is_fitted_at_first_use_and_decides_as_scikit_learns(quick):
    x, y = bench.load_data("digits", split="train", images=300)
    asked, labels = bench.load_data("digits", images=300)
    for top, surfaces in TOPS.items():
        name = f"digits/features-cnn-{top}"
        model = bench.load_model(name)
        assert list(model.surfaces()) == list(surfaces)
        trunk = trunk_named("digits/cnn", "cpu")
        scaling = Normalizer() if top in ("knn", "rbf-svm") else StandardScaler()
        estimator = make_pipeline(scaling, KINDS[top].estimator(0))
        estimator.fit(trunk(x).numpy(), y.numpy())
        said = model.predict(asked).labels
        assert (said.numpy() == estimator.predict(trunk(asked).numpy())).mean() > 0.99
        assert (said == labels).float().mean() > 0.6
        card = read_card(retrained_dir(), name)
        assert (card["trunk"], card["trunk_trained_on"]) == ("digits/cnn", "digits")
        assert card["precision"] == "as fitted"
        # The trunk has 5,024 weights before its head: two convolutions with batch norm.
        assert card["parameters"] > sum(weight.numel() for weight in trunk.parameters())
        check_weights(retrained_dir(), name)
        assert bench.load_model(name).fingerprint() == model.fingerprint()


def test_k_is_an_option_of_the_vote_alone(quick):
    prints = {bench.load_model("digits/features-cnn-knn", {"k": k}).fingerprint() for k in (1, 3)}
    assert len(prints) == 2
    with pytest.raises(SpecError, match="k=0 is not a whole number from 1"):
        bench.load_model("digits/features-cnn-knn", {"k": 0})
    with pytest.raises(SpecError, match="takes no options, got k; k is for k-NN votes"):
        bench.load_model("digits/features-cnn-logistic", {"k": 1})


def test_other_weights_of_the_trunk_are_noticed(quick):
    bench.load_model("digits/features-cnn-naive-bayes")
    RECIPES["digits/cnn"] = dataclasses.replace(RECIPES["digits/cnn"], seed=1)
    trunk_named.cache_clear()
    with pytest.raises(
        PrerequisiteError, match=r"fitted on other weights of its trunk digits/cnn; run"
    ):
        bench.load_model("digits/features-cnn-naive-bayes")


def test_a_suite_runs_them_and_its_report_names_the_trunk(quick, invoke, tmp_path):
    (tmp_path / "features.toml").write_text(SUITE)
    done = invoke("run", "--suite", "features.toml", "--trust", "off", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    results = load_results(tmp_path / "results", "features")
    assert set(results.cells["status"]) == {"done"}
    assert set(results.rows["family"]) == {"features"}
    assert set(results.rows["surface"]) == {"exact", "distilled", "soft-knn", "predict"}
    for model in results.models:
        assert model["trunk"] == {"name": "digits/cnn", "trained_on": "digits"}
    from bench.report.sections.protocol import protocol

    facts = {fact.name: fact.text for fact in protocol(results)}
    assert facts["Trunks"] == "digits/cnn (trained on digits)"
    listed = invoke("ls", "models", "--json", cwd=tmp_path).stdout.splitlines()
    known = {each["name"]: each for each in map(json.loads, listed)}
    assert known["digits/features-cnn-rbf-svm"]["surfaces"] == ["exact"]
    assert known["cifar10/features-cnn-logistic"]["weights"] == "trained at first use"


def test_names_describe_trunk_and_classifier():
    options = dict(features_recipe("digits/features-mnist-cnn-rbf-svm").options)
    scaled = {"scaling": "unit-length"}
    assert options == {"trunk": "mnist/cnn", "top": "rbf-svm", "images": 1297, **scaled}
    options = dict(features_recipe("cifar10/features-efficientnet-lite0-forest").options)
    assert options == {"trunk": "imagenet/efficientnet-lite0", "top": "forest", "images": 2000}
    assert features_recipe("digits/cnn") is None
    with pytest.raises(SpecError, match="no trunk named 'vgg17'; did you mean vgg16"):
        features_recipe("cifar10/features-vgg17-knn")
    with pytest.raises(SpecError, match="no such classifier; write digits/features-TRUNK-TOP"):
        features_recipe("digits/features-cnn-trees")


def test_a_network_whose_head_is_not_known_is_no_trunk(cache):
    with pytest.raises(SpecError, match="cifar10/mobilenetv2-slim cannot be a trunk"):
        bench.load_trunk("cifar10/mobilenetv2-slim")


def test_the_trunk_is_the_network_before_its_head():
    trunk = bench.load_trunk("cifar10/cnn")
    model = bench.load_model("cifar10/cnn")
    x = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    features = trunk(x)
    assert features.shape == (3, 2048)
    assert (trunk.title, trunk.trained_on) == ("cifar10/cnn", "cifar10")
    assert torch.allclose(model.module.net[1](features), model.module(x), atol=1e-4)
