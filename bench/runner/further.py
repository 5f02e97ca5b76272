"""Attacks that checks make in addition to those of a run, judged as those are."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from bench.attacks.job import Batch
from bench.attacks.run_attack import run_attack
from bench.measure.outcomes import broken
from bench.runner.attack import targets
from bench.runner.judge import Attempt, decision, judge, readable
from bench.runner.task import BlackBox, surface_of
from bench.spec import Adapter
from bench.trust.checked_threat import Further, Tried

#: How many images are attacked together.
_TOGETHER = 64


def attack_further(
    adapter: Adapter, attack: Further, batch: Batch, radius: float, seed: int
) -> Tried:
    """Return what an attack of a check found.

    Args:
        adapter: the model, which judges.
        attack: the attack, and what it is made through.
        batch: images that the model gets right, and their labels, without target classes.
        radius: the distance, in the attack's norm, up to which an image counts as broken.
        seed: of the attack's randomness.

    Raises:
        SpecError: the model has no such surface, or the attack takes none.
        AttackError: the toolkit failed.
    """
    surface = attack.surface
    net = surface_of(adapter, attack.spec, surface) if isinstance(surface, str) else surface
    pairs = zip(torch.split(batch.x, _TOGETHER), torch.split(batch.y, _TOGETHER), strict=True)
    parts = [
        _attacked(adapter, attack, net, Batch(x, y), seed + at) for at, (x, y) in enumerate(pairs)
    ]
    tried = [part[0] for part in parts]
    lost = torch.cat([part.broken for part in tried])
    distance = np.concatenate([part[1] for part in parts])
    return Tried(
        places=torch.arange(len(batch.x)),
        x_adv=torch.cat([part.x_adv for part in tried]),
        broken=lost & torch.from_numpy(broken(distance, radius)),
        margins=torch.cat([part.margins for part in tried]),
        guided=torch.cat([part.guided for part in tried]),
        passes=sum(part.passes for part in tried),
    )


def _attacked(
    adapter: Adapter, attack: Further, net: nn.Module, batch: Batch, seed: int
) -> tuple[Tried, np.ndarray]:
    """Return what an attack found on images attacked together, whatever the radius, and their distances."""
    spec, (x, y, _) = attack.spec, batch
    target = None
    if spec.targeted != "none":
        target = targets(spec.targeted, decision(adapter, x).scores, y, seed)
    classes = net.classes if isinstance(net, BlackBox) else adapter.spec.num_classes
    found = run_attack(spec, attack.toolkit, net, Batch(x, y, target), classes, seed)
    shown = readable(x, found.x_adv)
    sure = x.new_ones(len(x))  # only attacks that reduce confidence are judged by it
    prediction = None if shown is None else decision(adapter, shown)
    verdict = judge(Attempt(spec, x, y, sure, target), adapter.spec, found.x_adv, prediction)
    labels = zip(verdict.invalid, verdict.adv_label, verdict.abstained, y.tolist(), strict=True)
    tried = Tried(
        places=torch.arange(len(x)),
        x_adv=x if shown is None else found.x_adv,
        broken=torch.tensor(
            [why is None and (label != true or abstained) for why, label, abstained, true in labels]
        ),
        margins=torch.tensor(_numbers(verdict.adv_margin), dtype=torch.float64),
        guided=torch.tensor([why is None for why in found.ineffective or [None] * len(x)]),
        passes=int(found.forwards.sum() + found.backwards.sum()) + len(x),
    )
    return tried, np.array(_numbers(verdict.distances[spec.norm]))


def _numbers(values: list[float | None]) -> list[float]:
    return [float("nan") if value is None else value for value in values]
