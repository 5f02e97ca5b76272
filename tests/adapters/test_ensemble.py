"""Ensembles: planted members whose answers are known, and what scikit-learn says of the same rows."""

import numpy as np
import pytest
import torch
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from torch import nn

import bench
from bench.adapters.abilities import WeighsMembers
from bench.adapters.ensemble import rows_of, wrap_ensemble
from bench.adapters.losses import per_image_loss
from bench.errors import AdapterError, SpecError
from bench.spec import Adapter

SHAPE, CLASSES = (1, 2, 2), 3


def linear(seed):
    """Return a linear network of four pixels, in double precision where the images are."""
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, CLASSES))
    net[1].weight.data.mul_(8)  # so that its probabilities differ from image to image
    return net


def members(count=3):
    return [bench.wrap(linear(seed), CLASSES, SHAPE, name=f"net-{seed}") for seed in range(count)]


def images(count=200):
    return torch.rand((count, *SHAPE), generator=torch.Generator().manual_seed(0))


def says(*labels):
    """Return a model that gives these labels to the images of a batch, in order; -1 abstains."""
    answers = torch.tensor([*labels, 0, 0])  # wrapping asks about two images
    return bench.wrap_predict(lambda x: answers[: len(x)], CLASSES, SHAPE)


def one_hot_of_a_pixel(x):
    return nn.functional.one_hot(x[:, 0, 0, 0].mul(2.99).long(), CLASSES).float()


def stacked(meta, count=2):
    x, parts = images(), members(count)
    y = x[:, 0, 0, 0].mul(3).long()
    return wrap_ensemble(parts, "stacking", meta=meta, fit=(x, y)), parts, x, y


def test_bagging_is_the_mean_of_the_probabilities():
    parts, x = members(), images()
    model = wrap_ensemble(parts)
    nets = [linear(seed) for seed in range(3)]
    with torch.no_grad():
        mean = torch.stack([net(x).softmax(1) for net in nets]).mean(0)
    found = model.predict(x)
    assert torch.equal(found.scores, mean)
    assert torch.equal(found.labels, mean.argmax(1))
    assert isinstance(model, Adapter)
    assert model.spec.family == "ensemble"


@pytest.mark.parametrize("how", ["bagging", "stacking"])
@pytest.mark.parametrize("loss", ["ce", "margin"])
def test_the_exact_surface_has_the_models_decision_and_gradient(how, loss):
    if how == "bagging":
        model, x = wrap_ensemble(members()), images()
    else:
        model, _, x, _ = stacked(LogisticRegression(C=100.0))
    assert list(model.surfaces()) == ["network"]
    surface = model.surfaces()["network"]
    with torch.no_grad():
        assert torch.equal(surface(x).argmax(1), model.predict(x).labels)
        torch.testing.assert_close(surface(x).softmax(1), model.predict(x).scores)
    few, y = x[:4], torch.tensor([0, 1, 2, 0])
    gradient = model.gradient(few, y, loss)
    exact, step = surface.double(), 1e-5
    for pixel in range(4):
        moved = torch.zeros(4, dtype=torch.float64)
        moved[pixel] = step
        with torch.no_grad():
            up, down = (
                per_image_loss(_double(exact, few.double() + sign * moved.view(SHAPE)), y, loss)
                for sign in (1, -1)
            )
        torch.testing.assert_close(
            gradient.flatten(1)[:, pixel].double(), (up - down) / (2 * step), atol=1e-4, rtol=1e-3
        )


def _double(surface, x):
    """Return the outputs of a surface whose members are in double precision, unrounded."""
    logs = torch.stack([member(x).log_softmax(1) for member in surface.members])
    if hasattr(surface, "weight"):
        return nn.functional.linear(
            logs.exp().transpose(0, 1).flatten(1), surface.weight, surface.bias
        )
    return logs.exp().mean(0).log()


def test_a_majority_is_a_plurality_and_a_tie_is_no_answer():
    three = [says(0, 0, 0, -1), says(0, 1, 1, 1), says(2, 1, 2, -1)]  # of four images
    found = wrap_ensemble(three, "majority").predict(images(4))
    assert found.labels.tolist() == [0, 1, -1, 1]
    assert found.scores[0].tolist() == pytest.approx([2 / 3, 0, 1 / 3])
    assert found.scores[3].tolist() == [0, 1, 0]  # who abstains has no vote
    nobody = wrap_ensemble([says(-1), says(-1)], "majority").predict(images(1))
    assert nobody.labels.tolist() == [-1]
    assert nobody.scores.tolist() == [[0, 0, 0]]


@pytest.mark.parametrize(
    "meta",
    [
        RandomForestClassifier(20, random_state=0), GradientBoostingClassifier(n_estimators=3),
        LogisticRegression(C=100.0), RidgeClassifier(0.01), GaussianNB(),
    ],
    ids=lambda meta: type(meta).__name__,
)  # fmt: skip
def test_stacking_predicts_as_a_pipeline_of_scikit_learn(meta):
    model, parts, x, y = stacked(meta)

    def probabilities(given):
        given = torch.from_numpy(given).view(-1, *SHAPE)
        return np.hstack([part.predict(given).scores.softmax(1).numpy() for part in parts])

    flat = x.flatten(1).numpy()
    pipeline = Pipeline([("members", FunctionTransformer(probabilities)), ("meta", meta)])
    pipeline.fit(flat, y.numpy())
    new = torch.rand(300, *SHAPE, generator=torch.Generator().manual_seed(1))
    found = model.predict(new)
    assert found.labels.tolist() == pipeline.predict(new.flatten(1).numpy()).tolist()
    assert len(set(found.labels.tolist())) == CLASSES
    if hasattr(meta, "predict_proba"):
        wanted = torch.from_numpy(pipeline.predict_proba(new.flatten(1).numpy())).float()
        torch.testing.assert_close(found.scores, wanted)
    model.predict(new[:1])  # one image alone


def test_a_class_that_the_meta_learner_has_not_seen_has_no_probability():
    x = images()
    y = 2 * (x[:, 0, 0, 0] > 0.5).long()
    model = wrap_ensemble(members(2), "stacking", meta=LogisticRegression(), fit=(x, y))
    found = model.predict(x)
    assert set(found.labels.tolist()) == {0, 2}
    assert not found.scores[:, 1].any()
    assert list(model.surfaces()) == ["mean"]  # its logits are of two classes


@pytest.mark.parametrize("how", ["majority", "stacking", "bagging"])
def test_what_is_not_differentiable_is_attacked_through_the_mean_of_those_that_are(how):
    parts, x = members(2), images()
    fit = (x, x[:, 0, 0, 0].mul(3).long()) if how == "stacking" else None
    black_box = bench.wrap_predict(one_hot_of_a_pixel, CLASSES, SHAPE)
    model = wrap_ensemble([*parts, black_box], how, fit=fit)
    assert list(model.surfaces()) == ["mean"]
    with torch.no_grad():
        mean = torch.stack([part.module(x).softmax(1) for part in parts]).mean(0)
        torch.testing.assert_close(model.surfaces()["mean"](x).exp(), mean)
    blind = wrap_ensemble([says(0), says(1)], "majority")
    assert blind.surfaces() == {}
    with pytest.raises(SpecError, match="no gradient"):
        blind.gradient(x, torch.zeros(len(x), dtype=torch.int64))


def test_importances_are_those_of_the_forest_and_of_linear_weights():
    forest, _, _, _ = stacked(RandomForestClassifier(20, random_state=0))
    assert isinstance(forest, WeighsMembers)
    told = forest.importances()
    assert list(told) == ["net-0", "net-1"]
    wanted = forest.meta.estimator.feature_importances_
    assert told["net-1"] == pytest.approx(wanted[3:].tolist())
    line, _, _, _ = stacked(LogisticRegression())
    weights = np.abs(line.meta.estimator.coef_).mean(0)
    assert line.importances()["net-0"] == pytest.approx((weights[:3] / weights.sum()).tolist())
    bayes, _, _, _ = stacked(GaussianNB())
    assert bayes.importances() is None
    assert wrap_ensemble(members()).importances() is None


def test_the_fingerprint_is_of_members_how_they_are_combined_and_the_meta_learner():
    x, y = images(), images()[:, 0, 0, 0].mul(3).long()

    def learnt(**settings):
        forest = RandomForestClassifier(5, random_state=0, **settings)
        return wrap_ensemble(members(2), "stacking", meta=forest, fit=(x, y))

    models = [
        wrap_ensemble(members(2)), wrap_ensemble(members(3)), wrap_ensemble(members(2)[::-1]),
        wrap_ensemble(members(2), "majority"), learnt(), learnt(max_depth=2),
    ]  # fmt: skip
    prints = [model.fingerprint() for model in models]
    assert len(set(prints)) == len(prints)
    assert learnt().fingerprint() == models[4].fingerprint()
    assert wrap_ensemble(members(2), name="other").fingerprint() == prints[0]


def test_members_are_not_copied():
    parts = members(2)
    assert all(a is b for a, b in zip(wrap_ensemble(parts).members, parts, strict=True))


def test_two_members_of_one_name_are_told_apart():
    twice = wrap_ensemble([*members(1), *members(2)])
    assert twice.titles == ("net-0 (1)", "net-0 (2)", "net-1")


def test_a_fitted_meta_learner_is_taken_as_it_is():
    parts, x = members(2), images()
    rows, y = rows_of(parts, x), x[:, 0, 0, 0].mul(3).long()
    meta = LogisticRegression().fit(rows.numpy(), y.numpy())
    model = wrap_ensemble(parts, "stacking", meta=meta)
    assert model.predict(x).labels.tolist() == meta.predict(rows.numpy()).tolist()
    with pytest.raises(AdapterError, match="takes 6 inputs, the members give 9"):
        wrap_ensemble(members(3), "stacking", meta=meta)
    words = LogisticRegression().fit(rows.numpy(), np.array(["a", "b", "c"])[y.numpy()])
    with pytest.raises(AdapterError, match="not whole numbers"):
        wrap_ensemble(parts, "stacking", meta=words)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: wrap_ensemble(members(1)), "two members or more"),
        (lambda: wrap_ensemble([*members(1), linear(1)]), "a member is a Sequential"),
        (lambda: wrap_ensemble([*members(1), bench.wrap(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), 2, SHAPE)]),
         "has 2 classes"),
        (lambda: wrap_ensemble(members(), "mean"), "how='mean' is none of"),
        (lambda: wrap_ensemble(members(), meta=GaussianNB()), "has no meta-learner"),
        (lambda: wrap_ensemble(members(), "stacking"), "not a fitted classifier"),
        (lambda: wrap_ensemble(members(), "stacking", meta="Forest"), "no classifier of scikit-learn"),
        (lambda: wrap_ensemble(members(), "stacking", meta="LinearRegression"), "no classifier of"),
        (lambda: wrap_ensemble(members(), "stacking", meta=3), "not a fitted classifier"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said_in_a_line(make, message):
    with pytest.raises((AdapterError, SpecError), match=message) as raised:
        make()
    assert "\n" not in str(raised.value)
