"""Models that answer otherwise each time, in a run: found, said, and judged so that rows repeat."""

import build
import pandas as pd
import pytest
import torch
from torch import nn

import bench
from bench.adapters.random import RandomAdapter
from bench.measure.headline import headline
from bench.measure.outcomes import Outcomes
from bench.runner.execute import execute
from bench.runner.loading import Setting
from bench.runner.plan import make_plan
from bench.runner.scope import Scope
from bench.runner.selection import Selection
from bench.runner.suite import load_suite
from bench.store.results import load_results
from bench.store.store import open_store


class Drops(nn.Module):
    """The shipped network with dropout left on."""

    def __init__(self):
        super().__init__()
        self.net = bench.load_model("digits/mlp").surfaces()["network"]

    def forward(self, x):
        return self.net(nn.functional.dropout(x, 0.2, training=True))


class Moments(nn.Module):
    """The shipped network, its logits normalised by the moments of the batch."""

    def __init__(self):
        super().__init__()
        self.net = bench.load_model("digits/mlp").surfaces()["network"]
        self.norm = nn.BatchNorm1d(10, track_running_stats=False)

    def forward(self, x):
        return self.norm(self.net(x))


@pytest.fixture
def said(registry, tiny_suite):
    """Return a function that plans the tiny suite for a network, and what was said of it."""

    def planned(net):
        bench.register_model("mine", data="digits")(lambda: bench.wrap(net(), 10, (1, 8, 8)))
        lines = []
        plan = make_plan(
            load_suite(str(tiny_suite)),
            Selection(models=["mine"]),
            Setting(batch_size=8),
            note=lines.append,
        )
        return plan, lines

    return planned


def rows(root):
    found = load_results(root, "tiny").rows.drop(columns="seconds")
    return found.sort_values(["cell", "index"], ignore_index=True)


@pytest.mark.slow
def test_a_random_model_is_said_to_be_and_its_rows_repeat(said, tmp_path):
    plan, lines = said(Drops)
    assert lines == ["mine: random, so each image is judged by 32 draws"]
    assert {cell.surface for cell in plan.cells.values()} == {"expected", "one-draw", "predict"}
    store = open_store(tmp_path / "whole")
    execute(plan, store)
    expected = rows(tmp_path / "whole")
    (model,) = load_results(tmp_path / "whole", "tiny").models
    assert (model["random"], model["draws"]) == (True, 32)
    assert model["notes"] == ["random, so each image is judged by 32 draws"]

    torch.manual_seed(99)  # another day, other states of the generators, another plan
    again, _ = said(Drops)
    assert list(again.cells) == list(plan.cells)
    shards = open_store(tmp_path / "shards")
    for i in (2, 1):
        execute(again, shards, Scope(shard=f"{i}/2"))
    pd.testing.assert_frame_equal(rows(tmp_path / "shards"), expected)
    # One decision about a clean image, whichever cell asks.
    assert len(expected[["index", "correct"]].drop_duplicates()) == 30


def test_noise_far_too_small_to_matter_breaks_no_image_of_a_random_model(registry):
    """With one draw a call, each attack had another chance of an unlucky one."""
    x, y = bench.load_data("digits", images=60)
    model = bench.wrap(Drops(), 10, (1, 8, 8))
    broken = sum(
        bench.attack(model, x, y, "noise", norm="linf", eps=eps, toolkit="native").rows.success
        for eps in ("1/10000", "2/10000", "3/10000", "4/10000")
    )
    assert (broken > 0).sum() <= 2  # but for those whose draws are split evenly


def test_a_random_model_given_by_hand_is_judged_by_draws_too():
    x, y = bench.load_data("digits", images=20)
    model = bench.wrap(Drops(), 10, (1, 8, 8))
    asked = {"norm": "linf", "eps": 0.1, "toolkit": "torchattacks"}
    first, again = (bench.attack(model, x, y, "fgsm", **asked) for _ in range(2))
    assert (first.rows.surface == "expected").all()
    assert torch.equal(first.x_adv, again.x_adv)
    pd.testing.assert_frame_equal(
        first.rows.drop(columns="seconds"), again.rows.drop(columns="seconds")
    )


def test_a_model_whose_images_see_each_other_is_said_to(said, tmp_path):
    plan, lines = said(Moments)
    assert len(lines) == 2
    assert "depend on the other images of the batch" in lines[0]
    assert "cannot predict one image alone" in lines[1]
    store = open_store(tmp_path / "r")
    execute(plan, store, Scope(overwrite="never"))
    (model,) = load_results(tmp_path / "r", "tiny").models
    assert (model["random"], model["draws"]) == (False, None)
    assert [f"mine: {note}" for note in model["notes"]] == lines


def test_a_shipped_model_is_neither(tiny_suite, tmp_path):
    lines = []
    plan = make_plan(load_suite(str(tiny_suite)), note=lines.append)
    execute(plan, open_store(tmp_path / "r"), Scope(overwrite="never"))
    (model,) = load_results(tmp_path / "r", "tiny").models
    assert (lines, model["notes"], model["random"], model["draws"]) == ([], [], False, None)
    assert not any(isinstance(adapter, RandomAdapter) for adapter in plan.adapters.values())


def test_a_model_that_cannot_be_asked_fails_its_cells_alone(said, tmp_path):
    class Small(Drops):
        def forward(self, x):
            if len(x) > 4:
                raise RuntimeError("too many")
            return self.net(x)

    plan, lines = said(Small)
    assert lines == ["mine: cannot predict: RuntimeError: too many"]
    outcome = execute(plan, open_store(tmp_path / "r"))
    assert set(outcome.failed) == set(plan.cells)


class Noisy(nn.Module):
    """The shipped network under Gaussian noise of 0.15."""

    def __init__(self):
        super().__init__()
        self.net = bench.load_model("digits/mlp").surfaces()["network"]

    def forward(self, x):
        return self.net(x + 0.15 * torch.randn_like(x))


def test_the_headline_is_the_share_of_draws_that_the_worst_image_withstands(registry, tmp_path):
    bench.register_model("noisy", data="digits")(lambda: bench.wrap(Noisy(), 10, (1, 8, 8)))
    path = tmp_path / "noise.toml"
    pgd = {
        "norm": "linf", "eps": "0.1", "steps": 10, "surfaces": ["expected"],
        "toolkits": ["foolbox", "torchattacks"],
    }  # fmt: skip
    attacks = [{"name": name, **pgd} for name in ("pgd", "bim", "mi-fgsm")]
    path.write_text(build.suite(["noisy"], attacks, images=200))
    plan = make_plan(load_suite(str(path)))
    store = open_store(tmp_path / "results")
    execute(plan, store, Scope(keep_all=True))
    found = load_results(tmp_path / "results", "noise")
    row = headline(Outcomes(found)).iloc[0]
    assert row["attacks"] == row["planned"] >= 4
    assert row["draws"] == 32

    # The truth: of each image tried, how many of 1,000 draws are right.
    net, (x, y) = Noisy(), bench.load_data("digits", images=200)
    tried = [found.pictures(cell)["x_adv"] for cell in found.cells["cell"]]
    torch.manual_seed(7)

    def right(images):
        with torch.no_grad():
            return torch.stack([net(images).argmax(1) == y for _ in range(1000)]).float().mean(0)

    worst = torch.stack([right(images) for images in (x, *tried)]).amin(0)
    assert 0.3 < worst.mean() < 0.8
    assert row["robust_accuracy"] == pytest.approx(float(worst.mean()), abs=0.03)
    assert row["clean_accuracy"] == pytest.approx(float(right(x).mean()), abs=0.02)
