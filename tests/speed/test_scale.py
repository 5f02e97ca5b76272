"""Commands on a store of ten thousand cells of a thousand rows each, and whether time grows as cells and rows do.

The store is made first, which takes minutes; the machine must be idle.
"""

import json
import math
import os
import resource
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from scenes import thousands
from scenes.thousands import Size

from bench.registry import load_plugin
from bench.report.measured import measure
from bench.runner.execute import todo
from bench.runner.plan import make_plan
from bench.runner.scope import ALL_MISSING
from bench.runner.suite import load_suite
from bench.store.identity import suite_content
from bench.store.results import load_results
from bench.store.store import open_store

pytestmark = pytest.mark.speed

SIZE = Size()
#: Seconds, and GiB of memory at most.
PLANNED, RESUMED, STARTED, REPORTED, LOOKED_UP, MEMORY = 30, 30, 5, 90, 2, 4
SMALL = Size(models=3, attacks=20, radii=5, images=200)
#: How much longer twice as much takes.
TWICE = 2.5
TINY = {
    "SIZE": Size(models=3, attacks=2, radii=2, images=30, chunk=6),
    "SMALL": Size(models=1, attacks=2, radii=2, images=20, chunk=10),
    **dict.fromkeys(
        ("PLANNED", "RESUMED", "STARTED", "REPORTED", "LOOKED_UP", "MEMORY", "TWICE"), math.inf
    ),
}  # fmt: skip

_RESUME = """
import sys
from bench.registry import load_plugin
from bench.runner.execute import execute
from bench.runner.plan import make_plan
from bench.runner.selection import Selection
from bench.runner.suite import load_suite
from bench.store.store import open_store

suite, plugin, results, *models = sys.argv[1:]
load_plugin(plugin)
outcome = execute(make_plan(load_suite(suite), Selection(models=models)), open_store(results))
print(len(outcome.kept), len(outcome.computed))
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return thousands.make(tmp_path_factory.mktemp("thousands"), SIZE)


def timed(benchmark, *words, cwd):
    """Return what a command says, and the seconds that it takes."""
    taken = {}

    def call():
        began = time.perf_counter()
        taken["done"] = subprocess.run(
            [sys.executable, *map(str, words)], cwd=cwd, env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True, text=True,
        )  # fmt: skip
        taken["seconds"] = time.perf_counter() - began

    benchmark.pedantic(call, rounds=1)
    assert taken["done"].returncode == 0, taken["done"].stderr
    return taken["done"], taken["seconds"]


def bench(benchmark, made, *words):
    return timed(benchmark, "-m", "bench.cli.main", *words, cwd=made.results.parent)


def test_a_dry_run(benchmark, made):
    done, seconds = bench(benchmark, made, "run", *made.words, "--dry-run")
    assert f"{SIZE.cells} cells of {SIZE.images} images, 0 to do" in done.stderr
    assert seconds < PLANNED


@pytest.mark.parametrize(("models", "most"), [(SIZE.models, "RESUMED"), (3, "STARTED")])
def test_resuming_what_is_done(benchmark, made, models, most):
    names = SIZE.titles[:models]
    words = ("-c", _RESUME, made.suite, made.plugin, made.results, *names)
    done, seconds = timed(benchmark, *words, cwd=made.results.parent)
    cells = SIZE.cells * len(names) // SIZE.models
    assert done.stdout.split() == [str(cells), "0"]
    assert seconds < globals()[most]


def test_a_report(benchmark, made):
    _, seconds = bench(benchmark, made, "report", *made.words)
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    benchmark.extra_info["GiB"] = round(memory, 2)
    print(f"\nthe report takes {seconds:.0f} s and {memory:.2f} GiB")
    assert seconds < REPORTED
    assert memory < MEMORY


def test_looking_up_a_run_and_a_cell(benchmark, made):
    where = ("--results", made.results)
    done, seconds = bench(benchmark, made, "ls", "runs", *where, "--json")
    assert json.loads(done.stdout.splitlines()[0])["cells"] >= SIZE.cells // SIZE.models
    key = next((made.results / "cells").glob("*/*")).name
    began = time.perf_counter()
    shown = subprocess.run(
        [sys.executable, "-m", "bench.cli.main", "show", key, *where],
        cwd=made.results.parent, capture_output=True, text=True,
    )  # fmt: skip
    taken = time.perf_counter() - began
    assert key in shown.stdout
    assert seconds < LOOKED_UP
    assert taken < LOOKED_UP


def cpu_seconds(made):
    """Return the CPU seconds of planning and resuming, and of all figures of a report."""
    load_plugin(made.plugin)
    suite = load_suite(str(made.suite))
    began = time.process_time()
    assert todo(make_plan(suite), open_store(made.results), ALL_MISSING) == []
    resumed = time.process_time() - began
    began = time.process_time()
    measure(load_results(made.results, str(made.suite), suite_content(suite)))
    return resumed, time.process_time() - began


@pytest.mark.parametrize("of", ["models", "images"])
def test_twice_as_much_takes_twice_as_long(benchmark, tmp_path, registry, of):
    twice = replace(SMALL, **{of: 2 * getattr(SMALL, of)})
    one, two = (thousands.make(tmp_path / str(size), size) for size in (SMALL, twice))
    least = {}

    def turn():
        for name, made in (("one", one), ("two", two)):
            both = cpu_seconds(made)
            least[name] = tuple(map(min, both, least.get(name, both)))

    benchmark.pedantic(turn, rounds=2)
    ratios = [after / before for before, after in zip(least["one"], least["two"], strict=True)]
    print(f"\ntwice the {of}: planning {ratios[0]:.2f}, figures {ratios[1]:.2f} times as long")
    assert max(ratios) < TWICE
