"""Which run a command tells of: its own, the one that is named, or the last of the same suite."""

import io
import json
import os
import shutil
import subprocess
import sys
import time

import build
import pandas as pd
import pytest
from command import call

SUITE = """\
title = "Two"
data = "digits"
images = {images}
[[models]]
name = "digits/mlp"
[[attacks]]
name = "fgsm"
norm = "linf"
eps = {eps}
toolkits = ["torchattacks"]
[[attacks]]
name = "noise"
norm = "linf"
eps = 0.1
toolkits = ["native"]
"""


@pytest.fixture
def folder(tmp_path, cache):
    (tmp_path / "s.toml").write_text(SUITE.format(images=12, eps=0.1))
    return tmp_path


def run(invoke, folder, *words, code=0):
    process = invoke("run", "--suite", "s.toml", "--display", "none", "--json", *words, cwd=folder)
    assert process.returncode == code, process.stdout + process.stderr
    events = [json.loads(line) for line in process.stdout.splitlines()]
    return events, process.stderr


def headline(events):
    return [one["robust_accuracy"] for one in events if one["event"] == "headline"]


def recorded(folder, format="csv"):
    return json.loads((folder / "reports" / "s.json").read_text())["formats"][format]


@pytest.mark.slow
def test_a_filtered_try_leaves_the_fuller_report_unless_it_is_forced(invoke, folder):
    whole, said = run(invoke, folder)
    before = (folder / "reports" / "s-headline.csv").read_bytes()
    first = recorded(folder)
    assert (first["asked"]["attacks"], first["asked"]["answers"]) == ([2, 2], 24)
    part, said = run(invoke, folder, "--attack", "noise", "--images", "5")
    assert headline(part) != headline(whole)  # its own headline is told all the same
    left = part[-1]["left"]
    assert f"reports/s.* is of a fuller run ({first['run']}: the whole suite: " in left
    assert f"{left} and was left; write with --force, or elsewhere with --out DIR" in said
    assert (folder / "reports" / "s-headline.csv").read_bytes() == before
    assert recorded(folder) == first
    elsewhere, _ = run(invoke, folder, "--attack", "noise", "--images", "5", "--out", "try")
    assert (folder / "try" / "s.pdf").is_file()
    forced, _ = run(invoke, folder, "--attack", "noise", "--images", "5", "--force")
    assert (folder / "reports" / "s-headline.csv").read_bytes() != before
    assert recorded(folder)["run"] == forced[-1]["run"] != elsewhere[-1]["run"]
    run(invoke, folder)
    again, made = (
        pd.read_csv(io.BytesIO(one)).drop(columns="run_started")
        for one in ((folder / "reports" / "s-headline.csv").read_bytes(), before)
    )
    pd.testing.assert_frame_equal(again, made)


@pytest.mark.slow
def test_more_images_than_the_suite_says_are_a_fuller_report(invoke, folder):
    run(invoke, folder, "--images", "20")
    _, said = run(invoke, folder)
    assert "reports/s.* is of a fuller run" in said


@pytest.mark.slow
@pytest.mark.parametrize("words", [("--seed", "1"), ("--eps", "0.1", "--eps", "0.2")])
def test_other_words_than_the_suite_s_are_a_try_too(invoke, folder, words):
    run(invoke, folder, *words)  # in an empty folder, it makes the report
    assert recorded(folder)["asked"]["answers"] >= 24
    _, said = run(invoke, folder)
    assert "was left" not in said
    first = recorded(folder)
    _, said = run(invoke, folder, *words)
    assert f"is of a fuller run ({first['run']}: the whole suite" in said
    assert recorded(folder) == first
    report = invoke("report", "--suite", "s.toml", "--out", "try", cwd=folder)
    assert report.returncode == 0, report.stderr  # the last run of this file, which says what it is
    assert "part of the suite: 1 model, " in report.stderr


def test_a_report_of_an_unknown_run_gives_way_to_a_whole_run_alone(invoke, folder):
    (folder / "reports").mkdir()
    (folder / "reports" / "s.pdf").write_bytes(b"of an older version")
    part, _ = run(invoke, folder, "--attack", "noise")
    assert "left" in part[-1]
    whole, _ = run(invoke, folder)
    assert "left" not in whole[-1]


@pytest.mark.slow
def test_files_that_a_new_report_lacks_do_not_stay_beside_it(invoke, folder):
    run(invoke, folder)
    path = folder / "reports" / "s.json"
    record = json.loads(path.read_text())
    record["formats"]["csv"]["files"] += ["s-claims.csv"]
    path.write_text(json.dumps(record))
    for name in ("s-claims.csv", "s-mine.csv"):
        (folder / "reports" / name).write_text("model\n")
    run(invoke, folder)
    assert not (folder / "reports" / "s-claims.csv").exists()
    assert (folder / "reports" / "s-mine.csv").exists()  # not one of ours


@pytest.mark.slow
def test_report_says_which_run_it_is_of_and_takes_another_by_name(invoke, folder):
    whole, _ = run(invoke, folder)
    part, _ = run(invoke, folder, "--attack", "noise", "--images", "5")
    words = ("report", "--suite", "s.toml", "--format", "csv")
    refused = invoke(*words, cwd=folder)
    assert refused.returncode == 2
    assert "part of the suite: 1 model, 1 of 2 attacks, 5 of 12 images" in refused.stderr
    assert f"run {part[-1]['run']}, " in refused.stderr
    assert "write with --force, or elsewhere with --out DIR" in refused.stderr
    first = invoke(*words, "--run", whole[-1]["run"], "--out", "again", cwd=folder)
    assert first.returncode == 0, first.stderr
    again, before = (folder / name / "s-headline.csv" for name in ("again", "reports"))
    assert again.read_bytes() == before.read_bytes()
    assert invoke(*words, "--run", "0", cwd=folder).stderr.count("2 runs match") == 1
    assert invoke(*words, "--run", "zz", cwd=folder).returncode == 2


def test_ls_runs_lists_the_last_started_first(invoke, folder):
    run(invoke, folder)
    run(invoke, folder, "--attack", "noise")
    listed = invoke("ls", "runs", "--json", cwd=folder)
    last, first = map(json.loads, listed.stdout.splitlines())
    assert (last["whole"], first["whole"]) == (False, True)
    assert (last["cells"], first["cells"]) == (1, 2)
    assert last["asked"] == "part of the suite: 1 model, 1 of 2 attacks, 12 images"
    assert last["content"] == first["content"]
    screen = invoke("ls", "runs", cwd=folder).stdout
    assert last["run"] in screen.splitlines()[1]
    assert invoke("ls", "runs", "--results", "none", cwd=folder).returncode == 3


@pytest.fixture
def namesakes(folder):
    """Make a second suite of the same name, and return the folder both are in."""
    for name, eps in (("a", 0.05), ("b", 0.3)):
        (folder / name).mkdir()
        (folder / name / "s.toml").write_text(SUITE.format(images=12, eps=eps))
    return folder


@pytest.mark.slow
def test_two_suites_of_one_name_each_find_their_own_run(invoke, namesakes):
    for name in ("a", "b"):
        process = invoke(
            "run", "--suite", f"{name}/s.toml", "--display", "none", "--out", name, cwd=namesakes
        )
        assert process.returncode == 0, process.stderr
    for name, other in (("a", True), ("b", False)):
        words = ("--suite", f"{name}/s.toml", "--format", "csv", "--out", f"{name}2")
        process = invoke("report", *words, cwd=namesakes)
        assert process.returncode == 0, process.stderr
        made = [namesakes / out / "s-headline.csv" for out in (name, f"{name}2")]
        assert made[0].read_bytes() == made[1].read_bytes()
        assert ("of a suite with other content" in process.stderr) is other
        assert "written over" not in process.stderr
    words = ("--suite", "b/s.toml", "--format", "csv", "--out", "a")
    over = invoke("report", *words, cwd=namesakes)
    assert "a/s.* was of another suite of this name, or of this one before it was changed" in (
        over.stderr
    )
    assert "written over" not in invoke("report", *words, cwd=namesakes).stderr
    (namesakes / "a" / "s.toml").write_text(SUITE.format(images=12, eps=0.07))
    for command in ("report", "parity", "claims"):
        process = invoke(command, "--suite", "a/s.toml", cwd=namesakes)
        assert process.returncode == 3, process.stderr
        assert "make one with: bench run --suite a/s.toml" in process.stderr


@pytest.mark.slow
def test_a_renamed_file_and_reordered_tables_of_words_are_the_same_suite(invoke, folder):
    run(invoke, folder)
    (folder / "other.toml").write_text(
        SUITE.format(images=12, eps='"1/10"').replace('"1/10"', "0.1") + "\n# a comment\n"
    )
    process = invoke("parity", "--suite", "other.toml", cwd=folder)
    assert process.returncode == 0, process.stderr


def test_a_log_of_an_older_version_is_known_by_its_name_and_is_never_the_last(invoke, folder):
    events, _ = run(invoke, folder)
    log = next((folder / "results" / "runs").iterdir())
    start = json.loads(log.read_text().splitlines()[0])
    old = {name: value for name, value in start.items() if name not in ("content", "asked")}
    ahead = log.with_name("20990101T000000000000Z-abcdef.jsonl")  # of a clock that is ahead
    ahead.write_text(json.dumps({**old, "started": "2099-01-01T00:00:00+00:00"}) + "\n")
    process = invoke("parity", "--suite", "s.toml", cwd=folder)
    assert f"run {events[-1]['run']}, " in process.stderr
    log.unlink()
    process = invoke("parity", "--suite", "s.toml", cwd=folder)
    assert process.returncode == 0, process.stderr
    assert process.stderr.count("made by an older version") == 1
    assert "how much of the suite it asked for was not recorded" in process.stderr


def test_a_new_run_is_the_last_whatever_a_clock_said(invoke, folder):
    run(invoke, folder, "--attack", "noise")
    log = next((folder / "results" / "runs").iterdir())
    start = {**json.loads(log.read_text().splitlines()[0]), "started": "2099-01-01T00:00:00+00:00"}
    log.write_text(json.dumps(start) + "\n")
    events, _ = run(invoke, folder)
    process = invoke("parity", "--suite", "s.toml", cwd=folder)
    assert f"run {events[-1]['run']}, " in process.stderr
    assert "the whole suite" in process.stderr


SLOW = """\
import time, torch, bench
@bench.register_model("slow", data="digits")
def slow():
    def predict(x):
        time.sleep(0.05)
        return x.flatten(1)[:, :10].softmax(1)
    return bench.wrap_predict(predict, 10, (1, 8, 8))
"""


@pytest.mark.slow
def test_a_short_try_beside_a_long_run_does_not_become_its_table(folder, cache):
    (folder / "slow.py").write_text(SLOW)
    words = [sys.executable, "-m", "bench.cli.main", "run", "--suite", "s.toml", "--plugin",
             "slow.py", "--json", "--display", "none", "--trust", "off"]  # fmt: skip
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    long = subprocess.Popen(
        [*words, "--batch-size", "1", "--images", "60", "--overwrite", "always"],
        cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    for _ in range(600):
        if list((folder / "results").glob("runs/*.jsonl")):
            break
        time.sleep(0.1)
    short = call(
        "run", "--suite", "s.toml", "--json", "--display", "none", "--images", "3", cwd=folder
    )
    assert short.returncode == 0, short.stderr
    assert long.poll() is None, "the long run ended first: it shows nothing"
    out, err = long.communicate(timeout=120)
    assert long.returncode == 0, err
    told = [json.loads(line) for line in out.splitlines()]
    assert {one["n"] for one in told if one["event"] == "headline"} == {60}
    assert told[-1]["asked"]["images"] == [[60, 12]]
    assert recorded(folder)["run"] == told[-1]["run"]


def test_versions_and_machine_in_a_report_are_those_of_the_cells(invoke, folder):
    from bench.report.sections.protocol import protocol
    from bench.store.results import load_results

    events, _ = run(invoke, folder)
    path = next((folder / "results").glob("cells/*/*/cell.json"))
    record = json.loads(path.read_text())
    threads = record["threads"]
    record["versions"]["torch"] = "1.0.0"
    del record["threads"], record["made"]  # as older versions wrote it
    path.write_text(json.dumps({**record, "host": "Elsewhere vax"}))
    events, _ = run(invoke, folder)  # both cells are kept
    facts = protocol(load_results(folder / "results", "s.toml"))
    said = {fact.name: fact.text for fact in facts}
    assert "1.0.0 (1 cell)" in said["Versions"]
    assert said["Versions"].count("(1 cell)") == 2  # of torch alone
    assert "Elsewhere vax cpu, threads not recorded (1 cell)" in said["Machine"]
    assert f"{threads} thread{'' if threads == 1 else 's'} (1 cell)" in said["Machine"]
    assert said["Run"] == f"{events[-1]['run']}: the whole suite: 1 model, 2 attacks, 12 images"


@pytest.fixture
def blocked(folder):
    """Return a folder nobody can make, whoever they are: its parent is a file."""
    (folder / "file").write_text("")
    return folder / "file" / "there"


def test_results_that_cannot_be_written_are_said_before_the_work(invoke, folder, blocked):
    process = invoke("run", "--suite", "s.toml", "--results", blocked, cwd=folder)
    assert process.returncode == 3, process.stderr
    assert len(process.stderr.splitlines()) == 1
    assert "name another one with --results DIR" in process.stderr


def test_a_report_that_cannot_be_written_leaves_the_headline(invoke, folder, blocked):
    process = invoke("run", "--suite", "s.toml", "--out", blocked, "--display", "none", cwd=folder)
    assert process.returncode == 3, process.stderr
    assert "robust accuracy" in process.stdout.splitlines()[0]
    first, *_, last = process.stderr.splitlines()
    assert "the report cannot be written to" in first
    assert "name another one with --out DIR" in first
    assert last.startswith("error: could not write")
    assert "--out DIR" in last
    report = invoke("report", "--suite", "s.toml", "--out", blocked, cwd=folder)
    assert report.returncode == 3
    assert "name another one with --out DIR" in report.stderr.splitlines()[-1]


def test_a_cache_that_cannot_be_written_is_said_before_a_training(invoke, folder, blocked):
    env = {"BENCH_CACHE": str(blocked)}
    process = invoke("run", "--suite", "s.toml", "--display", "none", cwd=folder, **env)
    assert process.returncode == 3, process.stderr
    assert "name another one with BENCH_CACHE" in process.stderr.splitlines()[-1]
    train = invoke("train", "digits/mlp", cwd=folder, **env)
    assert train.returncode == 3
    assert "name another one with --out DIR" in train.stderr


def test_a_dry_run_writes_nothing(invoke, folder):
    before = shutil.os.listdir(folder)
    assert invoke("run", "--suite", "s.toml", "--dry-run", cwd=folder).returncode == 0
    assert shutil.os.listdir(folder) == before


def test_a_dry_run_lists_cells_of_models_that_have_to_be_trained_first(invoke, folder):
    env = {"BENCH_CACHE": str(folder / "empty")}
    process = invoke("run", "--suite", "s.toml", "--dry-run", cwd=folder, **env)
    assert process.returncode == 0, process.stdout + process.stderr
    assert process.stdout.count("not known yet") == 2
    assert "to be trained first: 1 model, digits/mlp\n" in process.stderr


@pytest.mark.slow
def test_a_run_of_minimal_norm_attacks_alone_says_why_it_has_no_robust_accuracy(invoke, folder):
    (folder / "near.toml").write_text(
        build.suite(
            ["digits/mlp"], [{"name": "deepfool", "norm": "l2", "toolkits": ["native"]}], images=5
        )
    )
    done = invoke("run", "--suite", "near.toml", "--display", "none", cwd=folder)
    assert (done.returncode, done.stdout) == (0, "")
    assert "no robust accuracy: all attacks look for the nearest image" in done.stderr
    _, said = run(invoke, folder)
    assert "no robust accuracy" not in said


def test_more_images_take_over_the_rows_of_those_that_are_there(invoke, folder, monkeypatch):
    monkeypatch.setattr(
        "bench.cli.found._report", lambda *given: ({}, None)
    )  # to draw takes seconds
    run(invoke, folder, "--batch-size", 4)
    more = ("--batch-size", 4, "--images", 20, "--json", "--display", "plain")
    process = invoke("run", "--suite", "s.toml", *more, cwd=folder)
    events = [json.loads(line) for line in process.stdout.splitlines()]
    taken = [one for one in events if one["event"] == "taken over"]
    assert [one["images"] for one in taken] == [12, 12]
    assert [one["n"] for one in events if one["event"] == "headline"] == [20]
    for one in taken:
        assert f", 12 images taken over from {one['from'][:12]}" in process.stderr
    (path,) = (folder / "results" / "runs").glob("000002-*")
    log = [json.loads(line) for line in path.read_text().splitlines()]
    logged = [line["from"] for line in log if line["event"] == "taken over"]
    assert logged == [one["from"] for one in taken]
