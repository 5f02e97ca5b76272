"""What trackers are given of a run, with stand-ins for their packages, and with the real ones where they are here."""

import json
import sys

import build
import digits_network
import pandas as pd
import pytest
import torch

from bench.errors import PrerequisiteError
from bench.measure.headline import headline
from bench.measure.outcomes import Outcomes
from bench.trackers.table import TRACKERS, log_to
from bench.trackers.tracked_run import tracked_run

#: Keeps what it is told in the file that FAKE_LOG names; with FAKE_DOWN its server is down. Like the real one
#: it says something on stdout.
FAKE = """\
import contextlib, json, os

def _kept(*words):
    if os.environ.get("FAKE_DOWN"):
        raise ConnectionError("the server is down\\nand says so at length")
    print("chatter")
    with open(os.environ["FAKE_LOG"], "a") as file:
        file.write(json.dumps(words) + "\\n")

def set_experiment(name): _kept("experiment", name)
def log_params(named): _kept("params", named)
def log_metrics(named): _kept("metrics", named)
def log_artifact(file): _kept("file", file)
def get_tracking_uri(): return "nowhere"

@contextlib.contextmanager
def start_run(run_name):
    _kept("run", run_name)
    yield
"""
THREAT = ("--norm", "linf", "--eps", "0.1", "--images", "6", "--attack", "pgd", "--trust", "off")


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Put a stand-in for MLflow in its place, and return the file that keeps what it was told."""
    (tmp_path / "fakes").mkdir()
    (tmp_path / "fakes" / "mlflow.py").write_text(FAKE)
    monkeypatch.syspath_prepend(tmp_path / "fakes")
    monkeypatch.delitem(sys.modules, "mlflow", raising=False)
    monkeypatch.setenv("FAKE_LOG", str(tmp_path / "told.jsonl"))
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    yield tmp_path / "told.jsonl"
    sys.modules.pop("mlflow", None)


def planted(tmp_path):
    """Return a run of 10 images: one model at half, and one whose only attack failed."""
    cells = [
        build.cell("a b", "pgd", "8/255", range(5)),
        build.cell("c", "pgd", "8/255", (), status="failed"),
    ]
    results = build.results(cells, images=10, run="000007-abcdef", suite="s")
    judged = headline(Outcomes(results)).assign(trust=["believable", "invalid"], reasons="")
    (tmp_path / "s.csv").write_text("x")
    return tracked_run(results, judged, [tmp_path / "s.csv"], tmp_path / "reports")


def test_figures_are_named_in_signs_that_every_tracker_takes_and_invalid_ones_are_left_out(
    tmp_path,
):
    run = planted(tmp_path)
    assert run.title == "s 000007-abcdef"
    assert run.figures["a-b/linf-8-255/robust_accuracy"] == 0.5
    assert run.figures["a-b/linf-8-255/clean_accuracy"] == 1
    assert run.figures["c/linf-8-255/planned"] == 1
    assert "c/linf-8-255/robust_accuracy" not in run.figures
    assert run.parameters["a-b/linf-8-255/trust"] == "believable"
    assert run.parameters["c/linf-8-255/trust"] == "invalid"
    assert (run.parameters["images"], run.parameters["version/torch"]) == ("10", "2.9.0")


def test_a_stand_in_is_told_all_and_its_chatter_stays_off_stdout(fake, tmp_path, capsys):
    run = planted(tmp_path)
    assert log_to("mlflow", run) == "nowhere, experiment crossfire"
    told = [json.loads(line) for line in fake.read_text().splitlines()]
    assert told == [
        ["experiment", "crossfire"], ["run", run.title], ["params", run.parameters],
        ["metrics", run.figures], ["file", str(tmp_path / "s.csv")],
    ]  # fmt: skip
    assert capsys.readouterr().out == ""


def test_a_server_that_is_down_is_one_line(fake, tmp_path, monkeypatch):
    monkeypatch.setenv("FAKE_DOWN", "1")
    with pytest.raises(PrerequisiteError) as raised:
        log_to("mlflow", planted(tmp_path))
    assert str(raised.value) == ("mlflow did not take the run: ConnectionError: the server is down")


def test_a_run_is_finished_before_its_tracker_fails_and_is_logged_later(
    fake, tmp_path, invoke, monkeypatch
):
    torch.jit.script(digits_network.shipped()).save(tmp_path / "net.pt")
    words = ("run", "torchscript:net.pt?data=digits", *THREAT, "--json", "--display", "none")
    failed = invoke(*words, "--tracker", "mlflow", cwd=tmp_path, FAKE_DOWN="1")
    assert failed.returncode == 3, failed.stderr
    events = [json.loads(line) for line in failed.stdout.splitlines()]
    assert [event["event"] for event in events].count("headline") == 1
    assert all((tmp_path / file).is_file() for file in [*events[-1]["csv"], *events[-1]["pdf"]])
    (error,) = [line for line in failed.stderr.splitlines() if line.startswith("error: ")]
    suite, named = "torchscript-net-pt-data-digits-linf-0-1", events[-1]["run"]
    again = f"bench report --suite {suite} --run {named} --tracker mlflow"
    assert error.endswith(f"nothing is lost, log it later with: {again}")
    monkeypatch.delenv("FAKE_DOWN")
    later = invoke(*again.split()[1:], "--format", "csv", cwd=tmp_path)
    assert later.returncode == 0, later.stderr
    assert "logged to mlflow: nowhere, experiment crossfire" in later.stderr
    told = dict(json.loads(line) for line in fake.read_text().splitlines())
    share = told["metrics"]["torchscript-net.pt-data-digits/linf-0.1/robust_accuracy"]
    assert share == next(one for one in events if one["event"] == "headline")["robust_accuracy"]
    assert "chatter" not in later.stdout


@pytest.mark.parametrize("tracker", TRACKERS)
def test_a_tracker_that_is_missing_is_said_before_anything_runs(
    invoke, tmp_path, monkeypatch, tracker
):
    monkeypatch.setattr("bench.trackers.table.installed", lambda name: False)
    found = invoke("run", "--suite", "digits", "--tracker", tracker, cwd=tmp_path)
    assert found.returncode == 3
    assert found.stderr == (
        f"error: --tracker {tracker} needs {tracker}; run: pip install 'crossfire-bench[{tracker}]'\n"
    )
    assert not (tmp_path / "results").exists()


@pytest.mark.slow
def test_the_real_mlflow_keeps_figures_and_files(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    previous = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path / 'mlflow.db'}")
    monkeypatch.chdir(tmp_path)
    run = planted(tmp_path)
    try:
        assert log_to("mlflow", run).endswith("mlflow.db, experiment mine")
        (logged,) = mlflow.search_runs(experiment_names=["mine"], output_format="list")
        assert logged.data.metrics == dict(run.figures)
        assert logged.data.params == dict(run.parameters)
        assert logged.info.run_name == run.title
        files = mlflow.artifacts.list_artifacts(run_id=logged.info.run_id)
        assert [file.path for file in files] == ["s.csv"]
    finally:
        mlflow.set_tracking_uri(previous)


@pytest.mark.slow
def test_the_real_tensorboard_reads_the_figures_back(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = planted(tmp_path)
    log_to("tensorboard", run)
    read = EventAccumulator(str(tmp_path / "reports" / "tensorboard" / "s" / "000007-abcdef"))
    read.Reload()
    assert {name: read.Scalars(name)[0].value for name in read.Tags()["scalars"]} == pytest.approx(
        dict(run.figures)
    )
    (headline,) = read.Tensors("headline/text_summary")
    assert b"| a b |" in headline.tensor_proto.string_val[0]


@pytest.mark.slow
def test_the_real_wandb_keeps_a_run_offline_and_leaves_stdout_alone(tmp_path, monkeypatch, capfd):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    where = log_to("wandb", planted(tmp_path))
    assert where.endswith(", project crossfire")
    (kept,) = (tmp_path / "wandb").glob("offline-run-*/run-*.wandb")
    held = kept.read_bytes()
    assert b"a-b/linf-8-255/robust_accuracy" in held
    assert b"s-000007-abcdef" in held
    (table,) = (tmp_path / "wandb").glob("offline-run-*/files/media/table/headline*.json")
    assert pd.DataFrame(json.loads(table.read_text())["data"])[0].tolist() == ["a b", "c"]
    assert capfd.readouterr().out == ""
