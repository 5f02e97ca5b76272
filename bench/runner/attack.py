"""Rows of attacks: images are crafted, then judged by the model."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import partial
from typing import Any, NamedTuple

import torch

from bench.attacks.catalogue import every_parameter, row_kind
from bench.attacks.job import Batch
from bench.attacks.run_attack import AttackResult, apply, run_attack
from bench.data.handed_in import HandedIn
from bench.errors import SpecError
from bench.runner.confidence_reduction import bisect_to_boundary
from bench.runner.judge import (
    BORDERLINE,
    CHOOSING,
    JUDGING,
    SCORES,
    Attempt,
    Verdict,
    confidence,
    decision,
    judge,
    margins,
    readable,
    scored,
    share_right,
)
from bench.runner.perturbed import (
    CHANGED,
    UNCLIPPED,
    before_the_clip,
    changed_shares,
    clean_sizes,
)
from bench.runner.task import BlackBox, Chunk, Part, Source, Task, rows_of
from bench.spec import SIZES, Adapter, AttackSpec, Prediction, Random, Toolkit

#: Why images of an attack that others made are no evidence.
NOT_HANDED_IN = "no image handed in"

_NORMS = ("l0", "l1", "l2", "linf")
#: What is found out beside the verdict.
_MORE = ("share", "chosen_share", *SIZES, *CHANGED, *UNCLIPPED)


class Judged(NamedTuple):
    """The images that were attacked, with their verdicts.

    Attributes:
        at: positions of these images in the part.
        attempt: the attack's goal for them.
        tried: the images it returned.
        verdict: of the judge.
        more: by column, what else is known of the images, a value for each.
    """

    at: list[int]
    attempt: Attempt
    tried: AttackResult
    verdict: Verdict
    more: dict[str, list[Any]]


def attack_images(task: Task, part: Part) -> Chunk:
    """Attack the images a model gets right, judge the results, and return one row per image."""
    adapter, spec, (x, y, *_) = task.adapter, task.spec, part
    clean = task.clean_of(part)
    target = _targets(task, part)
    labels, sure = clean.prediction.labels, confidence(clean.prediction, adapter.spec)
    chosen = labels == y
    if target is not None:
        chosen &= target != y
    if spec.source is not None:
        chosen &= y == _class(spec.source, "source", adapter.spec.num_classes)
    chosen &= sure >= spec.least_confidence
    at = chosen.nonzero().squeeze(1)
    x_adv, judged = x.clone(), None
    if len(at):
        aim = None if target is None else target[at]
        attempt = Attempt(spec, x[at], y[at], sure[at], aim)
        tried = _tried(task, part, attempt, at, target)
        shown = readable(attempt.x, tried.x_adv)
        prediction = None if shown is None else decision(adapter, shown)
        verdict = judge(attempt, adapter.spec, tried.x_adv, prediction)
        more = clean_sizes(attempt, adapter.spec)
        if shown is not None:
            x_adv[at] = tried.x_adv
            more |= _shares(adapter, shown, y[at], verdict) | changed_shares(
                attempt, shown, verdict
            )
            more |= before_the_clip(adapter, attempt, tried.unclipped)
        judged = Judged(at.tolist(), attempt, tried, verdict, more)
    rows = rows_of(task, part, row_kind(spec.name).name, {
        "clean_label": labels.tolist(), "clean_confidence": sure.tolist(),
        "correct": (labels == y).tolist(),
        "draws": adapter.draws if isinstance(adapter, Random) else None,
        "clean_share": None if clean.share is None else clean.share.tolist(),
        **_costs(len(x), judged), **_verdicts(len(x), clean.prediction, judged),
    })  # fmt: skip
    return Chunk(rows, x, x_adv, _trace(part.start, judged))


def _targets(task: Task, part: Part) -> torch.Tensor | None:
    """Return the target labels, chosen by the model that the images are crafted on."""
    clean = task.source.clean.of(part.start, part.x, part.y)
    return targets(task.spec.targeted, clean.prediction.scores, part.y, part.target_seed)


def _tried(
    task: Task, part: Part, attempt: Attempt, at: torch.Tensor, target: torch.Tensor | None
) -> AttackResult:
    """Return what is tried on the images `at` of a part.

    Images crafted for several judges are not moved back for confidence reduction, since all judges must
    get the same images.
    """
    source = task.source
    if source.perturbation is not None:
        # A perturbation that was fitted without a clip is measured without it too.
        clips = every_parameter(task.spec.name, dict(task.spec.parameters)).get("clip", True)
        return _of(apply(source.perturbation, part.x, keep_unclipped=not clips), at)
    if source.handed_in is not None:
        return _of(_handed_in(source.handed_in, part), at)
    if source.crafted is not None:
        if part.start not in source.crafted:
            whole_part = Batch(part.x, part.y, target)
            source.crafted[part.start] = _craft(
                task.spec, task.toolkit, source, whole_part, part.seed
            )
        return _of(source.crafted[part.start], at)
    batch = Batch(attempt.x, attempt.y, attempt.target)
    tried = _craft(task.spec, task.toolkit, source, batch, part.seed)
    if task.spec.goal == "confidence-reduction":
        tried = bisect_to_boundary(task.adapter, attempt, tried)
    return tried


def _handed_in(images: HandedIn, part: Part) -> AttackResult:
    """Return the images that others made as what an attack returns; where there are none, that is the reason."""
    x_adv, there = images.instead_of(part.x, part.start)
    none = torch.zeros(len(part.x), dtype=torch.int64)
    why = [None if handed_in else NOT_HANDED_IN for handed_in in there]
    return AttackResult(x_adv, none, none.clone(), None, 0.0, why)


def _craft(
    spec: AttackSpec, toolkit: Toolkit, source: Source, batch: Batch, seed: int
) -> AttackResult:
    net = source.module(spec)
    classes = net.classes if isinstance(net, BlackBox) else source.adapter.spec.num_classes
    return run_attack(spec, toolkit, net, batch, num_classes=classes, seed=seed)


def _shares(
    adapter: Adapter, shown: torch.Tensor, y: torch.Tensor, verdict: Verdict
) -> dict[str, list[float | None]]:
    """Return the shares of a random model's draws that are right about the images tried."""
    if not isinstance(adapter, Random):
        return {}
    counts = [why is None for why in verdict.invalid]
    shares = {}
    for column, purpose in (("share", JUDGING), ("chosen_share", CHOOSING)):
        right = share_right(adapter, shown, y, purpose)
        assert right is not None
        shares[column] = [
            value if counted else None
            for value, counted in zip(right.tolist(), counts, strict=True)
        ]
    return shares


def _of(crafted: AttackResult, at: torch.Tensor) -> AttackResult:
    """Return the results for some of the images, with their share of the time."""
    rows = at.cpu()
    return AttackResult(
        crafted.x_adv[at],
        crafted.forwards[rows],
        crafted.backwards[rows],
        None if crafted.iterations is None else crafted.iterations[rows],
        crafted.seconds * len(at) / len(crafted.x_adv),
        None if crafted.ineffective is None else [crafted.ineffective[i] for i in rows.tolist()],
        None if crafted.unclipped is None else crafted.unclipped[at],
        None if crafted.trace is None else crafted.trace[rows],
        None if crafted.broken_by is None else [crafted.broken_by[i] for i in rows.tolist()],
    )


def _trace(start: int, judged: Judged | None) -> dict[str, torch.Tensor] | None:
    """Return how near the goal each attacked image was in each step; None if the attack keeps no trace."""
    values = judged.tried.trace if judged else None
    if judged is None or values is None:
        return None
    return {"index": start + torch.tensor(judged.at), "values": values}


def _spread(n: int, at: list[int], values: Iterable[Any] | None, empty: Any) -> list[Any]:
    """Return values of the attacked images as a column over all n images, `empty` elsewhere."""
    column = [empty] * n
    for i, value in zip(at, values or [], strict=False):
        column[i] = value
    return column


def _costs(n: int, judged: Judged | None) -> dict[str, list[Any]]:
    """Return the columns on the attack's cost, over all n images of the part."""
    spread = partial(_spread, n, judged.at if judged else [])
    tried, target = (judged.tried, judged.attempt.target) if judged else (None, None)
    iterations = tried.iterations if tried else None
    return {
        "forwards": spread(tried and tried.forwards.tolist(), 0),
        "backwards": spread(tried and tried.backwards.tolist(), 0),
        "iterations": spread(None if iterations is None else iterations.tolist(), None),
        "seconds": spread(judged and [judged.tried.seconds / len(judged.at)] * len(judged.at), 0.0),
        "ineffective": spread(tried and tried.ineffective, None),
        "broken_by": spread(tried and tried.broken_by, None),
        "target": spread(None if target is None else target.tolist(), None),
    }


def _verdicts(n: int, clean: Prediction, judged: Judged | None) -> dict[str, list[Any]]:
    """Return the columns of the judge, over all n images of the part."""
    at = judged.at if judged else []
    spread = partial(_spread, n, at)
    verdict, more = (judged.verdict, judged.more) if judged else (None, {})
    columns = {
        "adv_label": spread(verdict and verdict.adv_label, None),
        "adv_confidence": spread(verdict and verdict.adv_confidence, None),
        "adv_margin": spread(verdict and verdict.adv_margin, None),
        "success": spread(verdict and verdict.success, False),
        "invalid": spread(verdict and verdict.invalid, None),
        "borderline": spread(verdict and verdict.borderline, False),
        "abstained": spread(verdict and verdict.abstained, False),
        **{norm: spread(verdict and verdict.distances[norm], None) for norm in _NORMS},
        **{column: spread(more.get(column), None) for column in _MORE},
        "adversarial_radius": spread(judged and _radii(judged), None),
    }
    near = (margins(clean).abs() < BORDERLINE).tolist()
    abstained = (clean.labels < 0).tolist()
    finite_scores = scored(clean.scores).tolist()
    for i in set(range(n)) - set(at):
        columns["borderline"][i], columns["abstained"][i] = (
            near[i],
            abstained[i] and finite_scores[i],
        )
        columns["invalid"][i] = None if finite_scores[i] else f"clean {SCORES}"
    return columns


def _radii(judged: Judged) -> list[float | None]:
    """Return the linf distance at which each image's label changed, infinity where it did not.

    None for an attack that does not measure this.
    """
    spec, verdict = judged.attempt.spec, judged.verdict
    if row_kind(spec.name).measures is None:
        return [None] * len(verdict.success)
    distances = zip(verdict.success, verdict.distances[spec.norm], strict=True)
    return [distance if success else math.inf for success, distance in distances]


def targets(how: str, scores: torch.Tensor, y: torch.Tensor, seed: int) -> torch.Tensor | None:
    """Return the target label of each image, (N,); None for an untargeted attack.

    `next` is the class after the true one, `least-likely` the class with the lowest clean score,
    `random` any other class, and a number that class (images of it are not attacked).

    Raises:
        SpecError: a class the model does not have.
    """
    classes = scores.shape[1]
    if how == "none":
        return None
    if how == "next":
        return (y + 1) % classes
    if how == "least-likely":
        return scores.scatter(1, y[:, None], torch.inf).argmin(1)
    if how == "random":
        generator = torch.Generator().manual_seed(seed)
        step = torch.randint(1, classes, (len(y),), generator=generator).to(y.device)
        return (y + step) % classes
    return torch.full_like(y, _class(int(how), "targeted", classes))


def _class(named: int, what: str, classes: int) -> int:
    if named >= classes:
        raise SpecError(
            f"{what}: the model has no class {named}; its classes are 0 to {classes - 1}"
        )
    return named
