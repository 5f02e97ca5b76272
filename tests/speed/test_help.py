"""How long `bench --help` takes, against the bare interpreter."""

import math
import subprocess
import sys

import pytest

pytestmark = pytest.mark.speed

ROUNDS = 7
AT_MOST = 0.5  # seconds, on an idle machine
TINY = {"ROUNDS": 1, "AT_MOST": math.inf}


@pytest.mark.parametrize("words", [["-c", "pass"], ["-m", "bench.cli.main", "--help"]])
def test_help(benchmark, words):
    run = [sys.executable, *words]
    benchmark.pedantic(
        lambda: subprocess.run(run, check=True, capture_output=True), rounds=ROUNDS, warmup_rounds=1
    )
    assert benchmark.stats["median"] < AT_MOST
