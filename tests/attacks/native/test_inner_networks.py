from __future__ import annotations

import torch
from torch import nn

from bench.attacks.native.adaptive.inner_networks import InnerNetworks


class Around(nn.Module):
    """Calls a network on a changed image and returns its scores, changed or not."""

    def __init__(self, net: nn.Module, moved: float = 0.0, factor: float = 1.0) -> None:
        super().__init__()
        self.net, self.moved, self.factor = net, moved, factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.factor * self.net(x + self.moved)
        return scores


def linear() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 3))


def inside(net: nn.Module) -> list[nn.Module]:
    x = torch.rand(2, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    with InnerNetworks(net, x, 3) as found:
        scores = net(x)
    net(x)  # not noted any more
    return found.beside(scores)


def test_a_network_that_is_called_on_the_image_or_one_close_to_it_is_found() -> None:
    net = linear()
    assert inside(Around(net, factor=2)) == [net]
    assert inside(Around(net, moved=0.05, factor=2)) == [net]


def test_a_network_that_takes_another_image_or_is_the_whole_is_none() -> None:
    assert inside(Around(linear(), moved=0.5, factor=2)) == []  # as of a normalised image
    assert inside(Around(linear())) == []
    assert inside(linear()) == []


def test_of_networks_within_one_another_with_the_same_answer_there_is_one() -> None:
    net = linear()
    assert inside(Around(Around(net), factor=2)) == [net]
