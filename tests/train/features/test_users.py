"""A user's own estimator on a trunk."""

import numpy as np
import pytest
import torch
from digits_network import shipped
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import bench
from bench.errors import AdapterError, SpecError

SHAPE = (1, 8, 8)


@pytest.fixture(scope="module")
def trunk():
    return shipped()[:4]


@pytest.fixture(scope="module")
def digits(trunk):
    x, y = bench.load_data("digits", split="train", images=400)
    asked, _ = bench.load_data("digits", images=200)
    with torch.no_grad():
        return x, trunk(x).numpy(), y.numpy(), asked, trunk(asked).numpy()


KINDS = {
    "logistic": (LogisticRegression(max_iter=300), ["exact"]),
    "naive-bayes": (GaussianNB(), ["exact"]),
    "svm": (SVC(), ["exact"]),
    "forest": (RandomForestClassifier(20, random_state=0), ["distilled"]),
    "knn": (KNeighborsClassifier(3), ["soft-knn"]),
}


@pytest.mark.parametrize("name", KINDS)
def test_a_pipeline_is_brought_and_attacked(name, trunk, digits):
    x, features, labels, asked, of_asked = digits
    kind, surfaces = KINDS[name]
    pipeline = make_pipeline(StandardScaler(), kind).fit(features, labels)
    model = bench.wrap_sklearn(pipeline, trunk, SHAPE, images=x)
    said = model.predict(asked)
    # Features are summed in another order in batches of another size.
    assert (said.labels.numpy() == pipeline.predict(of_asked)).mean() > 0.99
    assert list(model.surfaces()) == surfaces
    for surface in model.surfaces().values():
        assert (surface(asked).argmax(1) == said.labels).float().mean() > 0.8
    y = said.labels[:20]
    out = bench.attack(model, asked[:20], y, "fgsm", norm="linf", eps="0.3", toolkit="foolbox")
    assert out.rows["success"].mean() > 0.3
    assert model.facts()["trunk"] == {"name": "Sequential", "trained_on": "not said"}
    other = make_pipeline(StandardScaler(), kind).fit(features[:300], labels[:300])
    prints = {
        bench.wrap_sklearn(fitted, trunk, SHAPE, images=x).fingerprint()
        for fitted in (pipeline, pipeline, other)
    }
    assert len(prints) == 2


def test_a_forest_without_images_is_for_black_box_attacks_alone(trunk, digits):
    _, features, labels, asked, _ = digits
    forest = RandomForestClassifier(5, random_state=0).fit(features, labels)
    model = bench.wrap_sklearn(forest, trunk, SHAPE)
    assert model.surfaces() == {}
    with pytest.raises(SpecError, match="has no gradient"):
        model.gradient(asked[:2], torch.zeros(2, dtype=torch.long))
    y = model.predict(asked[:10]).labels
    out = bench.attack(
        model, asked[:10], y, "square", norm="linf", eps="0.3", queries=50, toolkit="art"
    )
    assert out.rows["success"].any()


def test_naive_bayes_with_images_has_a_gradient_of_the_cross_entropy(trunk, digits):
    x, features, labels, *_ = digits
    bayes = GaussianNB().fit(features, labels)
    y = torch.tensor(labels[:50])
    dead = {}
    for images in (None, x):
        model = bench.wrap_sklearn(bayes, trunk, SHAPE, images=images)
        right = model.predict(x[:50]).labels == y
        gradient = model.gradient(x[:50][right], y[right])
        dead[images is None] = float((gradient.flatten(1).abs().amax(1) == 0).float().mean())
    assert dead[True] > dead[False]
    assert dead[False] < 0.2


def test_a_trunk_of_other_features_or_images_is_refused(trunk, digits):
    _, features, labels, *_ = digits
    fitted = GaussianNB().fit(features[:, :7], labels)
    with pytest.raises(AdapterError, match=r"gives 128 features .* was fitted on 7"):
        bench.wrap_sklearn(fitted, trunk, SHAPE)
    with pytest.raises(AdapterError, match=r"does not take images of shape \(3, 8, 8\)"):
        bench.wrap_sklearn(fitted, trunk, (3, 8, 8))
    with pytest.raises(AdapterError, match="trunk is a ndarray; give an nn"):
        bench.wrap_sklearn(fitted, np.zeros(2), SHAPE)
