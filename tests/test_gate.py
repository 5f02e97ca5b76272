"""The commands of the gate for GitHub Actions, run one after another through bash as a job runs them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import digits_network
import pytest
import yaml

GATE = Path(__file__).parents[1] / "examples" / "gate.yml"
MODEL = """\
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

import bench

@bench.register_model("my-net", data="digits")
def my_net():
    net = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1, stride=2), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(),
        nn.Linear(128, 32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 10),
    )
    net.load_state_dict(load_file(Path(__file__).with_name("my.safetensors")))
    return bench.wrap(Dimmed(net), num_classes=10, input_shape=(1, 8, 8))

class Dimmed(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(LIGHT * x)
"""
#: Quicker than the example's own words: its attacks take minutes on 500 images.
QUICKLY = (
    "my-net --plugin my_model.py --norm linf --eps 0.1 --images 200 --attack pgd --display none"
)


def job():
    """Return the environment of the workflow, and those of its steps that are commands, by name."""
    written = yaml.safe_load(GATE.read_text())
    steps = written["jobs"]["gate"]["steps"]
    return written["env"], {step["name"]: step for step in steps if "run" in step}


def checked_out(folder, light):
    """Write a repository whose model sees images that much darker: the darker, the nearer all boundaries."""
    folder.mkdir(exist_ok=True)
    (folder / "my_model.py").write_text(f"LIGHT = {light}\n{MODEL}")
    shutil.copy(digits_network.WEIGHTS, folder / "my.safetensors")


def run(step, folder):
    """Run the command of a step as GitHub does, with this checkout's `bench`, and return the finished process."""
    command = folder / "bin" / "bench"
    command.parent.mkdir(exist_ok=True)
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m bench.cli.main "$@"\n')
    command.chmod(0o755)
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        cwd=folder / step.get("working-directory", "."),
        env={
            **os.environ, "EVALUATE": QUICKLY, "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(GATE.parents[1]),
            "PATH": f"{command.parent}{os.pathsep}{os.environ['PATH']}",
        },
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_gate_installs_runs_and_compares_and_nothing_else():
    environment, steps = job()
    assert list(environment) == ["EVALUATE"]
    assert list(steps) == [
        "Install", "Attack the model of the base branch", "Attack the model of the pull request",
        "Compare",
    ]  # fmt: skip
    # What stands in for these words in the test below takes the same options.
    words = {word for word in environment["EVALUATE"].split() if word.startswith("--")}
    assert words < set(QUICKLY.split())


@pytest.mark.slow
def test_the_gate_lets_the_same_model_pass_and_stops_a_worse_one(tmp_path):
    _, steps = job()
    base, new, compare = list(steps.values())[1:]
    checked_out(tmp_path, light=0.25)
    checked_out(tmp_path / "base", light=1)
    for step in (base, new):
        done = run(step, tmp_path)
        assert done.returncode == 0, done.stderr
    worse = run(compare, tmp_path)
    assert worse.returncode == 1, worse.stdout + worse.stderr
    assert worse.stdout.splitlines()[-1].startswith("differs: worse in B: my-net (clean accuracy, ")
    cases = ET.parse(tmp_path / "compare.xml").getroot()
    assert len(list(cases.iter("failure"))) >= 1
    shutil.rmtree(tmp_path / "results-new")
    shutil.copytree(tmp_path / "results-base", tmp_path / "results-new")
    same = run(compare, tmp_path)
    assert same.returncode == 0, same.stdout + same.stderr
