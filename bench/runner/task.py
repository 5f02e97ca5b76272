"""What is computed about images, chunk by chunk: by whom it is judged, and where images are crafted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import pandas as pd
import torch

from bench.attacks.catalogue import access
from bench.attacks.run_attack import AttackResult
from bench.errors import SpecError
from bench.runner.cache import Clean, CleanPredictions
from bench.spec import (
    BLACK_BOX_SURFACE,
    COLUMNS,
    Adapter,
    AttackSpec,
    Toolkit,
)
from bench.train.families import abstaining_is_wrong


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


def surface_of(adapter: Adapter, spec: AttackSpec, name: str) -> torch.nn.Module:
    """Return the module that an attack is given: one of the model's surfaces, or its answers alone.

    Raises:
        SpecError: the model has no such surface, or the attack takes none.
    """
    if name == BLACK_BOX_SURFACE:
        return BlackBox(adapter)
    if access(spec.name) != "white":
        raise SpecError(f"{spec.name} is a black-box attack; its surface is {BLACK_BOX_SURFACE!r}")
    surfaces = adapter.surfaces()
    if name not in surfaces:
        raise SpecError(
            f"{adapter.spec.name} has no surface {name!r}; it has: "
            f"{', '.join(surfaces) or 'none, so only black-box attacks reach it'}"
        )
    return surfaces[name]


class Part(NamedTuple):
    """Images that are attacked together, and what is random about them.

    Attributes:
        x: images, float32 (N, C, H, W) in [0, 1], on the model's device.
        y: int64 (N,), their labels.
        start: position of the first in the image set.
        seed: of the attack's randomness.
        target_seed: of targets drawn at random.
    """

    x: torch.Tensor
    y: torch.Tensor
    start: int
    seed: int
    target_seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where the images that a model judges are crafted.

    Attributes:
        surface: which surface, of the model of `clean`; `predict` for black-box attacks.
        clean: what that model says of the clean images; targets are chosen by it.
        crafted: for several that judge the same images, what was crafted so far, by where chunks begin:
            all images of a chunk are attacked, also those that this model gets wrong, since what one
            judge is shown must not depend on which others there are. None where the judge is attacked
            itself, on the images that it gets right.
        perturbation: (C, H, W), fitted before, which is added to every image; else None.
    """

    surface: str
    clean: CleanPredictions
    crafted: dict[int, AttackResult] | None = None
    perturbation: torch.Tensor | None = None

    @property
    def adapter(self) -> Adapter:
        """Return the model on whose surface images are crafted."""
        return self.clean.adapter


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is computed about images: a cell's, or those of one call of `bench.attack`.

    Attributes:
        spec: the attack, or what is measured.
        toolkit: who runs it.
        clean: what the model says of the clean images, which judges.
        source: where images are crafted.
        named: the row columns that say what this is, where the model and the attack do not.
    """

    spec: AttackSpec
    toolkit: Toolkit
    clean: CleanPredictions
    source: Source
    named: Mapping[str, Any]

    @property
    def adapter(self) -> Adapter:
        """Return the model, which judges."""
        return self.clean.adapter

    def clean_of(self, part: Part) -> Clean:
        """Return what the model says of clean images."""
        return self.clean.of(part.start, part.x, part.y)


class Chunk(NamedTuple):
    """What was found out about some images: a row each, and the images tried."""

    rows: pd.DataFrame
    x: torch.Tensor
    x_adv: torch.Tensor


def rows_of(task: Task, part: Part, kind: str, measured: Mapping[str, Any]) -> pd.DataFrame:
    """Return a row an image, with `spec.COLUMNS`.

    Args:
        task: what was computed.
        part: the images.
        kind: the name of the kind of rows.
        measured: column to what was found out: a value an image, or one for all. Columns without are
            null, or false where nothing may be null; `clean_label` and `correct` are always needed.
    """
    model, spec = task.adapter.spec, task.spec
    columns: dict[str, Any] = {
        **dict.fromkeys(COLUMNS), "cell": "", "kind": kind, "dataset": model.data, "split": "",
        "model": model.name, **task.named, "index": range(part.start, part.start + len(part.x)),
        "family": model.family, "attack": spec.name, "toolkit": task.toolkit,
        "surface": task.source.surface, "norm": spec.norm, "eps": spec.radius, "goal": spec.goal,
        "targeted": spec.targeted, "label": part.y.tolist(), "success": False, "borderline": False,
        "abstained": False, "seed": part.seed, **measured,
    }  # fmt: skip
    return pd.DataFrame({name: columns[name] for name in COLUMNS})
