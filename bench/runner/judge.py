"""Whether an attack succeeded: decided here alone, from the image that was tried."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from bench.measure.norms import distances
from bench.spec import Adapter, AttackSpec, ModelSpec, Prediction, Random
from bench.train.families import abstaining_is_wrong

RANGE_SLACK = 1e-6
BORDERLINE = 1e-4

#: Why an image cannot count whose scores are NaN or infinite.
SCORES = "scores not finite"

#: What the draws of a random model are for: some judge an image, others choose the worst of several,
#: since the least of several shares of one set of draws is too low.
JUDGING, CHOOSING = "judge", "choose"


@dataclass(frozen=True, slots=True)
class Attempt:
    """What an attack is to do to some images.

    Attributes:
        spec: the attack, with its norm, radius and goal.
        x: clean images (N, C, H, W), which the model labels `y`.
        y: true labels (N,).
        sure_before: the model's confidence in the clean images (N,).
        target: wanted labels (N,) of a targeted attack; None for others.
    """

    spec: AttackSpec
    x: torch.Tensor
    y: torch.Tensor
    sure_before: torch.Tensor
    target: torch.Tensor | None = None


class Verdict(NamedTuple):
    """The judgement of a batch of tried images; every field has one value an image.

    Attributes:
        invalid: why an image cannot count, or None.
        adv_margin: the score of the true class less the largest other.
        distances: norm name to float64 (N,) between the tried and the clean image.
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
    """Return what a model decides about images (N, C, H, W): no class where a score is not finite.

    The largest of scores that are NaN is the first, which is a class nobody chose.
    """
    labels, scores = adapter.predict(x)
    return Prediction(labels.masked_fill(~scored(scores), -1), scores)


def scored(scores: torch.Tensor) -> torch.Tensor:
    """Return which rows of scores (N, C) are finite, bool (N,)."""
    return scores.isfinite().all(1)


def share_right(
    adapter: Adapter, x: torch.Tensor, y: torch.Tensor, purpose: str
) -> torch.Tensor | None:
    """Return the share of a random model's draws that get each image right, (N,); None of others.

    Args:
        adapter: the model.
        x: images (N, C, H, W).
        y: labels (N,).
        purpose: draws for another purpose are others.
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
    """Return the score of the true class less the largest other, (N,)."""
    return scores.gather(1, y[:, None]).squeeze(1) - scores.scatter(1, y[:, None], -torch.inf).amax(
        1
    )


def judge(
    attempt: Attempt, model: ModelSpec, x_adv: torch.Tensor, prediction: Prediction | None
) -> Verdict:
    """Return the verdict on images that were tried.

    Success iff finite, of the same shape, its scores finite, in [0, 1] within 1e-6, within
    eps (1 + 1e-5) + 1e-6 by a float64 norm, and the goal is reached: labelled otherwise than `y`;
    targeted, as `target`; for confidence reduction, otherwise than `y`, or with at most half of the
    confidence in `y` that the clean image has. No label at all is another one where the family says
    so (`bench.train.families`): a tied vote is a wrong answer.

    Args:
        attempt: what the attack was to do.
        model: what the judge is.
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
    known = scored(prediction.scores)
    invalid = [
        why or (None if scores_known else SCORES)
        for why, scores_known in zip(
            _reasons(attempt.spec, x_adv, lengths), known.tolist(), strict=True
        )
    ]
    sure = confidence(prediction, model)
    sure_of_y = _confidence_in(prediction, model, y)
    goal = _reached(attempt, prediction.labels, sure_of_y)
    if not abstaining_is_wrong(model.family):
        goal &= prediction.labels >= 0
    finite = x_adv.flatten(1).isfinite().all(1).tolist()
    answered = [f and k for f, k in zip(finite, known.tolist(), strict=True)]
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


def _where(known: list[bool], values: list[Any]) -> list[Any]:
    """Return values, None where they are not known."""
    return [value if is_known else None for value, is_known in zip(values, known, strict=True)]


def _reached(attempt: Attempt, labels: torch.Tensor, sure_of_y: torch.Tensor) -> torch.Tensor:
    """Return where the goal of an attack is reached, bool (N,)."""
    y, target = attempt.y, attempt.target
    if attempt.spec.goal == "confidence-reduction":
        return (labels != y) | (sure_of_y <= attempt.sure_before / 2)
    return labels != y if target is None else labels == target


def readable(x: torch.Tensor, x_adv: torch.Tensor) -> torch.Tensor | None:
    """Return tried images that a model can be shown, or None where their shape is wrong.

    An image with a NaN or an infinity is replaced by its clean one; it is a failure anyway.
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
