"""A process that writes the synthetic run's cells over and over, until it is killed."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from itertools import islice
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from scenes import stored_run

from bench.spec import Cell
from bench.store.files import atomic_write
from bench.store.identity import cell_key
from bench.store.parts import Arrays
from bench.store.store import Store, open_store

CELLS: list[Cell] = [cell for cell, _ in islice(stored_run.cells(), 5)]


def start(target: Callable[..., None], *args: Any) -> BaseProcess:
    """Start a writer in a process of its own, in milliseconds: what it imports is there already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["bench.store.results", "safetensors.torch", "torch"])
    process = context.Process(target=target, args=args, daemon=True)
    process.start()
    return process


def resume(store: Store, cell: Cell) -> None:
    """Write of a cell what is not there yet, as a run does."""
    key = cell_key(cell)
    if store.is_done(key):
        return
    done = store.done_chunks(key)
    rows, pictures = stored_run.make_rows(cell)
    for start in range(0, stored_run.IMAGES, stored_run.CHUNK):
        if start not in done:
            part = slice(start, start + stored_run.CHUNK)
            kept = {name: value[part] for name, value in pictures.items()}
            store.write_chunk(key, start, min(part.stop, len(rows)), rows.iloc[part], Arrays(kept))
    store.finish(key, {"rows": stored_run.IMAGES})


def write_all(root: Path) -> None:
    """Write every cell once, afresh: rows that exist are written again beside the old ones."""
    store = open_store(root)
    for turn in range(1_000_000):
        cell = CELLS[turn % len(CELLS)]
        key = cell_key(cell)
        rows, pictures = stored_run.make_rows(cell)
        rows["seconds"] = float(turn)  # so that no two attempts write the same bytes
        for start in range(0, len(rows), stored_run.CHUNK):
            part = slice(start, start + stored_run.CHUNK)
            kept = {name: value[part] for name, value in pictures.items()}
            store.write_chunk(key, start, min(part.stop, len(rows)), rows.iloc[part], Arrays(kept))
        store.finish(key, {"rows": len(rows)})


def resume_until(root: Path, flush: int) -> None:
    """Resume the first cell, and die at the given flush to disk as if by kill -9."""
    real, left = os.fsync, [flush]

    def fsync(handle: int) -> None:
        left[0] -= 1
        if left[0] == 0:
            os._exit(9)
        real(handle)

    os.fsync = fsync
    resume(open_store(root), CELLS[0])


def rewrite(path: Path, size: int) -> None:
    """Write a file over and over, each time whole of one letter."""
    while True:
        for letter in (b"a", b"b"):
            atomic_write(path, letter * size)
