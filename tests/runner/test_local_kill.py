"""A grid of models: planned, killed while it trains and while it attacks, resumed, tabulated."""

import os
import subprocess
import sys
import time

import pandas as pd
import pytest
from command import call

from bench.store.results import load_results

SUITE = """\
title  = "Grid"
data   = "digits"
images = 60

[[models]]
name       = "digits/ll"
K          = 3
w          = 4
m          = 2
p          = 2
n          = [1, 4]
pool       = 2
activation = "relu"

[[models]]
name       = "digits/bp"
K          = 3
w          = 4
n          = [1, 4]
pool       = 2
activation = "relu"

[[attacks]]
name     = "pgd"
norm     = "linf"
eps      = ["0.05", "0.1"]
steps    = 40
toolkits = ["torchattacks"]
"""

RUN = ("run", "--suite", "grid.toml", "--batch-size", "20", "--display", "plain")


def killed_when(folder, cache, there):
    """Run the suite and kill it with SIGKILL as soon as something is there."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.cli.main", *RUN],
        cwd=folder, env={**os.environ, "OMP_NUM_THREADS": "1", "BENCH_CACHE": str(cache)},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    patience = time.perf_counter() + 300
    while not there() and process.poll() is None and time.perf_counter() < patience:
        time.sleep(0.01)
    process.kill()
    assert process.wait() == -9


@pytest.mark.long
def test_a_grid_killed_while_training_and_attacking_equals_one_that_was_not(tmp_path):
    folders = tmp_path / "calm", tmp_path / "stormy"
    for folder in folders:
        folder.mkdir()
        (folder / "grid.toml").write_text(SUITE)
    calm, stormy = folders
    caches = tmp_path / "calm-cache", tmp_path / "stormy-cache"

    plan = call(*RUN, "--dry-run", cwd=stormy, BENCH_CACHE=str(caches[1]))
    assert plan.returncode == 0, plan.stderr
    assert "8 cells of 60 images, of which 8 after training 4 models" in plan.stderr
    assert not (caches[1] / "weights").exists()

    cards = lambda: list((caches[1] / "weights").glob("digits/*.json"))  # noqa: E731
    parts = lambda: list(stormy.glob("results/cells/*/*/parts/[!.]*.parquet"))  # noqa: E731
    killed_when(stormy, caches[1], cards)
    assert 0 < len(cards()) < 4
    killed_when(stormy, caches[1], parts)
    assert len(cards()) == 4
    assert len(parts()) < 24

    for folder, cache in zip(folders, caches, strict=True):
        process = call(*RUN, cwd=folder, BENCH_CACHE=str(cache))
        assert process.returncode == 0, process.stderr
        assert ("training 4 models first" in process.stderr) == (folder == calm)
    rows = [
        load_results(folder / "results", "grid").rows.drop(columns="seconds")
        .sort_values(["cell", "index"], ignore_index=True) for folder in folders
    ]  # fmt: skip
    pd.testing.assert_frame_equal(*rows)
    tables = [
        pd.read_csv(folder / "reports" / "grid-grid.csv").drop(columns="run_started")
        for folder in folders
    ]
    pd.testing.assert_frame_equal(*tables)
    found = pd.read_csv(stormy / "reports" / "grid-grid.csv")
    assert found["rule"].tolist() == ["ll", "ll", "bp", "bp"]
    assert found["f_score"].notna().tolist() == [True, True, False, False]
    assert (found["robust linf 0.1"] <= found["robust linf 0.05"]).all()
