"""Images crafted on one model and tried on others: cells, sharing, and what reports say of them."""

import pytest
import torch
from click.testing import CliRunner
from torch import nn

import bench
from bench.cli.main import cli
from bench.errors import SpecError
from bench.measure.headline import headline
from bench.measure.outcomes import Outcomes
from bench.report.measured import measure
from bench.runner.estimate import estimate
from bench.runner.execute import execute, todo
from bench.runner.plan import make_plan
from bench.runner.scope import Scope
from bench.runner.selection import Selection
from bench.runner.suite import load_suite
from bench.store.results import load_results
from bench.store.store import open_store

SUITE = """\
title  = "Transfer"
data   = "digits"
images = 50

[[models]]
name = ["twin", "closed", "line"]

[[attacks]]
name     = "fgsm"
norm     = "linf"
eps      = ["0.1", "0.2"]
toolkits = ["native"]
surfaces = ["of line"]
"""


class Counted(nn.Module):
    """A linear network that counts the images that it is asked for a gradient of."""

    def __init__(self, weight):
        super().__init__()
        self.line = nn.Linear(64, 10, bias=False)
        self.line.weight.data = weight
        self.gradients = 0

    def forward(self, x):
        if x.requires_grad:
            self.gradients += len(x)
        return self.line(x.flatten(1))


@pytest.fixture
def nets(registry, tmp_path, monkeypatch):
    """Register a line through the class means, another one near it, and one that shows its labels alone."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    x, y = bench.load_data("digits", split="train", images=1000)
    means = torch.stack([x[y == digit].mean(0).flatten() for digit in range(10)])
    weight = means - means.mean(0)
    weight = weight - (weight * means).sum(1, keepdim=True) / 2 / 64**0.5
    made = {"line": Counted(weight), "twin": Counted(weight + 0.02 * weight.flip(1))}

    @bench.register_model("line", data="digits")
    def line():
        return bench.wrap(made["line"], 10, (1, 8, 8))

    @bench.register_model("twin", data="digits")
    def twin():
        return bench.wrap(made["twin"], 10, (1, 8, 8))

    @bench.register_model("closed", data="digits")
    def closed():
        return bench.wrap_predict(
            lambda x: made["twin"](x).argmax(1), 10, (1, 8, 8), fingerprint="closed"
        )

    return made


@pytest.fixture
def planned(tmp_path, nets):
    """Return a function that writes the suite with some text replaced, and plans it."""

    def plan(*changes, selection=None):
        text = SUITE
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "of.toml"
        path.write_text(text)
        return make_plan(load_suite(str(path)), selection or Selection())

    return plan


def test_the_images_are_those_of_the_source_crafted_once_for_all(planned, nets, tmp_path):
    plan = planned()
    assert [(cell.model.name, cell.surface) for cell in plan.cells.values()] == [
        ("twin", "of line"), ("closed", "of line"),
    ] * 2  # fmt: skip
    before = nets["line"].gradients, nets["twin"].gradients
    store = open_store(tmp_path / "r")
    assert execute(plan, store).failed == ()
    assert nets["line"].gradients - before[0] == 2 * 50  # for two radii, on all images
    assert nets["twin"].gradients == before[1]

    x, y = bench.load_data("digits", images=50)
    weight = nets["line"].line.weight
    p = nets["line"](x).softmax(1)
    step = ((p - nn.functional.one_hot(y, 10)) @ weight).sign().view_as(x)
    for key, cell in plan.cells.items():
        tried = (x + cell.attack.radius * step).clamp(0, 1)
        told, right = nets["twin"](tried).argmax(1), nets["twin"](x).argmax(1) == y
        rows = store.rows(key)
        assert rows.success.tolist() == (right & (told != y)).tolist()
        assert rows.success.any()
        assert store.record(key)["climbed"] == "line"


def test_a_model_is_no_source_of_its_own_and_every_source_another_cell(planned):
    plan = planned(('["of line"]', '["of line", "of twin", "network"]'))
    found = [(cell.model.name, cell.surface) for cell in plan.cells.values()]
    assert sorted(set(found)) == [
        ("closed", "of line"), ("closed", "of twin"), ("line", "network"), ("line", "of twin"),
        ("twin", "network"), ("twin", "of line"),
    ]  # fmt: skip
    assert len(found) == 2 * 6
    alone = planned(('["of line"]', '["network"]'))
    assert set(alone.cells) < set(plan.cells)  # the model's own cells keep their keys


def test_a_source_may_be_filtered_out(planned, tmp_path):
    plan = planned(selection=Selection(models=["closed"]))
    assert {cell.model.name for cell in plan.cells.values()} == {"closed"}
    assert plan.cells.keys() < planned().cells.keys()
    assert execute(plan, open_store(tmp_path / "r")).failed == ()


def test_shards_and_a_resumed_run_give_the_same_rows(planned, tmp_path):
    plan = planned()
    execute(plan, open_store(tmp_path / "whole"))
    for part in ("1/2", "2/2"):
        execute(plan, open_store(tmp_path / "shards"), Scope(shard=part))
    one_by_one = open_store(tmp_path / "back")
    for key in reversed(plan.cells):
        execute(plan, one_by_one, wanted=[key])
    whole, *others = (
        load_results(tmp_path / name, "of").rows.drop(columns="seconds")
        .sort_values(["cell", "index"], ignore_index=True)
        for name in ("whole", "shards", "back")
    )  # fmt: skip
    assert all(other.equals(whole) for other in others)


def test_a_source_without_a_gradient_or_of_another_name_is_said(planned):
    plan = planned(('["of line"]', '["of closed", "network"]'))
    assert {cell.surface for cell in plan.cells.values()} == {"network"}
    assert "images of closed: it has no gradient" in plan.left_out
    with pytest.raises(
        SpecError, match=r"attacks\[1\].surfaces: no model in this suite named 'lin'"
    ):
        planned(('["of line"]', '["of lin"]'))


def test_the_headline_says_that_only_images_of_others_were_tried(planned, tmp_path):
    execute(planned(), open_store(tmp_path / "r"))
    results = load_results(tmp_path / "r", "of")
    figures = headline(Outcomes(results)).set_index(["model", "eps_text"])
    for model in ("twin", "closed"):
        assert figures.flag[model, "0.2"] == "images of other models only"
        assert figures.robust_accuracy[model, "0.2"] < figures.robust_accuracy[model, "0.1"]
    assert set(measure(results).attacks.surface) == {"of line"}


def test_what_is_crafted_once_is_estimated_once(planned, tmp_path):
    plan, store = planned(), open_store(tmp_path / "r")
    seconds = estimate(plan, store, todo(plan, store, Scope())).seconds
    first, second = (
        [seconds[key] for key, cell in plan.cells.items() if cell.model.name == name]
        for name in ("twin", "closed")
    )
    assert min(first) > max(second)


def test_progress_names_the_source(planned):
    assert all(cell.title().endswith(" · of line") for cell in planned().cells.values())


def test_show_names_the_source(planned, tmp_path):
    plan, root = planned(), tmp_path / "r"
    execute(plan, open_store(root))
    shown = CliRunner().invoke(cli, ["show", next(iter(plan.cells)), "--results", str(root)])
    assert "of line, on which the images were crafted" in " ".join(shown.output.split())
