"""How tests call the command line within their own process."""

import subprocess

import pytest
from click.testing import CliRunner

from bench.cli.main import cli


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
