"""ART behind the canonical words, with what it does differently put right.

Labels, batch sizes and clip values are always explicit: ART's defaults attack its own predictions,
a batch of 1 or 32, and images without bounds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import nn

from bench.attacks.job import Job
from bench.errors import UnsupportedAttack
from bench.spec import Norm

#: Adam steps that one iteration of ART's line search is worth (see `_cw`).
_ADAM_STEPS_PER_ITERATION = 3
#: How often a step may double within one iteration (see `_cw`); ART's default is 5.
_CW_DOUBLINGS = 2
#: ART's C&W takes a tie of two logits for a success.
_CW_MARGIN = 1e-4
#: An image that moved less than this in every pixel is at DeepFool's fixed point.
_AT_REST = 1e-6


def prepare() -> None:
    """Import the toolkit, so that the import is not timed as part of an attack."""
    import art.attacks.evasion
    import art.estimators.classification  # noqa: F401


@cache
def _estimator_class() -> type[Any]:
    from art.estimators.classification import PyTorchClassifier

    class Estimator(PyTorchClassifier):  # type: ignore[misc]
        """ART's classifier; one class a row costs one backward pass, not one for every class."""

        def class_gradient(
            self, x: Any, label: Any = None, training_mode: bool = False, **kwargs: Any
        ) -> Any:
            if not isinstance(label, np.ndarray):
                return super().class_gradient(x, label, training_mode, **kwargs)
            images = torch.from_numpy(x).to(self.device).requires_grad_()
            chosen = self.model(images).gather(1, torch.from_numpy(label).to(self.device)[:, None])
            (gradient,) = torch.autograd.grad(chosen.sum(), images)
            return gradient.unsqueeze(1).cpu().numpy()

    return Estimator


def _estimator(job: Job, kind: type[Any] | None = None) -> Any:
    # ART's 'gpu' is the current one.
    with torch.cuda.device(job.x.device) if job.x.is_cuda else nullcontext():
        return (kind or _estimator_class())(
            model=job.probe,
            loss=nn.CrossEntropyLoss(),
            input_shape=tuple(job.x.shape[1:]),
            nb_classes=job.num_classes,
            clip_values=(0.0, 1.0),
            device_type="gpu" if job.x.is_cuda else "cpu",
        )


def _classes(job: Job) -> torch.Tensor:
    """Return the classes ART is told, one-hot; it reads a column of two classes as one output."""
    return nn.functional.one_hot(job.goal, job.num_classes).float()


def _generate(job: Job, attack: Any, x: torch.Tensor) -> torch.Tensor:
    found = attack.generate(x.cpu().numpy(), _classes(job).cpu().numpy())
    return torch.from_numpy(found).to(job.x)


@cache
def _descent_class() -> type[Any]:
    from art.attacks.evasion.projected_gradient_descent.projected_gradient_descent_pytorch import (
        ProjectedGradientDescentPyTorch,
    )

    class Descent(ProjectedGradientDescentPyTorch):  # type: ignore[misc]
        """ART's iterated gradient attack, BIM, PGD and MI-FGSM alike, from a start that is given."""

        start: torch.Tensor | None = None

        def _compute_pytorch(
            self, x: Any, x_init: Any, y: Any, mask: Any, eps: Any, step: Any, first: Any, past: Any
        ) -> Any:
            if first:
                x = self.start
            return super()._compute_pytorch(x, x_init, y, mask, eps, step, False, past)

    return Descent


def _descend(job: Job, decay: float | None = None) -> torch.Tensor:
    start = job.start()
    eps, step = job.eps, job.spec.amount("step_size")
    attack = _descent_class()(
        _estimator(job),
        norm=np.inf if job.spec.norm == "linf" else 2,
        eps=eps,
        eps_step=step,
        decay=decay,
        max_iter=job.spec.word("steps"),
        targeted=job.target is not None,
        num_random_init=int(start is not None),
        batch_size=len(job.x),
        verbose=False,
    )
    attack.start = start
    # `generate` would add two forwards of the whole batch, for a line in the log.
    found = attack._generate_batch(job.x, _classes(job), None, eps, step)
    return torch.from_numpy(found).to(job.x)


def _fgsm(job: Job) -> torch.Tensor:
    from art.attacks.evasion import FastGradientMethod

    attack = FastGradientMethod(
        _estimator(job),
        norm=np.inf,
        eps=job.eps,
        targeted=job.target is not None,
        batch_size=len(job.x),
    )
    return _generate(job, attack, job.x)


def _mi_fgsm(job: Job) -> torch.Tensor:
    return _descend(job, decay=job.spec.amount("decay"))


@cache
def _settling_class() -> type[Any]:
    class Settling(_estimator_class()):  # type: ignore[misc]
        """A classifier that says of an image that has come to rest that its class has changed.

        DeepFool converges to the boundary and often stays short of it by rounding; ART would go on
        with the whole batch until its steps run out. The overshoot at the end takes it across.
        """

        last: Any = None
        first_class: Any = None

        def predict(self, x: Any, *args: Any, **kwargs: Any) -> Any:
            logits = super().predict(x, batch_size=len(x))
            if self.last is None:
                self.first_class = logits.argmax(1)
            else:
                moved = np.abs(x - self.last).reshape(len(x), -1).max(1)
                rest = np.flatnonzero(moved < _AT_REST)
                logits[rest, self.first_class[rest]] = logits[rest].min(1) - 1
            self.last = x.copy()
            return logits

    return Settling


def _deepfool(job: Job) -> torch.Tensor:
    from art.attacks.evasion import DeepFool

    candidates = job.spec.word("candidates")
    if candidates < job.num_classes:
        raise UnsupportedAttack(
            "art's deepfool mixes up classes when it tries fewer than all: "
            f"candidates={candidates} is fewer than the model's {job.num_classes}; set "
            f"candidates={job.num_classes} or use another toolkit"
        )
    attack = DeepFool(
        _estimator(job, _settling_class()),
        max_iter=job.spec.word("steps"),
        epsilon=job.spec.amount("overshoot"),
        nb_grads=candidates,
        batch_size=len(job.x),
        verbose=False,
    )
    with torch.no_grad():
        wrong = job.probe(job.x).argmax(1) != job.y
    # ART ignores labels: an image the model gets wrong it would move, perhaps to the right class.
    return torch.where(wrong.view(-1, 1, 1, 1), job.x, _generate(job, attack, job.x))


def _cw(job: Job) -> torch.Tensor:
    """Return C&W's images.

    ART descends by a line search where Carlini and Wagner use Adam. An iteration tries some six
    images and moves further than a step of Adam, so `steps` is divided by three. Its step may
    double twice, not five times: ART leaves the hinge out of its gradient, so an image that has
    crossed the boundary by a long step hardly comes back (median l2 1.55 times Foolbox's on a
    CIFAR-10 network, 1.14 with two).
    """
    from art.attacks.evasion import CarliniL2Method

    attack = CarliniL2Method(
        _estimator(job),
        confidence=job.spec.amount("confidence") + _CW_MARGIN,
        targeted=job.target is not None,
        learning_rate=job.spec.amount("step_size"),
        binary_search_steps=job.spec.word("search_steps"),
        max_iter=max(1, round(job.spec.word("steps") / _ADAM_STEPS_PER_ITERATION)),
        initial_const=job.spec.amount("c"),
        max_doubling=_CW_DOUBLINGS,
        batch_size=len(job.x),
        verbose=False,
    )
    return job.clean_unless_moved(_generate(job, attack, job.inside()))


def _ead(job: Job) -> torch.Tensor:
    from art.attacks.evasion import ElasticNet

    attack = ElasticNet(
        _estimator(job),
        confidence=job.spec.amount("confidence"),
        targeted=job.target is not None,
        learning_rate=job.spec.amount("step_size"),
        binary_search_steps=job.spec.word("search_steps"),
        max_iter=job.spec.word("steps"),
        beta=job.spec.amount("beta"),
        initial_const=job.spec.amount("c"),
        batch_size=len(job.x),
        decision_rule="L1",
        verbose=False,
    )
    # `generate` would add two forwards of the whole batch, for a line in the log.
    found = attack._generate_batch(job.x.cpu().numpy(), _classes(job).cpu().numpy())
    return torch.from_numpy(found).to(job.x)


def _dlr(logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the difference of logits ratio (N,) of Croce and Hein (2020), eq. 6."""
    ranked = logits.sort(1).values
    own = logits.gather(1, y[:, None]).squeeze(1)
    other = logits.scatter(1, y[:, None], -torch.inf).amax(1)
    return (other - own) / (ranked[:, -1] - ranked[:, -3] + 1e-12)


@cache
def _climbing_class() -> type[Any]:
    class Climbing(_estimator_class()):  # type: ignore[misc]
        """A classifier that keeps the adversarial images APGD passes by; ART keeps the last alone.

        Gradients are those of each image's own loss, scaled to be far above the 1e-7 that ART adds
        to their norms: with the mean loss, steps would shorten as the batch grows.
        """

        found: torch.Tensor
        labels: torch.Tensor
        losses: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

        def predict(self, x: Any, *args: Any, **kwargs: Any) -> Any:
            logits = super().predict(x, batch_size=len(x))
            if len(x) == len(self.labels):
                # ART goes on with these, in this order.
                self.rows = np.flatnonzero(logits.argmax(1) == self.labels.cpu().numpy())
            return logits

        def compute_loss(self, x: Any, y: Any, **kwargs: Any) -> Any:
            images = torch.from_numpy(x).to(self.found)
            labels = self.labels[self.rows]
            with torch.no_grad():
                logits = self.model(images)
            fooled = logits.argmax(1) != labels
            self.found[torch.from_numpy(self.rows).to(fooled.device)[fooled]] = images[fooled]
            return self.losses(logits, labels).cpu().numpy()

        def loss_gradient(self, x: Any, y: Any, **kwargs: Any) -> Any:
            images = torch.from_numpy(x).to(self.found).requires_grad_()
            loss = self.losses(self.model(images), self.labels[self.rows]).sum()
            (gradient,) = torch.autograd.grad(loss, images)
            largest = gradient.abs().amax((1, 2, 3), keepdim=True)
            return (gradient / torch.where(largest > 0, largest, 1)).cpu().numpy()

    return Climbing


def _apgd(job: Job) -> torch.Tensor:
    from art.attacks.evasion import AutoProjectedGradientDescent

    estimator = _estimator(job, _climbing_class())
    estimator.found, estimator.labels = job.x.clone(), job.y
    if job.spec.name == "apgd-dlr":
        job.need_classes(3, "compares the first logit with the third")
        estimator.losses = _dlr
    else:
        estimator.losses = nn.CrossEntropyLoss(reduction="none")
    with job.probe.playing([]):  # it asks about a white image, whether the model gives logits
        attack = AutoProjectedGradientDescent(
            estimator,
            norm=np.inf if job.spec.norm == "linf" else 2,
            eps=job.eps,
            eps_step=2 * job.eps,
            max_iter=job.spec.word("steps"),
            nb_random_init=job.spec.word("restarts"),
            batch_size=len(job.x),
            verbose=False,
        )
    attack.generate(job.x.cpu().numpy(), _classes(job).cpu().numpy())
    found: torch.Tensor = estimator.found
    return found


@cache
def _remembering_class() -> type[Any]:
    class Remembering(_estimator_class()):  # type: ignore[misc]
        """A classifier that remembers its last answers: Square asks three times about an image."""

        recent: deque[dict[bytes, Any]]

        def predict(self, x: Any, *args: Any, **kwargs: Any) -> Any:
            keys = [image.tobytes() for image in x]
            known = {key: answer for asked in self.recent for key, answer in asked.items()}
            new = [row for row, key in enumerate(keys) if key not in known]
            if new:
                answers = super().predict(x[new], batch_size=len(new))
                known.update(zip([keys[row] for row in new], answers, strict=True))
            self.recent.append({key: known[key] for key in keys})
            return np.stack([known[key] for key in keys])

    return Remembering


def _square(job: Job) -> torch.Tensor:
    from art.attacks.evasion import SquareAttack

    estimator = _estimator(job, _remembering_class())
    estimator.recent = deque(maxlen=4)
    attack = SquareAttack(
        estimator,
        norm=np.inf,
        max_iter=job.spec.word("queries"),
        eps=job.eps,
        p_init=job.spec.amount("p_init"),
        nb_restarts=job.spec.word("restarts"),
        batch_size=len(job.x),
        verbose=False,
    )
    found = _generate(job, attack, job.x)
    fooled = estimator.predict(found.cpu().numpy()).argmax(1) != job.y.cpu().numpy()
    # Where it finds none it gives back the best of its tries.
    return torch.where(torch.from_numpy(fooled).to(job.x.device).view(-1, 1, 1, 1), found, job.x)


ATTACKS: Mapping[tuple[str, Norm], Callable[[Job], torch.Tensor]] = {
    ("fgsm", "linf"): _fgsm,
    ("bim", "linf"): _descend,
    ("pgd", "linf"): _descend,
    ("pgd", "l2"): _descend,
    ("mi-fgsm", "linf"): _mi_fgsm,
    ("deepfool", "l2"): _deepfool,
    ("cw", "l2"): _cw,
    ("ead", "l1"): _ead,
    ("square", "linf"): _square,
    ("apgd-ce", "linf"): _apgd,
    ("apgd-ce", "l2"): _apgd,
    ("apgd-dlr", "linf"): _apgd,
    ("apgd-dlr", "l2"): _apgd,
}
