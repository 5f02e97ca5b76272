"""A run that is killed at random moments and resumed equals one that was left alone."""

import itertools
import multiprocessing
import os
import random
import shutil
import time
from pathlib import Path

import pandas as pd
import pytest

from bench.runner.execute import execute
from bench.runner.loading import Setting
from bench.runner.plan import make_plan
from bench.runner.selection import Selection
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


GROWN = """\
title  = "Killed"
data   = "digits"
images = 40

[[models]]
name = "digits/mlp"

[[attacks]]
name     = "pgd"
norm     = "linf"
eps      = "0.1"
steps    = 1
toolkits = ["torchattacks"]

[[attacks]]
name   = "universal"
norm   = "linf"
eps    = "0.15"
passes = 1
fit    = "train 10"
"""


def run_on(images: int, suite: str, root: str) -> None:
    """Run the suite on so many images."""
    plan = make_plan(
        load_suite(suite), Selection(images=images), Setting(batch_size=20, device="cpu")
    )
    execute(plan, open_store(Path(root)))


def die_at(flush: int, suite: str, root: str) -> None:
    """Run the suite on 60 images, and die at the given flush to disk as if by kill -9."""
    real, left = os.fsync, [flush]

    def fsync(handle: int) -> None:
        left[0] -= 1
        if left[0] == 0:
            os._exit(9)
        real(handle)

    os.fsync = fsync
    run_on(60, suite, root)


@pytest.mark.slow
def test_killed_while_it_takes_over_and_resumed(cache, tmp_path):
    suite, small, grown = (str(tmp_path / name) for name in ("killed.toml", "small", "grown"))
    Path(suite).write_text(GROWN)
    run_on(40, suite, small)
    run_on(60, suite, str(tmp_path / "whole"))
    expected = rows(tmp_path / "whole")

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["bench.runner.execute", "torchattacks"])
    deaths = 0
    for flush in itertools.count(1, 5):
        shutil.rmtree(grown, ignore_errors=True)
        shutil.copytree(small, grown)
        child = context.Process(target=die_at, args=(flush, suite, grown))
        child.start()
        child.join()
        if child.exitcode == 0:
            break
        assert child.exitcode == 9
        deaths += 1
        read_all(Path(grown))
        run_on(60, suite, grown)
        pd.testing.assert_frame_equal(rows(Path(grown)), expected)
    assert deaths >= 6
    pd.testing.assert_frame_equal(rows(Path(grown)), expected)
