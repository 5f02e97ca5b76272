"""Brendel-Bethge in Foolbox 3.3.4 and ART 1.20.1: faults shown raw and put right, and its start."""

from __future__ import annotations

import importlib.util
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import foolbox
import numpy as np
import oracles
import pytest
import torch
from foolbox.attacks import brendel_bethge
from scenes import tiny
from torch import nn

from bench.attacks import catalogue
from bench.attacks.art_driver.common import classifier
from bench.attacks.brendel_bethge import Solver, compiled
from bench.attacks.foolbox_driver import brendel_bethge as driver
from bench.attacks.instrument import Probe, attacked
from bench.attacks.job import Batch, Job
from bench.attacks.native.start import far_start
from bench.attacks.run_attack import AttackResult, run_attack
from bench.errors import PrerequisiteError
from bench.runner.plan import make_plan
from bench.runner.suite import load_suite

STEPS = {"steps": 10, "step_size": 0.2}


def run(model, x, y, toolkit, norm="l2", num_classes: int = 10, **words) -> AttackResult:
    spec = catalogue.resolve("brendel-bethge", norm, None, {**STEPS, **words})
    return run_attack(spec, toolkit, model, Batch(x, y), num_classes=num_classes, seed=0)


class Recorder:
    """The solver of these tests, which notes the trust regions it is given."""

    def __init__(self) -> None:
        self.solver: Any = driver.compiled(None)
        self.regions: list[float] = []

    def solve(self, *arguments: Any) -> Any:
        self.regions.append(float(arguments[-1]))
        return self.solver.solve(*arguments)


class Raw(brendel_bethge.L2BrendelBethgeAttack):
    def instantiate_optimizer(self) -> Any:
        return Recorder()


def raw_foolbox(net: nn.Module, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, Recorder]:
    attack = Raw(steps=10, lr=0.2)
    with attacked(net, x, 0) as probe:
        start = far_start(probe, x, y, None, 0)
        model = foolbox.PyTorchModel(probe, bounds=(0, 1), device="cpu")
        found = attack.run(model, x, foolbox.Misclassification(y), starting_points=start.x)
    return found, attack._optimizer


def raw_art(net: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    from art.attacks.evasion.brendel_bethge import BrendelBethgeAttack

    spec = catalogue.resolve("brendel-bethge", "l2", None, STEPS)
    with attacked(net, x, 0) as probe:
        job = Job(spec=spec, probe=probe, x=x, y=y, target=None, num_classes=10, seed=0)
        attack = BrendelBethgeAttack(classifier(job), norm=2, steps=10, lr=0.2)
        attack._optimizer = Recorder()
        start = far_start(probe, x, y, None, 0)
        found = attack.generate(
            x.numpy(), nn.functional.one_hot(y, 10).numpy(), starting_points=start.x.numpy()
        )
    return torch.from_numpy(found)


@pytest.mark.parametrize("toolkit", ["foolbox", "art"])
def test_the_trust_region_grows_with_the_batch(trained, toolkit) -> None:
    """And in ART an image of the batch is no adversary where it has the label of another."""
    x, y = trained.x[:4], trained.y[:4]
    if toolkit == "foolbox":
        wide, narrow = (raw_foolbox(trained.net, x[:n], y[:n])[1].regions[0] for n in (4, 1))
        assert wide == pytest.approx(4 * narrow)
    else:
        together, alone = raw_art(trained.net, x, y)[:1], raw_art(trained.net, x[:1], y[:1])
        assert (together - alone).abs().max() > 0.01
    together, alone = (run(trained.net, x[:n], y[:n], toolkit).x_adv for n in (4, 1))
    assert torch.equal(together[:1], alone)


def test_it_ends_on_the_boundary_but_for_rounding() -> None:
    model, x, y = oracles.two_classes("l2", [0.1, 0.2, 0.3])

    def margins(x_adv: torch.Tensor) -> torch.Tensor:
        logits = model(x_adv).detach()
        return (logits.sum(1) - 2 * logits.gather(1, y[:, None]).squeeze(1)).abs()

    assert margins(raw_foolbox(model, x, y)[0]).max() < 1e-4
    for toolkit in ("art", "foolbox"):
        ours = run(model, x, y, toolkit, num_classes=2).x_adv
        assert (model(ours).argmax(1) != y).all()
        assert margins(ours).min() > 3e-4


@contextmanager
def _within(seconds: float) -> Iterator[None]:
    def late(*_: Any) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_tiny_gradient_keeps_the_linf_solver_for_ever() -> None:
    """The multiplier that takes 64 values of slope 1.5e-10 to the boundary is above 1e10."""
    x0, x, slope = np.full(64, 0.5), np.full(64, 0.05), np.full(64, 1.5e-10)
    distance = 0.999 * float(slope @ (1 - x))
    raw = oracles.interpreted(brendel_bethge.LinfOptimizer)
    with pytest.raises(TimeoutError), _within(2):
        raw.solve(x0, x, slope, 0.0, 1.0, distance, 10.0)
    with _within(60):
        step = Solver(raw).solve(x0, x, slope, 0.0, 1.0, distance, 10.0)
    assert slope @ step == pytest.approx(distance, rel=1e-3)


def test_without_a_slope_there_is_no_step() -> None:
    solver = Solver(oracles.interpreted(brendel_bethge.LinfOptimizer))
    x0, x = np.full(4, 0.5), np.full(4, 0.1)
    for slope in (np.zeros(4), np.array([1.0, np.nan, 0.0, 1.0])):
        with _within(60):
            assert not solver.solve(x0, x, slope, 0.0, 1.0, 0.1, 1.0).any()


def test_passes_by_hand() -> None:
    """The draws of noise, two looks at the ends, ten halvings, then one or two passes a step."""
    model, x, y = oracles.two_classes("l2", [0.1, 0.2, 0.3])
    generator = torch.Generator().manual_seed(0)
    classes = [int(model(torch.rand(1, 3, 5, 5, generator=generator)).argmax()) for _ in range(20)]
    draws = [next(n for n, drawn in enumerate(classes, 1) if drawn != label) for label in y]
    for toolkit, each in (("foolbox", 1), ("art", 2)):
        tried = run(model, x, y, toolkit, num_classes=2, steps=7)
        assert (tried.forwards - torch.tensor(draws)).tolist() == [12 + 7 * each] * 3
        assert tried.backwards.tolist() == [7] * 3


class Bright(nn.Module):
    """Class 1 where the mean is above 0.9, which no noise ever is; class 2 never."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = x.flatten(1).mean(1)
        return torch.stack([0 * mean + 0.9, mean, 0 * mean - 1], 1)


def test_where_noise_does_not_fool_the_start_is_climbed_to() -> None:
    x, y = torch.full((3, 1, 8, 8), 0.3), torch.zeros(3, dtype=torch.int64)
    probe = Probe(Bright(), x)
    start = far_start(probe, x, y, None, 0)
    assert start.found.all()
    assert (Bright()(start.x).argmax(1) == 1).all()
    target = torch.tensor([1, 2, 1])
    assert far_start(probe, x, y, target, 0).found.tolist() == [True, False, True]


def test_an_image_without_a_start_comes_back_clean() -> None:
    x = torch.full((2, 1, 8, 8), 0.3)
    spec = catalogue.resolve("brendel-bethge", "l2", None, {**STEPS, "targeted": "next"})
    for toolkit in ("art", "foolbox"):
        tried = run_attack(spec, toolkit, Bright(), Batch(x, torch.zeros(2, dtype=torch.int64), torch.tensor([2, 1])), num_classes=3, seed=0)  # fmt: skip
        assert torch.equal(tried.x_adv[0], x[0])
        assert Bright()(tried.x_adv).argmax(1).tolist() == [0, 1]


def test_without_numba_it_is_left_out_and_the_rest_runs(trained, monkeypatch, tmp_path) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name == "numba" else found(name, *rest),
    )
    for toolkit in ("art", "foolbox"):
        with pytest.raises(PrerequisiteError, match=r"needs numba.*pip install numba"):
            run(trained.net, trained.x[:2], trained.y[:2], toolkit)
    path = tmp_path / "with.toml"
    path.write_text(tiny.SUITE + '\n[[attacks]]\nname = "brendel-bethge"\nnorm = "l2"\n')
    planned = {cell.attack.name for cell in make_plan(load_suite(str(path))).cells.values()}
    assert planned == {"fgsm", "pgd", "deepfool", "noise"}
    spec = catalogue.resolve("fgsm", "linf", 0.1)
    run_attack(spec, "foolbox", trained.net, Batch(trained.x[:2], trained.y[:2]), num_classes=10, seed=0)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["l1", "l2", "linf"])
def test_compiled_it_does_what_it_does_interpreted(norm) -> None:
    kind = getattr(brendel_bethge, f"{norm.capitalize()}Optimizer")
    generator = np.random.default_rng(0)
    x0, x = generator.random(27), generator.random(27)
    slope = generator.standard_normal(27)
    problem = x0, x, slope, 0.0, 1.0, 0.2, 1.0
    plain = Solver(oracles.interpreted(kind)).solve(*problem)
    assert np.allclose(compiled(kind).solve(*problem), plain, atol=1e-6)
