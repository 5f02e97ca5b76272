"""Models that can only predict: no surface, so only black-box attacks reach them."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from bench.adapters.fingerprint import fingerprint
from bench.adapters.outputs import mistaken, shape_of
from bench.errors import AdapterError, SpecError
from bench.registry import first_line, users_code, where
from bench.spec import Loss, ModelSpec, Prediction


@dataclass(frozen=True, slots=True)
class PredictOnlyAdapter:
    """A function from images to class scores, or to labels, as a model of the benchmark."""

    spec: ModelSpec
    function: Callable[[torch.Tensor], Any]
    known_as: str | None

    @users_code()
    def predict(self, x: torch.Tensor) -> Prediction:
        """Return the function's decision; if it gives labels only, the scores are one-hot.

        Scores that are not finite are passed on: the judge marks the images that have them.

        Raises:
            AdapterError: the output has the wrong shape.
        """
        # A copy: some functions write into their input.
        output = _tensor(self.function(x.clone())).to(x.device)
        classes = self.spec.num_classes
        if output.shape == (len(x),) and not output.is_floating_point():
            labels = output.long()
            if len(labels) and (labels.min() < -1 or labels.max() >= classes):
                raise AdapterError(
                    f"the function gives labels from {int(labels.min())} to {int(labels.max())}, "
                    f"not 0 to num_classes - 1 = {classes - 1} (or -1 to abstain)"
                )
            scores = torch.zeros(len(x), classes, device=x.device)
            scores[labels >= 0] = nn.functional.one_hot(labels[labels >= 0], classes).float()
            return Prediction(labels, scores)
        if output.shape != (len(x), classes):
            raise AdapterError(
                f"the function gives shape {tuple(output.shape)} for {len(x)} images; it must give "
                f"scores ({len(x)}, {classes}) or integer labels ({len(x)},)"
            )
        scores = output.to(torch.float32, copy=True)
        return Prediction(scores.argmax(1), scores)

    def gradient(
        self, x: torch.Tensor, y: torch.Tensor, loss: Loss = "ce", surface: str | None = None
    ) -> torch.Tensor:
        """Raise: there is nothing to differentiate.

        Raises:
            SpecError: always.
        """
        raise SpecError(f"{self.spec.name} can only predict; it has no gradient")

    def surfaces(self) -> Mapping[str, nn.Module]:
        return {}

    @property
    def may_wait(self) -> bool:
        """Return True: the function may call a remote service."""
        return True

    def registered(self, name: str, data: str, ours: bool) -> PredictOnlyAdapter:
        """Return the model under its registered name; see `bench.adapters.abilities.Registrable`."""
        spec = dataclasses.replace(self.spec, name=name, data=data)
        return dataclasses.replace(self, spec=spec)

    @users_code()
    def fingerprint(self) -> str:
        """Return a digest of the text given for the model, else of everything that its function reaches."""
        if self.known_as is None:
            return fingerprint(self.function, self.spec.num_classes, self.spec.scores)
        # A model whose scores are logits must differ from one with probabilities and the same text.
        read = " logits" if self.spec.scores == "logits" else ""
        return hashlib.sha256(f"{self.known_as}{read}".encode()).hexdigest()[:20]


def _tensor(value: Any) -> torch.Tensor:
    """Return the output of a function as a tensor on the CPU."""
    if isinstance(value, torch.Tensor):
        return value.detach().cpu()
    if isinstance(value, tuple | Mapping):
        raise AdapterError(
            f"the function returns a {type(value).__name__}; return its scores or its labels alone"
        )
    try:
        return torch.as_tensor(np.asarray(value))
    except (TypeError, ValueError) as error:
        first = np.asarray(value, dtype=object).ravel()[:1].tolist()
        raise AdapterError(
            f"the function gives {first[0] if first else value!r} and the like, which are neither scores "
            f"nor integer labels from 0"
        ) from error


def wrap_predict(
    function: Callable[[torch.Tensor], Any],
    num_classes: int,
    input_shape: tuple[int, int, int],
    scores: str = "probabilities",
    fingerprint: str | None = None,
    name: str = "unnamed",
    data: str = "",
) -> PredictOnlyAdapter:
    """Return a model of the benchmark from a function that only predicts.

    Args:
        function: float32 images (N, C, H, W) in [0, 1] to scores (N, num_classes) or to integer
            labels (N,), as a tensor, an array or a list.
        num_classes: number of classes.
        input_shape: (C, H, W).
        scores: whether the scores are `probabilities` or `logits`.
        fingerprint: a text that changes whenever the model does, such as its weights' sha256;
            without it, the code of the function and everything that it reaches identify the model.
        name: the model's name; a registered model gets the name it is registered under.
        data: the data set it classifies; likewise.

    Raises:
        AdapterError: the function returns something else, or scores that are not what `scores` says.
    """
    if not callable(function):
        raise AdapterError(
            f"wrap_predict: {function!r} is not a function; give one, such as its predict method"
        )
    if scores not in ("probabilities", "logits"):
        raise AdapterError(f"wrap_predict: scores={scores!r} is not 'probabilities' or 'logits'")
    num_classes, input_shape = shape_of("wrap_predict", num_classes, input_shape)
    spec = ModelSpec(
        name=name,
        family="features",
        data=data,
        input_shape=input_shape,
        num_classes=num_classes,
        scores="logits" if scores == "logits" else "probabilities",
    )
    adapter = PredictOnlyAdapter(spec, function, fingerprint)
    _probe(adapter)
    return adapter


def _probe(adapter: PredictOnlyAdapter) -> None:
    """Run the function on a few images, so that a wrong one fails here and not hours later."""
    generator = torch.Generator().manual_seed(0)
    shape = (2, *adapter.spec.input_shape)
    ramp = torch.linspace(0, 1, math.prod(shape)).view(shape)
    images = (torch.full(shape, 0.5), ramp, torch.rand(shape, generator=generator))
    try:
        answers = [adapter.predict(x) for x in images]
    except (TypeError, AttributeError) as error:  # as of a tensor in the place of an array
        raise AdapterError(
            f"wrap_predict: the function fails on a tensor of images ({where(error)}: {first_line(error)}); if it "
            f"takes NumPy arrays, give lambda x: function(x.cpu().numpy())"
        ) from error
    labels, scores = (torch.cat(part) for part in zip(*answers, strict=True))
    if not scores.isfinite().all():
        raise AdapterError("the function gives scores that are not finite")
    why = mistaken(scores[labels >= 0], adapter.spec.scores)
    if why is not None:
        raise AdapterError(f"wrap_predict: {why}")
