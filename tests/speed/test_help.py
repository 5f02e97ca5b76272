"""How long `bench --help` takes, against the bare interpreter."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.speed

AT_MOST = 0.5  # seconds, on an idle machine


@pytest.mark.parametrize("words", [["-c", "pass"], ["-m", "bench.cli.main", "--help"]])
def test_help(benchmark, words):
    run = [sys.executable, *words]
    benchmark.pedantic(
        lambda: subprocess.run(run, check=True, capture_output=True), rounds=7, warmup_rounds=1
    )
    assert benchmark.stats["median"] < AT_MOST
