"""Whether the attack of a run finds an error that was planted where it must find one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from bench.adapters.modes import eval_mode
from bench.attacks.catalogue import resolve
from bench.attacks.job import Batch
from bench.attacks.native.noise import noise
from bench.attacks.run_attack import run_attack
from bench.errors import AttackError, UnsupportedAttack
from bench.measure.statistics import wilson
from bench.spec import AttackSpec, Toolkit
from bench.trust.checked_threat import CheckedThreat
from bench.trust.checks.convergence import strongest
from bench.trust.checks.registry import Check, Finding, Status
from bench.trust.lowered import adaptive_to_add, not_applicable, not_attacked

#: Images, inner points of each, the share of the radius that these fill, and random points that are tried.
_IMAGES, _INNER, _SHARE, _RANDOM = 16, 200, 0.8, 200

#: Where between the largest inner score and that of the planted point the new boundary lies.
_NEAR = 0.5


class _Features(nn.Module):
    """What the last linear layer of a network gets, (N, D); its scores if it has no such layer."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net
        self._seen: torch.Tensor | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self._seen = None
        handles = [
            part.register_forward_pre_hook(self._see)
            for part in self.net.modules()
            if isinstance(part, nn.Linear)
        ]
        try:
            scores: torch.Tensor = self.net(x)
        finally:
            for handle in handles:
                handle.remove()
        return self._seen_or(scores, len(x)).flatten(1)

    def _seen_or(self, scores: torch.Tensor, count: int) -> torch.Tensor:
        seen = self._seen
        return scores if seen is None or len(seen) != count else seen

    def _see(self, layer: nn.Module, given: tuple[torch.Tensor, ...]) -> None:
        self._seen = given[0]


class _Planted(nn.Module):
    """A network with a new last layer of two classes, the second of which holds the planted error."""

    def __init__(self, features: _Features, weight: torch.Tensor, threshold: float) -> None:
        super().__init__()
        self.features, self.threshold, self.weight = features, threshold, weight

    def score(self, x: torch.Tensor) -> torch.Tensor:
        """Return how far images (N, C, H, W) lie beyond the new boundary, (N,)."""
        features: torch.Tensor = self.features(x)
        return features @ self.weight - self.threshold

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        beyond = self.score(x)
        return torch.stack([-beyond, beyond], dim=1)


def planted_error(threat: CheckedThreat) -> Finding:
    """Plant an error beside some images, and let the strongest attack of the run look for it.

    Zimmermann, Brendel, Tramèr and Carlini, Increasing confidence in adversarial robustness evaluations
    (NeurIPS 2022): on frozen features a linear layer is fitted that tells points inside the ball from one
    on its edge. The attack must then find an error in the ball, since there is one.
    """
    if threat.norm not in ("linf", "l2"):
        return not_applicable(f"no points are drawn in {threat.norm}")
    if threat.drawn or not threat.climbed:
        return not_applicable("the model has no features of its own that could be frozen")
    at = threat.right(_IMAGES)
    if why := not_attacked(threat, at):
        return why
    cell = strongest(threat, "steps")
    if cell is None:
        return not_applicable("no attack of the run follows a gradient in steps")
    found, chance, planted = 0, 0, 0
    for turn, place in enumerate(at.tolist()):
        x, seed = threat.x[place : place + 1], threat.seed + 100 * turn
        model = _plant(threat, str(cell["surface"]), x, seed)
        if model is None:
            continue
        hit = _attacked(threat, cell, model, x, seed)
        if hit is None:
            return not_applicable(f"{cell['attack']} cannot be made on two classes")
        planted += 1
        found += hit
        chance += _by_chance(threat, model, x, seed)
    if not planted:
        return not_applicable("no point of the ball could be told from the others")
    return _verdict(threat, str(cell["attack"]), (found, chance, planted))


def _plant(threat: CheckedThreat, surface: str, x: torch.Tensor, seed: int) -> _Planted | None:
    """Return a model with an error planted in the ball around an image; None where none can be."""
    features = _Features(threat.judge.surfaces()[surface])
    many = x.expand(_INNER, *x.shape[1:])
    inner = noise(many, threat.norm, _SHARE * threat.eps, seed)
    edge = _on_edge(threat, x, seed)
    with eval_mode(features), torch.no_grad():
        inside, outside = features(torch.cat([x, inner])).double(), features(edge).double()
    threat.count(_INNER + 2)
    weight = outside[0] - inside.mean(0)
    scores, planted = inside @ weight, float(outside[0] @ weight)
    gap = planted - float(scores.max())
    size = float(scores.std())
    if not gap > 1e-6 * max(size, 1e-12):
        return None
    unit = size if size > 0 else 1.0
    threshold = planted - (1 - _NEAR) * gap
    return _Planted(features, (weight / unit).to(x), threshold / unit).eval()


def _on_edge(threat: CheckedThreat, x: torch.Tensor, seed: int) -> torch.Tensor:
    """Return a point on the edge of the ball, (1, C, H, W): in linf a corner."""
    if threat.norm == "l2":
        return noise(x, "l2", threat.eps, seed + 1)
    generator = torch.Generator().manual_seed(seed + 1)
    signs = torch.randint(0, 2, x.shape, generator=generator).to(x) * 2 - 1
    return (x + threat.eps * signs).clamp(0, 1)


def _attacked(
    threat: CheckedThreat, cell: Mapping[str, Any], model: _Planted, x: torch.Tensor, seed: int
) -> bool | None:
    """Return whether the attack of a cell finds the planted error; None if it cannot be made here."""
    words = {name: value for name, value in cell["parameters"].items() if name != "targeted"}
    eps = threat.eps_text if cell["kind"] == "fixed" else None
    spec: AttackSpec = resolve(cell["attack"], threat.norm, eps, words)
    toolkit: Toolkit = cell["toolkit"]
    batch = Batch(x, torch.zeros(1, dtype=torch.int64, device=x.device))
    try:
        tried = run_attack(spec, toolkit, model, batch, num_classes=2, seed=seed)
    except (UnsupportedAttack, AttackError):
        return None
    threat.count(int(tried.forwards.sum() + tried.backwards.sum()) + 1)
    with eval_mode(model), torch.no_grad():
        beyond = bool(model.score(tried.x_adv.to(x)) > 0)
    way = (tried.x_adv - x).flatten()
    length = float(way.abs().max() if threat.norm == "linf" else way.norm())
    return beyond and length <= threat.eps * (1 + 1e-5) + 1e-6


def _by_chance(threat: CheckedThreat, model: _Planted, x: torch.Tensor, seed: int) -> bool:
    """Return whether one of many random points of the ball's edge lies beyond the new boundary."""
    many = x.expand(_RANDOM, *x.shape[1:])
    points = noise(many, threat.norm, threat.eps, seed + 2)
    threat.count(_RANDOM)
    with eval_mode(model), torch.no_grad():
        return bool((model.score(points) > 0).any())


def _verdict(threat: CheckedThreat, attack: str, counts: tuple[int, int, int]) -> Finding:
    """Return a finding on how many planted errors an attack and random points found, of how many."""
    found, chance, planted = counts
    least = threat.model.bounds["planted-error.found"]
    high = wilson(found, planted).high
    sentence = (
        f"{attack} finds {found} of {planted} errors that were planted inside the ball, random points find "
        f"{chance}"
    )
    status: Status = "pass"
    if high < least:
        status = "fail" if found <= chance else "warn"
        sentence += ": it misses errors that are certainly there"
    return Finding(
        status=status,
        sentence=sentence,
        value=found / planted,
        bound=f"at least {least:.0%}, by the upper end of its 95 % interval",
        remedy="" if status == "pass" else adaptive_to_add(threat),
    )


PLANTED_ERROR = Check(
    id="planted-error",
    title="the strongest attack finds an error planted for it",
    needs="threat",
    run=planted_error,
    level="full",
    masks=True,
)
