"""The plan of a run that ended has the images that the run had, attack by attack."""

import build
import pytest

from bench.runner.execute import execute
from bench.runner.loading import Setting
from bench.runner.plan import make_plan
from bench.runner.selection import Selection
from bench.runner.stored_plan import plan_again
from bench.runner.suite import load_suite
from bench.store.results import load_results
from bench.store.store import open_store

SUITE = build.suite(
    images=8,
    models=["digits/mlp"],
    attacks=[
        {"name": "fgsm", "norm": "linf", "eps": "0.1", "toolkits": ["native"]},
        {"name": "bim", "norm": "linf", "eps": "0.1", "steps": 2, "toolkits": ["foolbox"], "images": 4},
    ],
)  # fmt: skip


@pytest.mark.parametrize("images", [None, 5, 4])
def test_the_plan_has_the_images_of_the_run(tmp_path, cache, images):
    path = tmp_path / "s.toml"
    path.write_text(SUITE)
    plan = make_plan(load_suite(str(path)), Selection(images=images))
    run = execute(plan, open_store(tmp_path / "results")).run
    again = plan_again(str(path), load_results(tmp_path / "results", "s", run=run), Setting())
    assert again.cells.keys() == plan.cells.keys()
