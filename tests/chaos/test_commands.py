"""The commands themselves: killed, with a full disk, and on a small disk that is really full."""

import os
import random
import shutil
import sys
import time
from functools import partial

import children
import faulty_disk
import pytest
from faulty_disk import Turn, faulty
from scenes import stormy

pytestmark = pytest.mark.slow

RUN = ("run", "--suite", "stormy.toml", "--batch-size", "4", "--display", "plain")
REPORT = ("report", "--suite", "stormy.toml")


def command(words, folder, turn=None):
    """Run `bench` in this process, which ends with it."""
    from bench.cli.main import main

    os.chdir(folder)
    for number in (1, 2):
        os.dup2(os.open(folder / "told", os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    results, out = folder / "results", folder / "reports"
    sys.argv = ["bench", *words, "--results", str(results), "--out", str(out)]
    if turn is None:
        main()
    turn.arm()
    with faulty([results, out], turn):
        main()


def check_result(folder, calm):
    root = folder / "results"
    stormy.check(root)
    left = {key: found for key, found in stormy.left_in(root).items() if key in calm}
    stormy.same(left, calm)
    assert (folder / "reports" / "stormy.pdf").read_bytes().rstrip().endswith(b"%%EOF")


def start(calm, folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    shutil.copy(calm / "stormy.toml", folder)


def killed_commands(times, calm, folder):
    expected, dice = stormy.left_by_run(calm / "calm"), random.Random(0)
    start(calm, folder)
    began = time.perf_counter()
    code = children.run(partial(command, RUN, folder))
    longest, kills = time.perf_counter() - began, 0
    check_result(folder, expected)
    for turn in range(times):
        start(calm, folder)
        seconds = longest * (turn + dice.random()) / times
        pid = children.fork(partial(command, RUN, folder))
        time.sleep(seconds)
        os.kill(pid, 9)
        kills += children.wait(pid) == children.KILLED
        stormy.check(folder / "results")
        assert children.run(partial(command, RUN, folder)) == code
        check_result(folder, expected)
    return kills


def test_bench_run_is_killed(runner, calm, quick):
    assert runner(killed_commands, 4, calm, quick / "here") > 1


def told_once(folder):
    """Check that the last command has told one error, in a line."""
    lines = (folder / "told").read_text().splitlines()
    (error,) = [line for line in lines if line.startswith("error: ")]
    assert "no space left" in error.lower()
    assert "free some space" in error
    assert not any("Traceback" in line for line in lines)


def on_a_full_disk(calm, folder):
    """Let the disk get full under the commands, at some of their writes, and run them again with space."""
    expected, codes = stormy.left_by_run(calm / "calm"), []
    for at in (1, 60, 200):
        start(calm, folder)
        codes.append(children.run(partial(command, RUN, folder, _full(at))))
        told_once(folder)
        assert children.run(partial(command, RUN, folder)) == 0
        check_result(folder, expected)
    for at in (1, 30):
        (folder / "told").unlink()
        codes.append(children.run(partial(command, REPORT, folder, _full(at))))
        told_once(folder)
        check_result(folder, expected)
    return codes


def _full(at):
    return Turn(at, faulty_disk.full, lasts=True)


def test_on_a_full_disk(runner, calm, quick):
    first, *others = runner(on_a_full_disk, calm, quick / "here")
    assert first == 3  # the results folder could not even be made
    assert set(others) <= {1, 3}
