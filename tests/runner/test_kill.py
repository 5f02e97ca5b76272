"""A run that is killed at random moments and resumed equals one that was left alone."""

import multiprocessing
import random
import time
from pathlib import Path

import pandas as pd
import pytest

from bench.runner.execute import execute
from bench.runner.loading import Setting
from bench.runner.plan import make_plan
from bench.runner.suite import load_suite
from bench.store.results import load_results
from bench.store.store import open_store

KILLS = 25

SUITE = """\
title  = "Killed"
data   = "digits"
images = 200

[[models]]
name = "digits/cnn"

[[attacks]]
name     = "pgd"
norm     = "linf"
eps      = ["0.05", "0.1", "0.2"]
steps    = 40
toolkits = ["foolbox", "torchattacks"]

[[attacks]]
name     = "deepfool"
norm     = ["l2", "linf"]
steps    = 20
toolkits = ["foolbox"]

[[attacks]]
name     = "cw"
norm     = "l2"
steps    = 50
toolkits = ["foolbox", "torchattacks"]
"""


def run(suite: str, root: str) -> None:
    """Run the suite in this process."""
    import torch

    torch.set_num_threads(1)
    execute(
        make_plan(load_suite(suite), setting=Setting(batch_size=10, device="cpu")),
        open_store(Path(root)),
    )


def rows(root: Path) -> pd.DataFrame:
    found = load_results(root, "killed").rows.drop(columns="seconds")
    return found.sort_values(["cell", "index"], ignore_index=True)


def read_all(root: Path) -> int:
    """Read every finished file of a store, as a report would; return how many chunks there are."""
    store = open_store(root)
    parts = list(root.glob("cells/*/*/parts/[!.]*.parquet"))
    for part in parts:
        pd.read_parquet(part)
    for record in root.glob("cells/*/*/cell.json"):
        store.rows(record.parent.name)
        store.pictures(record.parent.name)
    return len(parts)


@pytest.mark.slow
def test_killed_at_random_moments_and_resumed(cache, tmp_path):
    suite = tmp_path / "killed.toml"
    suite.write_text(SUITE)
    began = time.perf_counter()
    run(str(suite), str(tmp_path / "calm"))
    calm = time.perf_counter() - began
    expected = rows(tmp_path / "calm")

    # A server that has imported everything, so that kills fall on the work and not on imports.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["bench.runner.execute", "foolbox", "torchattacks"])
    stormy, dice, landed = tmp_path / "stormy", random.Random(0), 0
    for _ in range(KILLS):
        child = context.Process(target=run, args=(str(suite), str(stormy)))
        child.start()
        # Late enough to get somewhere, early enough that all the kills fall before the end.
        chunks = len(list(stormy.glob("cells/*/*/parts/*.parquet")))
        patience = time.perf_counter() + 60
        while child.is_alive() and time.perf_counter() < patience:
            if len(list(stormy.glob("cells/*/*/parts/*.parquet"))) > chunks:
                break
            time.sleep(0.005)
        time.sleep(dice.uniform(0, calm / KILLS / 4))
        landed += child.is_alive()
        child.kill()
        child.join()
        read_all(stormy)
    assert landed >= 20

    run(str(suite), str(stormy))
    pd.testing.assert_frame_equal(rows(stormy), expected)
    assert not expected.duplicated(["cell", "index"]).any()
    records = sorted(path.parent.name for path in stormy.glob("cells/*/*/cell.json"))
    assert records == sorted(
        path.parent.name for path in (tmp_path / "calm").glob("cells/*/*/cell.json")
    )
    for key in records:
        pictures = open_store(stormy).pictures(key)
        calm_pictures = open_store(tmp_path / "calm").pictures(key)
        assert all(pictures[name].equal(calm_pictures[name]) for name in calm_pictures)
