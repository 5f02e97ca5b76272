"""The small networks of the digits that the defences are built on, trained once a session."""

from __future__ import annotations

import functools

import torch
from digits_network import shipped
from torch import nn
from torch.nn import functional as F

from .scene import images

CLASSES, SHAPE = 10, (1, 8, 8)


@functools.cache
def base() -> nn.Module:
    """Return the network whose weights are kept in a file, without any defence: (N, 1, 8, 8) to logits."""
    return still(shipped())


def still(net: nn.Module) -> nn.Module:
    """Return a network in eval mode, whose weights ask for no gradient."""
    return net.eval().requires_grad_(False)


def trained(
    net: nn.Module,
    epochs: int = 10,
    temperature: float = 1.0,
    teacher: nn.Module | None = None,
    rate: float = 3e-3,
) -> nn.Module:
    """Return a network after a training on the digits with Adam, in eval mode.

    Args:
        net: images to logits; its weights have to be drawn under a seed.
        epochs: passes over the training images.
        temperature: the logits' divisor in the loss (distillation).
        teacher: whose answers at that temperature are the labels; None for the true ones.
        rate: the learning rate.
    """
    x, y = images("digits", None, "train")
    net.train()
    optimizer = torch.optim.Adam(net.parameters(), rate)
    order = torch.Generator().manual_seed(0)
    soft = None if teacher is None else (teacher(x) / temperature).softmax(1)
    for _ in range(epochs):
        for batch in torch.randperm(len(x), generator=order).split(64):
            target = y[batch] if soft is None else soft[batch]
            loss = F.cross_entropy(net(x[batch]) / temperature, target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return still(net)


def perceptron(inputs: int = 64, hidden: int = 64, seed: int = 0) -> nn.Sequential:
    """Return an untrained network with one hidden layer, its weights drawn under a seed."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Flatten(), nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, CLASSES)
        )
