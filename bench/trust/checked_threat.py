"""A model under one threat of a run: what the run found out, and more passes of attacks where a check needs them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import pandas as pd
import torch
from torch import nn

from bench.adapters.abilities import SeedsDraws
from bench.attacks.catalogue import access, available, is_minimal, refusal, resolve, row_of
from bench.attacks.job import Batch
from bench.attacks.needs import unmet
from bench.attacks.toolkits import shortfall
from bench.errors import UnsupportedAttack
from bench.measure.outcomes import Outcomes
from bench.spec import (
    BLACK_BOX_SURFACE,
    NOISELESS_SURFACE,
    ONE_DRAW_SURFACE,
    WHOLE_MODEL_SURFACE,
    Adapter,
    AttackSpec,
    Norm,
    Prediction,
    Scalar,
    Toolkit,
)
from bench.trust.checked_model import CheckedModel

#: In which order toolkits are tried where a check names none.
_PREFERRED: tuple[Toolkit, ...] = (
    "native", "torchattacks", "foolbox", "art", "adv-lib", "plugin",
)  # fmt: skip


class Tried(NamedTuple):
    """What an attack of a check found.

    Attributes:
        places: int64 (K,), positions of the attacked images among those of the run.
        x_adv: float32 (K, C, H, W), the images tried.
        broken: bool (K,), whether the judge says that the image tried lies within the threat and takes
            the right label away (or makes the model abstain).
        margins: float64 (K,), score of the true class minus the largest other; NaN where not finite.
        guided: bool (K,), whether the attack had something to go by: a gradient, or changing scores.
        passes: forward and backward passes over a single image, summed over the images.
    """

    places: torch.Tensor
    x_adv: torch.Tensor
    broken: torch.Tensor
    margins: torch.Tensor
    guided: torch.Tensor
    passes: int

    @property
    def share(self) -> float:
        """Return the share of the attacked images that the attack broke; NaN where there are none."""
        return float(self.broken.double().mean()) if len(self.broken) else float("nan")


@dataclass(frozen=True, slots=True, kw_only=True)
class Further:
    """An attack that a check makes.

    Attributes:
        spec: the attack.
        toolkit: which runs it.
        surface: the name of one of the model's surfaces, `predict` for its answers alone, or a module of
            the check's own, images in [0, 1] to logits.
    """

    spec: AttackSpec
    toolkit: Toolkit
    surface: str | nn.Module


#: Runs an attack on a batch that the adapter gets right (targets are chosen for it) and has the images
#: judged: `bench.runner.further.attack_further`. The float is the radius, in the attack's norm, within which
#: an image counts as broken; the int is the seed. `places` of what it returns count from 0.
Attacker = Callable[[Adapter, Further, Batch, float, int], Tried]


@dataclass(frozen=True, eq=False, kw_only=True)
class CheckedThreat:
    """A model under one norm and radius of a run, for the checks that need a `threat`.

    N is the number of images of the run. Nothing in here may be changed, except by `attack`, which keeps
    and counts what it did.

    Attributes:
        model: the model, with its behaviour and the bounds of checks.
        title: of the model in the run.
        norm: of the threat.
        eps: its radius, in pixel units of [0, 1].
        eps_text: as in the suite, such as `8/255`.
        x: the run's images, float32 (N, C, H, W) in [0, 1], on the model's device.
        y: int64 (N,), their labels.
        correct: bool (N,), the images that the model gets right.
        robust: bool (N,), those of them that withstood every valid stored attack within the radius.
        cells: of the attacks on this model and norm that reach the radius (of this radius, or of minimal
            norm), rows of `Outcomes.cells` with `broken` (int64, how many images each broke within it).
        pictures: by the key of a cell, the pictures kept for it (`bench.store.store.Store.pictures`).
        outcomes: what all attacks of the run did; None where that is not known.
        index: int64 (N,), the position of each image in its image set, by which `outcomes` and `pictures`
            name it; None for 0 to N - 1.
        seed: of all draws of the checks.
        run_attack: runs an attack and has it judged.
    """

    model: CheckedModel
    title: str
    norm: Norm
    eps: float
    eps_text: str
    x: torch.Tensor
    y: torch.Tensor
    correct: torch.Tensor
    robust: torch.Tensor
    cells: pd.DataFrame
    pictures: Callable[[str], Mapping[str, torch.Tensor]]
    seed: int
    run_attack: Attacker
    outcomes: Outcomes | None = None
    index: torch.Tensor | None = None
    _made: dict[object, Tried] = field(default_factory=dict, init=False, repr=False)
    _spent: list[int] = field(default_factory=list, init=False, repr=False)

    @property
    def judge(self) -> Adapter:
        """Return the model in the form in which it is judged."""
        return self.model.judge

    @property
    def drawn(self) -> bool:
        """Return whether each answer of the judged model is a vote of many draws."""
        return isinstance(self.judge, SeedsDraws)

    @property
    def climbed(self) -> list[str]:
        """Return the surfaces whose gradient says most of the model: of a random one not that of one draw."""
        poorer = (ONE_DRAW_SURFACE, NOISELESS_SURFACE)
        return [name for name in self.judge.surfaces() if name not in poorer]

    @property
    def passes(self) -> int:
        """Return how many passes over a single image the checks have made so far."""
        return sum(self._spent)

    def count(self, passes: int) -> None:
        """Add passes that a check made without `attack` or `predict`."""
        self._spent.append(passes)

    def survivors(self, most: int) -> torch.Tensor:
        """Return the positions, int64 (K,), of the first images that withstood all stored attacks."""
        return self.robust.nonzero().squeeze(1)[:most]

    def right(self, most: int) -> torch.Tensor:
        """Return the positions, int64 (K,), of the first images that the model gets right."""
        return self.correct.nonzero().squeeze(1)[:most]

    def predict(self, x: torch.Tensor) -> Prediction:
        """Return the judged model's decision about images of the check's own, (K, C, H, W)."""
        self.count(len(x))
        return self.judge.predict(x.clone())

    def wrong(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Return which images (K, C, H, W) of these labels (K,) the judged model gets wrong, bool (K,).

        One whose scores are not finite is not wrong, since the model gave no answer.
        """
        labels, scores = self.predict(x)
        return ((labels != y) & scores.isfinite().all(1)).cpu()

    def attack(
        self,
        name: str,
        at: torch.Tensor | None = None,
        toolkit: Toolkit | None = None,
        surface: str | nn.Module | None = None,
        eps: float | str | None = None,
        draw: int = 0,
        **parameters: Scalar,
    ) -> Tried:
        """Attack images of the run; what was made once with equal arguments is not made again.

        Args:
            name: an attack of the catalogue.
            at: positions of the images, which the model gets right; None for all that are robust.
            toolkit: which runs it; None for the first that can.
            surface: a name, or a module; None for the model's first, and `predict` for black-box attacks.
            eps: another radius than the threat's, within which images then count as broken.
            draw: another number gives other random draws.
            parameters: of the attack, where they differ from their defaults.

        Raises:
            UnsupportedAttack: no installed toolkit can make the attack on this model.
            SpecError: a wrong parameter, or no such surface.
            AttackError: the toolkit failed.
        """
        positions = self.survivors(len(self.y)) if at is None else at.cpu()
        radius = self.eps_text if eps is None else eps
        spec = resolve(name, self.norm, None if is_minimal(name) else radius, parameters)
        attack = Further(
            spec=spec,
            toolkit=toolkit or self._toolkit(spec),
            surface=self._surface(name) if surface is None else surface,
        )
        key = (attack.spec, attack.toolkit, attack.surface, eps, draw, *positions.tolist())
        if key not in self._made:
            within = self.eps if eps is None else spec.radius or self.eps
            self._made[key] = self._attacked(attack, positions, within, self.seed + 1000 * draw)
            self.count(self._made[key].passes)
        return self._made[key]

    def _attacked(self, attack: Further, at: torch.Tensor, radius: float, seed: int) -> Tried:
        """Return what an attack found on the images at some positions."""
        batch = Batch(self.x[at], self.y[at])
        if not len(at):
            none = torch.zeros(0, dtype=torch.bool)
            return Tried(at, batch.x, none, none.double(), none, 0)
        return self.run_attack(self.judge, attack, batch, radius, seed)._replace(places=at)

    def _surface(self, name: str) -> str:
        """Return the surface that an attack is made through where a check names none."""
        offered = next(iter(self.judge.surfaces()), None)
        if access(name) == "whole" and offered is not None:
            return WHOLE_MODEL_SURFACE
        if access(name) != "white":
            return BLACK_BOX_SURFACE
        if offered is None:
            raise UnsupportedAttack(f"{self.title} has no gradient, which {name} needs")
        return offered

    def _toolkit(self, spec: AttackSpec) -> Toolkit:
        """Return the first toolkit that can run an attack."""
        shape, classes = self.judge.spec.input_shape, self.judge.spec.num_classes
        refused: list[str] = []
        for toolkit in _PREFERRED:
            if toolkit not in available(spec.name, spec.norm):
                continue
            why = refusal(spec, toolkit) or unmet(spec, toolkit, shape, classes)
            lacking = shortfall(row_of(spec.name), toolkit)
            if why is None and lacking is None:
                return toolkit
            refused.append(why or lacking or "")
        raise UnsupportedAttack(refused[0])
