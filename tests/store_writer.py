"""A process that writes the synthetic run's cells over and over, until it is killed."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import fake_results

from bench.spec import Cell
from bench.store.identity import cell_key
from bench.store.store import Store, open_store

CELLS: list[Cell] = [cell for cell, _ in islice(fake_results.cells(), 5)]


def resume(store: Store, cell: Cell) -> None:
    """Write of a cell what is not there yet, as a run does."""
    key = cell_key(cell)
    if store.is_done(key):
        return
    done = store.done_chunks(key)
    rows, pictures = fake_results.make_rows(cell)
    for start in range(0, fake_results.IMAGES, fake_results.CHUNK):
        if start not in done:
            part = slice(start, start + fake_results.CHUNK)
            kept = {name: value[part] for name, value in pictures.items()}
            store.write_chunk(key, start, min(part.stop, len(rows)), rows.iloc[part], kept)
    store.finish(key, {"rows": fake_results.IMAGES})


def write_all(root: Path) -> None:
    """Write every cell once, afresh: rows that exist are written again beside the old ones."""
    store = open_store(root)
    for turn in range(1_000_000):
        cell = CELLS[turn % len(CELLS)]
        key = cell_key(cell)
        rows, pictures = fake_results.make_rows(cell)
        rows["seconds"] = float(turn)  # so that no two attempts write the same bytes
        for start in range(0, len(rows), fake_results.CHUNK):
            part = slice(start, start + fake_results.CHUNK)
            kept = {name: value[part] for name, value in pictures.items()}
            store.write_chunk(key, start, min(part.stop, len(rows)), rows.iloc[part], kept)
        store.finish(key, {"rows": len(rows)})
