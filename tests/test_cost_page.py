"""The page on costs is what its script makes of the measured inputs, and its model adds up."""

import importlib
import json
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture(scope="module")
def costs():
    sys.path.insert(0, str(DOCS))
    yield importlib.import_module("cost_on_clusters")
    sys.path.remove(str(DOCS))


def test_the_page_is_that_of_its_inputs(costs):
    assert costs.PAGE.read_text() == costs.page(json.loads(costs.INPUTS.read_text()))


def test_tasks_go_to_the_place_that_is_free_first(costs):
    assert costs.makespan([3, 1, 1, 1], 2) == 3
    assert costs.makespan([1, 1, 1, 3], 2) == 4
    assert costs.makespan([2, 5], 64) == 5


def test_a_cell_costs_its_passes_and_what_saves_it(costs, monkeypatch):
    monkeypatch.setattr(costs, "CLEAN", 0.5)
    monkeypatch.setattr(costs, "ROBUST", 0.25)
    passes = {
        "withstood": {"forwards": 10, "backwards": 4},
        "broken": {"forwards": 2, "backwards": 0},
    }
    inputs = {
        "flops": {"net": (3e9, 5e9)}, "passes": {"a": passes},
        "store": {"chunk_seconds": 0.01}, "ray": {"task_seconds": 2.0},
    }  # fmt: skip
    # 10,000 images of (0.25 (10 x 3 + 4 x 5) + 0.25 (2 x 3)) GFLOP at 1 TFLOP/s, then 100 chunks and a task.
    assert costs.seconds("a", "net", inputs, 1.0) == pytest.approx(140 + 1 + 2)


def test_every_network_of_a_hundred_is_counted(costs):
    assert sum(count for _, count in costs.NETWORKS.values()) == 100


@pytest.mark.slow
def test_operations_are_those_of_the_published_networks(costs):
    measurements = importlib.import_module("cluster_measurements")
    forward, backward = measurements.flops(28, 10)
    assert (
        forward == backward
    )  # weights are frozen, so that a gradient of the image costs one product a layer
    # Zagoruyko and Komodakis, 2016: 5.2 G multiplications; each counts twice, with its addition.
    assert forward / 2 == pytest.approx(5.2e9, rel=0.02)
