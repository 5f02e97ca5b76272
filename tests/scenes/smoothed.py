"""A suite with a smoothed linear model, that runs in a second."""

from typing import Any

import build
import torch

import bench
from bench.adapters.smoothed import smooth
from bench.spec import ModelSpec

LINES = ModelSpec(
    name="lines", family="network", data="digits", input_shape=(1, 8, 8), num_classes=10
)


def suite(**pgd: Any) -> str:
    """Return the suite, with what more is written of its PGD."""
    attack = {"name": "pgd", "norm": "l2", "eps": "0.3", "steps": 2, "toolkits": ["torchattacks"]}
    return build.suite(
        title="Certified",
        images=8,
        models=["lines", "plain"],
        attacks=[{**attack, **pgd}, {"name": "certify", "norm": "l2", "n": [50, 200]}],
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
