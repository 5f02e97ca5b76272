"""What the checks of a run are made on: its models, and each of them under each threat of the headline."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import torch

from bench.adapters.generators import device_of
from bench.data.labelled import LabelledImages
from bench.data.table import fits
from bench.measure.headline import headline, worst_case
from bench.measure.outcomes import Outcomes, broken
from bench.measure.threats import same_radius
from bench.runner.further import attack_further
from bench.runner.plan import Plan
from bench.spec import MINIMAL, Adapter, ImageSet, ModelRequest
from bench.store.results import Results
from bench.trust.behaviour import Behaviour
from bench.trust.bounds import Bounds
from bench.trust.checked_model import CheckedModel
from bench.trust.checked_threat import CheckedThreat


@dataclass(frozen=True, eq=False, kw_only=True)
class RunModel:
    """A model of a run, and the images that it is attacked on.

    Attributes:
        request: the model, as the suite asks for it.
        adapter: the form in which it is judged.
        fingerprint: its own.
        behaviour: as observed before the first attack; None where nobody did.
        attacked: the largest of the image sets that it is attacked on.
        images: of that.
    """

    request: ModelRequest
    adapter: Adapter
    fingerprint: str
    behaviour: Behaviour | None
    attacked: ImageSet
    images: LabelledImages

    @cached_property
    def named(self) -> dict[str, Any]:
        """What the model is, as plain JSON values."""
        return {
            "name": self.request.name,
            "options": dict(self.request.options),
            "fingerprint": self.fingerprint,
        }


@dataclass(frozen=True, eq=False, kw_only=True)
class CheckedRun:
    """A run that is checked; each part is computed when it is first used, and kept.

    Attributes:
        results: of the run, without attacks that nobody asked for.
        models: those that could be loaded, by title, in the order of the suite.
        data: the folder of data sets; None for the usual one.
    """

    results: Results
    models: Mapping[str, RunModel]
    data: str | os.PathLike[str] | None = None
    _threats: dict[tuple[str, str, float], CheckedThreat] = field(
        default_factory=dict, init=False, repr=False
    )
    _batches: dict[tuple[str, bytes], torch.Tensor] = field(
        default_factory=dict, init=False, repr=False
    )

    @cached_property
    def outcomes(self) -> Outcomes:
        """What every attack did to every image."""
        return Outcomes(self.results)

    @cached_property
    def headline(self) -> pd.DataFrame:
        """The worst cases of the run; see `bench.measure.headline.headline`."""
        return headline(self.outcomes)

    @cached_property
    def bounds(self) -> Bounds:
        """The bounds of checks, with those of the suite."""
        return Bounds(self.results.bounds)

    @cached_property
    def seconds(self) -> float:
        """How many seconds the attacks took, in this run or in one before it."""
        return float(self.results.rows["seconds"].fillna(0).sum())

    @cached_property
    def checked_models(self) -> Mapping[str, CheckedModel]:
        """The models for checks that need one, by title; what they compute is kept."""
        return {
            title: CheckedModel(
                model.adapter, model.attacked.data, self.data, self.bounds, model.behaviour
            )
            for title, model in self.models.items()
        }

    def checksum(self, title: str) -> str:
        """Return a text that changes with the images that a model is attacked on."""
        return self._checksums[self.models[title].attacked.data]

    @cached_property
    def _checksums(self) -> Mapping[str, str]:
        """The checksum of the images of each data set."""
        images = {model.attacked.data: model.images for model in self.models.values()}
        return {data: of_data.checksum() for data, of_data in images.items()}

    def cells_at(self, row: Mapping[Any, Any]) -> pd.DataFrame:
        """Return the cells that reach the threat of a row of the headline: of its radius, or of minimal norm."""
        cells = self.outcomes.cells
        cells = cells[(cells["model"] == row["model"]) & (cells["norm"] == row["norm"])]
        reach = same_radius(cells["radius"], float(row["eps"])) | (cells["kind"] == MINIMAL)
        found: pd.DataFrame = cells[reach]
        return found

    def threat(self, row: Mapping[Any, Any]) -> CheckedThreat:
        """Return the model and threat of a row of the headline whose figure is not INVALID, made once."""
        named = str(row["model"]), str(row["norm"]), float(row["eps"])
        if named not in self._threats:
            self._threats[named] = self._threat(row)
        return self._threats[named]

    def _threat(self, row: Mapping[Any, Any]) -> CheckedThreat:
        title, norm, eps = str(row["model"]), row["norm"], float(row["eps"])
        model = self.models[title]
        worst = worst_case(self.outcomes, title, norm, eps)
        assert worst is not None  # the figure would be INVALID
        index = worst.robust.index
        places = torch.tensor(index.to_numpy(), dtype=torch.int64)
        right = self.outcomes.clean[title].reindex(index).fillna(False).astype(bool)
        device = device_of(model.adapter)
        cells = self.cells_at(row)
        counts = [self._broken(cell, eps) for cell in cells["cell"]]
        return CheckedThreat(
            model=self.checked_models[title],
            title=title,
            norm=norm,
            eps=eps,
            eps_text=str(row["eps_text"]),
            x=self._batch(title, places),
            y=model.images.labels[places].to(device),
            correct=torch.tensor(right.to_numpy(bool)),
            robust=torch.tensor((right & (worst.robust > 0.5)).to_numpy(bool)),
            cells=cells.assign(broken=counts),
            pictures=self.results.pictures,
            seed=int(self.results.protocol["seed"]),
            run_attack=attack_further,
            outcomes=self.outcomes,
            index=places,
        )

    def _batch(self, title: str, places: torch.Tensor) -> torch.Tensor:
        """Return images of a model on its device; the threats of a model mostly share theirs."""
        key = title, places.numpy().tobytes()
        if key not in self._batches:
            model = self.models[title]
            self._batches[key] = model.images.batch(places).to(device_of(model.adapter))
        return self._batches[key]

    def _broken(self, cell: str, eps: float) -> int:
        """Return how many images that the model gets right a cell broke within a radius."""
        if cell not in self.outcomes.break_distances:
            return 0
        distances = np.asarray(self.outcomes.break_distances[cell], dtype=np.float64)
        return int((broken(distances, eps) & (distances >= 0)).sum())


def checked_run(plan: Plan, results: Results) -> CheckedRun:
    """Return a run for its checks.

    Args:
        plan: its models and images, as they are now.
        results: what it left.
    """
    return CheckedRun(
        results=results.as_asked().without_added(), models=dict(_models(plan)), data=plan.data
    )


def _models(plan: Plan) -> Iterator[tuple[str, RunModel]]:
    """Yield the models of a plan by title."""
    for request in plan.suite.models:
        adapter = plan.adapters[request]
        own = {
            wanted: images
            for wanted, images in plan.images.items()
            if fits(wanted.data, adapter.spec.data)
        }
        if own:
            largest = max(own, key=lambda wanted: len(own[wanted]))
            yield (
                request.title(),
                RunModel(
                    request=request,
                    adapter=adapter,
                    fingerprint=plan.fingerprints[request],
                    behaviour=plan.behaviours.get(request),
                    attacked=largest,
                    images=own[largest],
                ),
            )
