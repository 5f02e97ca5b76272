"""A suite with a smoothed linear model, that runs in a second."""

import torch

import bench
from bench.adapters.smoothed import smooth
from bench.spec import ModelSpec

SUITE = """\
title  = "Certified"
data   = "digits"
images = 8

[[models]]
name  = "lines"

[[models]]
name  = "plain"

[[attacks]]
name     = "pgd"
norm     = "l2"
eps      = "0.3"
steps    = 2
toolkits = ["torchattacks"]

[[attacks]]
name = "certify"
norm = "l2"
n    = [50, 200]
"""

LINES = ModelSpec(
    name="lines", family="network", data="digits", input_shape=(1, 8, 8), num_classes=10
)


def linear() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))


def register() -> None:
    """Register the models of the suite."""
    bench.register_model("lines", data="digits", family="smoothed")(
        lambda: smooth(LINES, linear(), 0.1, n=20)
    )
    bench.register_model("plain", data="digits")(lambda: bench.wrap(linear(), 10, (1, 8, 8)))
