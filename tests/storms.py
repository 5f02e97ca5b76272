"""Work that is disturbed at every write or at random moments, and what must hold after each."""

from __future__ import annotations

import itertools
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import children
import faulty_disk
from children import KILLED
from faulty_disk import Fault, Turn, faulty

from bench.errors import PrerequisiteError, StoreError


@dataclass(frozen=True, kw_only=True)
class Work:
    """Something that writes into a folder.

    Attributes:
        root: the folder.
        do: does all of it, or what is left of it.
        sound: checks what must hold of the folder at any moment.
        finished: checks what must hold of it in the end.
        before: what the folder holds beforehand; None for nothing.
        then: what is done after the work was disturbed; None for the same again.
    """

    root: Path
    do: Callable[[], Any]
    sound: Callable[[], Any]
    finished: Callable[[], Any]
    before: Path | None = None
    then: Callable[[], Any] | None = None

    def start(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)
        if self.before is not None:
            shutil.copytree(self.before, self.root)

    def disturbed(self, turn: Turn, *, reads: bool = False) -> None:
        turn.arm()
        with faulty([self.root], turn, reads=reads):
            self.do()

    def end(self) -> None:
        """Finish the work undisturbed."""
        with faulty([self.root], lambda call: None):
            (self.then or self.do)()
        self.finished()


def killed_at_every_write(work: Work) -> int:
    """Kill the work at each of its writes, once each, and finish it each time; return how often."""
    for kills in itertools.count():
        work.start()
        turn = Turn(1 + kills, faulty_disk.killed)
        code = children.run(partial(work.disturbed, turn))
        assert code in (0, KILLED), f"the work ended with {code}"
        children.all_gone()
        work.sound()
        work.end()
        if code == 0:
            return kills
    raise AssertionError  # never reached


def killed_at_random(work: Work, wanted: int) -> int:
    """Kill the work at random moments so many times, and finish it each time; return how often.

    The longest that is waited goes up with each kill and down where the work had ended before.
    """
    dice, kills, longest, never = random.Random(0), 0, 0.1, Turn(0, faulty_disk.killed)
    for _ in range(10 * wanted):
        work.start()
        landed = children.killed_after(dice.uniform(0, longest), partial(work.disturbed, never))
        children.all_gone()
        work.sound()
        work.end()
        kills, longest = kills + landed, longest * (1.02 if landed else 0.9)
        if kills == wanted:
            break
    return kills


def fails_at_every_write(work: Work, fault: Fault, step: int = 1) -> int:
    """Let the disk fail for good from each (or every `step`-th) write of the work on, and mend it each time.

    The work must end with an error of one line that says where and what to do, and leave no unfinished file.

    Returns:
        How often the work failed.
    """
    for failures in itertools.count():
        work.start()
        try:
            work.disturbed(Turn(1 + step * failures, fault, lasts=True))
        except (StoreError, PrerequisiteError) as error:
            message = str(error)
        else:
            work.finished()
            return failures
        assert "\n" not in message
        assert str(work.root) in message
        assert " DIR" in message
        work.sound()
        assert fault is faulty_disk.read_only or not list(work.root.rglob(".tmp-*"))
        work.end()
    raise AssertionError


def stopped_in_turn(work: Work, meanwhile: Callable[[], Any], step: int = 1) -> int:
    """Stop the work at a look or write, do something else, and let it go on; then at a later one.

    At each of the first ones, where a folder is made ready, and then at every `step`-th.

    Returns:
        How often it was stopped.
    """
    turns = itertools.chain(range(1, 16), itertools.count(16, step))
    for stops, at in enumerate(turns):
        work.start()
        turn = Turn(at, faulty_disk.stopped)
        pid = children.fork(partial(work.disturbed, turn, reads=True))
        was_stopped = children.stops(pid)
        if was_stopped:
            assert children.run(meanwhile) == 0
            work.sound()
            assert children.go_on(pid) == 0
        work.sound()
        work.finished()
        if not was_stopped:
            return stops
    raise AssertionError  # never reached
