"""TensorBoard: figures as scalars, the headline and the names of the files as text; it cannot hold files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.trackers.tracked_run import TrackedRun


def log(run: TrackedRun) -> str:
    """Log a run into the folder of reports, and return where."""
    from torch.utils.tensorboard import SummaryWriter

    folder = run.out / "tensorboard" / run.suite / run.run
    with SummaryWriter(str(folder)) as writer:
        for name, value in run.figures.items():
            writer.add_scalar(name, value, 0)
        rows = [list(map(str, row)) for row in run.headline.itertuples(index=False)]
        writer.add_text("headline", _table(list(run.headline.columns), rows), 0)
        made_with = [[name, value] for name, value in run.parameters.items()]
        writer.add_text("made with", _table(["what", "value"], made_with), 0)
        files = [[str(Path(file).resolve())] for file in run.files]
        writer.add_text("files", _table(["file"], files), 0)
    return f"{folder}; tensorboard --logdir {run.out / 'tensorboard'} shows it"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)
