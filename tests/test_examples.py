"""The scripts in `examples/` do what their first lines say."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import build
import pytest
from command import call

from bench.store.results import load_results
from bench.store.store import open_store

EXAMPLES = Path(__file__).parent.parent / "examples"
SUITE = build.suite(
    images=10,
    models=["digits/mlp", "digits/cnn"],
    attacks=[{"name": "fgsm", "norm": "linf", "eps": ["0.1", "0.2"], "toolkits": ["torchattacks"]}],
)


@pytest.fixture
def environment(tmp_path):
    """Return an environment in which `bench` is this checkout's."""
    command = tmp_path / "bin" / "bench"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m bench.cli.main "$@"\n')
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    return {
        **os.environ,
        "PATH": f"{command.parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(EXAMPLES.parent),
        "OMP_NUM_THREADS": "1",
    }


@pytest.mark.slow
def test_a_job_array_of_slurm_makes_the_cells_of_one_run(tmp_path, environment, cache):
    (tmp_path / "s.toml").write_text(SUITE)
    for task in ("1", "2"):
        given = {"SLURM_ARRAY_TASK_ID": task, "SLURM_ARRAY_TASK_COUNT": "2"}
        done = subprocess.run(
            ["bash", EXAMPLES / "slurm.sh", "s.toml"],
            cwd=tmp_path, env=environment | given, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    words = ("run", "--suite", "s.toml", "--display", "plain", "--trust", "off")
    shares = ("--merge", "shares/1", "--merge", "shares/2")
    together = call(*words, *shares, cwd=tmp_path)
    assert together.returncode == 0, together.stderr
    assert together.stderr.count(": kept") == 4
    alone = call(*words, "--results", "alone", cwd=tmp_path)
    assert alone.returncode == 0, alone.stderr
    cells = load_results(tmp_path / "results", "s").cells
    assert set(cells["status"]) == {"done"}
    for cell in cells["cell"]:
        ours, theirs = (
            open_store(tmp_path / where).rows(cell).drop(columns="seconds")
            for where in ("results", "alone")
        )
        assert ours.equals(theirs)


def test_a_job_outside_an_array_says_how_to_submit_it(tmp_path):
    done = subprocess.run(
        ["bash", EXAMPLES / "slurm.sh", "s.toml"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode != 0
    assert "run this as a job array" in done.stderr


def _submitted(environment, folder, array, *words):
    """Run one task of the job array `array` (its numbers) under a `bench` that only prints its arguments."""
    (folder / "bin" / "bench").write_text('#!/bin/sh\necho "$@"\n')
    given = {
        "SLURM_ARRAY_TASK_ID": str(array[0]),
        "SLURM_ARRAY_TASK_COUNT": str(len(array)),
        "SLURM_ARRAY_TASK_MIN": str(min(array)),
        "SLURM_ARRAY_TASK_MAX": str(max(array)),
    }
    return subprocess.run(
        ["bash", EXAMPLES / "slurm.sh", *words],
        cwd=folder, env=environment | given, capture_output=True, text=True,
    )  # fmt: skip


@pytest.mark.parametrize("array", [(1,), (3, 5), (1, 3)])
def test_single_tasks_of_a_job_array_are_submitted_again_with_the_number_of_shares(
    tmp_path, environment, array
):
    again = _submitted(environment, tmp_path, array, "s.toml", "8")
    assert again.returncode == 0, again.stderr
    assert f"--shard {array[0]}/8 " in again.stdout
    assert f"--results shares/{array[0]} " in again.stdout


@pytest.mark.parametrize("array", [(3,), (3, 5), (1, 3), (0, 1)])
def test_a_job_array_that_is_not_numbered_from_1_asks_for_the_number_of_shares(
    tmp_path, environment, array
):
    done = _submitted(environment, tmp_path, array, "s.toml")
    assert done.returncode == 2
    assert "say how many shares there are" in done.stderr
    assert not done.stdout


def test_a_job_without_a_suite_says_what_to_write(tmp_path, environment):
    done = _submitted(environment, tmp_path, (1, 2))
    assert done.returncode != 0
    assert "say which suite" in done.stderr
