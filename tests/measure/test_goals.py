"""On a model whose answers are known in closed form, every goal at every radius gives the known headline.

The logit of a class is the mean of its own pixels, times a constant. Within eps in linf an attack can raise
the pixels of one class and lower all others, each as far as the box allows, so that what can be reached
is known to the last image.
"""

from __future__ import annotations

from typing import Any

import build
import pandas as pd
import pytest
import torch
from build import cell
from torch import nn

import bench
from bench.measure.attack_rates import attack_rates
from bench.measure.headline import headline
from bench.measure.outcomes import Outcomes

CLASSES, SCALE, N = 4, 20.0, 150
EPS = ("0.01", "0.02", "0.05", "0.1")
GOALS: dict[str, dict[str, Any]] = {
    "none": {},
    "class": {"targeted": "2"},
    "next": {"targeted": "next"},
    "random": {"targeted": "random"},
    "least-likely": {"targeted": "least-likely"},
    "source": {"targeted": "next", "source": 1},
    "less": {"goal": "confidence-reduction"},
}


class Groups(nn.Module):
    """The mean of each class's own 16 pixels, times `SCALE`."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return SCALE * x.flatten(1).view(len(x), CLASSES, -1).mean(2)


@pytest.fixture(scope="module")
def images() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    x = torch.rand(N, 1, 8, 8, generator=generator)
    y = Groups()(x).argmax(1)
    y[:9] = (y[:9] + 1) % CLASSES  # the model gets these wrong
    return x, y


def reached(x: torch.Tensor, wanted: torch.Tensor, eps: float) -> torch.Tensor:
    """Return the logits where the pixels of the wanted classes, bool (N, C), rise and the others fall."""
    parts = x.flatten(1).view(len(x), CLASSES, -1)
    up, down = (parts + eps).clamp(max=1), (parts - eps).clamp(min=0)
    return SCALE * torch.where(wanted.unsqueeze(2), up, down).mean(2)


def run(x: torch.Tensor, y: torch.Tensor, asked: list[tuple[str, str]]) -> Any:
    """Return the results of PGD with each goal and radius that is asked for."""
    model = bench.wrap(Groups(), CLASSES, (1, 8, 8), name="m", data="digits")
    cells, frames = [], []
    for turn, (goal, eps) in enumerate(asked):
        rows = bench.attack(
            model, x, y, "pgd", norm="linf", eps=eps, toolkit="torchattacks", steps=12,
            step_size=eps, random_start=False, batch_size=N, **GOALS[goal],
        ).rows  # fmt: skip
        frames.append(rows.assign(cell=f"cell-{turn}"))
        cells.append(cell("m", "pgd", eps, (), goal=rows["goal"].iloc[0]))
    return build.results(cells, rows=pd.concat(frames, ignore_index=True), images=N)


def known_headline(x: torch.Tensor, y: torch.Tensor, eps: float) -> float:
    """Return the share of images of which no other class can be made the likeliest."""
    own = nn.functional.one_hot(y, CLASSES).bool()
    stands = (Groups()(x).argmax(1) == y) & (reached(x, ~own, eps).argmax(1) == y)
    return float(stands.float().mean())


@pytest.mark.parametrize("goal", [goal for goal in GOALS if goal != "none"])
def test_every_goal_beside_an_untargeted_attack_gives_the_known_headline(images, goal) -> None:
    x, y = images
    made = run(x, y, [(one, eps) for eps in EPS for one in ("none", goal)])
    found = headline(Outcomes(made))
    told = [known_headline(x, y, float(eps)) for eps in EPS]
    assert found["robust_accuracy"].tolist() == pytest.approx(told)
    assert len(set(told)) == len(EPS), told
    assert found["flag"].tolist() == [""] * len(EPS)


@pytest.mark.parametrize("goal", [goal for goal in GOALS if goal != "none"])
def test_goals_alone_give_none(images, goal) -> None:
    found = headline(Outcomes(run(*images, [(goal, eps) for eps in EPS])))
    assert found["flag"].tolist() == ["INVALID: no untargeted attack"] * len(EPS)


@pytest.mark.parametrize("eps", EPS)
@pytest.mark.parametrize("goal", ["class", "next", "source", "less"])
def test_the_rate_of_a_goal_is_the_known_one(images, goal, eps) -> None:
    x, y = images
    made = run(x, y, [(goal, eps)])
    clean = Groups()(x)
    tried = clean.argmax(1) == y
    if goal == "less":
        after = reached(x, ~nn.functional.one_hot(y, CLASSES).bool(), float(eps))
        own = y[:, None]
        sure, left = (one.softmax(1).gather(1, own).squeeze(1) for one in (clean, after))
        won = (after.argmax(1) != y) | (left <= sure / 2)
    else:
        target = torch.full_like(y, 2) if goal == "class" else (y + 1) % CLASSES
        tried &= (target != y) & ((y == 1) if goal == "source" else True)
        won = (
            reached(x, nn.functional.one_hot(target, CLASSES).bool(), float(eps)).argmax(1)
            == target
        )
    row = attack_rates(Outcomes(made)).iloc[0]
    assert row["attacked"] == int(tried.sum()) > 0
    assert row["success_rate"] == pytest.approx(float(won[tried].float().mean()))
