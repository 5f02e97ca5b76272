"""Restarts and the mean of several gradients, counted and against the closed form."""

from __future__ import annotations

import oracles
import pytest
import torch
from attack_cases import quick
from torch import nn

from bench.attacks import catalogue
from bench.attacks.job import Batch
from bench.attacks.rows import ATTACKS
from bench.attacks.run_attack import run_attack
from bench.errors import SpecError
from bench.spec import TOOLKITS

KITS = [kit for kit in TOOLKITS if kit != "native"]
EOT = [
    (name, norm, kit)
    for name, norm in [("fgsm", "linf"), ("bim", "linf"), ("pgd", "linf"), ("pgd", "l2"),
                       ("mi-fgsm", "linf")]
    for kit in KITS
    if catalogue.refusal(quick(name, norm, eot=3), kit) is None
]  # fmt: skip


class Noisy(nn.Module):
    """A linear model that adds noise to every image it is shown, drawn anew each time."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z = self.net(x)
        # The noise favours a slope of its own: one draw points elsewhere than the mean of many.
        slope = torch.randn(z.shape[1], x[0].numel())
        return z + 3 * (x - 0.5).flatten(1) @ slope.T


@pytest.mark.parametrize(
    ("norm", "kit"), [(norm, kit) for norm in ("linf", "l2") for kit in ATTACKS["pgd"].norms[norm]]
)
def test_only_images_that_stand_are_tried_again(norm, kit) -> None:
    eps = {"linf": 0.03, "l2": 0.25}[norm]
    model, x, y = oracles.two_classes(norm, [0.1 * eps, 2 * eps] * 2)
    spec, single = (catalogue.resolve("pgd", norm, eps, {"restarts": many}) for many in (3, 1))
    tried = run_attack(spec, kit, model, Batch(x, y), num_classes=2, seed=0)
    once = run_attack(single, kit, model, Batch(x, y), num_classes=2, seed=0)
    third = run_attack(single, kit, model, Batch(x[1::2], y[1::2]), num_classes=2, seed=2)
    # Three times ten steps (adv-lib takes one more), and a question after the first two.
    steps = 11 if kit == "adv-lib" else 10
    assert tried.backwards.tolist() == [steps, 3 * steps] * 2
    assert tried.forwards.tolist() == [steps + 1, 3 * steps + 2] * 2
    assert tried.iterations is None
    assert torch.equal(tried.x_adv[::2], once.x_adv[::2])
    assert torch.equal(tried.x_adv[1::2], third.x_adv)


def test_restarts_break_no_fewer_images(trained) -> None:
    fooled = []
    for restarts in (1, 8):
        spec = catalogue.resolve("pgd", "linf", "0.1", {"steps": 1, "restarts": restarts})
        tried = run_attack(spec, "torchattacks", trained.net, Batch(trained.x, trained.y), num_classes=10, seed=0)  # fmt: skip
        fooled.append(trained.net(tried.x_adv).argmax(1) != trained.y)
    assert (fooled[1] | ~fooled[0]).all()
    assert fooled[1].sum() > fooled[0].sum()


def test_restarts_from_the_same_point_are_refused() -> None:
    with pytest.raises(SpecError, match="repeat one another"):
        quick("pgd", "linf", restarts=2, random_start=False)
    with pytest.raises(SpecError, match="has no restarts"):
        quick("fgsm", "linf", restarts=2)


@pytest.mark.parametrize(("name", "norm", "kit"), EOT)
def test_a_step_takes_the_mean_of_several_gradients(trained, name, norm, kit) -> None:
    x, y = trained.x[:4], trained.y[:4]
    tried, once = (
        run_attack(
            quick(name, norm, eot=eot), kit, trained.net, Batch(x, y), num_classes=10, seed=0
        )
        for eot in (2, 1)
    )
    # The mean of two equal gradients is that gradient; it takes twice the passes.
    assert torch.equal(tried.x_adv, once.x_adv)
    for many, single in ((tried.forwards, once.forwards), (tried.backwards, once.backwards)):
        assert torch.equal(many, 2 * single)


@pytest.mark.parametrize(("name", "norm", "kit"), EOT)
def test_the_mean_points_where_one_draw_does_not(name, norm, kit) -> None:
    model, x, y = oracles.two_classes(norm, [0.05] * 8)
    aligned = []
    for eot in (1, 40):
        spec = quick(name, norm, eot=eot, **({} if name == "fgsm" else {"steps": 1}))
        tried = run_attack(spec, kit, Noisy(model), Batch(x, y), num_classes=2, seed=0)
        away = (tried.x_adv - x).flatten(1) @ (model.weight[1] - model.weight[0])
        aligned.append((away * (1 - 2 * y)).mean().item())
    assert aligned[1] > aligned[0]
