"""Faults of torchattacks 3.5.1, each shown raw and put right by the driver."""

from __future__ import annotations

import weakref

import numpy as np
import oracles
import pytest
import torch
import torchattacks
from attack_cases import quick
from torch import nn
from torchattacks.attacks._differential_evolution import DifferentialEvolutionSolver

from bench.attacks import catalogue
from bench.attacks.instrument import attacked
from bench.attacks.job import Batch
from bench.attacks.run_attack import run_attack
from bench.attacks.torchattacks_driver.fixed import _apgd_t_class
from bench.attacks.torchattacks_driver.sparse import _jsma_class, _one_pixel_class
from bench.errors import UnsupportedAttack


def driven(spec, model, x, y, num_classes: int = 10) -> torch.Tensor:
    return run_attack(
        spec, "torchattacks", model, Batch(x, y), num_classes=num_classes, seed=0
    ).x_adv


class Shifted(nn.Module):
    def __init__(self, net: nn.Module, by: float) -> None:
        super().__init__()
        self.net, self.by = net, by

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x) + self.by


CW = catalogue.resolve("cw", "l2", None, {"steps": 60, "step_size": 0.05})


def test_cw_never_changes_pixels_of_0_or_1(trained) -> None:
    x = trained.x[:8].round()
    y = trained.net(x).argmax(1)
    raw = torchattacks.CW(trained.net, steps=60, lr=0.05)(x, y)
    assert torch.equal(raw, x)
    assert (driven(CW, trained.net, x, y) - x).abs().max() > 0.1


def test_cw_finds_nothing_where_logits_are_negative(trained) -> None:
    model = Shifted(trained.net, -50).eval()
    inside = trained.x.clamp(0.01, 0.99)
    raw = torchattacks.CW(model, steps=60, lr=0.05)(inside, trained.y)
    assert (model(raw).argmax(1) == trained.y).float().mean() > 0.9
    shifted = driven(CW, model, trained.x, trained.y)
    assert (model(shifted).argmax(1) != trained.y).float().mean() > 0.9
    assert torch.allclose(shifted, driven(CW, trained.net, trained.x, trained.y), atol=0.05)


def test_cw_gives_back_the_clean_image_where_it_finds_none(trained) -> None:
    spec = catalogue.resolve("cw", "l2", None, {"steps": 3, "c": 1e-6})
    assert torch.equal(driven(spec, trained.net, trained.x[:6], trained.y[:6]), trained.x[:6])


def test_cw_stops_on_the_loss_of_the_whole_batch(trained) -> None:
    x, y = trained.x.clamp(1e-3, 1 - 1e-3), trained.y
    with attacked(trained.net, x, 0) as probe:
        torchattacks.CW(probe, c=10, steps=40, lr=0.5)(x, y)
        assert probe.forwards.max() < 40
    spec = catalogue.resolve("cw", "l2", None, {"c": 10, "steps": 40, "step_size": 0.5})
    tried = run_attack(spec, "torchattacks", trained.net, Batch(x, y), num_classes=10, seed=0)
    assert tried.forwards.tolist() == [40] * len(x)


def margins(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        logits = model(x)
    own = logits.gather(1, y[:, None])
    return (logits.scatter(1, y[:, None], -torch.inf).amax(1, keepdim=True) - own).flatten()


def test_deepfool_ends_without_a_margin(trained) -> None:
    x, y = trained.x[:16], trained.y[:16]
    raw = margins(trained.net, torchattacks.DeepFool(trained.net, steps=10)(x, y), y)
    assert (raw < 1e-4).float().mean() > 0.2
    spec = catalogue.resolve("deepfool", "l2")
    assert margins(trained.net, driven(spec, trained.net, x, y), y).min() > 1e-3


def test_deepfool_overshoots_by_what_is_asked_in_all() -> None:
    model, x, y = oracles.two_classes("l2", [0.2])
    spec = catalogue.resolve("deepfool", "l2", None, {"overshoot": 0.1})
    length = (driven(spec, model, x, y, 2) - x).norm().item()
    assert length == pytest.approx(0.22, rel=1e-3)


def test_deepfool_tries_every_class() -> None:
    model, x, y = oracles.ten_classes(2)
    spec = catalogue.resolve("deepfool", "l2", None, {"candidates": 3})
    with pytest.raises(UnsupportedAttack, match="candidates=3"):
        driven(spec, model, x, y)


def test_pgdl2_depends_on_the_batch_size() -> None:
    """Its 1e-10 added to the gradient's norm shortens the steps of sure images."""
    model, x, y = oracles.two_classes("l2", [0.4] * 8)
    model.weight.data *= 7.5  # a margin of some 26
    spec = catalogue.resolve("pgd", "l2", 1, {"random_start": False, "steps": 1})

    def lengths(attack) -> list[float]:
        return [(attack(x[:n], y[:n])[0] - x[0]).norm().item() for n in (1, 8)]

    alone, together = lengths(
        torchattacks.PGDL2(model, eps=1, alpha=0.25, steps=1, random_start=False)
    )
    assert together < 0.9 * alone
    ours = lengths(lambda a, b: driven(spec, model, a, b, 2))
    assert ours == pytest.approx([0.25, 0.25], rel=1e-4)


def test_pgdl2_starts_at_half_the_radius(trained) -> None:
    x, y = torch.full((200, 1, 8, 8), 0.5), torch.zeros(200, dtype=torch.int64)
    net, tiny = trained.net, 1e-7
    with torch.random.fork_rng():
        raw = torchattacks.PGDL2(net, eps=0.5, alpha=tiny, steps=1, random_start=True)(x, y)
    assert (raw - x).flatten(1).norm(dim=1).median() < 0.6 * 0.5
    spec = catalogue.resolve("pgd", "l2", 0.5, {"steps": 1, "step_size": tiny})
    assert (driven(spec, net, x, y) - x).flatten(1).norm(dim=1).median() > 0.97 * 0.5


def test_ead_measures_from_an_image_that_it_overwrites(trained) -> None:
    x, y = trained.x[:16], trained.y[:16]
    words = {"binary_search_steps": 3, "abort_early": False, "initial_const": 1.0}
    with attacked(trained.net, x, 0) as probe:
        raw = torchattacks.EADL1(probe, lr=0.05, max_iterations=20, **words)(x, y)
    assert raw.min() < -0.1
    assert raw.max() > 1.1
    assert (raw != x).flatten(1).all(1).float().mean() > 0.5  # every pixel is changed
    ours = driven(quick("ead", "l1"), trained.net, x, y)
    assert (ours != x).flatten(1).float().mean() < 0.75
    assert (ours - x).abs().sum() < 0.7 * (raw.clamp(0, 1) - x).abs().sum()


def test_ead_masks_logits_by_multiplying_with_0(trained) -> None:
    model = Shifted(trained.net, -50).eval()
    found = [driven(quick("ead", "l1"), net, trained.x, trained.y) for net in (model, trained.net)]
    assert torch.allclose(*found, atol=0.05)


def test_ead_asks_its_confidence_of_every_label_in_the_batch() -> None:
    model, x, y = oracles.ten_classes(4)
    labels = torch.tensor([0, 1, 2, 3])
    logits = torch.zeros(4, 10)
    logits[torch.arange(4), (labels + 1) % 4] = 1.0
    attack = torchattacks.EADL1(model, kappa=0.5)
    assert attack.compare(logits, labels).tolist() == [True] * 4
    logits[torch.arange(4), (labels + 1) % 4] = 0.25
    logits[:, 5] = 0.6
    logits[torch.arange(4), labels] = 0.0
    assert attack.compare(logits, labels).tolist() == [True] * 4  # of another's label
    logits[:, 5] = 0.0
    assert attack.compare(logits, labels).tolist() == [True] * 4  # 0.25 is less than 0.5
    spec = quick("ead", "l1", confidence=0.5)
    x_adv = driven(spec, model, x, y)
    moved = (x_adv != x).flatten(1).any(1)
    assert moved.any()
    assert (margins(model, x_adv, y)[moved] >= 0.5).all()


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_fab_begins_again_where_it_failed(norm) -> None:
    model, x, y = oracles.two_classes(norm, [0.01, 0.02, 0.03])
    spec = catalogue.resolve("fab", norm, 0.015, {"steps": 5, "restarts": 3})
    tried = run_attack(spec, "torchattacks", model, Batch(x, y), num_classes=2, seed=0)
    assert (model(tried.x_adv).argmax(1) != y).tolist() == [True, False, False]
    # A look at the start; a look and a gradient for each of two classes, and a look, a step.
    once = 1 + 2 * 5
    assert tried.forwards.tolist() == [once, 3 * once, 3 * once]
    assert tried.backwards.tolist() == [10, 30, 30]


def test_fab_fails_in_l1(trained) -> None:
    x, y = trained.x[:8], trained.y[:8]
    with attacked(trained.net, x, 0) as probe, pytest.raises(UnboundLocalError):
        torchattacks.FAB(probe, norm="L1", eps=3, steps=3)(x, y)
    x_adv = driven(catalogue.resolve("fab", "l1", 3, {"steps": 10}), trained.net, x, y)
    fooled = trained.net(x_adv).argmax(1) != y
    assert fooled.any()
    assert torch.equal(x_adv[~fooled], x[~fooled])


@pytest.mark.parametrize(("norm", "eps"), [("linf", 0.09), ("l2", 0.5)])
def test_fab_finds_what_its_own_restarts_find(trained, norm, eps) -> None:
    x, y = trained.x[:16], trained.y[:16]
    with attacked(trained.net, x, 0) as probe:
        raw = torchattacks.FAB(probe, norm=norm.capitalize(), eps=eps, steps=10)(x, y)
    spec = catalogue.resolve("fab", norm, eps, {"steps": 10})
    assert torch.equal(driven(spec, trained.net, x, y), raw)


def test_jsma_untargeted_is_led_to_one_of_ten_classes() -> None:
    """To the label + 1, modulo 10 whatever the model has."""
    model, x, y = oracles.grey(1.0, (1, 8, 8))
    with pytest.raises(IndexError):
        torchattacks.JSMA(model.eval(), gamma=1)(x, y + 1)
    spec = catalogue.resolve("jsma", "l0", None, {"gamma": 1})
    assert (model(driven(spec, model, x, y, 2)).argmax(1) != y).all()


def test_jsma_to_a_class_is_torchattacks_own(trained) -> None:
    x, y = trained.x[:6], trained.y[:6]
    target = (y + 1) % 10
    with attacked(trained.net, x, 0) as probe:
        raw = torchattacks.JSMA(probe, gamma=0.5)(x, y)
    spec = quick("jsma", "l0", targeted="next")
    arguments = {"num_classes": 10, "seed": 0}
    ours = run_attack(spec, "torchattacks", trained.net, Batch(x, y, target), **arguments).x_adv
    reached = trained.net(raw).argmax(1) == target
    assert reached.sum() >= 4
    assert torch.equal(ours[reached], raw[reached])


def test_jsma_cannot_flatten_channels_last_images() -> None:
    model, x, y = oracles.grey(1.0, (3, 4, 4))
    across = x.contiguous(memory_format=torch.channels_last)
    with attacked(model, x, 0) as probe, pytest.raises(RuntimeError, match="view size"):
        torchattacks.JSMA(probe)(across, y)
    spec = catalogue.resolve("jsma", "l0", None, {"gamma": 1})
    assert torch.equal(driven(spec, model, across, y, 2), driven(spec, model, x, y, 2))


@pytest.mark.parametrize("toolkit", ["art", "foolbox", "torchattacks"])
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_channels_last_networks_and_images_are_attacked_like_others(toolkit, norm) -> None:
    """PGDL2 flattens gradients by `view`, which fails on those of a channels-last convolution."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3)).eval()
    x, y = torch.rand(5, 3, 8, 8, generator=torch.Generator().manual_seed(0)), torch.arange(5) % 3
    spec = catalogue.resolve("pgd", norm, "0.1", {"steps": 3})
    arguments = {"num_classes": 3, "seed": 0}
    plain = run_attack(spec, toolkit, net, Batch(x, y), **arguments).x_adv
    net, across = net.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    if (toolkit, norm) == ("torchattacks", "l2"):
        with pytest.raises(RuntimeError, match="view size is not compatible"):
            torchattacks.PGDL2(net, steps=1)(x, y)
    tried = run_attack(spec, toolkit, net, Batch(across, y), **arguments).x_adv
    torch.testing.assert_close(tried, plain, atol=1e-5, rtol=0)


def test_jsma_moves_the_first_value_where_no_pair_helps() -> None:
    """Only pixel 3 gains, and it is white."""
    model, x, y = oracles.grey(1.0, (1, 3, 3), sure=3)
    model.weight.data = model.weight.data.abs() * torch.tensor([[-1.0], [1.0]])
    x[..., 1, 0] = 1.0
    model.bias[0] += 9
    with attacked(model, x, 0) as probe:
        attack = torchattacks.JSMA(probe, gamma=1)
        attack.set_mode_targeted_by_label(quiet=True)
        raw = attack(x, 1 - y)
    assert (raw != x).flatten().nonzero().tolist() == [[0]]
    spec = catalogue.resolve("jsma", "l0", None, {"gamma": 1})
    tried = run_attack(spec, "torchattacks", model, Batch(x, y), num_classes=2, seed=0)
    assert torch.equal(tried.x_adv, x)
    assert tried.backwards.tolist() == [2]  # and no more


def test_jsma_moves_a_value_once_and_more_of_them_than_gamma() -> None:
    model, x, y = oracles.grey(3.0, (1, 8, 8))
    with attacked(model, x, 0) as probe:
        attack = torchattacks.JSMA(probe, theta=0.1, gamma=0.05)
        attack.set_mode_targeted_by_label(quiet=True)
        raw = attack(x, 1 - y)
    moved = (raw - x)[raw != x]
    assert len(moved) == 4 > 0.05 * 64
    assert torch.allclose(moved, torch.tensor(0.1))
    spec = catalogue.resolve("jsma", "l0", None, {"theta": 0.1, "gamma": 0.5})
    ours = driven(spec, model, x, y, 2) - x
    assert ours.max() > 0.15
    assert (ours != 0).sum() <= 32


@pytest.mark.parametrize("rows", [7, 256])
def test_the_best_pair_is_found_a_few_rows_at_a_time(monkeypatch, rows) -> None:
    monkeypatch.setattr("bench.attacks.torchattacks_driver.sparse._ROWS", rows)
    generator = torch.Generator().manual_seed(0)
    attack = _jsma_class()(oracles.grey(1.0, (1, 6, 6))[0])
    for _ in range(10):
        jacobian = torch.randn(5, 36, generator=generator)
        attack.image = torch.rand(36, generator=generator).round()  # half of them are at 1
        free, label = attack.image < 0.5, torch.tensor([2])
        whole = super(_jsma_class(), attack).saliency_map(jacobian, label, True, free, 36)
        ours = attack.saliency_map(jacobian, label, True, free.clone(), 36)
        assert [int(i) for i in ours] == [int(i) for i in whole]


def test_one_pixel_rounds_its_population_down() -> None:
    """To a multiple of 2 + C for each pixel; numpy 2 no longer lets us give it one of our own."""
    model, x, y = oracles.grey(60.0, (1, 6, 6))
    with attacked(model, x, 0) as probe:
        torchattacks.OnePixel(probe, pixels=1, steps=2, popsize=10)(x, y)
        assert probe.forwards.tolist() == [9 * 3 + 2]
        with pytest.raises(AttributeError, match="asfarray"):
            DifferentialEvolutionSolver(lambda _: 0, [(0, 1)] * 3, init=np.zeros((10, 3)))
    spec = catalogue.resolve("one-pixel", "l0", 1, {"population": 10, "generations": 2})
    tried = run_attack(spec, "torchattacks", model, Batch(x, y), num_classes=2, seed=0)
    assert tried.forwards.tolist() == [10 * 3 + 2]


def test_one_pixel_forgets_how_good_its_best_member_is() -> None:
    """Its losses are a column, whose rows its solver swaps without a copy."""
    losses = np.array([3.0, 1.0, 2.0, 5.0, 4.0])

    def first(shape: tuple[int, ...]) -> float:
        solver = DifferentialEvolutionSolver(lambda _: losses.reshape(shape).copy(), [(0, 1)])
        solver.num_population_members = 5
        solver.init_population_random()
        solver._calculate_population_energies()
        return float(np.ravel(solver.population_energies)[0])

    assert first((5, 1)) == 3
    assert first((5,)) == 1
    model, x, y = oracles.grey(60.0, (1, 6, 6))
    attack = _one_pixel_class()(model)
    assert attack._loss(x, y, np.zeros((5, 3))).shape == (5,)


class Flat(nn.Module):
    """A model whose gradient is zero."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.stack([1 + 0 * x.flatten(1).sum(1), 0 * x.flatten(1).sum(1)], 1)


def test_attacks_fail_where_gradients_are_off(trained) -> None:
    with torch.no_grad(), pytest.raises(RuntimeError, match="grad"):
        torchattacks.FGSM(trained.net)(trained.x[:2], trained.y[:2])


def test_a_model_without_parameters_makes_it_print(capsys) -> None:
    torchattacks.FGSM(Flat())
    assert "set_device" in capsys.readouterr().out


class _Remembering(nn.Module):
    """A small network that counts which of the images it was given are still in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(12, 6)
        self.given: list[weakref.ref[torch.Tensor]] = []
        self.most = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.given.append(weakref.ref(x))
        self.most = max(self.most, sum(image() is not None for image in self.given))
        return self.net(x.flatten(1))


@pytest.mark.parametrize("own", [True, False])
def test_images_of_the_steps_of_apgd_t_are_let_go_with_their_class(own: bool) -> None:
    """Torchattacks keeps those of all classes: gigabytes with images of 512 x 512."""
    torch.manual_seed(0)
    net, x = _Remembering(), torch.rand(2, 3, 2, 2)
    y = net(x).argmax(1)
    kind = _apgd_t_class() if own else torchattacks.APGDT
    kind(net, eps=1e-6, steps=10, n_classes=6)(x, y)
    assert (net.most < 2 * 10) == own
