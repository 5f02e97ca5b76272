"""Settings and small suites that tests share."""

import os
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from bench.train.families import FAMILIES
from bench.train.recipes import RECIPES
from bench.zoo import MODELS

# A busy machine is no fault of the code under test.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

TINY_SUITE = """\
title  = "Tiny"
data   = "digits"
images = 30

[[models]]
name = "digits/mlp"

[[attacks]]
name = "fgsm"
norm = "linf"
eps  = ["0.1", "0.2"]

[[attacks]]
name     = "pgd"
norm     = "linf"
eps      = "0.1"
steps    = 3
toolkits = ["torchattacks"]

[[attacks]]
name     = "deepfool"
norm     = "l2"
steps    = 10
toolkits = ["foolbox"]

[[attacks]]
name     = "noise"
norm     = "linf"
eps      = "0.2"
toolkits = ["native"]
"""


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
    monkeypatch.setattr(MODELS, "_entries", dict(MODELS._entries))
    tables = [(table, dict(table)) for table in (FAMILIES, RECIPES)]
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
    path.write_text(TINY_SUITE)
    return path
