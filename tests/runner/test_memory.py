import pytest
import torch
from torch import nn

import bench
from bench.errors import AdapterError
from bench.runner import loading
from bench.runner.loading import Setting
from bench.runner.memory import fitting
from bench.runner.plan import make_plan
from bench.runner.suite import load_suite


class Greedy(nn.Module):
    """Computes a gradient of a number of images at most."""

    def __init__(self, most):
        super().__init__()
        self.most, self.last = most, nn.Linear(64, 10)

    def forward(self, x):
        if len(x) > self.most and torch.is_grad_enabled():
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self.last(x.flatten(1))


def greedy(most):
    model = bench.wrap(Greedy(1000), 10, (1, 8, 8))
    model.module.most = most
    return model


def found(most, wanted=100):
    """Return how many images fit, as found on the CPU under another name of it."""
    return fitting(greedy(most), wanted, "cpu:0")


@pytest.mark.parametrize(
    ("most", "count"), [(1000, 100), (100, 100), (99, 50), (26, 25), (3, 3), (2, 1)]
)
def test_the_number_is_found_by_halving(most, count):
    assert found(most) == count


def test_where_no_image_fits_it_is_said():
    with pytest.raises(AdapterError, match=r"not even one image of shape .*use --device cpu"):
        found(0)


def test_on_a_cpu_nothing_is_tried():
    assert fitting(greedy(2), 100, "cpu") == 100


def plan_of(tiny_suite, monkeypatch, most, lines, **setting):
    """Return the plan of a suite in which a greedy network joins, on a machine with a GPU's limits."""
    monkeypatch.setattr(
        loading, "fitting", lambda adapter, wanted, device: fitting(adapter, wanted, "cpu:0")
    )
    bench.register_model("greedy", data="digits")(lambda: greedy(most))
    return make_plan(load_suite(str(tiny_suite)), setting=Setting(**setting), note=lines.append)


@pytest.mark.usefixtures("registry")
def test_the_number_is_part_of_the_cells_of_that_model(tiny_suite, monkeypatch):
    lines = []
    plan = plan_of(tiny_suite, monkeypatch, 30, lines)
    sizes = {(cell.model.name, cell.batch_size) for cell in plan.cells.values()}
    assert sizes == {("digits/mlp", 100), ("greedy", 25)}
    assert any(
        "greedy: 25 images are attacked together, since 100 do not fit" in line for line in lines
    )


@pytest.mark.usefixtures("registry")
def test_a_number_that_is_given_stands(tiny_suite, monkeypatch):
    plan = plan_of(tiny_suite, monkeypatch, 30, [], batch_size=60)
    assert {cell.batch_size for cell in plan.cells.values()} == {60}


@pytest.mark.usefixtures("registry")
def test_a_model_of_which_no_image_fits_is_left_out(tiny_suite, monkeypatch):
    plan = plan_of(tiny_suite, monkeypatch, 0, [])
    assert {cell.model.name for cell in plan.cells.values()} == {"digits/mlp"}
    assert "not even one image" in plan.broken["greedy"]
