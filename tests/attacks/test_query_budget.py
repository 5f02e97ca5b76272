"""The budget of questions under which decision attacks run, and what is kept of their answers."""

from __future__ import annotations

import pytest
import torch
from attack_cases import CASES, SPATIAL, WALK, quick
from torch import nn

import bench
from bench.attacks import catalogue
from bench.attacks.instrument import attacked
from bench.attacks.job import Batch, Job
from bench.attacks.query_budget import BudgetedModel, BudgetExhausted
from bench.attacks.rows import ATTACKS
from bench.attacks.run_attack import AttackResult, run_attack
from bench.errors import UnsupportedAttack
from bench.trust.behaviour import judged

BLIND = [case for case in CASES if ATTACKS[case[0]].access != "white"]


@pytest.mark.parametrize(("name", "norm", "toolkit"), BLIND)
def test_a_black_box_attack_needs_predictions_alone(trained, name, norm, toolkit) -> None:
    seen = 0

    def function(x: torch.Tensor) -> torch.Tensor:
        nonlocal seen
        seen += len(x)
        with torch.no_grad():
            scores = trained.net(x).softmax(1)
        return scores if ATTACKS[name].access == "score" else scores.argmax(1)

    model = bench.wrap_predict(function, 10, (1, 8, 8))
    before = seen
    spec, x, y = quick(name, norm), trained.x[:8], trained.y[:8]
    judged(model, x)
    observed, before = seen - before, seen
    rows = bench.attack(
        model, x, y, name, norm=norm, toolkit=toolkit, eps=spec.eps, **dict(spec.parameters)
    ).rows
    assert rows.success.any() or name == "noise"
    assert rows.invalid.isna().all()
    assert not rows.backwards.any()
    # One prediction before and one of the judge, once it is known how the model answers.
    assert seen - before == observed + rows.forwards.sum() + 2 * len(x)


class Bright(nn.Module):
    """Says class 1 of images brighter than `level` on average; notes the images it is shown."""

    def __init__(self, level: float = 0.5) -> None:
        super().__init__()
        self.level, self.shown = level, []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.shown.append(x)
        bright = x.double().mean((1, 2, 3)) - self.level
        return torch.stack([-bright, bright], 1)


def dark(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    x = 0.3 * torch.rand(count, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    return x, torch.zeros(count, dtype=torch.int64)


def walk(name: str, norm: str, toolkit: str, model: nn.Module, x, y, queries: int) -> AttackResult:
    words = {"queries": queries} | ({"gradient_queries": 10} if name == "hopskipjump" else {})
    spec = catalogue.resolve(name, norm, None, words)
    return run_attack(spec, toolkit, model, Batch(x, y), num_classes=2, seed=0)


@pytest.mark.parametrize(("name", "norm", "toolkit"), WALK)
def test_every_image_is_asked_about_as_often_as_allowed(name, norm, toolkit) -> None:
    x, y = dark(3)
    # The first beginnings are dark; a question is kept for what may be found.
    for queries, asked in ((3, 2), (30, 30), (90, 90)):
        model = Bright()
        tried = walk(name, norm, toolkit, model, x, y, queries)
        assert tried.forwards.tolist() == [asked] * 3
        assert sum(map(len, model.shown)) == 3 * asked


@pytest.mark.parametrize(("name", "norm", "toolkit"), WALK)
def test_the_result_is_a_hair_beyond_the_nearest_image_asked_about(name, norm, toolkit) -> None:
    x, y = dark(1)
    model = Bright()
    tried = walk(name, norm, toolkit, model, x, y, 90)
    shown = torch.cat(model.shown)
    fooled = shown[model(shown).argmax(1) == 1]
    order = torch.inf if norm == "linf" else 2
    away = (fooled - x).double().flatten(1).norm(p=order, dim=1)
    nearest = fooled[away.argmin()]
    assert torch.allclose(tried.x_adv[0], x[0] + 1.001 * (nearest - x[0]), atol=1e-6)
    assert model(tried.x_adv).argmax(1).item() == 1


@pytest.mark.parametrize(("name", "norm", "toolkit"), WALK)
def test_an_image_does_not_depend_on_the_others_of_its_batch(name, norm, toolkit) -> None:
    x, y = dark(3)
    together = walk(name, norm, toolkit, Bright(), x, y, 60).x_adv
    alone = [walk(name, norm, toolkit, Bright(), x[i : i + 1], y[:1], 60).x_adv for i in range(3)]
    # Foolbox walks along the boundary with a whole batch, whose sums may be rounded otherwise.
    assert torch.allclose(together, torch.cat(alone), atol=1e-3)


@pytest.mark.parametrize(("name", "norm", "toolkit"), WALK)
def test_where_no_beginning_is_found_the_clean_image_comes_back(name, norm, toolkit) -> None:
    x, y = dark(2)
    tried = walk(name, norm, toolkit, Bright(2.0), x, y, 500)
    assert torch.equal(tried.x_adv, x)
    assert tried.forwards.tolist() == [100, 100]


class Fickle(Bright):
    """Changes its mind after some questions: nothing is class 1 any more."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.after = after

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        answers = super().forward(x)
        sign = torch.tensor([-1, 1])
        return -answers.abs() * sign if len(self.shown) > self.after else answers


@pytest.mark.parametrize("more", [0, 15])
@pytest.mark.parametrize(("name", "norm", "toolkit"), WALK)
def test_a_model_that_changes_its_mind_ends_the_search(name, norm, toolkit, more) -> None:
    """Foolbox raises where its beginning is adversarial no more, and searches without end else."""
    x, y = dark(1)
    model = Bright()
    BudgetedModel(job(model, x, y, 200)).begin()
    tried = walk(name, norm, toolkit, Fickle(len(model.shown) + more), x, y, 200)
    assert Bright()(tried.x_adv).argmax(1).item() == 1
    assert tried.forwards.item() <= 200


def test_where_nothing_lies_beyond_the_nearest_image_is_the_result() -> None:
    class Thin(Bright):
        """Says class 1 of a single brightness."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            at = (x.double().mean((1, 2, 3)) - 0.6).abs() < 1e-6
            return torch.stack([~at, at], 1).float()

    x, y = torch.full((1, 1, 4, 4), 0.3), torch.zeros(1, dtype=torch.int64)
    asked = BudgetedModel(job(Thin(), x, y, 3))
    image = torch.full_like(x, 0.6)
    asked(image)
    assert torch.equal(asked.result(), image)
    assert asked.probe.forwards.tolist() == [2]


def job(model: nn.Module, x, y, queries: int) -> Job:
    spec = catalogue.resolve("boundary", "l2", None, {"queries": queries})
    with attacked(model, x, 0) as probe:
        return Job(spec=spec, probe=probe, x=x, y=y, target=None, num_classes=2, seed=0)


def test_rows_without_questions_are_answered_with_their_label() -> None:
    x, y = dark(2)
    asked = BudgetedModel(job(Bright(), x, y, 4))
    asked.left[0] = 1
    bright = torch.ones_like(x)
    assert asked(bright).argmax(1).tolist() == [1, 1]
    assert asked(bright).argmax(1).tolist() == [1, 1]  # which it knows
    assert asked.left.tolist() == [0, 2]
    bright -= 0.01
    assert asked(bright).argmax(1).tolist() == [0, 1]
    bright -= 0.01
    assert asked.left.tolist() == [0, 1]
    assert asked.distance.isfinite().all()
    asked.left[1] = 0
    with pytest.raises(BudgetExhausted):
        asked(bright)
    assert asked.probe.forwards.tolist() == [1, 2]


def test_of_one_row_as_many_images_are_asked_about_as_questions_are_left() -> None:
    x, y = dark(2)
    asked = BudgetedModel(job(Bright(), x, y, 4))
    asked.rows = torch.tensor([1])
    images = torch.linspace(0.9, 0.6, 4).view(4, 1, 1, 1).expand(4, 1, 4, 4)
    with pytest.raises(BudgetExhausted):
        asked(images)
    assert asked.probe.forwards.tolist() == [0, 3]
    assert torch.equal(asked.found[1], images[2])
    assert torch.equal(asked.found[0], x[0])


def test_what_is_not_a_number_is_no_image() -> None:
    class Says1(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.tensor([[0.0, 1.0]]).expand(len(x), 2)

    x, y = dark(1)
    asked = BudgetedModel(job(Says1(), x, y, 5))
    asked(torch.full_like(x, torch.nan))
    assert asked.distance.isinf().all()
    assert torch.equal(asked.found, x)


@pytest.mark.parametrize("level", [0.9, 0.05])
def test_beginnings_are_of_many_kinds(level) -> None:
    """Noise of single pixels is of one brightness: of one class, however often it is drawn."""
    x = torch.full((1, 1, 16, 16), 0.5)
    model = Bright(level)
    y = model(x).argmax(1)
    asked = BudgetedModel(job(model, x, y, 500))
    assert asked.begin().tolist() == [0]
    noise = torch.rand(100, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    assert (model(noise).argmax(1) == y).all()


class Bars(nn.Module):
    """Says class 1 of images whose upper left pixel is black; notes how many it is shown."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen += len(x)
        corner = x[:, 0, 0, 0]
        return torch.stack([corner, 0.01 - corner], 1)


@pytest.mark.parametrize(("name", "norm", "toolkit"), SPATIAL)
def test_spatial_stops_where_it_has_found_one(name, norm, toolkit) -> None:
    x, y = torch.ones(2, 1, 5, 5), torch.zeros(2, dtype=torch.int64)
    x[1] = 0.5
    x[1, :, 1:4, 1:4] = 1
    words = {"max_rotation": 0, "rotations": 1, "max_translation": 2, "translations": 5}
    model = Bars()
    spec = catalogue.resolve(name, norm, None, words)
    tried = run_attack(spec, toolkit, model, Batch(x, y), num_classes=2, seed=0)
    # A look at the image, and one at the first shift, which leaves the corner black.
    assert tried.forwards.tolist() == [2, 2]
    assert model.seen == 4
    # It was moved by two whole pixels down and to the right.
    expected = torch.zeros_like(x)
    expected[:, :, 2:, 2:] = x[:, :, :3, :3]
    assert torch.allclose(tried.x_adv, expected, atol=1e-5)


def test_spatial_tries_its_whole_grid_and_leaves_what_withstands() -> None:
    x, y = torch.ones(2, 1, 5, 5), torch.zeros(2, dtype=torch.int64)
    for translations, rotations, tries in ((3, 2, 18), (1, 4, 4), (1, 1, 1)):
        words = {"translations": translations, "rotations": rotations}
        spec = catalogue.resolve("spatial", "linf", None, words)
        tried = run_attack(spec, "foolbox", Bright(2.0), Batch(x, y), num_classes=2, seed=0)
        assert tried.forwards.tolist() == [1 + tries] * 2
        assert torch.equal(tried.x_adv, x)


def test_spatial_wants_square_images() -> None:
    x, y = torch.ones(1, 1, 4, 6), torch.zeros(1, dtype=torch.int64)
    spec = catalogue.resolve("spatial", "linf")
    with pytest.raises(UnsupportedAttack, match="square images only, not 4 by 6"):
        run_attack(spec, "foolbox", Bright(), Batch(x, y), num_classes=2, seed=0)
