"""The small network of the digits that the attack tests share, and the command that makes its weights.

    PYTHONPATH=. python tests/digits_network.py

Its weights are kept in a file, since a training rounds differently on every kind of processor, and each
update enlarges the difference: trained anew, it is another network there, with other images near its
boundaries.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional as F

from bench.data.datasets import load

WEIGHTS = Path(__file__).with_suffix(".safetensors")


def network() -> nn.Module:
    """Return the network without its weights, in evaluation mode: logits of (N, 1, 8, 8)."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1, stride=2),
        nn.BatchNorm2d(8),
        nn.ReLU(inplace=True),
        nn.Flatten(),
        nn.Linear(128, 32),
        nn.ReLU(inplace=True),
        nn.Dropout(0.1),
        nn.Linear(32, 10),
    ).eval()


def shipped() -> nn.Module:
    """Return the network with the weights of the file."""
    net = network()
    net.load_state_dict(load_file(WEIGHTS))
    return net


def train() -> nn.Module:
    """Return the network after five epochs on scikit-learn's digits."""
    torch.manual_seed(0)
    net = network().train()
    images = load("digits", "train")
    optimizer = torch.optim.Adam(net.parameters(), 5e-3)
    for _ in range(5):
        for batch in torch.randperm(len(images)).split(64):
            loss = F.cross_entropy(net(images.images[batch]), images.labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return net.eval()


if __name__ == "__main__":
    save_file(train().state_dict(), WEIGHTS)
