"""Faults of adv-lib 0.2.8, each shown raw and put right by the driver; and its passes, by hand."""

from __future__ import annotations

import sys
from typing import Any

import oracles
import pytest
import torch
from attack_cases import quick
from torch import nn

from bench.attacks import catalogue
from bench.attacks.adv_lib_driver import common, minimal, penalty, prepare
from bench.attacks.job import Batch
from bench.attacks.run_attack import AttackResult, run_attack
from bench.errors import UnsupportedAttack

prepare()
from adv_lib import attacks as raw  # noqa: E402
from adv_lib.attacks import (  # noqa: E402
    augmented_lagrangian,
    fast_minimum_norm,
    primal_dual_gradient_descent,
)


def driven(spec, model, x, y, toolkit="adv-lib", num_classes=10, target=None) -> AttackResult:
    return run_attack(spec, toolkit, model, Batch(x, y, target), num_classes=num_classes, seed=0)


def fooled(model, x_adv, y) -> list[bool]:
    return (model(x_adv).argmax(1) != y).tolist()


def test_visdom_is_needed_for_the_import_alone() -> None:
    assert sys.modules["adv_lib"].__version__ == "0.2.8"
    assert "visdom" not in sys.modules


def test_pgd_never_looks_at_what_its_last_step_comes_to() -> None:
    model, x, y = oracles.two_classes("linf", [0.01, 0.02, 0.05])
    words: dict[str, Any] = {"random_init": False, "absolute_step_size": 0.03}
    one_step = raw.pgd_linf(model, x, y, ε=0.03, steps=1, **words)
    assert torch.equal(one_step, x)
    spec = catalogue.resolve(
        "pgd", "linf", 0.03, {"steps": 1, "step_size": 0.03, "random_start": False}
    )
    tried = driven(spec, model, x, y, num_classes=2)
    assert fooled(model, tried.x_adv, y) == [True, True, False]
    # Where none is found it gives back the image itself, and the other toolkits the last one.
    two_steps = raw.pgd_linf(model, x, y, ε=0.03, steps=2, **words)
    assert torch.equal(two_steps[2], x[2])
    other = driven(spec, model, x, y, "torchattacks", num_classes=2).x_adv
    assert torch.allclose(tried.x_adv, other, atol=1e-6)


class OnlyAtFirst(nn.Module):
    """Says class 1 to the first images that it is shown, and class 0 ever after."""

    shown = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.shown += 1
        first = 1.0 if self.shown == 1 else -1.0
        way = x.flatten(1).mean(1)
        return torch.stack([0 * way, first + 0 * way], 1)


def test_apgd_counts_a_start_that_fools_as_found_and_returns_the_clean_image() -> None:
    x, y = torch.full((2, 1, 4, 4), 0.5), torch.zeros(2, dtype=torch.int64)
    words: dict[str, Any] = {"n_iter": 3, "loss_function": "ce"}
    model = OnlyAtFirst()
    found = raw.apgd(model, x, y, eps=0.1, norm=2, n_restarts=2, **words)
    assert torch.equal(found, x)
    assert model.shown == 4  # the second start is left out
    model = OnlyAtFirst()
    driven(catalogue.resolve("apgd-ce", "l2", 0.1, {"steps": 3, "restarts": 2}), model, x, y)
    assert model.shown == 4 + 1 + 4


def test_targeted_apgd_leads_back_to_the_label_what_is_wrong_already(trained) -> None:
    model, x, _ = trained
    x = x[:12]
    second = model(x).topk(2).indices[:, 1]  # a surface that takes these for another class
    back = raw.apgd_targeted(model, x, second, eps=0.3, norm=torch.inf, n_iter=20, num_targets=9)
    assert (model(back).argmax(1) == second).sum() >= 3
    spec = catalogue.resolve("apgd-t", "linf", "0.3", {"steps": 20})
    tried = driven(spec, model, x, second).x_adv
    assert (model(tried).argmax(1) != second).all()


def test_ddn_rounds_every_step_to_8_bits(trained) -> None:
    x, y = trained.x[:6], trained.y[:6]
    found = raw.ddn(trained.net, x, y, steps=30)
    steps = found * 255
    assert (steps - steps.round()).abs().max() < 1e-4
    spec = catalogue.resolve("ddn", "l2", None, {"steps": 30})
    ours = driven(spec, trained.net, x, y).x_adv
    assert (ours * 255 - (ours * 255).round()).abs().max() > 0.1
    other = driven(spec, trained.net, x, y, "foolbox").x_adv
    assert torch.allclose(ours, other, atol=1e-4)


def test_cw_hardly_changes_pixels_of_0_or_1_and_fails_under_ten_steps(trained) -> None:
    x = trained.x[:8].round()
    y = trained.net(x).argmax(1)
    with pytest.raises(ZeroDivisionError):
        raw.carlini_wagner_l2(trained.net, x, y, max_iterations=9)
    words: dict[str, Any] = {"initial_const": 1.0, "binary_search_steps": 1, "learning_rate": 0.05}
    found = raw.carlini_wagner_l2(trained.net, x, y, max_iterations=60, **words)
    assert (found - x).abs().max() < 1e-3
    spec = catalogue.resolve("cw", "l2", None, {"steps": 60, "step_size": 0.05})
    assert (driven(spec, trained.net, x, y).x_adv - x).abs().max() > 0.1
    few = catalogue.resolve("cw", "l2", None, {"steps": 3, "c": 1e-6})
    assert torch.equal(driven(few, trained.net, x, y).x_adv, x)


def test_deepfool_returns_the_clean_image_where_its_last_step_fools() -> None:
    model, x, y = oracles.two_classes("l2", [0.1, 0.2, 0.3])
    assert torch.equal(raw.df(model, x, y, steps=1), x)
    tried = driven(catalogue.resolve("deepfool", "l2", None, {"steps": 1}), model, x, y, num_classes=2)  # fmt: skip
    assert fooled(model, tried.x_adv, y) == [True] * 3


def test_deepfool_tries_every_class(trained) -> None:
    with pytest.raises(UnsupportedAttack, match=r"tries every class: candidates=5 is fewer"):
        driven(quick("deepfool", "l2", candidates=5), trained.net, trained.x[:1], trained.y[:1])


def test_fmn_lengthens_steps_to_the_edge_of_its_l2_ball() -> None:
    steps = torch.tensor([[0.3, 0.4], [3.0, 4.0]])
    radii = torch.tensor([2.0, 2.5])
    assert fast_minimum_norm.l2_projection_(steps.clone(), radii).norm(dim=1)[0] > 1
    ours = minimal.l2_projection(steps.clone(), radii)
    assert torch.allclose(ours, torch.tensor([[0.3, 0.4], [1.5, 2.0]]))


def test_fmn_keeps_a_value_in_an_l0_ball_of_none_and_fails_where_all_have_none() -> None:
    steps = torch.tensor([[0.1, -0.4, 0.2, 0.3]]).repeat(2, 1)
    radii = torch.tensor([0.0, 2.0])
    assert fast_minimum_norm.l0_projection_(steps.clone(), radii)[0].count_nonzero() == 1
    with pytest.raises(RuntimeError, match="out of bounds"):
        fast_minimum_norm.l0_projection_(steps[:1].clone(), radii[:1])
    ours = minimal.l0_projection(steps.clone(), radii)
    assert torch.equal(ours, torch.tensor([[0.0, 0, 0, 0], [0, -0.4, 0, 0.3]]))


def test_pdpgd_sets_large_values_to_0_where_the_weight_is_small() -> None:
    """Against the minimum over a grid of λ |z|^(2/3) + (z - x)²/2."""
    x, weight = torch.linspace(-1, 1, 401), 1e-4
    lost = primal_dual_gradient_descent.l23_proximal(x.clone()[None], torch.tensor([[weight]]))[0]
    assert (lost[x.abs() > 0.1] == 0).float().mean() > 0.05
    for weight in (1e-4, 1e-2, 0.1):
        ours = penalty.l23_proximal(x[None], torch.tensor([[weight]]))[0]
        grid = torch.linspace(-1, 1, 20001, dtype=torch.double)
        cost = weight * grid.abs() ** (2 / 3) + (grid - x.double()[:, None]) ** 2 / 2
        at = weight * ours.double().abs() ** (2 / 3) + (ours.double() - x) ** 2 / 2
        # Where both a value and 0 are near the minimum, the threshold of the formula is between them.
        assert (at <= cost.amin(1) + 0.05 * weight).all()


def test_alma_looks_for_ever_for_a_first_step_that_the_box_cuts_short() -> None:
    """At a bound, and drawn beyond it, an image does not move, however large the rate."""
    x, slope = torch.ones(2, 1, 2, 2), -torch.ones(2, 1, 2, 2)
    x[1] = 0.5

    class Enough(Exception):
        pass

    asked = 0

    def far(moved: torch.Tensor) -> torch.Tensor:
        nonlocal asked
        asked += 1
        if asked > 200:
            raise Enough
        return (moved - x).flatten(1).norm(dim=1)

    with pytest.raises(Enough):
        augmented_lagrangian.init_lr_finder(x, slope, far, 0.2)
    asked = 0
    rate = penalty.first_rate(x, slope, far, 0.2)
    assert rate.isfinite().all()
    assert rate[1] == pytest.approx(0.1, abs=1e-4)  # four values of 0.1 are 0.2 long


def test_alma_with_a_target_needs_four_classes(trained) -> None:
    class Three(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = trained.net(x)[:, :3]
            return logits

    x, y = trained.x[:2], torch.zeros(2, dtype=torch.int64)
    with pytest.raises(UnsupportedAttack, match=r"compares four classes .* the model has 3"):
        driven(quick("alma", "l2", targeted="next"), Three(), x, y, num_classes=3, target=y + 1)


def test_parts_are_replaced_in_a_copy_alone() -> None:
    changed = common.with_parts(raw.fmn, l2_projection_=None)
    assert changed.__globals__["l2_projection_"] is None
    assert raw.fmn.__globals__["l2_projection_"] is fast_minimum_norm.l2_projection_
    assert changed.__defaults__ == raw.fmn.__defaults__


def test_passes_by_hand() -> None:
    model, x, y = oracles.two_classes("l2", [0.1, 0.2, 0.3])

    def counts(name: str, norm="l2", eps=None, **words) -> list[list[int]]:
        spec = catalogue.resolve(name, norm, eps, words)
        tried = driven(spec, model, x, y, num_classes=2)
        return [tried.forwards.tolist(), tried.backwards.tolist()]

    steps = [[7] * 3, [7] * 3]
    # As many as Foolbox's and torchattacks' take (test_counts.py).
    assert counts("cw", steps=7) == counts("ddn", steps=7) == steps
    assert counts("cw", steps=7, search_steps=2) == [[14] * 3, [14] * 3]
    assert counts("pdgd", steps=7) == counts("pdpgd", "l1", steps=7) == steps
    assert counts("sigma-zero", "l0", steps=7) == steps
    # A gradient for the one other class, then the look that finds the class changed.
    assert counts("deepfool") == [[2] * 3, [1] * 3]
    # The start, then a gradient a step; in l1 one start for each of three radii.
    assert counts("apgd-ce", eps=0.01, steps=7) == [[8] * 3, [8] * 3]
    assert counts("apgd-ce", "l1", eps=0.01, steps=7) == [[10] * 3, [10] * 3]
    # A look at the image; then two passes and a gradient a step.
    assert counts("fab", eps=9, steps=7) == [[15] * 3, [7] * 3]
    # One gradient for each of two classes; a look and a gradient for a step of 0.2, and the last look.
    assert counts("trust-region", region=0.25, adaptive=False, candidates=2)[1][0] == 3
    # A look, DeepFool's two and the look at its image with a gradient, a look, and ten halvings.
    assert counts("superdeepfool")[0] == [1 + 2 + 1 + 1 + 10] * 3


def test_an_image_of_vfga_takes_its_own_passes_and_draws(trained) -> None:
    """A look with a gradient and two times four changes, for each value that is changed."""
    spec = quick("vfga", "l0")

    def found(rows: list[int]) -> AttackResult:
        return driven(spec, trained.net, trained.x[rows], trained.y[rows])

    one, other = found([0, 1, 2]), found([0, 9, 2])
    assert torch.equal(one.x_adv[[0, 2]], other.x_adv[[0, 2]])
    assert one.forwards[[0, 2]].tolist() == other.forwards[[0, 2]].tolist()
    values = (one.x_adv != trained.x[:3]).flatten(1).sum(1)
    assert one.backwards.tolist() == values.tolist()
    assert one.forwards.tolist() == (9 * values).tolist()


ALIKE = [
    ("fab", "linf"), ("fab", "l2"), ("ddn", "l2"), ("deepfool", "l2"), ("deepfool", "linf"),
    ("cw", "l2"), *(("fmn", norm) for norm in ("l0", "l1", "l2", "linf")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "norm"), ALIKE)
def test_it_finds_what_the_other_toolkit_finds(trained, name, norm) -> None:
    """Medians: what crosses a boundary in the last bit differs between processors."""
    other = "torchattacks" if name == "fab" else "foolbox"
    x, y = trained.x[:16], trained.y[:16]
    sizes = []
    for toolkit in (other, "adv-lib"):
        x_adv = driven(quick(name, norm), trained.net, x, y, toolkit).x_adv
        hit = trained.net(x_adv).argmax(1) != y
        assert hit.sum() >= 6
        sizes.append(oracles.size(x_adv - x, norm)[hit].median())
    assert float(sizes[0]) == pytest.approx(float(sizes[1]), rel=0.02)
