"""Every attack where an image resists: none found, no start, second beginnings, restarts left over."""

from __future__ import annotations

import oracles
import pytest
import torch
from attack_cases import CASES, FITTED, MINIMAL, quick
from torch import nn

from bench.attacks import catalogue
from bench.attacks.job import Batch
from bench.attacks.rows import ATTACKS
from bench.attacks.run_attack import (
    CONSTANT,
    NO_GRADIENT,
    NO_START,
    NOTHING,
    AttackResult,
    fit,
    run_attack,
)

SHAPE = (1, 8, 8)
CLASSES = 5
RESISTING = 1
#: Attacks that may miss what they could find, with the few steps of a test.
CHANCE = ("noise", "square", "one-pixel", "boundary", "hopskipjump", "spatial", "salt-and-pepper")
REPEATED = [
    case
    for case in CASES
    if "restarts" in ATTACKS[case[0]].parameters
    and catalogue.refusal(quick(*case[:2], restarts=3), case[2]) is None
]
AIMED = [
    case
    for case in CASES
    if "targeted" in ATTACKS[case[0]].parameters
    and catalogue.refusal(quick(*case[:2], targeted="next"), case[2]) is None
]


class Stone(nn.Module):
    """Says one class of everything, with a gradient that is zero throughout."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        sure = torch.zeros(CLASSES)
        sure[0] = 3.0
        return sure + 0 * x.flatten(1).sum(1, keepdim=True)


class Slope(nn.Module):
    """Has a gradient everywhere, and says one class all the same."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        others = torch.arange(1.0, CLASSES) * (x.flatten(1).mean(1, keepdim=True) - 2)
        return torch.cat([torch.zeros(len(x), 1), others], 1)


class Walled(nn.Module):
    """A linear model that says one class, without a gradient, of all that lies around one image."""

    def __init__(self, inner: nn.Module, stone: torch.Tensor, label: int) -> None:
        super().__init__()
        self.inner, self.stone, self.label = inner, stone, label

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        within = (x - self.stone).flatten(1).norm(dim=1, keepdim=True) < 2.5
        sure = nn.functional.one_hot(torch.tensor(self.label), CLASSES).float()
        return torch.where(within, sure + 0 * x.flatten(1).sum(1, keepdim=True), self.inner(x))


def walled() -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    """Return a model, images near its boundaries, far from one another, and their labels."""
    generator = torch.Generator().manual_seed(3)
    linear = oracles.Linear(torch.randn(CLASSES, 64, generator=generator))
    x = 0.2 + 0.6 * torch.rand(400, *SHAPE, generator=generator)
    with torch.no_grad():
        y = linear(x).argmax(1)
    gap = oracles.distances(linear, x, y, "l2")
    order = gap.argsort()
    near = order[(gap[order] > 0.03)][:3]
    x, y = x[near].clone(), y[near]
    x[RESISTING] = 0.02 + 0.05 * torch.rand(SHAPE, generator=generator)
    with torch.no_grad():
        y[RESISTING] = linear(x[RESISTING : RESISTING + 1]).argmax(1)
    return Walled(linear, x[RESISTING : RESISTING + 1], int(y[RESISTING])), x, y


def driven(model, x, y, case, target=None, **words) -> AttackResult:
    spec = quick(*case[:2], **words)
    tried = run_attack(spec, case[2], model, Batch(x, y, target), num_classes=CLASSES, seed=0)
    assert tried.x_adv.shape == x.shape
    assert tried.x_adv.isfinite().all()
    assert tried.x_adv.min() >= -1e-6
    assert tried.x_adv.max() <= 1 + 1e-6
    if spec.radius is not None:
        moved = oracles.size(tried.x_adv - x, spec.norm)
        assert (moved <= spec.radius * (1 + 1e-5) + 1e-6).all()
    assert (tried.forwards >= 0).all()
    return tried


def still(count: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(4)
    return torch.rand(count, *SHAPE, generator=generator), torch.zeros(count, dtype=torch.int64)


@pytest.mark.parametrize("model", [Stone(), Slope()], ids=["no gradient", "a gradient"])
@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_a_model_that_never_changes_its_mind_is_no_error(case, model) -> None:
    x, y = still()
    tried = driven(model, x, y, case)
    assert (model(tried.x_adv).argmax(1) == y).all()
    # On the slope apgd-t has what rounding makes of a ratio that is one number: some gradient, or none.
    if not (isinstance(model, Slope) and case[0] == "apgd-t"):
        assert tried.ineffective == [_nothing_to_go_by(model, case)] * len(x)


def _nothing_to_go_by(model: nn.Module, case: tuple[str, ...]) -> str | None:
    """Return why an attack can show nothing of a model; None where it had a gradient or answers."""
    access = ATTACKS[case[0]].access
    if access == "decision":
        # Noise moves images whatever the model says, and counts as evidence of nothing.
        return NO_START if case[0] != "noise" else None
    # On the slope the ratio that is DLR is one number.
    if isinstance(model, Slope) and case[0] != "apgd-dlr":
        return None
    return {"white": NO_GRADIENT, "whole": NOTHING}.get(access, CONSTANT)


@pytest.mark.parametrize("case", AIMED, ids="-".join)
def test_a_class_that_is_never_reached_is_no_error(case) -> None:
    x, y = still()
    for model in (Stone(), Slope()):
        tried = driven(model, x, y, case, target=(y + 1) % CLASSES, targeted="next")
        assert (model(tried.x_adv).argmax(1) == y).all()


@pytest.mark.parametrize("case", REPEATED, ids="-".join)
def test_restarts_on_what_resists_are_no_error(case) -> None:
    x, y = still()
    for model in (Stone(), Slope()):
        tried = driven(model, x, y, case, restarts=3)
        once = driven(model, x, y, case)
        assert (model(tried.x_adv).argmax(1) == y).all()
        assert (tried.forwards > once.forwards).all()


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_an_image_that_resists_keeps_none_of_the_others_from_falling(case) -> None:
    model, x, y = walled()
    tried = driven(model, x, y, case)
    fooled = model(tried.x_adv).argmax(1) != y
    if case not in MINIMAL:
        assert not fooled[RESISTING]
    if case[0] not in CHANCE:
        assert fooled[[0, 2]].all(), fooled.tolist()


@pytest.mark.parametrize("case", FITTED, ids="-".join)
def test_a_perturbation_that_fools_nothing_is_one_all_the_same(case) -> None:
    x, y = still(6)
    words = {"passes": 2, "steps": 3, **({"batch": 1} if case[2] == "art" else {})}
    spec = catalogue.resolve(*case[:2], "0.3", words)
    for model in (Stone(), Slope()):
        found = fit(spec, case[2], model, Batch(x, y), num_classes=CLASSES, seed=0)
        assert found.v.isfinite().all()
        assert found.fooling == 0
        assert found.passes == 2
        assert float(oracles.size(found.v[None], spec.norm)) <= 0.3 * (1 + 1e-5)


class Steps(nn.Module):
    """Two classes by brightness, on an image of few levels: no gradient, and a boundary far off."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        bright = ((x * 8).round() / 8).flatten(1).mean(1)
        margin = torch.stack([0.35 - bright, bright - 0.35], 1)
        return margin + 0 * x.flatten(1).sum(1, keepdim=True)


@pytest.mark.parametrize("norm", ["l0", "l1", "l2", "linf"])
def test_fmn_begins_anew_beyond_the_boundary_where_its_steps_find_nothing(norm) -> None:
    """The second image, already near, falls no farther for the others that need a second beginning."""
    x, y = torch.full((3, *SHAPE), 0.1), torch.zeros(3, dtype=torch.int64)
    x[1] = 0.2
    spec = catalogue.resolve("fmn", norm, None, {"steps": 10})
    tried = run_attack(spec, "foolbox", Steps(), Batch(x, y), num_classes=2, seed=0)
    assert (Steps()(tried.x_adv).argmax(1) == 1).all()
    far = torch.ones_like(x) - x
    assert (oracles.size(tried.x_adv - x, norm) <= oracles.size(far, norm)).all()
