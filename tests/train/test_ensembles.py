"""The family of ensembles: its options, what a meta-learner is fitted on, and what is kept of that."""

import dataclasses

import pytest
import torch
from sklearn.model_selection import StratifiedKFold

import bench
from bench import model_list, model_names
from bench.adapters.ensemble import rows_of
from bench.adapters.network import NetworkAdapter
from bench.data.datasets import LabelledImages, load
from bench.data.table import DATASETS
from bench.errors import AdapterError, FamilyError, SpecError
from bench.spec import ImageSet, ModelRequest, scalar
from bench.train import stacking
from bench.train.ensembles import MetaFit, members_of
from bench.train.families import abstaining_is_wrong
from bench.train.recipes import RECIPES, recipe
from bench.train.trainer import train

BOTH = "digits/mlp + digits/cnn"


def loaded(**options):
    return bench.load_model("digits/ensemble", {"members": BOTH, **options})


def test_members_are_named_in_one_text_with_their_options():
    text = "digits/mlp+digits/dml-triplet-sgd k=3 distance=euclidean + digits/randomized-smoothing sigma=0.5"
    assert members_of("digits/ensemble", {"members": text}) == (
        ModelRequest(name="digits/mlp"),
        ModelRequest(name="digits/dml-triplet-sgd", options=(("distance", "euclidean"), ("k", 3))),
        ModelRequest(name="digits/randomized-smoothing", options=(("sigma", 0.5),)),
    )


def test_options_are_read_as_toml_would():
    read = {"3": 3, "0.5": 0.5, "1e-3": 0.001, "-2.0": -2.0, "true": True, "cosine": "cosine"}
    assert {text: scalar(text) for text in read} == read
    assert isinstance(scalar("3"), int)


def test_titles_say_how_and_who():
    options = {"how": "stacking", "leak": True, "members": BOTH}
    request = ModelRequest(name="digits/ensemble", options=tuple(sorted(options.items())))
    assert request.title() == "digits/ensemble-stacking-mlp+cnn-leak=True"
    with_k = ModelRequest(
        name="digits/ensemble", options=(("members", "digits/mlp + digits/dml k=3"),)
    )
    assert with_k.title() == "digits/ensemble-bagging-mlp+dml-k=3"
    users = ModelRequest(name="my/net", options=(("members", 3),))
    assert users.title() == "my/net-members=3"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "digits/ensemble needs members = "),
        ({"members": "digits/cnn"}, "is one model"),
        ({"members": "digits/cnn + digits/cnn"}, "names a model twice"),
        ({"members": "digits/cnn + "}, "is not the name of a model"),
        ({"members": "digits/cnn + digits/mlp k"}, "with options as key=value"),
        ({"members": "digits/cnn + digits/mpl"}, "did you mean digits/mlp"),
        ({"members": "digits/cnn + mnist/cnn"}, "mnist/cnn classifies mnist, not digits"),
        ({"members": "digits/cnn + digits/ensemble"}, "is made of other models itself"),
        ({"members": "digits/cnn + digits/mlp k=3"}, "digits/mlp takes no options"),
        ({"members": BOTH, "how": "mean"}, "how='mean' is none of bagging, majority, stacking"),
        ({"members": BOTH, "leak": True}, "leak is of stacking; how is bagging"),
        ({"members": BOTH, "how": "stacking", "leak": 1}, "neither true nor false"),
        ({"members": BOTH, "how": "stacking", "folds": 1}, "not a whole number from 2"),
        ({"members": BOTH, "how": "stacking", "folds": 2, "leak": True}, "leave one out"),
        ({"members": BOTH, "how": "stacking", "meta": "Forest"}, "no classifier of scikit-learn"),
        ({"members": BOTH, "weights": 3}, "takes members, how, meta, leak, folds"),
    ],
)
def test_a_wrong_option_is_said_before_anything_is_loaded(options, message):
    with pytest.raises(SpecError, match=message):
        model_names.check_options("digits/ensemble", options)


def test_what_there_is_to_say_of_an_ensemble_without_loading_it():
    listed = {record["name"]: record for record in model_list.listing()}["digits/ensemble"]
    assert (listed["family"], listed["weights"]) == ("ensemble", "of its members")
    assert abstaining_is_wrong("ensemble")
    with pytest.raises(SpecError, match="made of other models; train those"):
        recipe("digits/ensemble")
    assert model_names.weights_names("digits/ensemble", {"members": BOTH}) == (
        "digits/mlp",
        "digits/cnn",
    )
    smoothed = "digits/cnn + digits/randomized-smoothing sigma=0.5"
    assert model_names.weights_names("digits/ensemble", {"members": smoothed}) == (
        "digits/cnn",
        "digits/noisy-0.5",
    )


def test_a_meta_learner_is_fitted_on_images_that_no_suite_may_attack():
    model = loaded(how="stacking")
    assert model.attackable == ImageSet(data="digits", split="test", count=250)
    test = load("digits", "test")
    rows = rows_of(model.members, test.images[250:])
    forest = model.meta.estimator
    assert type(forest).__name__ == "RandomForestClassifier"
    again = type(forest)(random_state=0).fit(rows.numpy(), test.labels[250:].numpy())
    assert torch.equal(
        model.predict(test.images[:250]).labels,
        torch.from_numpy(again.predict(rows_of(model.members, test.images[:250]).numpy())),
    )
    told = model.facts()["combined"]
    assert told["fitted_on"] == "the second half of the test images"
    assert (told["fit_images"], told["leak"], told["images"]) == (250, False, 250)
    assert told["meta"] == "RandomForestClassifier"
    assert set(model.importances()) == {"digits/mlp", "digits/cnn"}


def test_a_validation_split_is_what_a_meta_learner_is_fitted_on_where_there_is_one(monkeypatch):
    digits = dataclasses.replace(DATASETS["digits"], splits={"validation": 100, "test": 400})
    monkeypatch.setattr(stacking, "DATASETS", {"digits": digits})
    held_out = load("digits", "test").first(100)
    monkeypatch.setattr(stacking, "load", lambda data, split, root: {"validation": held_out}[split])
    members = {
        ModelRequest(name=name): bench.load_model(name) for name in ("digits/mlp", "digits/cnn")
    }
    rules = MetaFit(meta="GaussianNB")
    fit = stacking.fit_meta("digits/ensemble", members, rules, None, quickly=False)
    assert fit.attackable == ImageSet(data="digits", split="validation", count=0)
    assert fit.notes == {
        "fitted_on": "the validation images",
        "fit_images": 100,
        "leak": False,
    }
    leak = MetaFit(meta="GaussianNB", leak=True)
    with pytest.raises(SpecError, match="digits has no training images"):
        stacking.fit_meta("digits/ensemble", members, leak, None, quickly=False)


def test_a_leak_fits_on_the_images_that_the_members_were_trained_on():
    model, honest = loaded(how="stacking", leak=True), loaded(how="stacking")
    assert model.attackable is None
    assert model.facts()["combined"]["fit_images"] == len(load("digits", "train"))
    assert model.facts()["combined"]["leak"]
    assert model.fingerprint() != honest.fingerprint()
    rows = rows_of(model.members, load("digits", "train").images)
    labels = load("digits", "train").labels
    found = model.meta.predict(rows).labels
    assert (found == labels).float().mean() > 0.999  # a forest knows what it was fitted on


def test_with_folds_each_training_image_is_predicted_by_a_member_that_has_not_seen_it(monkeypatch):
    short = dataclasses.replace(RECIPES["digits/mlp"], epochs=1)
    monkeypatch.setitem(RECIPES, "digits/mlp", short)
    request, member = ModelRequest(name="digits/mlp"), bench.load_model("digits/cnn")
    few = load("digits", "train").first(200)
    monkeypatch.setattr(stacking, "load", lambda data, split, root: few)
    rules = MetaFit(meta="LogisticRegression", folds=2)
    assert stacking.fit_meta("digits/ensemble", {request: member}, rules, None, True) is None
    fit = stacking.fit_meta("digits/ensemble", {request: member}, rules, None, False)
    assert fit.attackable is None
    assert fit.notes["fitted_on"] == "2 folds of the training images"
    kept = stacking._by_folds(request, member, few, 2, True)
    splits = StratifiedKFold(2, shuffle=True, random_state=0).split(few.labels, few.labels)
    for others, fold in splits:
        part = LabelledImages(few.raw[others], few.labels[others], few.top)
        net = train(short, part)
        with torch.no_grad():
            x = (few.images[fold] - short.mean[0]) / short.std[0]
            wanted = net.half().float()(x).softmax(1)
        torch.testing.assert_close(kept[torch.as_tensor(fold)], wanted, atol=1e-4, rtol=1e-3)


class Remembering(NetworkAdapter):
    """A network that says that it stores training images."""

    remembered = ImageSet(data="digits", split="train")


def test_members_that_cannot_be_trained_on_a_part_have_no_folds():
    cnn = bench.load_model("digits/cnn")
    images = load("digits", "train")
    storing = Remembering(cnn.spec, cnn.module)
    for name, member in (("digits/randomized-smoothing", cnn), ("digits/cnn", storing)):
        with pytest.raises(AdapterError, match=f"{name} cannot be trained on some folds"):
            stacking._by_folds(ModelRequest(name=name), member, images, 2, quickly=True)


def test_probabilities_of_members_are_predicted_once(monkeypatch):
    loaded(how="stacking")
    monkeypatch.setattr(stacking, "_asked", lambda member, images: pytest.fail("predicted again"))
    loaded(how="stacking", meta="LogisticRegression")


def test_the_surface_of_a_majority_is_compared_with_it():
    model = loaded(how="majority")
    told = model.facts()["combined"]
    test = load("digits", "test")
    labels, surface = model.predict(test.images).labels, model.surfaces()["mean"]
    with torch.no_grad():
        same = int((surface(test.images).argmax(1) == labels).sum())
    untied = int((labels >= 0).sum())
    assert (told["surface"], told["images"], told["untied"]) == ("mean", 500, untied)
    assert told["agreement"] == pytest.approx(same / untied)
    assert 0 < untied < 500  # of two members, who disagree on some
    assert "agreement" not in loaded().facts()["combined"]


def test_a_family_of_a_plug_in_may_be_made_of_others(registry):
    parts = tuple(ModelRequest(name=name) for name in ("digits/mlp", "digits/cnn"))

    def family(combine):
        return bench.Family(
            name="last", made_of_others=("digits/last",),
            members_of=lambda name, options: parts, combine=combine,
        )  # fmt: skip

    bench.register_family(family(lambda name, members, options, root, quickly: members[parts[-1]]))
    model, cnn = bench.load_model("digits/last"), bench.load_model("digits/cnn")
    assert model.spec.name == "digits/last"
    x = load("digits", "test").first(10).images
    assert torch.equal(model.predict(x).scores, cnn.predict(x).scores)
    assert not model_names.all_ours("digits/last", {})
    assert model_names.weights_names("digits/last", {}) == ("digits/mlp", "digits/cnn")
    bench.register_family(family(lambda name, members, options, root, quickly: members))
    with pytest.raises(FamilyError, match="its combine returned dict; return a model"):
        bench.load_model("digits/last")
