"""Sound evaluations: strong attacks on models that hide nothing, where no check may fail."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import build
from torch import nn

import bench
from bench.model_names import MODELS
from bench.spec import Adapter

from .bases import CLASSES, SHAPE, trained

IMAGES = 100


@dataclass(frozen=True, kw_only=True)
class Sound:
    """A model that is evaluated as it should be.

    Attributes:
        name: of the evaluation.
        model: the name of the model.
        attacks: the suite's attacks.
        make: makes the model, where it is not one that Crossfire trains.
    """

    name: str
    model: str
    attacks: tuple[Mapping[str, Any], ...]
    make: Callable[[], Adapter] | None = None

    def run(self, folder: Path, images: int = IMAGES, **head: Any) -> bench.api.Run:
        """Return a run of the evaluation; its results are left in a folder."""
        if self.make is not None and self.model not in MODELS:
            bench.register_model(self.model, data="digits")(self.make)
        path = folder / "sound.toml"
        path.write_text(build.suite([self.model], self.attacks, images=images, **head))
        return bench.run(path, results=folder / "results", models=(self.model,))


@functools.cache
def linear() -> Adapter:
    """Return a linear classifier of the pixels."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, CLASSES))
    nn.init.zeros_(net[1].weight)
    nn.init.zeros_(net[1].bias)
    return bench.wrap(trained(net, epochs=10), CLASSES, SHAPE)


def strong(norm: str, *eps: str, **more: Any) -> tuple[Mapping[str, Any], ...]:
    """Return attacks that find what there is on a plain network: PGD from several starts and APGD.

    Args:
        norm: of the threat.
        eps: of the threat.
        more: what else is written of each.
    """
    named = {"norm": norm, "eps": list(eps), **more}
    single = ({"name": "fgsm", **named},) if norm == "linf" else ()
    return (
        {"name": "noise", "norm": norm, "eps": list(eps)},
        *single,
        {"name": "pgd", **named, "steps": 40, "restarts": 3, "toolkits": ["foolbox"]},
        {"name": "pgd", **named, "steps": 80, "toolkits": ["torchattacks"]},
        {"name": "apgd-ce", **named, "steps": 40, "toolkits": ["torchattacks"]},
        {"name": "apgd-dlr", **named, "steps": 40, "toolkits": ["torchattacks"]},
    )


SOUND: dict[str, Sound] = {
    sound.name: sound
    for sound in (
        Sound(name="plain network", model="digits/cnn", attacks=strong("linf", "0.05", "0.1")),
        Sound(
            name="adversarially trained in l2", model="digits/pgd-l2-at",
            attacks=strong("l2", "0.5", "1"),
        ),
        Sound(
            name="adversarially trained in linf", model="digits/pgd-linf-at",
            attacks=strong("linf", "0.1", "0.2"),
        ),
        Sound(
            name="smoothed, by the expected gradient", model="digits/randomized-smoothing",
            attacks=strong("l2", "0.5", surfaces=["expected"])[:3],
        ),
        Sound(
            name="k-NN vote, all surfaces", model="digits/dml-triplet-adam",
            attacks=strong("linf", "0.05", "0.1"),
        ),
        Sound(
            name="linear model", model="digits/linear", make=linear,
            attacks=strong("linf", "0.05", "0.1"),
        ),
    )
}  # fmt: skip
