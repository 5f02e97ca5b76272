"""Attacks with a fixed budget, by ART."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import nn

from bench.attacks.art_driver.common import (
    classifier,
    classifier_class,
    generate,
    one_hot,
)
from bench.attacks.catalogue import parameter
from bench.attacks.job import Job, Perturbation
from bench.attacks.restarts import restarted
from bench.spec import Norm

#: How many images ART's universal perturbation predicts together.
_LOOK = 100


@cache
def _descent_class() -> type[Any]:
    from art.attacks.evasion.projected_gradient_descent.projected_gradient_descent_pytorch import (
        ProjectedGradientDescentPyTorch,
    )

    class Descent(ProjectedGradientDescentPyTorch):  # type: ignore[misc]
        """ART's iterated gradient attack (BIM, PGD and MI-FGSM) from a given start."""

        start: torch.Tensor | None = None

        def _compute_pytorch(
            self, x: Any, x_init: Any, y: Any, mask: Any, eps: Any, step: Any, first: Any, past: Any
        ) -> Any:
            if first:
                x = self.start
            return super()._compute_pytorch(x, x_init, y, mask, eps, step, False, past)

    return Descent


@cache
def _averaging_class() -> type[Any]:
    class Averaging(classifier_class()):  # type: ignore[misc]
        """A classifier whose gradient is the mean of several, for random models."""

        eot: int

        def loss_gradient(self, x: Any, y: Any, *args: Any, **kwargs: Any) -> Any:
            drawn = [super().loss_gradient(x, y, *args, **kwargs)]  # no `super` in a comprehension
            for _ in range(1, self.eot):
                drawn.append(super().loss_gradient(x, y, *args, **kwargs))
            return sum(drawn[1:], drawn[0]) / self.eot

    return Averaging


def _averaging(job: Job, loss: nn.Module | None = None) -> Any:
    model = classifier(job, _averaging_class(), loss=loss)
    model.eot = job.spec.parameter("eot")
    return model


def _descend(job: Job, decay: float | None = None) -> torch.Tensor:
    start = job.start()
    eps, step = job.eps, job.spec.amount("step_size")
    attack = _descent_class()(
        _averaging(job),
        norm=np.inf if job.spec.norm == "linf" else 2,
        eps=eps,
        eps_step=step,
        decay=decay,
        max_iter=job.spec.parameter("steps"),
        targeted=job.target is not None,
        num_random_init=int(start is not None),
        batch_size=len(job.x),
        verbose=False,
    )
    attack.start = start
    # `generate` would add two forward passes of the whole batch, only for its log.
    x_adv = attack._generate_batch(job.x, one_hot(job), None, eps, step)
    return torch.from_numpy(x_adv).to(job.x)


def _fgsm(job: Job) -> torch.Tensor:
    from art.attacks.evasion import FastGradientMethod

    # Given logits in place of log probabilities, this loss is the mean of -f_y.
    loss = nn.NLLLoss() if parameter(job.spec, "loss") == "logit" else None
    attack = FastGradientMethod(
        _averaging(job, loss),
        norm=np.inf,
        eps=job.eps,
        targeted=job.target is not None,
        batch_size=len(job.x),
    )
    return generate(job, attack, job.x)


def _mi_fgsm(job: Job) -> torch.Tensor:
    return _descend(job, decay=job.spec.amount("decay"))


def _dlr(logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the difference of logits ratio (N,) of Croce and Hein (2020), eq. 6."""
    ranked = logits.sort(1).values
    own = logits.gather(1, y[:, None]).squeeze(1)
    largest_other = logits.scatter(1, y[:, None], -torch.inf).amax(1)
    return (largest_other - own) / (ranked[:, -1] - ranked[:, -3] + 1e-12)


@cache
def _climbing_class() -> type[Any]:
    class Climbing(classifier_class()):  # type: ignore[misc]
        """A classifier that keeps every adversarial image APGD meets; ART keeps only the last image.

        Gradients are taken of each image's own loss and scaled far above the 1e-7 that ART adds to
        their norms. With ART's mean loss, steps would get shorter as the batch grows.
        """

        found: torch.Tensor
        labels: torch.Tensor
        losses: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

        def predict(self, x: Any, *args: Any, **kwargs: Any) -> Any:
            logits = super().predict(x, batch_size=len(x))
            if len(x) == len(self.labels):
                # ART continues with these images, in this order.
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

    estimator = classifier(job, _climbing_class())
    estimator.found, estimator.labels = job.x.clone(), job.y
    if job.spec.name == "apgd-dlr":
        estimator.losses = _dlr
    else:
        estimator.losses = nn.CrossEntropyLoss(reduction="none")
    with job.probe.playing([]):  # ART predicts a white image, to see whether outputs are logits
        attack = AutoProjectedGradientDescent(
            estimator,
            norm=np.inf if job.spec.norm == "linf" else 2,
            eps=job.eps,
            eps_step=2 * job.eps,
            max_iter=job.spec.parameter("steps"),
            nb_random_init=job.spec.parameter("restarts"),
            batch_size=len(job.x),
            verbose=False,
        )
    attack.generate(job.x.cpu().numpy(), one_hot(job).cpu().numpy())
    x_adv: torch.Tensor = estimator.found
    return x_adv


@cache
def _counting_class() -> type[Any]:
    class Counting(classifier_class()):  # type: ignore[misc]
        """A classifier that counts the passes over the images: ART predicts all of them after each.

        ART does that with batches of one image, and uses these for nothing else. They are predicted in
        larger batches here.
        """

        passes = 0

        def predict(self, x: Any, batch_size: int = _LOOK, *args: Any, **kwargs: Any) -> Any:
            self.passes += batch_size == 1
            return super().predict(x, batch_size=_LOOK)

    return Counting


def _universal(job: Job) -> Perturbation:
    from art.attacks.evasion import UniversalPerturbation

    inner = {
        "max_iter": job.spec.parameter("steps"),
        "epsilon": job.spec.amount("overshoot"),
        "nb_grads": job.spec.parameter("candidates"),
        "batch_size": _LOOK,
        "verbose": False,
    }
    estimator = classifier(job, _counting_class())
    attack = UniversalPerturbation(
        estimator,
        attacker="deepfool",
        attacker_params=inner,
        delta=job.spec.amount("delta"),
        max_iter=job.spec.parameter("passes"),
        eps=job.eps,
        norm=np.inf if job.spec.norm == "linf" else 2,
        verbose=False,
    )
    with job.probe.playing([0]):  # only the sum of the counts is needed
        attack.generate(job.x.cpu().numpy(), one_hot(job).cpu().numpy())
    v = torch.from_numpy(attack.noise[0]).to(job.x)
    return Perturbation(v, estimator.passes, float(attack.fooling_rate))


ATTACKS: Mapping[tuple[str, Norm], Callable[[Job], torch.Tensor]] = {
    ("fgsm", "linf"): _fgsm,
    ("bim", "linf"): _descend,
    ("pgd", "linf"): restarted(_descend),
    ("pgd", "l2"): restarted(_descend),
    ("mi-fgsm", "linf"): _mi_fgsm,
    ("apgd-ce", "linf"): _apgd,
    ("apgd-ce", "l2"): _apgd,
    ("apgd-dlr", "linf"): _apgd,
    ("apgd-dlr", "l2"): _apgd,
}

FITS: Mapping[tuple[str, Norm], Callable[[Job], Perturbation]] = {
    ("universal", "linf"): _universal,
    ("universal", "l2"): _universal,
}
