"""Whether the gradient of each surface points where the loss increases, as white-box attacks assume."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.adapters.network import NetworkAdapter
from bench.adapters.noise import MeanOfDraws
from bench.spec import Loss
from bench.trust.checked_model import CheckedModel
from bench.trust.checks.registry import Check, Finding
from bench.trust.gradients import AGREES, Agreement, agreement
from bench.trust.watch import one_line

#: How many images gradients are compared on; a random surface is evaluated twenty times for each.
_COMPARED, _COMPARED_RANDOM = 32, 8

#: Up to this share of images, a zero or wrong gradient counts as an exception.
_FEW = 0.1

_LOSSES: Mapping[Loss, str] = {"margin": "the margin", "ce": "the cross-entropy"}


def gradients(model: CheckedModel) -> Sequence[Finding]:
    """Compare the gradient of every surface with finite differences."""
    surfaces = model.judge.surfaces()
    if not surfaces:
        return [_none(model)]
    return [_of_surface(model, name) for name in surfaces]


def _none(model: CheckedModel) -> Finding:
    """Return a finding on a model without any gradient."""
    if isinstance(getattr(model.judge, "inner", model.judge), NetworkAdapter):
        return Finding(
            status="warn",
            sentence="its scores have no gradient with respect to the image, although it is a network of "
            "torch; only black-box attacks can be run on it",
            remedy="look in forward for detach, no_grad, numpy or whole numbers",
        )
    sentence = "none: only black-box attacks can be run on this model"
    return Finding(status="warn", sentence=sentence)


def _of_surface(model: CheckedModel, name: str) -> Finding:
    """Return a finding on the gradient of one surface."""
    behaviour = model.behaviour
    why = _not_comparable(model, name)
    if why:
        sentence = f"{why}; finite differences say nothing"
        return Finding(status="not applicable", sentence=sentence, subject=name)
    n = min(len(model.images), _COMPARED_RANDOM if behaviour.random else _COMPARED)
    x, y = model.images[:n], model.labels[:n]
    try:
        by_loss = agreement(model.judge, name, x, y, drawn=behaviour.random)
    except Exception as error:  # a surface is anybody's code
        sentence = f"cannot be taken: {one_line(error)}"
        return Finding(status="fail", sentence=sentence, subject=name)
    wrong = _unusable(by_loss, n)
    if wrong:
        return Finding(status="fail", sentence=wrong, subject=name)
    return _usable(by_loss, n, name)


def _not_comparable(model: CheckedModel, name: str) -> str:
    """Return why finite differences cannot check a surface; empty if they can."""
    behaviour = model.behaviour
    module = model.judge.surfaces()[name]
    if isinstance(module, MeanOfDraws) and module.noise is not None:
        return "its noise is drawn anew at each image"
    if behaviour.random and not behaviour.seeded:
        return "its draws cannot be seeded"
    if behaviour.batch_dependent:
        return "that of an image's loss moves other images' losses too"
    return ""


def _unusable(by_loss: Mapping[Loss, Agreement], n: int) -> str:
    """Return why gradients of a surface are useless for attacks at n images; empty if they are usable."""
    if all(gradient.dead == n for gradient in by_loss.values()):
        return "zero everywhere: attacks have no direction"
    for loss, gradient in by_loss.items():
        if gradient.broken:
            return f"that of {_LOSSES[loss]} is not finite on {gradient.broken} of {n} images"
        if gradient.dead > _FEW * n:
            hint = ": logits too large?" if loss == "ce" else ""
            return (
                f"that of {_LOSSES[loss]} is zero on {gradient.dead} of {n} images, "
                f"so attacks have no direction there{hint}"
            )
    for loss, gradient in by_loss.items():
        if gradient.wrong > _FEW * gradient.measured:
            return (
                f"that of {_LOSSES[loss]} differs from finite differences by more than {AGREES:.0%} at "
                f"{gradient.wrong} of {gradient.measured} images: it does not point where the loss "
                f"increases there"
            )
    return ""


def _usable(by_loss: Mapping[Loss, Agreement], n: int, name: str) -> Finding:
    """Return a finding on gradients that are correct at most of n images."""
    measured = [gradient for gradient in by_loss.values() if gradient.measured]
    if not measured:
        sentence = "scores are rounded too coarsely for finite differences"
        return Finding(status="warn", sentence=sentence, subject=name)
    error = max(gradient.error for gradient in measured)
    dead = max(gradient.dead for gradient in by_loss.values())
    wrong = max(gradient.wrong for gradient in by_loss.values())
    sentence = f"median error against finite differences {error:.1%}"
    sentence += f"; zero on {dead} of {n} images" if dead else ""
    sentence += f"; wrong on {wrong} of {n}" if wrong else ""
    return Finding(
        status="warn" if dead or wrong else "pass",
        sentence=sentence,
        value=error,
        bound=f"at most {AGREES:.0%}",
        subject=name,
    )


GRADIENT = Check(
    id="gradient", title="gradients point where the loss increases", needs="model", run=gradients,
    masks=True,
)  # fmt: skip
