"""Computing a cell: the only place where a result is made.

Clean images go to the driver, what it returns goes to the judge, and rows come out.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Iterable
from functools import partial
from typing import Any

import pandas as pd
import torch

from bench.adapters.generators import device_of
from bench.attacks.catalogue import access, row_kind
from bench.attacks.run_attack import AttackResult, apply, run_attack
from bench.data.datasets import LabelledImages
from bench.errors import AdapterError, SpecError
from bench.registry import users_code
from bench.runner.cache import Chunk, Clean, CleanPredictions, Climber
from bench.runner.certify import certify_images
from bench.runner.confidence_reduction import bisect_to_boundary, plain
from bench.runner.judge import (
    BORDERLINE,
    CHOOSING,
    JUDGING,
    SCORES,
    Verdict,
    confidence,
    decision,
    judge,
    margins,
    readable,
    scored,
    share_right,
)
from bench.spec import (
    BLACK_BOX_SURFACE,
    COLUMNS,
    Adapter,
    AttackSpec,
    Cell,
    Prediction,
    Random,
    Toolkit,
)
from bench.store.identity import canonical_json, cell_key, identity
from bench.train.families import abstaining_is_wrong

PICTURES = 16


class BlackBox(torch.nn.Module):
    """A model's answers without its gradient: all that a black-box attack is shown.

    Toolkits take the class of the largest score for the decision. Of a tied vote that may be the true
    class, although a tie is a wrong answer. So a model of a family that may say no class has one
    class more here, the last, which has the largest score where it says none, and the least elsewhere.

    Attributes:
        classes: how many scores an image gets.
    """

    def __init__(self, adapter: Adapter) -> None:
        super().__init__()
        self.adapter = adapter
        self.may_abstain = abstaining_is_wrong(adapter.spec.family)
        self.classes = adapter.spec.num_classes + self.may_abstain

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the scores (N, classes) of images (N, C, H, W), cut off from any graph."""
        labels, scores = self.adapter.predict(x.detach())
        scores = scores.detach()
        if not self.may_abstain:
            return scores
        none = torch.where(labels < 0, scores.amax(1) + 1, scores.amin(1))
        return torch.cat([scores, none.unsqueeze(1)], dim=1)


def chunk_seed(cell: Cell, start: int) -> int:
    """Return the seed of a chunk; toolkits share it, so that their random starts can agree."""
    maker = dataclasses.replace(cell.maker(), attack=plain(cell.attack))
    named = {key: value for key, value in identity(maker).items() if key != "toolkit"}
    return _seed(repr(sorted(named.items())), start)


def fit_identity(cell: Cell) -> dict[str, Any]:
    """Return everything that decides the perturbation a cell applies, as plain JSON values.

    Cells of other models, and of other images under attack, may have the same: then they share it.
    """
    named = identity(cell)
    parameters = {
        parameter: said
        for parameter, said in cell.attack.parameters
        if parameter not in ("fit", "fitted_on")
    }
    attack = {**named["attack"], "words": parameters}
    return {name: named[name] for name in ("version", "fit", "toolkit", "seed")} | {
        "attack": attack
    }


def fit_seed(cell: Cell) -> int:
    """Return the seed of a cell's perturbation; toolkits share it."""
    named = {key: value for key, value in fit_identity(cell).items() if key != "toolkit"}
    return _seed(canonical_json(named))


def _seed(*parts: object) -> int:
    digest = hashlib.sha256("|".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


@users_code()
def compute_chunk(
    cell: Cell,
    adapter: Adapter,
    clean: CleanPredictions,
    images: LabelledImages,
    start: int,
    perturbation: torch.Tensor | None = None,
    climber: Climber | None = None,
) -> Chunk:
    """Return the rows of the chunk of a cell that begins at image `start`.

    Where the cell's images are made on another model's surface, all images of the chunk are
    attacked there, also those that model gets wrong: what one judge is shown must not depend on
    which others there are.

    Args:
        cell: what is computed.
        adapter: the model, which judges.
        clean: what it says of clean images.
        images: of the cell.
        start: where the chunk begins.
        perturbation: (C, H, W), what a fitted attack adds to every image.
        climber: whose surface is climbed, for a cell that says so.
    """
    device = device_of(adapter)
    part = slice(start, start + cell.batch_size)
    x = (images.raw[part].float() / images.top).to(device)
    y = images.labels[part].to(device)
    target_seed = _seed(cell.seed, cell.checksum, start)
    named = {
        "cell": cell_key(cell),
        "dataset": cell.images.data,
        "split": cell.images.split,
        "model": cell.model.title(),
    }
    seed, spec = chunk_seed(cell, start), cell.attack
    if cell.kind == "certify":
        return certify_images(adapter, x, y, spec, seed=seed, start=start, named=named)
    own = clean.of(start, x, y)
    guide = own if climber is None else climber.clean.of(start, x, y)
    target = targets(spec.targeted, guide.said.scores, y, target_seed)
    found = None if perturbation is None else apply(perturbation, x)
    if climber is not None:
        module = climbed(climber.adapter, spec, cell.surface)
        classes = adapter.spec.num_classes
        found = climber.shared.of(
            cell_key(cell.maker()), start,
            lambda: run_attack(spec, cell.toolkit, module, x, y, target=target, num_classes=classes,
                          seed=seed),
        )  # fmt: skip
    return attack_images(
        adapter, x, y, spec, cell.toolkit, cell.surface, own, target,
        seed=seed, start=start, named=named, found=found,
    )  # fmt: skip


def attack_images(
    adapter: Adapter,
    x: torch.Tensor,
    y: torch.Tensor,
    spec: AttackSpec,
    toolkit: Toolkit,
    surface: str,
    asked: Clean,
    target: torch.Tensor | None,
    *,
    seed: int,
    start: int = 0,
    named: dict[str, Any] | None = None,
    found: AttackResult | None = None,
) -> Chunk:
    """Attack the images a model gets right, judge what was tried, and return a row an image.

    Args:
        adapter: the model; its surface is climbed, its `predict` judges.
        x: images (N, C, H, W) in [0, 1].
        y: labels (N,).
        spec: the attack.
        toolkit: who runs it.
        surface: the name of one of the model's surfaces, or `predict` for black-box attacks.
        asked: what the model says of `x`.
        target: the label each image is to get, (N,); None for an untargeted attack.
        seed: of the attack's randomness.
        start: index of the first image.
        named: the row columns that say what this is.
        found: what was already found for all of `x`, in place of an attack.
    """
    clean = asked.said
    chosen = clean.labels == y
    if target is not None:
        chosen &= target != y
    if spec.source is not None:
        chosen &= y == _class(spec.source, "source", adapter.spec.num_classes)
    said_so = confidence(clean, adapter.spec)
    chosen &= said_so >= spec.least_confidence
    at = chosen.nonzero().squeeze(1)
    aim = None if target is None else target[at]
    x_adv = x.clone()
    tried, verdict, shares = None, None, None
    if len(at):
        if found is not None:
            tried = _of(found, at)
        else:
            net = climbed(adapter, spec, surface)
            classes = net.classes if isinstance(net, BlackBox) else adapter.spec.num_classes
            tried = run_attack(
                spec, toolkit, net, x[at], y[at], target=aim, num_classes=classes, seed=seed
            )
            if spec.goal == "confidence-reduction":
                tried = bisect_to_boundary(adapter, spec, x[at], y[at], tried, said_so[at])
        shown = readable(x[at], tried.x_adv)
        said = None if shown is None else decision(adapter, shown)
        verdict = judge(spec, adapter.spec, x[at], y[at], tried.x_adv, said, aim, said_so[at])
        if shown is not None:
            x_adv[at] = tried.x_adv
            shares = _shares(adapter, shown, y[at], verdict)
    columns: dict[str, Any] = {
        "cell": "", "kind": row_kind(spec.name), "dataset": adapter.spec.data, "split": "",
        "model": adapter.spec.name, **(named or {}),
        "index": range(start, start + len(x)), "family": adapter.spec.family,
        "attack": spec.name, "toolkit": toolkit, "surface": surface, "norm": spec.norm,
        "eps": spec.radius, "goal": spec.goal, "targeted": spec.targeted, "label": y.tolist(),
        "clean_label": clean.labels.tolist(),
        "clean_confidence": said_so.tolist(),
        "correct": (clean.labels == y).tolist(), "seed": seed,
        "certified_radius": None,
        "draws": adapter.draws if isinstance(adapter, Random) else None,
        "clean_share": None if asked.share is None else asked.share.tolist(),
        **_attacked(spec, len(x), at.tolist(), clean, aim, tried, verdict),
        **_spread_shares(len(x), at.tolist(), shares),
    }  # fmt: skip
    return Chunk(pd.DataFrame({name: columns[name] for name in COLUMNS}), x, x_adv)


def _shares(
    adapter: Adapter, shown: torch.Tensor, y: torch.Tensor, verdict: Verdict
) -> dict[str, list[float | None]] | None:
    """Return the shares of a random model's draws that are right about images tried; None of others."""
    if not isinstance(adapter, Random):
        return None
    counts = [why is None for why in verdict.invalid]
    found = {}
    for column, purpose in (("share", JUDGING), ("chosen_share", CHOOSING)):
        right = share_right(adapter, shown, y, purpose)
        assert right is not None
        found[column] = [
            value if known else None for value, known in zip(right.tolist(), counts, strict=True)
        ]
    return found


def _of(found: AttackResult, at: torch.Tensor) -> AttackResult:
    """Return what was found for some of the images, and their share of the time."""
    rows = at.cpu()
    return AttackResult(
        found.x_adv[at],
        found.forwards[rows],
        found.backwards[rows],
        None if found.iterations is None else found.iterations[rows],
        found.seconds * len(at) / len(found.x_adv),
        None if found.ineffective is None else [found.ineffective[i] for i in rows.tolist()],
    )


def climbed(adapter: Adapter, spec: AttackSpec, surface: str) -> torch.nn.Module:
    """Return the module that an attack is given: one of the model's surfaces, or its answers alone.

    Raises:
        SpecError: the model has no such surface, or the attack takes none.
    """
    if surface == BLACK_BOX_SURFACE:
        return BlackBox(adapter)
    if access(spec.name) != "white":
        raise SpecError(f"{spec.name} is a black-box attack; its surface is {BLACK_BOX_SURFACE!r}")
    surfaces = adapter.surfaces()
    if surface not in surfaces:
        raise SpecError(
            f"{adapter.spec.name} has no surface {surface!r}; it has: "
            f"{', '.join(surfaces) or 'none, so only black-box attacks reach it'}"
        )
    return surfaces[surface]


def _spread(n: int, at: list[int], values: Iterable[Any] | None, empty: Any) -> list[Any]:
    """Return values of the attacked images as a column of all n; the others are empty."""
    column = [empty] * n
    for i, value in zip(at, values or [], strict=False):
        column[i] = value
    return column


def _spread_shares(
    n: int, at: list[int], shares: dict[str, list[float | None]] | None
) -> dict[str, list[Any]]:
    return {
        column: _spread(n, at, shares and shares[column], None)
        for column in ("share", "chosen_share")
    }


def _attacked(
    spec: AttackSpec,
    n: int,
    at: list[int],
    clean: Prediction,
    aim: torch.Tensor | None,
    tried: AttackResult | None,
    verdict: Verdict | None,
) -> dict[str, list[Any]]:
    """Return the columns that only attacked images fill, spread over all images of the chunk."""
    spread = partial(_spread, n, at)
    counts = {
        "forwards": spread(tried and tried.forwards.tolist(), 0),
        "backwards": spread(tried and tried.backwards.tolist(), 0),
        "iterations": spread(
            tried.iterations.tolist() if tried and tried.iterations is not None else None, None
        ),
        "seconds": spread(tried and [tried.seconds / len(at)] * len(at), 0.0),
        "target": spread(None if aim is None else aim.tolist(), None),
    }
    near = (margins(clean).abs() < BORDERLINE).tolist()
    abstained = (clean.labels < 0).tolist()
    judged = {
        "adv_label": spread(verdict and verdict.adv_label, None),
        "adv_confidence": spread(verdict and verdict.adv_confidence, None),
        "adv_margin": spread(verdict and verdict.adv_margin, None),
        "ineffective": spread(tried and tried.ineffective, None),
        "success": spread(verdict and verdict.success, False),
        "invalid": spread(verdict and verdict.invalid, None),
        "borderline": spread(verdict and verdict.borderline, False),
        "abstained": spread(verdict and verdict.abstained, False),
        **{
            norm: spread(verdict and verdict.distances[norm], None)
            for norm in ("l0", "l1", "l2", "linf")
        },
        "adversarial_radius": spread(verdict and _radii(spec, verdict), None),
    }
    known = scored(clean.scores).tolist()
    for i in set(range(n)) - set(at):
        judged["borderline"][i], judged["abstained"][i] = near[i], abstained[i] and known[i]
        judged["invalid"][i] = None if known[i] else f"clean {SCORES}"
    return counts | judged


def _radii(spec: AttackSpec, verdict: Verdict) -> list[float | None]:
    """Return how far each image went until its label changed, infinity where it did not.

    None of an attack that does not measure that.
    """
    if row_kind(spec.name) != "radius":
        return [None] * len(verdict.success)
    found = zip(verdict.success, verdict.distances[spec.norm], strict=True)
    return [distance if success else math.inf for success, distance in found]


def targets(how: str, scores: torch.Tensor, y: torch.Tensor, seed: int) -> torch.Tensor | None:
    """Return the label each image is to get, (N,); None for an untargeted attack.

    `next` is the class after the true one, `least-likely` the one of the lowest clean score,
    `random` any other class, and a number that class (images of it are left alone).

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


def check_images(adapter: Adapter, x: torch.Tensor, y: torch.Tensor) -> None:
    """Raise unless images and labels are what a model can be asked about.

    Raises:
        SpecError: a wrong shape or dtype, values outside [0, 1], or labels that do not exist.
        AdapterError: images of a shape the model does not take.
    """
    if x.ndim != 4 or not x.is_floating_point():
        help_ = "" if x.is_floating_point() else "; divide what is from 0 to 255 by 255"
        raise SpecError(f"images must be float (N, C, H, W), got {x.dtype} {tuple(x.shape)}{help_}")
    if tuple(x.shape[1:]) != tuple(adapter.spec.input_shape):
        raise AdapterError(
            f"{adapter.spec.name} takes images of shape {tuple(adapter.spec.input_shape)}, "
            f"these are {tuple(x.shape[1:])}"
        )
    low, high = (float(x.min()), float(x.max())) if x.numel() else (0.0, 0.0)
    if not (low >= 0 and high <= 1):
        raise SpecError(
            f"images must lie in [0, 1], these span [{low:.4g}, {high:.4g}]; "
            f"divide by 255, and leave normalisation to the model (bench.wrap's mean and std)"
        )
    if y.shape != (len(x),) or y.is_floating_point():
        help_ = "; take the argmax of one-hot labels" if y.ndim == 2 else ""
        raise SpecError(
            f"labels must be integers ({len(x)},), got {y.dtype} {tuple(y.shape)}{help_}"
        )
    if len(y) and not (int(y.min()) >= 0 and int(y.max()) < adapter.spec.num_classes):
        raise SpecError(
            f"labels run from {int(y.min())} to {int(y.max())}, "
            f"{adapter.spec.name} has classes 0 to {adapter.spec.num_classes - 1}"
        )
