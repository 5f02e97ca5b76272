"""The speed tests run, whatever time they take: nobody runs them on a busy machine, so they rot unseen."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SPEED = Path(__file__).parent / "speed"


@pytest.mark.slow
def test_one_tiny_pass_of_every_speed_test(tmp_path):
    # It is no worker of the run that this test belongs to: workers measure nothing.
    env = {name: value for name, value in os.environ.items() if "XDIST" not in name}
    env["OMP_NUM_THREADS"] = "1"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-m", "speed", "--tiny", "-q",
         "-rs", "--basetemp", tmp_path / "pytest", SPEED],
        env=env,
        cwd=SPEED.parent.parent, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    skipped = {line for line in done.stdout.splitlines() if line.startswith("SKIPPED")}
    assert all("BENCH_DATA is not set" in line for line in skipped), skipped
    assert bool(skipped) == ("BENCH_DATA" not in os.environ), skipped
    assert re.search(r"[1-9]\d* passed", done.stdout)


def test_every_speed_test_says_how_it_is_made_small():
    for path in SPEED.glob("test_*.py"):
        assert "\nTINY = {" in path.read_text(), path.name
