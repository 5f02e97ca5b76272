"""Models for a plan that is only displayed: nothing is trained or embedded."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from bench.data.table import DATASETS
from bench.model_names import MODELS, trained_as
from bench.spec import Adapter, Cell, Certificate, Loss, ModelRequest, ModelSpec, Prediction
from bench.train.families import family_named
from bench.train.recipes import recipe
from bench.zoo import combined, has_to_be_trained, load_model, sketch_model

#: The fingerprint of a model that does not exist yet; no real one has spaces.
_UNKNOWN = "not known yet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """A model that does not exist yet: only what is needed to plan its cells is known.

    Attributes:
        names: of its surfaces.
    """

    spec: ModelSpec
    names: tuple[str, ...]

    def predict(self, x: torch.Tensor) -> Prediction:
        raise NotImplementedError(self.spec.name)

    def gradient(
        self, x: torch.Tensor, y: torch.Tensor, loss: Loss = "ce", surface: str | None = None
    ) -> torch.Tensor:
        raise NotImplementedError(self.spec.name)

    def surfaces(self) -> Mapping[str, nn.Module]:
        return {name: nn.Identity() for name in self.names}

    def fingerprint(self) -> str:
        return _UNKNOWN


class CertifierOutline(Outline):
    """An outline of a model that certifies its decisions."""

    def certify(self, x: torch.Tensor, n0: int, n: int, alpha: float) -> Certificate:
        raise NotImplementedError(self.spec.name)


def is_later(cell: Cell) -> bool:
    """Return whether a cell's key is not known yet, since one of its models does not exist yet."""
    prints = [cell.fingerprint]
    prints += [cell.fit.fingerprint] if cell.fit is not None else []
    prints += [cell.crafted_on.fingerprint] if cell.crafted_on is not None else []
    return _UNKNOWN in prints


def sketched(request: ModelRequest, *, device: str, data: str | os.PathLike[str] | None) -> Adapter:
    """Return a model to plan with, which has the fingerprint and the speed of the real one.

    It is an `Outline` if the model has to be trained or has to embed its training images first.

    Raises:
        BenchError: as `load_model`.
    """
    name, options = request.name, dict(request.options)
    if not MODELS[name].facts["recipe"]:
        return load_model(name, options, device=device, data=data)
    if has_to_be_trained(trained_as(name, options)):
        return _outline(name)
    sketch = sketch_model(name, options, device=device, data=data)
    return _outline(name) if sketch is None else sketch


def sketched_of(
    request: ModelRequest,
    members: Mapping[ModelRequest, Adapter],
    *,
    data: str | os.PathLike[str] | None,
) -> Adapter:
    """Return a model to plan with that is made of others, given these; as `sketched`."""
    name, options = request.name, dict(request.options)
    if not any(isinstance(member, Outline) for member in members.values()):
        whole = combined(name, members, options, data=data, quickly=True)
        if whole is not None:
            return whole
    family = family_named(MODELS[name].facts["family"])
    return _outline(name, family.surfaces_of(name, members, options))


def _outline(name: str, names: tuple[str, ...] | None = None) -> Outline:
    facts = MODELS[name].facts
    family, data = family_named(facts["family"]), DATASETS[facts["data"]]
    spec = ModelSpec(
        name=name, family=family.name, data=data.name, input_shape=data.input_shape,
        num_classes=len(data.classes),
    )  # fmt: skip
    kind = CertifierOutline if family.certifies else Outline
    if names is None:
        names = family.surfaces(recipe(trained_as(name, {})))
    return kind(spec=spec, names=names)
