"""MLflow: parameters, metrics and artifacts of a run, where `MLFLOW_TRACKING_URI` says."""

from __future__ import annotations

import os

from bench.trackers.tracked_run import PROJECT, TrackedRun

#: By itself MLflow asks a server that is down for four minutes.
_RETRIES = "2"


def log(run: TrackedRun) -> str:
    """Log a run, and return where. The experiment is `MLFLOW_EXPERIMENT_NAME`'s, else `crossfire`."""
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", _RETRIES)
    import mlflow

    experiment = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
    mlflow.set_experiment(experiment)
    with mlflow.start_run(run_name=run.title):
        mlflow.log_params(dict(run.parameters))
        mlflow.log_metrics(dict(run.figures))
        for file in run.files:
            mlflow.log_artifact(str(file))
    return f"{mlflow.get_tracking_uri()}, experiment {experiment}"
