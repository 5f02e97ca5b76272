"""A run, its workers, a merge and a report that are killed leave nothing broken, and the next one finishes.

Together they are killed more than a thousand times: before each call that changes the disk, in the middle of
each write, and at random moments.
"""

import itertools

import faulty_disk
import pytest
import storms
from children import KILLED
from faulty_disk import Turn, faulty
from scenes import stormy, stormy_work, stormy_workers
from scenes.stormy_report import LARGE, SMALL

pytestmark = pytest.mark.slow


def at_every_write(kind, *places):
    return storms.killed_at_every_write(kind(*places))


def at_random(times, kind, *places):
    return storms.killed_at_random(kind(*places), times)


def test_a_run_at_every_write(runner, calm, quick):
    assert runner(at_every_write, stormy_work.of_run, calm, quick / "results") > 120


def test_a_run_at_random_moments(runner, calm, quick):
    assert runner(at_random, 50, stormy_work.of_run, calm, quick / "results") == 50


def test_a_merge_at_every_write(reader, calm, quick):
    assert reader(at_every_write, stormy_work.of_merge, calm, quick / "results") > 100


def test_a_merge_at_random_moments(reader, calm, quick):
    assert reader(at_random, 130, stormy_work.of_merge, calm, quick / "results") == 130


@pytest.mark.parametrize("then", [LARGE, SMALL])
def test_a_report_at_every_write(reader, calm, quick, then):
    assert reader(at_every_write, stormy_work.of_report, calm, quick / "reports", then) > 60


def test_a_report_at_random_moments(reader, calm, quick):
    assert reader(at_random, 330, stormy_work.of_report, calm, quick / "reports") == 330


def test_the_command_of_workers_at_every_write(runner, calm, quick):
    assert runner(at_every_write, stormy_work.of_workers, calm, quick / "results") > 25


def test_the_command_of_workers_at_random_moments(runner, calm, quick):
    assert runner(at_random, 50, stormy_work.of_workers, calm, quick / "results") == 50


def a_worker(calm, root):
    """Kill a worker at every other of its writes; the run goes on with another and misses nothing."""
    work, kills, missed = stormy_work.of_run(calm, root), 0, 0
    for turn in itertools.count(1, 2):
        work.start()
        fault = Turn(turn, faulty_disk.killed)
        with faulty([root], fault):
            first, *_ = stormy_workers.run(calm / f"{stormy.NAME}.toml", root, fault)
        work.sound()
        work.finished()
        kills, missed = kills + (first == KILLED), missed + (first != KILLED)
        if missed == 3:  # what it has to do differs from run to run
            return kills
    raise AssertionError  # never reached


def test_a_worker_at_every_write(runner, calm, quick):
    assert runner(a_worker, calm, quick / "results") > 20
