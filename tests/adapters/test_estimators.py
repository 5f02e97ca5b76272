"""Classifiers of scikit-learn in torch: the same scores and decisions, and gradients where there are some."""

import numpy as np
import pytest
import torch
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, Normalizer, RobustScaler, StandardScaler
from sklearn.svm import SVC, LinearSVC
from torch import nn

from bench.adapters.distances import distance
from bench.adapters.estimators import read_estimator
from bench.adapters.knn_index import KnnIndex, ReferenceSet
from bench.adapters.tops import Nearest, WeakestPair
from bench.errors import AdapterError

EXACT = {
    "logistic": (LogisticRegression(), "decision_function"),
    "linear-svc": (LinearSVC(), "decision_function"),
    "svc-linear": (SVC(kernel="linear"), "decision_function"),
    "svc-rbf": (SVC(), "decision_function"),
    "svc-ties": (SVC(break_ties=True), "decision_function"),
    "naive-bayes": (GaussianNB(), "predict_log_proba"),
}


def points(classes, count, seed, dtype=np.float32):
    """Return overlapping clouds of five features, and labels."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(7).normal(size=(classes, 5)) * 1.5
    labels = np.arange(count) % classes
    return (centres[labels] + rng.normal(size=(count, 5)) + 3).astype(dtype), labels


def in_torch(estimator):
    read = read_estimator(estimator)
    return nn.Sequential(*read.steps), read.top


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("classes", [2, 4])
def test_scores_and_decisions_are_those_of_scikit_learn(name, classes):
    kind, scores_by = EXACT[name]
    x, y = points(classes, 160, 0)
    asked, _ = points(classes, 500, 1)
    pipeline = make_pipeline(StandardScaler(), kind).fit(x, y)
    steps, top = in_torch(pipeline)
    labels, scores = top.decide(steps(torch.tensor(asked)))
    wanted = getattr(pipeline, scores_by)(asked)
    if classes == 2 and scores_by == "decision_function":
        wanted = np.stack([np.zeros(len(asked)), wanted], 1)
    assert scores.numpy() == pytest.approx(wanted, abs=1e-5, rel=1e-5)
    assert labels.tolist() == pipeline.predict(asked).tolist()


@pytest.mark.parametrize("name", EXACT)
def test_gradients_of_exact_scores_agree_with_finite_differences(name):
    x, y = points(4, 160, 0)
    steps, top = in_torch(make_pipeline(StandardScaler(), EXACT[name][0]).fit(x, y))
    asked = torch.tensor(points(4, 6, 2, np.float64)[0])
    modules = [top, WeakestPair(top)] if name.startswith("svc") else [top]
    for scores in modules:
        assert torch.autograd.gradcheck(
            lambda features, scores=scores: scores(steps(features)), asked.requires_grad_()
        )
        # And they are no zeros, on which the differences would agree too.
        gradient = torch.autograd.grad(scores(steps(asked)).amax(1).sum(), asked)[0]
        assert (gradient.abs().amax(1) > 1e-6).all()


@pytest.mark.parametrize("classes", [2, 5])
def test_the_class_that_wins_all_its_pairs_has_the_best_weakest_pair(classes):
    x, y = points(classes, 160, 0)
    _, machine = in_torch(SVC().fit(x, y))
    asked = torch.tensor(points(classes, 300, 1)[0])
    scores, decided = WeakestPair(machine)(asked), machine.decide(asked)[0]
    if classes == 2:
        assert scores.argmax(1).tolist() == decided.tolist()
        return
    clear = scores.amax(1) > 0
    assert clear.float().mean() > 0.9
    assert scores.argmax(1)[clear].tolist() == decided[clear].tolist()


def test_a_score_of_the_weakest_pair_by_hand():
    class Pairs(nn.Module):
        def pairs(self, features):
            return torch.tensor([[1.0, -2.0, 3.0]])  # of classes 0 and 1, 0 and 2, 1 and 2

    assert WeakestPair(Pairs())(torch.zeros(1, 1)).tolist() == [[-2.0, -1.0, -3.0]]


@pytest.mark.parametrize("scaler", [StandardScaler(), MinMaxScaler(), Normalizer(), None])
def test_a_forest_decides_as_scikit_learns_ties_included(scaler):
    x, y = points(4, 300, 0)
    x = x.round(1)  # so that features equal thresholds, and few trees tie
    asked = points(4, 900, 1)[0].round(1)
    forest = RandomForestClassifier(6, min_samples_leaf=2, random_state=0)
    pipeline = make_pipeline(scaler or "passthrough", forest).fit(x, y)
    steps, top = in_torch(pipeline)
    labels, shares = top.decide(steps(torch.tensor(asked)))
    wanted = pipeline.predict_proba(asked)
    if not isinstance(scaler, Normalizer):  # a norm is a sum, which is rounded otherwise
        assert np.array_equal(shares.numpy(), wanted)
    assert (labels.numpy() == pipeline.predict(asked)).mean() > 0.99
    best = np.sort(wanted, 1)
    assert (best[:, -1] == best[:, -2]).any()


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "manhattan"])
def test_a_vote_is_that_of_scikit_learn_ties_included(metric):
    x, y = points(4, 200, 0)
    asked = points(4, 300, 1)[0]
    vote = KNeighborsClassifier(4, metric=metric).fit(x, y)
    read = read_estimator(vote)
    assert (read.k, read.distance) == (4, metric)
    references = ReferenceSet(
        embeddings=read.top.features, labels=read.top.labels, classes=4, data="d", split="train",
        indices="all", checksum="c",
    )  # fmt: skip
    top = Nearest(read.top, KnnIndex(references, distance(metric)), 4)
    labels, shares = top.decide(torch.tensor(asked))
    assert shares.numpy() == pytest.approx(vote.predict_proba(asked))
    assert labels.tolist() == vote.predict(asked).tolist()
    best = shares.topk(2).values
    assert (best[:, 0] == best[:, 1]).any()


def test_parameters_survive_a_file_of_another_size():
    x, y = points(3, 90, 0)
    _, small = in_torch(GaussianNB().fit(x, y))
    empty = type(small)()
    empty.load_state_dict(small.state_dict())
    assert torch.equal(empty(torch.tensor(x)), small(torch.tensor(x)))
    assert empty.mean.dtype == torch.float64


def test_the_temperature_keeps_leads_below_eighty_and_never_raises_them():
    x, y = points(3, 90, 0)
    _, narrow = in_torch(GaussianNB().fit(x * 0 + y[:, None] + 1e-3 * x, y))
    features = torch.tensor(x * 0 + y[:, None] + 1e-3 * x)
    leads = narrow(features).topk(2).values.diff().abs()
    assert leads.median() > 1000
    assert ((leads / narrow.temperature(features)) <= 80.001).float().mean() == pytest.approx(
        0.95, abs=0.02
    )
    _, wide = in_torch(GaussianNB().fit(x, y))
    assert wide.temperature(torch.tensor(x)) == 1.0


@pytest.mark.parametrize(
    ("estimator", "words"),
    [
        (ExtraTreesClassifier(3), "ExtraTreesClassifier has no form in torch here, so only black-box"),
        (SVC(kernel="poly"), "SVC with kernel='poly' has no form"),
        (KNeighborsClassifier(weights="distance"), "weights='distance', euclidean has no form"),
        (make_pipeline(RobustScaler(), GaussianNB()), r"a pipeline with RobustScaler\(\) has no form"),
    ],
)  # fmt: skip
def test_what_has_no_form_is_refused_with_the_way_for_black_box_attacks(estimator, words):
    with pytest.raises(AdapterError, match=words) as told:
        read_estimator(estimator.fit(*points(3, 60, 0)))
    assert "bench.wrap_predict(lambda x: estimator.predict_proba(trunk(x).numpy())" in str(
        told.value
    )


def test_what_is_not_fitted_or_counts_otherwise_is_refused():
    x, y = points(3, 60, 0)
    with pytest.raises(AdapterError, match="GaussianNB is not a fitted classifier"):
        read_estimator(GaussianNB())
    with pytest.raises(AdapterError, match="Linear is not a fitted classifier"):
        read_estimator(nn.Linear(2, 2))
    with pytest.raises(
        AdapterError, match=r"classes of GaussianNB are \[1, 2, 3\], not 0 to C - 1"
    ):
        read_estimator(GaussianNB().fit(x, y + 1))
