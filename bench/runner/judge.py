"""Whether an attack succeeded: decided only here, from the image that was tried."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from bench.measure.norms import distances
from bench.spec import Adapter, AttackSpec, ModelSpec, Prediction, Random
from bench.train.families import abstaining_is_wrong

RANGE_SLACK = 1e-6
BORDERLINE = 1e-4

#: Why an image with NaN or infinite scores cannot count.
SCORES = "scores not finite"

#: Purposes of a random model's draws. One set judges an image, another chooses the worst of several images,
#: since the minimum of several shares from a single set would be too low.
JUDGING, CHOOSING = "judge", "choose"


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attack on some images.

    Attributes:
        spec: the attack, with its norm, radius and goal.
        x: clean images (N, C, H, W), which the model labels `y`.
        y: true labels (N,).
        sure_before: the model's confidence in the clean images (N,).
        target: target labels (N,); None for an untargeted attack.
    """

    spec: AttackSpec
    x: torch.Tensor
    y: torch.Tensor
    sure_before: torch.Tensor
    target: torch.Tensor | None = None


class Verdict(NamedTuple):
    """The verdict on a batch of tried images; every field has one value per image.

    Attributes:
        invalid: why an image cannot count, or None.
        adv_margin: the score of the true class minus the largest other score.
        distances: by norm, float64 (N,), between the tried and the clean image.
    """

    success: list[bool]
    invalid: list[str | None]
    borderline: list[bool]
    abstained: list[bool]
    adv_label: list[int | None]
    adv_confidence: list[float | None]
    adv_margin: list[float | None]
    distances: dict[str, list[float | None]]


def decision(adapter: Adapter, x: torch.Tensor) -> Prediction:
    """Return a model's decision about images (N, C, H, W); -1 where a score is not finite.

    argmax over NaN gives the first class, which the model did not choose.
    """
    labels, scores = adapter.predict(x)
    return Prediction(labels.masked_fill(~scored(scores), -1), scores)


def scored(scores: torch.Tensor) -> torch.Tensor:
    """Return which rows of scores (N, C) are finite, bool (N,)."""
    return scores.isfinite().all(1)


def share_right(
    adapter: Adapter, x: torch.Tensor, y: torch.Tensor, purpose: str
) -> torch.Tensor | None:
    """Return the share of a random model's draws that get each image right, (N,); else None.

    Args:
        adapter: the model.
        x: images (N, C, H, W).
        y: labels (N,).
        purpose: draws for two purposes are independent.
    """
    if not isinstance(adapter, Random):
        return None
    return (adapter.answers(x, purpose) == y).float().mean(0)


def confidence(prediction: Prediction, spec: ModelSpec) -> torch.Tensor:
    """Return the probability a model gives its own decision, (N,); NaN where it abstains."""
    scores = prediction.scores
    shares = scores.softmax(1) if spec.scores == "logits" else scores
    own = shares.gather(1, prediction.labels.clamp(min=0)[:, None]).squeeze(1)
    return own.masked_fill(prediction.labels < 0, torch.nan)


def _confidence_in(prediction: Prediction, spec: ModelSpec, y: torch.Tensor) -> torch.Tensor:
    """Return the probability a model gives the classes `y`, (N,)."""
    return confidence(prediction._replace(labels=y), spec)


def margins(prediction: Prediction) -> torch.Tensor:
    """Return the difference between the two largest scores, (N,)."""
    top = prediction.scores.topk(min(2, prediction.scores.shape[1]), dim=1).values
    return top[:, 0] - top[:, -1]


def true_margins(scores: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the score of the true class minus the largest other score, (N,)."""
    return scores.gather(1, y[:, None]).squeeze(1) - scores.scatter(1, y[:, None], -torch.inf).amax(
        1
    )


def judge(
    attempt: Attempt, model: ModelSpec, x_adv: torch.Tensor, prediction: Prediction | None
) -> Verdict:
    """Return the verdict on images that were tried.

    An attack succeeds on an image if the image is finite, of the same shape, in [0, 1] within 1e-6 and
    within eps (1 + 1e-5) + 1e-6 by a float64 norm, its scores are finite, and the goal is reached: a label
    other than `y`; targeted, the label `target`; for confidence reduction, another label or at most half
    of the clean image's confidence in `y`. Whether an abstention counts as another label is up to the
    family (`bench.train.families`): a tied vote does.

    Args:
        attempt: the attack.
        model: the judging model.
        x_adv: the images tried.
        prediction: the model's decision about `readable(x, x_adv)`; None where shapes differ.
    """
    x, y = attempt.x, attempt.y
    n = len(x)
    if prediction is None:
        reason = f"shape {tuple(x_adv.shape[1:])} instead of {tuple(x.shape[1:])}"
        nothing: list[Any] = [None] * n
        return Verdict(
            [False] * n, [reason] * n, [False] * n, [False] * n, nothing, nothing, nothing,
            dict.fromkeys(("l0", "l1", "l2", "linf"), nothing),
        )  # fmt: skip
    lengths = distances(x, x_adv)
    finite_scores = scored(prediction.scores)
    invalid = [
        why or (None if scores_known else SCORES)
        for why, scores_known in zip(
            _reasons(attempt.spec, x_adv, lengths), finite_scores.tolist(), strict=True
        )
    ]
    sure = confidence(prediction, model)
    sure_of_y = _confidence_in(prediction, model, y)
    goal = _reached(attempt, prediction.labels, sure_of_y)
    if not abstaining_is_wrong(model.family):
        goal &= prediction.labels >= 0
    finite = x_adv.flatten(1).isfinite().all(1).tolist()
    answered = [f and k for f, k in zip(finite, finite_scores.tolist(), strict=True)]
    abstained = (prediction.labels < 0).tolist()
    return Verdict(
        success=[g and why is None for g, why in zip(goal.tolist(), invalid, strict=True)],
        invalid=invalid,
        borderline=(margins(prediction).abs() < BORDERLINE).tolist(),
        abstained=[a and t for a, t in zip(abstained, answered, strict=True)],
        adv_label=_where(answered, prediction.labels.tolist()),
        adv_confidence=[
            v if t and v == v else None for v, t in zip(sure.tolist(), answered, strict=True)
        ],
        adv_margin=_where(answered, true_margins(prediction.scores, y).tolist()),
        distances={name: _where(finite, values.tolist()) for name, values in lengths.items()},
    )


def _where(has_value: list[bool], values: list[Any]) -> list[Any]:
    """Return values, with None where `has_value` is false."""
    return [value if has else None for value, has in zip(values, has_value, strict=True)]


def _reached(attempt: Attempt, labels: torch.Tensor, sure_of_y: torch.Tensor) -> torch.Tensor:
    """Return where the goal of an attack is reached, bool (N,)."""
    y, target = attempt.y, attempt.target
    if attempt.spec.goal == "confidence-reduction":
        return (labels != y) | (sure_of_y <= attempt.sure_before / 2)
    return labels != y if target is None else labels == target


def readable(x: torch.Tensor, x_adv: torch.Tensor) -> torch.Tensor | None:
    """Return the images tried in a form that a model can predict, or None if their shape is wrong.

    An image with NaN or infinity is replaced by the clean one; it counts as a failure anyway.
    """
    if x_adv.shape != x.shape:
        return None
    finite = x_adv.flatten(1).isfinite().all(1)
    return torch.where(finite.view(-1, 1, 1, 1), x_adv, x)


def _reasons(
    spec: AttackSpec, x_adv: torch.Tensor, lengths: dict[str, torch.Tensor]
) -> list[str | None]:
    flat = x_adv.flatten(1).double()
    finite = flat.isfinite().all(1)
    outside = torch.maximum(-flat.amin(1), flat.amax(1) - 1)
    radius = spec.radius
    limit = torch.inf if radius is None else radius * (1 + 1e-5) + 1e-6
    reasons: list[str | None] = []
    for i in range(len(x_adv)):
        length = float(lengths[spec.norm][i])
        if not finite[i]:
            reasons.append("not finite")
        elif outside[i] > RANGE_SLACK:
            reasons.append(f"outside [0, 1] by {float(outside[i]):.2g}")
        elif length > limit:
            reasons.append(f"over budget: {spec.norm} {length:.6g} > {spec.eps}")
        else:
            reasons.append(None)
    return reasons
