"""What a model does with an image before and while it answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from bench.trust.checked_model import CheckedModel
from bench.trust.checks.registry import Check, Finding
from bench.trust.watch import one_line

_DIFFERENTIATES = (torch.autograd.grad, torch.autograd.backward, torch.Tensor.backward)


class _Differentiates(TorchFunctionMode):
    """Counts how often torch is asked for a gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        self.count += func in _DIFFERENTIATES
        return func(*args, **(kwargs or {}))


def inner_gradient(model: CheckedModel) -> Finding:
    """Watch whether the model takes gradients itself while it predicts, as AutoAttack does.

    Croce, Gowal et al., Evaluating the adversarial robustness of adaptive test-time defenses (2022).
    """
    with _Differentiates() as watch:
        try:
            model.adapter.predict(model.images[:2].clone())
        except Exception as error:  # a model is anybody's code; `answers` reports it
            return Finding(status="not applicable", sentence=f"cannot predict: {one_line(error)}")
    if not watch.count:
        return Finding(status="pass", sentence="it takes no gradient while it predicts")
    return Finding(
        status="warn",
        sentence="it takes gradients itself while it predicts, so each answer is the end of an "
        "optimisation, through which the gradient of an attack goes only in part",
        value=watch.count,
        bound="no gradient inside predict",
        remedy="attack it with steps that ask for answers alone, such as adaptive",
    )


INNER_GRADIENT = Check(
    id="inner-gradient",
    title="predict takes no gradient itself",
    needs="model",
    run=inner_gradient,
    masks=True,
)


def finite_scores(model: CheckedModel) -> Finding:
    """Predict noisy, black, white and random images, beside which attacks may come: scores must be finite."""
    if model.behaviour.refuses:
        return Finding(status="not applicable", sentence=model.behaviour.refuses)
    images = model.images[:64]
    draw = torch.Generator().manual_seed(0)
    noise = torch.rand(images.shape, generator=draw).to(images)
    shown = {
        "test images with noise": (images + 0.2 * (noise - 0.5)).clamp(0, 1),
        "images of noise alone": noise[:8],
        "black and white images": torch.stack([torch.zeros_like(images[0]), torch.ones_like(images[0])]),
    }  # fmt: skip
    for named, x in shown.items():
        try:
            finite = model.judge.predict(x.clone()).scores.isfinite().all(1)
        except Exception as error:  # a model is anybody's code
            return Finding(status="fail", sentence=f"cannot predict {named}: {one_line(error)}")
        if not finite.all():
            lost = int((~finite).sum())
            return Finding(
                status="fail",
                sentence=f"scores of {lost} of {len(x)} {named} are not finite, so no attack can count there",
                value=lost / len(x),
                bound="no score that is not finite",
                remedy="look for divisions by 0, logarithms of 0 and overflows in forward",
            )
    return Finding(status="pass", sentence="finite for noisy, black and white images too")


FINITE_SCORES = Check(
    id="finite-scores",
    title="scores are finite beside the test images too",
    needs="model",
    run=finite_scores,
    masks=True,
)


def unstable(model: CheckedModel) -> Finding:
    """Return by how much the margin changes under noise far too small to see.

    The second indicator of Pintor et al., Indicators of attack failure (NeurIPS 2022): the mean of
    min(1, |L(x') - L(x)| / |L(x)|) over points x' within 4/255; of the margin here, since a cross-entropy
    near 0 changes by any factor.
    """
    if model.behaviour.random:
        return Finding(
            status="not applicable", sentence="a random model gives other scores each time"
        )
    images, labels = model.images[:32], model.labels[:32]
    draw, points = torch.Generator().manual_seed(0), 5
    at_images = _margins(model, images, labels)
    changes = []
    for _ in range(points):
        noise = (torch.rand(images.shape, generator=draw) - 0.5).to(images) * 8 / 255
        moved = _margins(model, (images + noise).clamp(0, 1), labels)
        changes.append(((moved - at_images).abs() / at_images.abs().clamp(min=1e-12)).clamp(max=1))
    value = float(torch.stack(changes).nanmean())  # NaN where scores are not finite
    if value != value:
        return Finding(status="not applicable", sentence="no scores are finite")
    most = model.bounds["unstable.most"]
    sentence = (
        f"noise of at most 4/255 changes the margin of the true class by {value:.1%} on average"
    )
    return Finding(
        status="warn" if value > most else "pass",
        sentence=sentence,
        value=value,
        bound=f"at most {most:.0%}",
    )


def _margins(model: CheckedModel, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    scores = model.judge.predict(x.clone()).scores.double()
    own = scores.gather(1, y[:, None]).squeeze(1)
    return own - scores.scatter(1, y[:, None], -torch.inf).amax(1)


UNSTABLE = Check(
    id="unstable",
    title="noise too small to see changes little",
    needs="model",
    run=unstable,
    doubts=False,
)
