"""Models that can only predict: no surface, so only black-box attacks reach them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import CodeType
from typing import Any

import numpy as np
import torch
from torch import nn

from bench.errors import AdapterError, SpecError
from bench.spec import Loss, ModelSpec, Prediction

_PROBES = 256


@dataclass(frozen=True, slots=True)
class PredictOnlyAdapter:
    """A function from images to class scores, or to labels, as a model of the benchmark."""

    spec: ModelSpec
    function: Callable[[torch.Tensor], Any]
    known_as: str | None

    def predict(self, x: torch.Tensor) -> Prediction:
        """Return the function's decision; where it gives labels alone, scores are one-hot.

        Raises:
            AdapterError: the function gives something of another shape, or not finite.
        """
        given = torch.as_tensor(np.asarray(_detached(self.function(x)))).to(x.device)
        classes = self.spec.num_classes
        if given.shape == (len(x),) and not given.is_floating_point():
            labels = given.long()
            if len(labels) and (labels.min() < -1 or labels.max() >= classes):
                raise AdapterError(
                    f"the function gives labels from {int(labels.min())} to {int(labels.max())}, "
                    f"not 0 to num_classes - 1 = {classes - 1} (or -1 to abstain)"
                )
            scores = torch.zeros(len(x), classes, device=x.device)
            scores[labels >= 0] = nn.functional.one_hot(labels[labels >= 0], classes).float()
            return Prediction(labels, scores)
        if given.shape != (len(x), classes):
            raise AdapterError(
                f"the function gives shape {tuple(given.shape)} for {len(x)} images; it must give "
                f"scores ({len(x)}, {classes}) or integer labels ({len(x)},)"
            )
        scores = given.float()
        if not scores.isfinite().all():
            raise AdapterError("the function gives scores that are not finite")
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

    def fingerprint(self) -> str:
        """Return a digest of the function's code and of its labels for fixed random images."""
        if self.known_as is not None:
            return hashlib.sha256(self.known_as.encode()).hexdigest()[:20]
        digest = hashlib.sha256()
        code = getattr(self.function, "__code__", None)
        digest.update(_bytecode(code) if code else type(self.function).__qualname__.encode())
        generator = torch.Generator().manual_seed(0)
        probes = torch.rand(_PROBES, *self.spec.input_shape, generator=generator)
        digest.update(self.predict(probes).labels.cpu().numpy().tobytes())
        return digest.hexdigest()[:20]


def _detached(value: Any) -> Any:
    return value.detach().cpu() if isinstance(value, torch.Tensor) else value


def _bytecode(code: CodeType) -> bytes:
    constants = [
        _bytecode(constant) if isinstance(constant, CodeType) else _stable_repr(constant).encode()
        for constant in code.co_consts
    ]
    return b"".join([code.co_code, *constants, *(name.encode() for name in code.co_names)])


def _stable_repr(constant: object) -> str:
    # The order of a set of texts differs from process to process.
    return repr(sorted(map(repr, constant)) if isinstance(constant, frozenset) else constant)


def wrap_predict(
    function: Callable[[torch.Tensor], Any],
    num_classes: int,
    input_shape: tuple[int, int, int],
    scores: str = "probabilities",
    fingerprint: str | None = None,
    name: str = "unnamed",
    data: str = "",
) -> PredictOnlyAdapter:
    """Return a model of the benchmark made of a function that only predicts.

    Args:
        function: float32 images (N, C, H, W) in [0, 1] to scores (N, num_classes) or to integer
            labels (N,), as a tensor, an array or a list.
        num_classes: how many classes there are.
        input_shape: (C, H, W).
        scores: whether the scores are `probabilities` or `logits`.
        fingerprint: a text that changes whenever the model does, such as its weights' sha256;
            without it, the code and 256 predictions stand for the model.
        name: what to call it; a registered model gets the name it is registered under.
        data: the data set it classifies; likewise.

    Raises:
        AdapterError: the function gives something else.
    """
    if scores not in ("probabilities", "logits"):
        raise AdapterError(f"wrap_predict: scores={scores!r} is not 'probabilities' or 'logits'")
    spec = ModelSpec(
        name=name,
        family="features",
        data=data,
        input_shape=input_shape,
        num_classes=num_classes,
        scores="logits" if scores == "logits" else "probabilities",
    )
    adapter = PredictOnlyAdapter(spec, function, fingerprint)
    adapter.predict(torch.full((2, *input_shape), 0.5))
    return adapter
