"""What is computed for images, chunk by chunk: the judging model, and where images are crafted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import pandas as pd
import torch

from bench.attacks.catalogue import access
from bench.attacks.run_attack import AttackResult
from bench.data.handed_in import HandedIn
from bench.errors import SpecError
from bench.registry import unknown
from bench.runner.cache import Clean, CleanPredictions
from bench.spec import (
    BLACK_BOX_SURFACE,
    COLUMNS,
    WHOLE_MODEL_SURFACE,
    Adapter,
    AttackSpec,
    Toolkit,
    transfer_source,
)
from bench.train.families import abstaining_is_wrong


class BlackBox(torch.nn.Module):
    """A model's answers without its gradient, for black-box attacks.

    Toolkits take the class with the largest score as the decision. For a tied vote that may be the true
    class, although a tie is a wrong answer. So a model of a family where abstaining is wrong gets one
    extra class here, the last: it has the largest score where the model abstains, and the smallest
    elsewhere. An abstention of a smoothed model is no success, so such a model gets none.

    Attributes:
        classes: number of scores per image.
        scores: whether they are logits or probabilities, as in `ModelSpec`.
    """

    def __init__(self, adapter: Adapter) -> None:
        super().__init__()
        self.adapter = adapter
        self.scores: str = adapter.spec.scores
        self.may_abstain = abstaining_is_wrong(adapter.spec.family)
        self.classes = adapter.spec.num_classes + self.may_abstain

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the scores (N, classes) of images (N, C, H, W), detached from any graph."""
        labels, scores = self.adapter.predict(x.detach())
        scores = scores.detach()
        if not self.may_abstain:
            return scores
        none = torch.where(labels < 0, scores.amax(1) + 1, scores.amin(1))
        return torch.cat([scores, none.unsqueeze(1)], dim=1)


class WholeModel(BlackBox):
    """A model and everything in it, for attacks that look for whatever way there is.

    Attributes:
        surfaces: its differentiable views by name.
        networks: the modules, images to scores, that it consists of: those views and, of a network in which
            no gradient flows, the network itself.
    """

    def __init__(self, adapter: Adapter) -> None:
        super().__init__(adapter)
        self.surfaces = dict(adapter.surfaces())
        self.networks = _networks(adapter)
        # As parts of this module they are frozen and in evaluation mode while an attack runs.
        self.parts = torch.nn.ModuleList([*self.surfaces.values(), *self.networks.values()])


def _networks(adapter: Adapter) -> dict[str, torch.nn.Module]:
    """Return the modules inside a model, images to scores, by name; none of one that can only predict."""
    inner = getattr(adapter, "inner", adapter)
    module = getattr(inner, "module", None)
    found = dict(adapter.surfaces())
    if not found and isinstance(module, torch.nn.Module):
        found["network"] = module
    return found


def whole_surface(adapter: Adapter) -> str:
    """Return the surface of an attack that sees the whole model: only its answers if there is nothing else."""
    return WHOLE_MODEL_SURFACE if _networks(adapter) else BLACK_BOX_SURFACE


def own_surface(adapter: Adapter, name: str) -> str:
    """Return what a model calls a surface of its own: the first one for other models and for the whole of it."""
    named_otherwise = name == WHOLE_MODEL_SURFACE or transfer_source(name) is not None
    return next(iter(adapter.surfaces()), name) if named_otherwise else name


def surface_of(adapter: Adapter, spec: AttackSpec, name: str) -> torch.nn.Module:
    """Return the module that an attack gets: one of the model's surfaces, the whole of it, or only its answers.

    Raises:
        SpecError: the model has no such surface, or the attack takes none.
    """
    if name == BLACK_BOX_SURFACE:
        return BlackBox(adapter)
    if access(spec.name) == "whole":
        if name == WHOLE_MODEL_SURFACE:
            return WholeModel(adapter)
        raise SpecError(f"{spec.name} sees the whole model; its surface is {WHOLE_MODEL_SURFACE!r}")
    if access(spec.name) != "white":
        raise SpecError(f"{spec.name} is a black-box attack; its surface is {BLACK_BOX_SURFACE!r}")
    surfaces, name = adapter.surfaces(), own_surface(adapter, name)
    if name not in surfaces:
        raise SpecError(
            f"{adapter.spec.name} has no surface {name!r}; it has: "
            f"{', '.join(surfaces) or 'none, so only black-box attacks reach it'}"
        )
    return surfaces[name]


class Part(NamedTuple):
    """Images that are attacked together, and their seeds.

    Attributes:
        x: images, float32 (N, C, H, W) in [0, 1], on the model's device.
        y: int64 (N,), their labels.
        start: position of the first image in the image set.
        seed: of the attack's randomness.
        target_seed: of randomly drawn targets.
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
        surface: the surface of the model of `clean`; `predict` for black-box attacks, `whole model` for those that see
            all of it.
        clean: that model's answers to the clean images, by which targets are chosen.
        crafted: if several models judge the same images, the images crafted so far, by chunk start. Then
            all images of a chunk are attacked, even those that one of the models gets wrong, since the
            images one judge gets must not depend on the other judges. All their cells have the seed of
            that single attack and report its cost. None if the judge itself is attacked, on the images
            that it gets right.
        perturbation: (C, H, W), fitted before, which is added to every image; else None.
        substitute: images to logits, in place of a surface of the model; else None.
        handed_in: the images that others made; else None.
    """

    surface: str
    clean: CleanPredictions
    crafted: dict[int, AttackResult] | None = None
    perturbation: torch.Tensor | None = None
    substitute: torch.nn.Module | None = None
    handed_in: HandedIn | None = None

    @property
    def adapter(self) -> Adapter:
        """Return the model that images are crafted on."""
        return self.clean.adapter

    def module(self, spec: AttackSpec) -> torch.nn.Module:
        """Return the module that an attack gets.

        Raises:
            SpecError: as `surface_of`.
        """
        if self.substitute is not None:
            return self.substitute
        return surface_of(self.adapter, spec, self.surface)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is computed for the images of a cell, or of one call of `bench.attack`.

    Attributes:
        spec: the attack or measurement.
        toolkit: the toolkit that runs it.
        clean: the judging model's answers to the clean images.
        source: where images are crafted.
        named: values of the identifying row columns that follow neither from the model nor the attack.
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
        """Return the model's answers to the clean images of a part."""
        return self.clean.of(part.start, part.x, part.y)


class Chunk(NamedTuple):
    """The results for some images: one row each, and the images tried.

    Attributes:
        trace: how near the goal each attacked image was in each step, as `bench.store.parts.Arrays` has it;
            None for attacks that keep none, and if no image was attacked.
    """

    rows: pd.DataFrame
    x: torch.Tensor
    x_adv: torch.Tensor
    trace: Mapping[str, torch.Tensor] | None = None


def rows_of(task: Task, part: Part, kind: str, measured: Mapping[str, Any]) -> pd.DataFrame:
    """Return one row per image, with `spec.COLUMNS`.

    Args:
        task: what was computed.
        part: the images.
        kind: the name of the kind of rows.
        measured: results by column, one value per image or one for all. Columns that are missing here
            become null, or false if they must not be null; `clean_label` and `correct` are required.

    Raises:
        SpecError: a column that rows do not have.
    """
    for name in measured:
        if name not in COLUMNS:
            raise unknown("column", name, list(COLUMNS))
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
