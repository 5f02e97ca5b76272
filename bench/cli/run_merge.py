"""`bench run --merge`: results that other machines made are put into the folder of the run first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from bench.errors import SpecError

if TYPE_CHECKING:
    from bench.store.store import Store

merge_option = click.option(
    "--merge", multiple=True, type=click.Path(path_type=Path, exists=True, file_okay=False), metavar="DIR",
    help="Put the finished cells of this results folder into --results first; may be given more than once.",
)  # fmt: skip

#: So many conflicts are told; the number says how many there are.
_TOLD = 5


def merge_folders(store: Store, folders: Sequence[Path], note: Callable[[str], None]) -> int:
    """Put results folders together, say what came of each, and return how many cells are in conflict.

    Raises:
        SpecError: a folder is the one that is added to.
        PrerequisiteError: one holds no results.
        StoreError: one is of another version or damaged, or the disk is full.
    """
    from bench.report.formatting import plural
    from bench.store.merge import merge
    from bench.store.store import open_store

    conflicts = 0
    for folder in folders:
        if folder.resolve() == store.root.resolve():
            raise SpecError(f"--merge {folder} is the results folder itself")
        merged = merge(store, open_store(folder, create=False))
        line = f"{folder}: {plural(merged.copied, 'cell')} copied, {merged.same} here already"
        if merged.unfinished:
            line += f", {merged.unfinished} not finished there"
        note(line)
        for key, difference in list(merged.conflicts.items())[:_TOLD]:
            note(
                f"{folder}: cell {key[:12]} is another one here: {difference}; that of {store.root} is kept"
            )
        if len(merged.conflicts) > _TOLD:
            note(f"{folder}: {len(merged.conflicts) - _TOLD} more cells differ")
        conflicts += len(merged.conflicts)
    return conflicts
