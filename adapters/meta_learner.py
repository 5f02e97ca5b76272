"""The meta-learner of a stacked ensemble: a scikit-learn classifier of what the members answer.

It is fitted where it is used and is never read from a pickle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bench.adapters.fingerprint import fingerprint
from bench.errors import AdapterError, SpecError
from bench.spec import Prediction

#: Where a meta-learner is looked for by its name, which is that of a class of scikit-learn.
_MODULES = (
    "ensemble", "linear_model", "naive_bayes", "neighbors", "svm", "tree", "neural_network",
    "discriminant_analysis", "gaussian_process",
)  # fmt: skip

#: The default, as in the study of flowers.
FOREST = "RandomForestClassifier"


def unfitted(name: str, seed: int = 0) -> Any:
    """Return a classifier of scikit-learn with its default settings, not fitted yet.

    Args:
        name: of its class, such as `LogisticRegression`.
        seed: of its random numbers, where it draws any.

    Raises:
        SpecError: scikit-learn has no such classifier.
    """
    import importlib

    from sklearn.base import is_classifier

    for module in _MODULES:
        kind = getattr(importlib.import_module(f"sklearn.{module}"), name, None)
        if isinstance(kind, type) and name[:1].isupper() and name[:4] != "Base":
            try:
                estimator: Any = kind()
            except TypeError:  # one that needs other estimators
                continue
            if is_classifier(estimator):
                takes_a_seed = "random_state" in estimator.get_params()
                return estimator.set_params(random_state=seed) if takes_a_seed else estimator
    raise SpecError(
        f"meta={name!r} is no classifier of scikit-learn; write the name of its class, such as "
        f"{FOREST}, LogisticRegression or GaussianNB"
    )


def is_linear(estimator: Any) -> bool:
    """Return whether a classifier decides by the largest of some linear functions."""
    from sklearn.linear_model._base import LinearClassifierMixin

    return isinstance(estimator, LinearClassifierMixin)


@dataclass(frozen=True, slots=True)
class MetaLearner:
    """A fitted classifier of rows of probabilities, (N, members * classes), the first member's first.

    Attributes:
        estimator: a fitted classifier of scikit-learn, or a pipeline that ends in one.
        classes: number of classes of the members.
    """

    estimator: Any
    classes: int

    def predict(self, rows: torch.Tensor) -> Prediction:
        """Return the classifier's decision, and its probabilities (one-hot where it gives none)."""
        given = rows.cpu().numpy()
        labels = torch.from_numpy(np.asarray(self.estimator.predict(given)).astype(np.int64))
        if hasattr(self.estimator, "predict_proba"):
            known = torch.from_numpy(self._known())
            scores = torch.zeros(len(rows), self.classes)
            scores[:, known] = torch.from_numpy(self.estimator.predict_proba(given)).float()
        else:
            scores = torch.nn.functional.one_hot(labels, self.classes).float()
        return Prediction(labels.to(rows.device), scores.to(rows.device))

    def linear(self) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Return weights (classes, inputs) and biases (classes,) whose largest output is the decision.

        They give the logits of the classifier's probabilities where it is a logistic regression over all
        classes together. None for a classifier that is not linear, or that has not seen every class.
        """
        found = self.estimator
        if not is_linear(found) or len(found.classes_) != self.classes:
            return None
        weight = torch.from_numpy(np.atleast_2d(found.coef_)).float()
        bias = torch.from_numpy(np.broadcast_to(found.intercept_, len(weight)).copy()).float()
        if (
            len(weight) == 1 and self.classes == 2
        ):  # the logit of the second class against the first
            return torch.cat([0 * weight, weight]), torch.cat([0 * bias, bias])
        return weight, bias

    def importances(self) -> NDArray[np.float64] | None:
        """Return how much each input counts, as shares of 1; None where the classifier does not say.

        A forest's are its mean decreases in impurity (Breiman, 2001), a linear classifier's the mean
        absolute weights over the classes.
        """
        found = getattr(self.estimator, "feature_importances_", None)
        if found is None and hasattr(self.estimator, "coef_"):
            found = np.abs(np.atleast_2d(self.estimator.coef_)).mean(0)
        if found is None:
            return None
        total = float(np.sum(found))
        return np.asarray(found, dtype=np.float64) / (total or 1.0)

    def digest(self) -> str:
        """Return a text that changes with any parameter of the classifier."""
        return fingerprint(self.estimator)

    def _known(self) -> NDArray[np.int64]:
        """Return the classes that it has seen, int64, in the order of its probabilities."""
        return np.asarray(self.estimator.classes_).astype(np.int64)


def fitted(estimator: Any, rows: torch.Tensor, labels: torch.Tensor, classes: int) -> MetaLearner:
    """Return a meta-learner after fitting a classifier to what the members answer.

    Args:
        estimator: a classifier of scikit-learn, which is fitted in place.
        rows: probabilities, float32 (N, members * classes).
        labels: of the images, int64 (N,).
        classes: number of classes.
    """
    estimator.fit(rows.cpu().numpy(), labels.cpu().numpy())
    return MetaLearner(estimator, classes)


def checked(estimator: Any, inputs: int, classes: int) -> MetaLearner:
    """Return a fitted classifier as a meta-learner.

    Args:
        estimator: of a user.
        inputs: members times classes.
        classes: number of classes.

    Raises:
        AdapterError: it is not fitted, or takes other inputs or gives other classes than the members have.
    """
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    try:
        check_is_fitted(estimator)
    except (NotFittedError, TypeError) as error:
        raise AdapterError(
            f"wrap_ensemble: {type(estimator).__name__} is not a fitted classifier of scikit-learn; fit "
            "it, or give images and labels as fit=(x, y)"
        ) from error
    takes = getattr(estimator, "n_features_in_", inputs)
    if takes != inputs:
        raise AdapterError(
            f"wrap_ensemble: the meta-learner takes {takes} inputs, the members give {inputs} "
            "(members times classes)"
        )
    gives = np.asarray(estimator.classes_)
    if not np.issubdtype(gives.dtype, np.integer) or gives.min() < 0 or gives.max() >= classes:
        raise AdapterError(
            f"wrap_ensemble: the meta-learner's classes are {list(gives)}, not whole numbers from 0 to "
            f"{classes - 1}; fit it to the labels of the data set"
        )
    return MetaLearner(estimator, classes)
