import pytest
import torch
from torch import nn

from bench.models.imagenet import Resized, load_in_order


def test_a_resized_network_sees_the_other_size_and_has_a_gradient_for_every_pixel():
    seen = []

    class Net(nn.Module):
        def forward(self, x):
            seen.append(x)
            return x.flatten(1)[:, :10].sum(1, keepdim=True) + x.flatten(1).sum(1, keepdim=True)

    x = torch.rand(2, 3, 4, 4, requires_grad=True)
    Resized(Net(), 7)(x).sum().backward()
    assert seen[0].shape == (2, 3, 7, 7)
    assert (x.grad > 0).all()
    flat = torch.full((1, 3, 4, 4), 0.25)
    Resized(Net(), 7)(flat)
    assert torch.allclose(seen[1], torch.full((1, 3, 7, 7), 0.25))


def test_the_size_belongs_to_the_printed_network():
    assert repr(Resized(nn.Flatten(), 7)) != repr(Resized(nn.Flatten(), 8))


def test_weights_are_loaded_by_their_order_whatever_their_names():
    net = nn.Linear(2, 3)
    state = {"w": torch.arange(6.0).view(3, 2), "b": torch.arange(3.0)}
    load_in_order(net, state)
    assert torch.equal(net.weight, state["w"])
    assert torch.equal(net.bias, state["b"])


@pytest.mark.parametrize("state", [{"w": torch.zeros(3, 2)}, {"w": torch.zeros(2, 3), "b": torch.zeros(3)}])  # fmt: skip
def test_weights_of_another_network_are_refused(state):
    with pytest.raises(ValueError, match="do not fit a network of 2"):
        load_in_order(nn.Linear(2, 3), state)
