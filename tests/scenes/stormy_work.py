"""What is disturbed: a run, a run with workers, a merge, and a report that takes the place of another."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

from scenes import stormy, stormy_report, stormy_workers
from scenes.stormy_report import LARGE, SMALL
from storms import Work


def of_run(calm: Path, root: Path) -> Work:
    suite, expected = calm / f"{stormy.NAME}.toml", stormy.left_by_run(calm / "calm")
    return Work(
        root=root,
        do=partial(stormy.run, suite, root),
        sound=partial(stormy.check, root),
        finished=lambda: stormy.same(stormy.left_by_run(root), expected),
    )


def of_workers(calm: Path, root: Path) -> Work:
    suite, alone = calm / f"{stormy.NAME}.toml", of_run(calm, root)
    return Work(
        root=root, do=partial(stormy_workers.run, suite, root), sound=alone.sound, finished=alone.finished,
        then=alone.do,
    )  # fmt: skip


def of_merge(calm: Path, root: Path) -> Work:
    expected = stormy.left_in(calm / "calm")
    return Work(
        root=root,
        do=partial(merge, [calm / "shard-1", calm / "shard-2"], root),
        sound=partial(stormy.check, root),
        finished=lambda: stormy.same(stormy.left_in(root), expected),
    )


def merge(folders: list[Path], root: Path) -> None:
    from bench.store.merge import merge
    from bench.store.store import open_store

    store = open_store(root)
    for folder in folders:
        merged = merge(store, open_store(folder, create=False))
        assert not merged.conflicts
        assert not merged.unfinished


def of_report(calm: Path, out: Path, then: int = LARGE) -> Work:
    """Return the writing of a larger report over a smaller one; `then` says which of them is written next."""
    files = {cells: stormy_report.files_of(calm, cells) for cells in (SMALL, LARGE)}

    def sound() -> None:
        for name, content in stormy_report.read(out).items():
            assert content in [made.get(name) for made in files.values()], name
        json.loads((out / f"{stormy.NAME}.json").read_bytes())

    def finished() -> None:
        assert stormy_report.read(out) == files[then]
        record = json.loads((out / f"{stormy.NAME}.json").read_bytes())
        assert sorted(
            name for kind in record["formats"].values() for name in kind["files"]
        ) == sorted(files[then])

    return Work(
        root=out,
        before=calm / "report",
        do=partial(stormy_report.write, calm, LARGE, out),
        then=partial(stormy_report.write, calm, then, out),
        sound=sound,
        finished=finished,
    )
