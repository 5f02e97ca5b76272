"""A model under check: computations that several checks share, done once."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property

import torch

from bench.adapters.generators import device_of
from bench.data.datasets import load_examples
from bench.spec import Adapter, Prediction
from bench.trust.behaviour import IMAGES, Behaviour, judged
from bench.trust.bounds import Bounds

#: How many test images a model is checked on, from the first on.
_IMAGES = 200


@dataclass(frozen=True, eq=False)
class CheckedModel:
    """A model and the images it is checked on; each part is computed when it is first used, and kept.

    Nothing in here may be changed; a check that calls the model passes a copy of the images.

    Attributes:
        adapter: the user's model, or, where its behaviour is known, the form in which it is judged.
        data: the data set that it is registered for.
        root: the folder of data sets; None for the usual one.
        bounds: of the checks.
        observed: its behaviour, where a run has observed it before; None to observe it when it is needed.
    """

    adapter: Adapter
    data: str
    root: str | os.PathLike[str] | None = None
    bounds: Bounds = field(default_factory=Bounds)
    observed: Behaviour | None = None

    @cached_property
    def _examples(self) -> tuple[torch.Tensor, torch.Tensor]:
        part = load_examples(self.data, self.root).first(_IMAGES)
        device = device_of(self.adapter)
        return part.images.to(device), part.labels.to(device)

    @property
    def images(self) -> torch.Tensor:
        """The first 200 test images, float32 (N, C, H, W) in [0, 1], on the model's device.

        Raises:
            PrerequisiteError: the data set is missing.
        """
        return self._examples[0]

    @property
    def labels(self) -> torch.Tensor:
        """Their labels, int64 (N,)."""
        return self._examples[1]

    @property
    def few_images(self) -> torch.Tensor:
        """The images that the model's behaviour was observed on."""
        return self.images[:IMAGES]

    @cached_property
    def _judged(self) -> tuple[Adapter, Behaviour]:
        if self.observed is not None:
            return self.adapter, self.observed
        return judged(self.adapter, self.few_images)

    @property
    def judge(self) -> Adapter:
        """The model in the form in which it is judged: by repeated draws if it is random."""
        return self._judged[0]

    @property
    def behaviour(self) -> Behaviour:
        """How the model answers to repeated calls and in other batches."""
        return self._judged[1]

    @cached_property
    def prediction(self) -> Prediction:
        """The judged model's decisions about the images."""
        return self.judge.predict(self.images.clone())
