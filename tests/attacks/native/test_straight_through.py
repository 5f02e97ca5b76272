from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bench.attacks.native.adaptive.straight_through import StraightThrough

CODES = torch.linspace(-1, 2, 12).view(4, 3)


class Calls(nn.Module):
    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x)


def no_grad(x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return 2 * x


def in_place(x: torch.Tensor) -> torch.Tensor:
    return (4 * x).round_() / 4


def inner_loop(x: torch.Tensor) -> torch.Tensor:
    inner = x.detach().requires_grad_()
    (slope,) = torch.autograd.grad(inner.square().sum(), inner)
    return x.detach() + slope


@pytest.mark.parametrize(
    "function",
    [
        torch.round,
        lambda x: (8 * x).floor() / 8,
        lambda x: torch.sign(x - 0.5),
        lambda x: x.detach(),
        lambda x: x.data,
        no_grad,
        in_place,
        inner_loop,
        lambda x: x - x % 0.25,
        lambda x: x // 0.25,
        lambda x: (x > 0.5).float(),
        lambda x: 1.0 * (x[:, :, None] <= torch.tensor([0.2, 0.8])).flatten(1),
        lambda x: ((x > 0.2) & ~(x > 0.6)).float(),
        lambda x: (255 * x).long().float(),
        lambda x: ((255 * x).to(torch.uint8) // 16 * 16) / 255,
        lambda x: torch.where(x > 0.5, 1.0, 0.0),
        lambda x: torch.zeros_like(x).masked_fill(x > 0.5, 1.0),
        lambda x: torch.tensor(x) if x.requires_grad else x.clone(),
        lambda x: CODES[torch.cdist(x, CODES).argmin(1)],
        lambda x: F.embedding(torch.cdist(x, CODES).argmin(1), CODES),
        lambda x: F.one_hot((-torch.cdist(x, CODES)).argmax(dim=1), 4).float(),
    ],
)
def test_values_stay_and_a_gradient_comes_through(function: Any) -> None:
    x = torch.tensor([[0.13, 0.52, 0.91], [0.37, 0.68, 0.24]])
    point = x.clone().requires_grad_()
    found = StraightThrough(Calls(function), 7)(point)
    torch.testing.assert_close(found, function(x))
    weights = torch.linspace(1, 2, found.numel()).view_as(found)
    (slope,) = torch.autograd.grad((weights * found).sum(), point)
    assert (slope.abs().sum(1) > 0).all()


def test_a_saturated_softmax_over_the_classes_has_the_slope_of_its_logits() -> None:
    logits = torch.tensor([[1000.0, 0.0, -500.0]], requires_grad=True)
    probabilities = StraightThrough(Calls(lambda x: x.softmax(1)), 3)(logits)
    assert probabilities.tolist() == [[1.0, 0.0, 0.0]]
    (slope,) = torch.autograd.grad(probabilities[0, 1], logits)
    assert slope[0, 1].item() == pytest.approx(1 / 1500)


def test_numbers_taken_out_of_torch_keep_their_values() -> None:
    x = torch.tensor([[0.25, 0.75]], requires_grad=True)
    found = StraightThrough(Calls(lambda x: torch.from_numpy(x.detach().numpy() * 2)), 2)(x)
    assert found.tolist() == [[0.5, 1.5]]
