"""Settings and fixtures that tests share."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from hypothesis import settings
from scenes import tiny

from bench import registry as plugins
from bench import suite_files
from bench.attacks.rows import ATTACKS, MEASUREMENTS
from bench.attacks.users import USERS
from bench.cli.main import cli
from bench.data.table import DATASETS
from bench.data.users import READERS
from bench.model_names import MODELS
from bench.report import rules
from bench.runner.kinds import KINDS
from bench.spec import ROW_KINDS
from bench.train.families import FAMILIES
from bench.train.recipes import RECIPES
from bench.trust.checks import registry as check_registry

# A busy machine is no fault of the code under test.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    """Keep what tests train away from the user's cache, and share it among them."""
    folder = tmp_path_factory.mktemp("cache")
    os.environ["BENCH_CACHE"] = str(folder)
    return folder


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Small networks are faster, and runs on a busy machine steadier, on one thread."""
    torch.set_num_threads(1)


@pytest.fixture
def registry(monkeypatch):
    """Forget at the end what a test registers, and the plug-ins it loads."""
    for names in (MODELS, READERS):
        monkeypatch.setattr(names, "_entries", dict(names._entries))
    monkeypatch.setattr(DATASETS, "_listed", dict(DATASETS._listed))
    held = (FAMILIES, RECIPES, KINDS, ROW_KINDS, MEASUREMENTS, ATTACKS, USERS)
    tables = [(table, dict(table)) for table in held]
    monkeypatch.setattr(check_registry, "_REGISTERED", {})
    monkeypatch.setattr(rules, "_REGISTERED", {})
    monkeypatch.setattr(suite_files, "_REGISTERED", [])
    monkeypatch.setattr(plugins, "_GIVEN", {})
    yield
    for table, before in tables:
        table.clear()
        table.update(before)
    for name in [name for name in sys.modules if name.startswith("bench_plugin_")]:
        del sys.modules[name]


@pytest.fixture
def tiny_suite(tmp_path) -> Path:
    """Return the file of a suite that runs in a second or two."""
    path = tmp_path / "tiny.toml"
    path.write_text(tiny.SUITE)
    return path


@pytest.fixture
def invoke(monkeypatch, registry):
    """Return a function that runs `bench` in this process: quicker, for what has no need of its own."""

    def invoke(*words, cwd, **env):
        monkeypatch.chdir(cwd)
        for name, value in {"COLUMNS": "200", **env}.items():
            monkeypatch.setenv(name, value)
        found = CliRunner().invoke(cli, list(map(str, words)), prog_name="bench")
        return subprocess.CompletedProcess(words, found.exit_code, found.stdout, found.stderr)

    return invoke
