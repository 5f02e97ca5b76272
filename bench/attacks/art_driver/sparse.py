"""Attacks that change few pixels, by ART."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
import torch

from bench.attacks.art_driver.common import classifier, classifier_class
from bench.attacks.evolution import exact_population
from bench.attacks.job import Job
from bench.attacks.needs import pairs
from bench.spec import Norm


def _jsma(job: Job) -> torch.Tensor:
    from art.attacks.evasion import SaliencyMapMethod

    values = job.x[0].numel()
    attack = SaliencyMapMethod(
        classifier(job),
        theta=job.spec.amount("theta"),
        # ART changes another pair while the share of changed values is at most this.
        gamma=(2 * pairs(job.spec, values) - 1.5) / values,
        verbose=False,
    )
    aim, x_adv = job.aim().cpu().numpy(), []
    for row in range(len(job.x)):
        with job.probe.playing([row]):
            image = attack.generate(job.x[row : row + 1].cpu().numpy(), aim[row : row + 1])
        x_adv.append(torch.from_numpy(image).to(job.x))
    return job.clean_unless_fooled(torch.cat(x_adv))


@cache
def _sure_class() -> type[Any]:
    class Sure(classifier_class()):  # type: ignore[misc]
        """A classifier that gives probabilities; given logits, PixelAttack minimises only the label's."""

        def predict(self, x: Any, *args: Any, **kwargs: Any) -> Any:
            logits = torch.from_numpy(super().predict(x, batch_size=len(x)))
            return logits.softmax(1).numpy()

    return Sure


@cache
def _pixel_class() -> type[Any]:
    from art.attacks.evasion import PixelAttack
    from art.attacks.evasion.pixel_threshold import DifferentialEvolutionSolver

    class Evolving(PixelAttack):  # type: ignore[misc]
        """PixelAttack with exactly the requested population, which remembers its best member.

        ART would convert the whole image to 0 to 255 and back, which changes some pixels by rounding.
        """

        members: int
        looks = 0
        best: Any = None
        _attack = exact_population(PixelAttack._attack, DifferentialEvolutionSolver)

        def _perturb_image(self, x: Any, img: Any) -> Any:
            written = super()._perturb_image(x, np.full_like(img, np.nan))
            return np.where(np.isnan(written), img, written / 255).astype(np.float32)

        def _attack_success(self, adv_x: Any, x: Any, target_class: Any) -> bool:
            self.looks += 1
            self.best = self._perturb_image(adv_x, x)
            reached: bool = super()._attack_success(adv_x, x, target_class)
            return reached

    return Evolving


def _one_pixel(job: Job) -> torch.Tensor:
    pixels = int(job.eps)
    attack = _pixel_class()(
        classifier(job, _sure_class()),
        th=pixels,
        es=1,
        max_iter=job.spec.parameter("generations"),
        targeted=job.target is not None,
    )
    attack.members = job.spec.parameter("population")
    images, goal, x_adv, taken = job.x.cpu().numpy(), job.goal.tolist(), [], []
    for row in range(len(images)):
        attack.looks = 0
        np.random.seed(job.row_seed(row))  # noqa: NPY002
        with job.probe.playing([row]), np.errstate(divide="ignore"):
            attack._attack(images[row], goal[row], pixels)
        x_adv.append(torch.from_numpy(attack.best).to(job.x))
        taken.append(attack.looks - 1)  # the last look is at the final image
    job.probe.iterations = torch.tensor(taken)
    return torch.cat(x_adv)


ATTACKS: Mapping[tuple[str, Norm], Callable[[Job], torch.Tensor]] = {
    ("jsma", "l0"): _jsma,
    ("one-pixel", "l0"): _one_pixel,
}
