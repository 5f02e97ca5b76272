"""From estimators of scikit-learn to their parameters in torch.

An estimator is taken as it is in memory, fitted. No file of one is ever read: the parameters are kept as a
safetensors file beside a card in JSON, since a pickled estimator runs code when it is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from bench.adapters.forest import Forest
from bench.adapters.tops import (
    Fitted,
    GaussianBayes,
    Linear,
    LinearPairs,
    RbfPairs,
    Standardised,
    Stored,
    Stretched,
    UnitLength,
)
from bench.errors import AdapterError


@dataclass(frozen=True, slots=True)
class ReadEstimator:
    """The parameters of an estimator.

    Attributes:
        steps: what scales the features before the classifier.
        top: the classifier, or what is stored for a k-NN vote.
        classes: number of classes.
        k: how many vote; 0 for other classifiers.
        distance: by which distance; empty for other classifiers.
    """

    steps: tuple[nn.Module, ...]
    top: Fitted
    classes: int
    k: int = 0
    distance: str = ""


def read_estimator(estimator: Any) -> ReadEstimator:
    """Return the parameters of a fitted classifier of scikit-learn, or of a pipeline that ends in one.

    Args:
        estimator: a LogisticRegression, LinearSVC, SVC (linear or RBF kernel), GaussianNB,
            KNeighborsClassifier or RandomForestClassifier; in a pipeline after StandardScaler, MinMaxScaler or
            Normalizer.

    Raises:
        AdapterError: another estimator, one that is not fitted, or settings that have no form in torch.
    """
    from sklearn.exceptions import NotFittedError
    from sklearn.pipeline import Pipeline
    from sklearn.utils.validation import check_is_fitted

    before, last = [], estimator
    if type(estimator) is Pipeline:
        *before, last = [step for _, step in estimator.steps if step not in (None, "passthrough")]
    name = type(last).__name__
    try:
        check_is_fitted(last)
    except (NotFittedError, TypeError) as error:
        raise AdapterError(
            f"wrap_sklearn: {name} is not a fitted classifier of scikit-learn; call its fit first"
        ) from error
    steps = tuple(_step(step) for step in before)
    read = _known(last, _tops())
    if read is None:
        raise _no_form(name, "")
    classes = np.asarray(getattr(last, "classes_", ()))
    if classes.tolist() != list(range(len(classes))):
        raise AdapterError(
            f"wrap_sklearn: the classes of {name} are {classes.tolist()[:5]}, not 0 to C - 1; fit it on labels "
            f"that count from 0"
        )
    found: ReadEstimator = read(steps, last, len(classes))
    return found


def _no_form(name: str, why: str) -> AdapterError:
    return AdapterError(
        f"wrap_sklearn: {name}{why} has no form in torch here, so only black-box attacks can reach it: wrap it "
        f"with bench.wrap_predict(lambda x: estimator.predict_proba(trunk(x).numpy()), ...)"
    )


def _known(thing: Any, table: Mapping[type, Any]) -> Any:
    """Return the entry of exactly this class, since a class made from it may answer otherwise."""
    return table.get(type(thing))


def _step(step: Any) -> nn.Module:
    from sklearn.preprocessing import MinMaxScaler, Normalizer, StandardScaler

    if type(step) is StandardScaler:
        zeros, ones = np.zeros(step.n_features_in_), np.ones(step.n_features_in_)
        mean = step.mean_ if step.with_mean else zeros
        return Standardised(mean, step.scale_ if step.with_std else ones)
    if type(step) is MinMaxScaler and not step.clip:
        return Stretched(step.scale_, step.min_)
    if type(step) is Normalizer and step.norm == "l2":
        return UnitLength()
    raise _no_form(f"a pipeline with {step}", "")


def _tops() -> Mapping[type, Callable[[tuple[nn.Module, ...], Any, int], ReadEstimator]]:
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.naive_bayes import GaussianNB
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.svm import SVC, LinearSVC

    return {
        LogisticRegression: _linear,
        LinearSVC: _linear,
        SVC: _svc,
        GaussianNB: _bayes,
        KNeighborsClassifier: _nearest,
        RandomForestClassifier: _forest,
    }


def _linear(steps: tuple[nn.Module, ...], fitted: Any, classes: int) -> ReadEstimator:
    intercept = np.broadcast_to(np.asarray(fitted.intercept_, dtype=float), len(fitted.coef_))
    return ReadEstimator(steps, Linear(_double(fitted.coef_), intercept.copy()), classes)


def _bayes(steps: tuple[nn.Module, ...], fitted: Any, classes: int) -> ReadEstimator:
    top = GaussianBayes(_double(fitted.theta_), _double(fitted.var_), _double(fitted.class_prior_))
    return ReadEstimator(steps, top, classes)


def _svc(steps: tuple[nn.Module, ...], fitted: Any, classes: int) -> ReadEstimator:
    intercept, breaks_ties = _double(fitted.intercept_), bool(fitted.break_ties)
    if fitted.kernel == "linear":
        top: Fitted = LinearPairs(_double(fitted.coef_), intercept, breaks_ties)
    elif fitted.kernel == "rbf":
        support = _double(fitted.support_vectors_)
        gamma = float(fitted._gamma)
        top = RbfPairs(support, _pair_weights(fitted, classes), intercept, gamma, breaks_ties)
    else:
        raise _no_form("SVC", f" with kernel={fitted.kernel!r}")
    return ReadEstimator(steps, top, classes)


def _pair_weights(fitted: Any, classes: int) -> np.ndarray[Any, Any]:
    """Return the weight of each support vector for each pair of classes (S, P).

    libsvm keeps them in C - 1 rows: in the row j - 1 stand those of the vectors of class i < j against j, in
    the row i those of the vectors of class j against i.
    """
    duals = _double(fitted.dual_coef_)
    owner = np.repeat(np.arange(classes), fitted.n_support_)
    columns = [
        np.where(owner == i, duals[j - 1], np.where(owner == j, duals[i], 0.0))
        for i in range(classes)
        for j in range(i + 1, classes)
    ]
    return np.stack(columns, 1)


def _nearest(steps: tuple[nn.Module, ...], fitted: Any, classes: int) -> ReadEstimator:
    distance = fitted.effective_metric_
    if fitted.weights != "uniform" or distance not in ("euclidean", "cosine", "manhattan"):
        raise _no_form("KNeighborsClassifier", f" of weights={fitted.weights!r}, {distance}")
    order = np.argsort(fitted._y, kind="stable")
    features = torch.as_tensor(np.asarray(fitted._fit_X, dtype=np.float32)[order])
    stored = Stored(features, torch.as_tensor(fitted._y[order]).long())
    return ReadEstimator(steps, stored, classes, int(fitted.n_neighbors), distance)


def _forest(steps: tuple[nn.Module, ...], fitted: Any, classes: int) -> ReadEstimator:
    trees = [tree.tree_ for tree in fitted.estimators_]
    if fitted.n_outputs_ > 1 or any(
        getattr(tree, "n_categories", None) is not None for tree in trees
    ):
        raise _no_form("RandomForestClassifier", " with several outputs")
    starts = np.cumsum([0, *(tree.node_count for tree in trees)])[:-1]
    left, right = (
        np.concatenate(
            [
                _children(getattr(tree, side), start)
                for tree, start in zip(trees, starts, strict=True)
            ]
        )
        for side in ("children_left", "children_right")
    )
    shares = np.concatenate([tree.value[:, 0, :] for tree in trees])
    leaves = left == np.arange(len(left))
    kinds, rows = np.unique(shares[leaves], axis=0, return_inverse=True)
    leaf = np.zeros(len(left), dtype=np.int32)
    leaf[leaves] = rows.ravel()
    top = Forest(
        roots=starts,
        branches=np.stack([left, right]).astype(np.int32),
        feature=np.concatenate([tree.feature for tree in trees]).clip(min=0).astype(np.int32),
        threshold=np.concatenate([tree.threshold for tree in trees]),
        leaf=leaf,
        shares=kinds,
        depth=max(tree.max_depth for tree in trees),
    )
    return ReadEstimator(steps, top, classes)


def _children(children: np.ndarray[Any, Any], start: int) -> np.ndarray[Any, Any]:
    """Return the children of a tree's nodes in the table of all trees; a leaf is its own child."""
    own = np.arange(len(children))
    return np.where(children < 0, own, children) + start


def _double(values: Any) -> np.ndarray[Any, Any]:
    return np.ascontiguousarray(values, dtype=np.float64)
