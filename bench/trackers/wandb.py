"""Weights & Biases: configuration, summary, headline and files of a run; `WANDB_MODE=offline` keeps it here."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from bench.trackers.tracked_run import PROJECT, TrackedRun

#: By itself it waits for a server that is down for a minute and a half.
_PATIENCE = "20"


def log(run: TrackedRun) -> str:
    """Log a run, and return where. The project is `WANDB_PROJECT`'s, else `crossfire`."""
    os.environ.setdefault("WANDB_INIT_TIMEOUT", _PATIENCE)
    import wandb

    project = os.environ.get("WANDB_PROJECT", PROJECT)
    with _stdout_to_stderr():
        logged = wandb.init(
            project=project, name=run.title, config=dict(run.parameters),
            settings=wandb.Settings(console="off"),
        )  # fmt: skip
    with logged:  # marks it as failed where an error ends it
        logged.summary.update(dict(run.figures))
        logged.log({"headline": wandb.Table(dataframe=run.headline.astype(str))})
        if run.files:
            report = wandb.Artifact(f"{run.suite}-{run.run}", type="report")
            for file in run.files:
                report.add_file(str(file))
            logged.log_artifact(report)
        where = logged.url or logged.dir
    return f"{where}, project {project}"


@contextmanager
def _stdout_to_stderr() -> Iterator[None]:
    """Give the process that wandb starts stderr for its words, since stdout is for data."""
    sys.stdout.flush()
    stdout = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(stdout, 1)
        os.close(stdout)
