from __future__ import annotations

import random
import sys
import time
from contextlib import suppress

import numpy as np
import pytest
import torch
from torch import nn

from bench.attacks.instrument import Probe, attacked


class Toy(nn.Module):
    """A quadratic model without parameters."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        flat = x.flatten(1)
        return torch.stack([flat.sum(1), flat.square().sum(1)], 1)


def images(count: int) -> torch.Tensor:
    return torch.rand(count, 1, 2, 2, generator=torch.Generator().manual_seed(0))


def test_whole_batches_count_one_each() -> None:
    probe = Probe(Toy(), images(3))
    x = images(3).requires_grad_()
    for _ in range(4):
        torch.autograd.grad(probe(x).sum(), x)
    with torch.no_grad():
        probe(x)
    assert probe.forwards.tolist() == [5, 5, 5]
    assert probe.backwards.tolist() == [4, 4, 4]


def test_each_backward_through_one_forward_counts() -> None:
    probe = Probe(Toy(), images(2))
    x = images(2).requires_grad_()
    logits = probe(x)
    for k in range(2):
        torch.autograd.grad(logits[:, k].sum(), x, retain_graph=True)
    assert (probe.forwards.tolist(), probe.backwards.tolist()) == ([1, 1], [2, 2])


def test_rows_that_are_named_are_counted() -> None:
    probe = Probe(Toy(), images(3))
    with probe.playing([2]):
        probe(images(1))
        probe(images(3))  # three candidates for one image
    with probe.playing([0, 1]):
        probe(images(2))
    with probe.playing([]):
        probe(images(1))  # of nobody
    probe(images(3))
    assert probe.forwards.tolist() == [2, 2, 5]


def test_a_part_of_the_batch_is_matched_to_the_nearest_originals() -> None:
    x = images(4)
    probe = Probe(Toy(), x)
    probe(x[[3, 1]].double() + 1e-3)
    assert probe.forwards.tolist() == [0, 1, 0, 1]


def test_within_a_radius_an_image_belongs_to_the_original_it_is_within() -> None:
    x = torch.stack([torch.zeros(1, 2, 2), torch.full((1, 2, 2), 0.5), torch.zeros(1, 2, 2)])
    x[2, 0, 0, 0] = 1.0
    probe = Probe(Toy(), x)
    probe.radius = 0.4
    moved = x[2:] + torch.tensor([[0.0, 0.4], [0.4, 0.4]])
    assert torch.cdist(moved.flatten(1), x.flatten(1)).argmin() == 1
    probe(moved)
    assert probe.forwards.tolist() == [0, 0, 1]


def test_the_model_sees_float32_though_art_feeds_float64() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    with pytest.raises(RuntimeError, match=r"[Dd]ouble|dtype"):
        net(images(2).double())
    assert Probe(net, images(2))(images(2).double()).dtype == torch.float32


def generators() -> list[object]:
    return [torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate()]


def test_generators_are_seeded_and_put_back() -> None:
    before = generators()
    draws = []
    for _ in range(2):
        with attacked(Toy(), images(1), 5):
            draws.append((torch.rand(1).item(), np.random.rand(), random.random()))
    assert draws[0] == draws[1]
    assert generators() == before


def test_a_seed_set_inside_for_good_does_not_get_out() -> None:
    """The APGD, FAB and Square of torchattacks call torch.manual_seed for the whole process."""
    import torchattacks

    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
    x, y = images(2), torch.tensor([0, 1])

    def states(guarded: bool) -> list[bool]:
        after = []
        for seed in (1, 2):
            torch.manual_seed(seed)
            if guarded:
                with attacked(net, x, 0) as probe:
                    torchattacks.APGD(probe, steps=2)(x, y)
            else:
                torchattacks.APGD(net, steps=2)(x, y)
            after.append(torch.get_rng_state())
        return torch.equal(*after)

    with torch.random.fork_rng():
        assert states(guarded=False)
        assert not states(guarded=True)


def test_modes_gradients_and_freezing_are_put_back_after_an_error() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.Dropout(), nn.Linear(3, 2))
    net.train()
    net[2].eval()
    net[1].bias.requires_grad_(False)
    net[1].weight.grad = torch.ones(3, 4)
    with suppress(ZeroDivisionError), attacked(net, images(1), 0) as probe:
        assert not any(module.training for module in net.modules())
        assert not any(param.requires_grad for param in net.parameters())
        net.train()
        net[1].weight.grad = None
        probe(images(1))
        _ = 1 / 0
    assert [module.training for module in net] == [True, True, False, True]
    assert [param.requires_grad for param in net.parameters()] == [True, False, True, True]
    assert torch.equal(net[1].weight.grad, torch.ones(3, 4))


@pytest.mark.parametrize("without", [torch.no_grad, torch.inference_mode])
def test_gradients_flow_whatever_the_caller_switched_off(without) -> None:
    with without():
        x = images(2)
        with attacked(Toy(), x, 0) as probe:
            x = x.clone().requires_grad_()
            assert torch.autograd.grad(probe(x).sum(), x)[0].abs().sum() > 0


def test_what_is_printed_stays_out_of_stdout(capsys) -> None:
    with attacked(Toy(), images(1), 0):
        sys.stdout.write("toolkit says hello\n")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "toolkit says hello\n")


def test_counting_costs_microseconds() -> None:
    x = images(64).requires_grad_()
    probe = Probe(Toy(), x)

    def cost(model: nn.Module) -> float:
        runs = []
        for _ in range(200):
            began = time.perf_counter()
            torch.autograd.grad(model(x).sum(), x)
            runs.append(time.perf_counter() - began)
        return sorted(runs)[20]

    # A pass of a small CIFAR network over 64 images takes some 50 ms: 2 % of it is 1,000 us.
    assert cost(probe) - cost(Toy()) < 500e-6
