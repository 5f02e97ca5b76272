"""The speed tests run, whatever time they take: nobody runs them on a busy machine, so they rot unseen."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SPEED = Path(__file__).parent / "speed"


def written():
    """Return the file and name of every test function under `tests/speed`."""
    return {
        (path.name, node.name)
        for path in SPEED.glob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test")
    }


@pytest.mark.slow
def test_one_tiny_pass_of_every_speed_test(tmp_path):
    # It is no worker of the run that this test belongs to: workers measure nothing.
    env = {name: value for name, value in os.environ.items() if "XDIST" not in name}
    env["OMP_NUM_THREADS"] = "1"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-m", "speed", "--tiny", "-q",
         "-rA", "--basetemp", tmp_path / "pytest", SPEED],
        env=env,
        cwd=SPEED.parent.parent, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    passed = set(re.findall(r"^PASSED \S*?(test_\w+\.py)::(\w+)", done.stdout, re.MULTILINE))
    assert passed == written(), done.stdout


def test_every_speed_test_says_how_it_is_made_small():
    files = list(SPEED.glob("test_*.py"))
    assert files
    for path in files:
        assert "\nTINY = {" in path.read_text(), path.name
