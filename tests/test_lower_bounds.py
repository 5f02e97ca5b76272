"""The lower bounds in pyproject.toml are true: a suite runs with the lowest versions that they allow."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from bench.attacks.toolkits import ADDED, install_command
from bench.spec import TOOLKITS
from bench.store.results import load_results

ROOT = Path(__file__).parent.parent
#: Gigabytes with what they require: `make lowest` installs them, CI takes those that are here.
LARGE = ("torch", "torchvision")


def lowest():
    """Return the requirements of pyproject.toml, each with the lowest version that it allows."""
    lines = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    found = {}
    for needed in map(Requirement, lines):
        (bound,) = (one for one in needed.specifier if one.operator in (">=", "=="))
        found[needed.name] = bound.version
    return found


def pip(python, *words):
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *words)


def run(*words, **settings):
    done = subprocess.run(
        list(map(str, words)), capture_output=True, text=True, check=False, **settings
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def environment(folder, wanted):
    """Return the interpreter of a new environment that has these versions."""
    run(sys.executable, "-m", "venv", folder)
    python = folder / "bin" / "python"
    if not set(LARGE) <= set(wanted):
        # What it does not have itself is found here.
        here = sysconfig.get_paths()["purelib"]
        there = run(python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])")
        Path(there.stdout.strip(), "large.pth").write_text(f"{here}\n")
    pip(python, *(f"{name}=={version}" for name, version in wanted.items()))
    pip(python, *install_command("torchattacks").split()[2:])
    return python


def digits(python, folder, wanted):
    """Run the digits suite on ten images and look at what ran."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    names = json.dumps(list(wanted))
    code = (
        f"import json, importlib.metadata as m; print(json.dumps([m.version(n) for n in {names}]))"
    )
    installed = json.loads(run(python, "-c", code, env=env).stdout)
    for version, bound in zip(installed, wanted.values(), strict=True):
        assert Requirement(f"any=={bound}").specifier.contains(version), (version, bound)
    command = [python, "-m", "bench.cli.main", "run", "--suite", "digits", "--images", 10]
    run(*command, cwd=folder, env=env)
    cells = load_results(folder / "results", "digits").cells
    assert (cells.status == "done").all()
    assert set(cells.toolkit) == set(TOOLKITS) - set(ADDED)
    assert (folder / "reports" / "digits.pdf").stat().st_size > 10_000


@pytest.mark.slow
def test_the_digits_suite_runs_with_the_lowest_versions_of_all_but_torch(tmp_path):
    wanted = {name: version for name, version in lowest().items() if name not in LARGE}
    assert len(wanted) == len(lowest()) - len(LARGE)
    digits(environment(tmp_path / "lowest", wanted), tmp_path, wanted)


@pytest.mark.lowest
def test_the_digits_suite_runs_with_the_lowest_versions_of_all(tmp_path):
    try:
        digits(environment(tmp_path / "lowest", lowest()), tmp_path, lowest())
    finally:
        shutil.rmtree(tmp_path / "lowest")  # 6 GB, and pytest keeps three of its folders


def test_each_requirement_has_a_lower_bound():
    assert set(LARGE) <= set(lowest())
    assert all(lowest().values())
