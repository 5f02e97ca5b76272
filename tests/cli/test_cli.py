"""The command line as its users meet it: a process, its two streams and its exit code."""

import csv
import dataclasses
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import own_family
import pytest
from command import call
from scenes import tiny

from bench.attacks import catalogue
from bench.attacks.rows import ATTACKS
from bench.spec import COLUMNS

PLUGIN = """\
import torch, bench
@bench.register_model("my-net", data="digits")
def my_net():
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
    with torch.no_grad():
        x, y = bench.load_data("digits", split="train")
        means = torch.stack([x[y == k].flatten(1).mean(0) for k in range(10)])
        net[1].weight.copy_(means)
        net[1].bias.copy_(-means.square().sum(1) / 2)
    return bench.wrap(net, num_classes=10, input_shape=(1, 8, 8))
"""


@pytest.fixture(scope="module")
def done(tmp_path_factory, cache):
    """Return a folder in which a small suite was run, and what that printed."""
    folder = tmp_path_factory.mktemp("cli")
    (folder / "tiny.toml").write_text(tiny.SUITE)
    (folder / "mine.py").write_text(PLUGIN)
    return folder, call("run", "--suite", "tiny.toml", cwd=folder)


def test_run_prints_the_headline_and_writes_the_report(done):
    folder, process = done
    assert process.returncode == 0, process.stderr
    headline, *_ = process.stdout.split("\n\n")
    lines = headline.splitlines()
    assert "robust accuracy" in lines[0]
    assert [line.split()[0] for line in lines[1:]] == ["digits/mlp", "digits/mlp"]
    for name in ("tiny-headline.csv", "tiny-attacks.csv", "tiny-parity.csv", "tiny.pdf"):
        assert (folder / "reports" / name).stat().st_size > 0
        assert f"reports/{name}" in process.stderr
    assert re.search("9 cells of 30 images, 9 to do, (under|about) [0-9]+ ", process.stderr)
    assert "[9/9]" in process.stderr


@pytest.mark.slow
def test_run_again_computes_nothing_and_json_goes_to_stdout_alone(done):
    folder, _ = done
    process = call(
        "run", "--suite", "tiny.toml", "--json", "--display", "none", cwd=folder
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    events = [json.loads(line) for line in process.stdout.splitlines()]
    kinds = [event["event"] for event in events]
    checks = kinds.count("check")
    assert kinds == ["plan"] + ["kept"] * 9 + ["headline"] * 2 + ["check"] * checks + ["report"]
    assert events[0] == {"event": "plan", "cells": 9, "images": 30, "to_do": 0, "seconds": 0}
    assert all(0 <= event["robust_accuracy"] <= 1 for event in events[10:12])


def test_dry_run_prints_the_plan(invoke, done):
    folder, _ = done
    process = invoke(
        "run", "--suite", "tiny.toml", "--images", "20", "--dry-run", "--json", cwd=folder
    )
    plan = [json.loads(line) for line in process.stdout.splitlines()]
    assert [cell["state"] for cell in plan] == ["to do"] * 9
    assert all(cell["seconds"] > 0 for cell in plan)
    assert re.search("9 cells of 20 images, 9 to do, (under|about) [0-9]+ ", process.stderr)


def test_what_is_said_in_place_of_the_suite_is_in_the_plan(invoke, done):
    folder, _ = done
    words = ("--eps", "0.05", "--eps", "0.1", "--steps", "2", "--seed", "5")
    process = invoke("run", "--suite", "tiny.toml", *words, "--dry-run", "--json", cwd=folder)
    assert "Tiny (eps 0.05, 0.1, steps 2, seed 5): loading" in process.stderr
    plan = [json.loads(line) for line in process.stdout.splitlines()]
    assert {cell["attack"] for cell in plan} == {
        "fgsm linf 0.05", "fgsm linf 0.1", "pgd linf 0.05", "pgd linf 0.1", "deepfool l2",
        "noise linf 0.05", "noise linf 0.1",
    }  # fmt: skip
    assert {cell["state"] for cell in plan} == {"to do"}


def test_report_parity_and_show_read_what_is_stored(invoke, done):
    folder, _ = done
    report = invoke(
        "report", "--suite", "tiny.toml", "--format", "csv,latex", "--out", "again", cwd=folder
    )
    assert report.returncode == 0, report.stderr
    written = report.stdout.split()
    assert {Path(line).suffix for line in written} == {".csv", ".tex"}
    assert all((folder / line).is_file() for line in written)
    again, first = folder / "again/tiny-headline.csv", folder / "reports/tiny-headline.csv"
    assert again.read_text() == first.read_text()

    parity = invoke("parity", "--suite", "tiny.toml", cwd=folder)
    assert parity.returncode == 0, parity.stdout
    assert parity.stdout.count("pass") == 6
    assert "6 pairs: 6 agree as expected, 0 do not" in parity.stderr

    plan = invoke("run", "--suite", "tiny.toml", "--dry-run", "--json", cwd=folder).stdout
    cells = map(json.loads, plan.splitlines())
    key = next(cell["cell"] for cell in cells if cell["attack"] == "pgd linf 0.1")
    show = invoke("show", key[:12], cwd=folder).stdout
    assert show.startswith("digits/mlp · pgd linf 0.1 · torchattacks\n")
    assert re.search(r"parameters +eot 1, random_start yes, .*steps 10, ", show)
    assert "{" not in show
    stored = json.loads(invoke("show", key[:12], "--json", cwd=folder).stdout)
    assert stored["cell"] == key
    found = stored["summary"]
    rate = (
        f"{100 * found['success_rate']:.1f} [{100 * found['low']:.1f}, {100 * found['high']:.1f}]"
    )
    assert f"{found['successes']} of {found['attacked']}: {rate} %" in show
    assert re.search(r"linf +median 0\.1", show)


@pytest.mark.slow
def test_report_shows_the_published_figures_beside_a_suite_s_file(invoke, done):
    folder, _ = done
    (folder / "study").mkdir()
    (folder / "study" / "tiny.csv").write_text(
        "study,table,dataset,model,attack,norm,eps,metric,value,unit,note\n"
        "tiny,1,digits,mlp,fgsm,linf,0.1,accuracy,12.5,%,\n"
    )
    report = invoke(
        "report", "--suite", "study/tiny.toml", "--format", "csv", "--out", "beside", cwd=folder
    )
    assert "beside/tiny-published.csv" in report.stdout.split()
    (row,) = csv.DictReader((folder / "beside" / "tiny-published.csv").open())
    assert (row["published"], row["planned"]) == ("12.5", "3")
    assert 0 <= float(row["ours"]) <= 100


def test_rows_have_the_columns_of_the_design(done):
    import pyarrow.parquet as pq

    folder, _ = done
    part = next((folder / "results").glob("cells/*/*/parts/*.parquet"))
    assert tuple(pq.read_schema(part).names) == COLUMNS


def test_a_users_own_model_is_validated_and_run(invoke, done):
    folder, _ = done
    assert len(PLUGIN.splitlines()) <= 15
    check = invoke("validate", "my-net", "--plugin", "mine.py", cwd=folder)
    assert check.returncode == 0, check.stdout + check.stderr
    run = invoke(
        "run", "--suite", "tiny.toml", "--plugin", "mine.py", "--model", "my-net", "--attack",
        "fgsm", "--results", "mine", cwd=folder,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[1].startswith("my-net")


def test_parity_that_fails_exits_1(invoke, done, tmp_path):
    import shutil

    from bench.store.parts import Arrays
    from bench.store.store import open_store

    folder, _ = done
    shutil.copytree(folder / "results", tmp_path / "results")
    store = open_store(tmp_path / "results")
    for path in (tmp_path / "results" / "cells").glob("*/*"):
        rows = store.rows(path.name)
        if rows.attack[0] == "fgsm" and rows.toolkit[0] == "art" and rows.eps[0] == 0.2:
            rows.loc[:, "linf"] = 0.15
            rows.loc[:, "success"] = False
            store.write_chunk(path.name, 0, 30, rows, Arrays(store.pictures(path.name)))
            store.finish(path.name, {})
    process = invoke("parity", "--suite", "tiny", cwd=tmp_path)
    assert process.returncode == 1, process.stdout
    assert "2 do not" in process.stderr


@pytest.mark.parametrize(("words", "code", "says"), [
    (("run", "--suite", "digit"), 2, "no suite named 'digit'; did you mean digits"),
    (("run", "--suite", "nowhere.toml"), 2, "nowhere.toml: no such file"),
    (("run", "--suite", "tiny.toml", "--model", "digits/mpl"), 2, "did you mean digits/mlp"),
    (("run", "--suite", "tiny.toml", "--attack", "fgms"), 2, "did you mean fgsm"),
    (("run", "--suite", "tiny.toml", "--toolkit", "folbox"), 2, "did you mean foolbox"),
    (("run", "--suite", "tiny.toml", "--images", "many"), 2, "write a number from 1, or all"),
    (("run", "--suite", "tiny.toml", "--images", "²"), 2, "write a number from 1, or all"),
    (("run", "--suite", "tiny.toml", "--eps", "two"), 2, "--eps: 'two' is not a number"),
    (("run", "--suite", "tiny.toml", "--attack", "fgsm", "--steps", "3"), 2, "takes steps"),
    (("run", "--suite", "tiny.toml", "--shard", "3/2"), 2, "write I/N"),
    (("run", "--suite", "cifar10", "--data", "empty"), 3, "--data DIR"),
    (("report", "--suite", "mnist"), 3, "bench run --suite mnist"),
    (("report", "--suite", "tiny.toml", "--format", "docx"), 2, "pdf, csv, latex"),
    (("train", "cifar10/cnnn"), 2, "did you mean cifar10/cnn"),
    (("validate", "my-nett", "--plugin", "mine.py"), 2, "did you mean my-net"),
    (("validate", "my-net", "--plugin", "other.py"), 2, "other.py: no such Python file"),
    (("show", "zzzz"), 2, "no cell begins"),
    (("ls", "attacks", "pgdd"), 2, "did you mean pgd"),
    (("ls", "models", "digits/mlp"), 2, "bench ls models takes no name"),
])  # fmt: skip
def test_bad_input_gets_one_line_and_its_exit_code(invoke, done, words, code, says):
    folder, _ = done
    process = invoke(
        *words, cwd=folder, http_proxy="http://127.0.0.1:9", https_proxy="http://127.0.0.1:9"
    )
    assert process.returncode == code, process.stderr
    errors = [line for line in process.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, process.stderr
    assert says in errors[0]
    assert "Traceback" not in process.stderr


def test_a_results_folder_of_another_schema_is_left_alone(invoke, done, tmp_path):
    folder, _ = done
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "store.json").write_text('{"schema": 99, "created": "2030-01-01"}')
    process = invoke("run", "--suite", "tiny.toml", "--results", tmp_path / "old", cwd=folder)
    assert process.returncode == 1
    assert "error: " in process.stderr
    assert "99" in process.stderr
    assert sorted(p.name for p in (tmp_path / "old").iterdir()) == ["store.json"]


def test_a_failed_cell_exits_1_and_the_rest_is_reported(invoke, done, tmp_path):
    folder, _ = done
    (tmp_path / "broken.py").write_text(
        PLUGIN.replace("return bench.wrap(net,", "net[1].register_forward_pre_hook(\n"
        "        lambda m, x: 1 / 0 if x[0].requires_grad else None)\n    return bench.wrap(net,")
    )  # fmt: skip
    process = invoke(
        "run", "--suite", "tiny.toml", "--plugin", tmp_path / "broken.py", "--model", "my-net",
        "--trust", "off", "--results", tmp_path / "r", cwd=folder,
    )  # fmt: skip
    assert process.returncode == 1
    assert "FAILED" in process.stderr
    assert "8 of 9 cells failed" in process.stderr
    failed = next((tmp_path / "r").glob("cells/*/*/error-1.json")).parent.name
    show = invoke("show", failed, "--results", tmp_path / "r", cwd=folder)
    assert show.stdout.startswith("my-net · ")
    assert re.search(r"FAILED +AttackError: .*ZeroDivisionError: division by zero", show.stdout)
    stored = json.loads(
        invoke("show", failed, "--json", "--results", tmp_path / "r", cwd=folder).stdout
    )
    assert stored["error"]["type"] == "AttackError"
    headline, _ = process.stdout.strip().split("\n\n", 1)
    for count, line in zip((4, 3), headline.splitlines()[1:], strict=True):
        assert "INVALID" in line
        assert f"{count} of {count} attacks did not run" in line


@pytest.mark.slow
def test_an_interrupted_run_exits_130_and_resumes(done, tmp_path):
    import signal

    folder, _ = done
    words = [sys.executable, "-m", "bench.cli.main", "run", "--suite", "digits", "--results",
             str(tmp_path / "r"), "--model", "digits/mlp", "--attack", "pgd",
             "--images", "500", "--batch-size", "10"]  # fmt: skip
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    # A shell's background job inherits that interrupts are ignored; a user at a terminal does not.
    process = subprocess.Popen(
        words, cwd=folder, env=env, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    for line in process.stderr:
        if line.startswith("[1/"):
            break
    process.send_signal(signal.SIGINT)
    rest = process.stderr.read()
    assert process.wait() == 130, rest
    assert "the same command again goes on" in rest


@pytest.mark.parametrize(
    "what", ["models", "attacks", "suites", "datasets", "toolkits", "sections", "families"]
)
def test_ls_prints_one_object_a_line(invoke, what, tmp_path):
    process = invoke("ls", what, "--json", cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    records = [json.loads(line) for line in process.stdout.splitlines()]
    names = {record["name"] for record in records}
    expected = {
        "models": "cifar10/cnn", "attacks": "mi-fgsm", "suites": "digits", "datasets": "cifar10",
        "toolkits": "foolbox", "sections": "headline", "families": "smoothed",
    }  # fmt: skip
    assert expected[what] in names
    keys = {
        "models": "name family data parameters clean_accuracy surfaces weights",
        "attacks": "name norms toolkits kind access targeted goals note where on_request absent unavailable",
    }
    if what in keys:
        assert " ".join(records[0]) == keys[what]


def test_ls_models_has_the_trainings_with_other_seeds_whose_weights_are_here(invoke, tmp_path):
    first = "cifar10/bp-K10-w4-n4-pool5-gelu"
    listed = invoke("ls", "models", "--json", cwd=tmp_path).stdout.splitlines()
    by_name = {record["name"]: record for record in map(json.loads, listed)}
    assert [name for name in by_name if name.startswith(f"{first}-seed")] == [
        f"{first}-seed{seed}" for seed in (1, 2, 3, 4)
    ]
    assert by_name[f"{first}-seed2"]["weights"] == "shipped"
    assert by_name[f"{first}-seed2"]["clean_accuracy"] != by_name[first]["clean_accuracy"]


def test_ls_says_which_sections_and_families_a_plug_in_brings(invoke, tmp_path):
    (tmp_path / "p.py").write_text(
        "import bench\n\n\ndef make(findings):\n    return None\n\n\n"
        'bench.register_section(bench.SectionRule(name="mine", place=157.5, make=make))\n'
    )
    (tmp_path / "family.py").write_text(own_family.PLUGIN)
    lines = invoke("ls", "sections", "--plugin", "p.py", cwd=tmp_path).stdout.splitlines()
    (mine,) = [line.split() for line in lines if line.startswith("mine")]
    assert mine[1:] == ["157.5", f"{tmp_path / 'p.py'},", "line", "4"]
    assert {line.split()[-1] for line in lines[1:] if not line.startswith("mine")} == {"Crossfire"}
    told = invoke("ls", "families", "--plugin", "family.py", cwd=tmp_path).stdout
    assert str(tmp_path / "family.py") in told


def test_the_command_that_makes_what_is_missing_names_plug_ins_and_folder(invoke, tmp_path):
    (tmp_path / "p.py").write_text("import bench\n")
    words = ("--suite", "digits", "--results", "elsewhere", "--plugin", "p.py")
    missing = invoke("report", *words, cwd=tmp_path)
    assert missing.returncode == 3
    assert missing.stderr.endswith(f"make one with: bench run {' '.join(words)}\n")


def test_help_imports_nothing_slow(tmp_path):
    code = (
        "import sys; from bench.cli.main import cli; cli(['--help'], standalone_mode=False); "
        "assert not {'torch', 'pandas', 'pydantic', 'art'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert "bench run --suite digits" in call("--help", cwd=tmp_path).stdout


def test_names_are_completed_in_the_shell(tmp_path):
    def complete(line):
        process = call(
            cwd=tmp_path, _MAIN_PY_COMPLETE="bash_complete", _BENCH_COMPLETE="bash_complete",
            COMP_WORDS=line, COMP_CWORD=str(len(line.split(" ")) - 1),
        )  # fmt: skip
        return [item.split(",")[1] for item in process.stdout.split()]

    assert complete("bench run --suite cif") == ["cifar10"]
    assert "fashion-mnist/cnn" in complete("bench validate fash")
    assert complete("bench run --suite digits --toolkit foo") == ["foolbox"]


@pytest.fixture
def lacking(monkeypatch):
    """Give a small table: three attacks lack a package, one a norm in a toolkit, one nothing."""
    rows = {
        "pgd": dataclasses.replace(ATTACKS["pgd"], packages={"art": "no_such_package"}),
        "square": dataclasses.replace(
            ATTACKS["square"], absent={"art": "it is wrong there", "foolbox": "never had it"}
        ),
        "bim": dataclasses.replace(ATTACKS["bim"], packages={"foolbox": "another_package"}),
        "fgsm": dataclasses.replace(ATTACKS["fgsm"], packages={"foolbox": "another_package"}),
        "noise": dataclasses.replace(ATTACKS["noise"], absent={}, note="a word " * 40),
    }
    monkeypatch.setattr(catalogue, "ATTACKS", rows)


def test_ls_attacks_says_what_is_wrong_where_and_what_to_install(invoke, lacking, tmp_path):
    screen = invoke("ls", "attacks", cwd=tmp_path, COLUMNS="100").stdout
    assert max(map(len, screen.splitlines())) <= 100
    lines = [" ".join(line.split()) for line in screen.splitlines()]
    assert "pgd fixed white yes l2 linf l2 linf l2 linf linf" in lines
    assert "square l2 (art) it is wrong there" in lines
    assert "square (foolbox) never had it" in lines
    assert "pgd (art) pip install no_such_package" in lines
    assert "2 attacks (foolbox) pip install another_package" in lines
    assert " ".join(lines).count("a word") == 40  # wrapped, not cut
    records = invoke("ls", "attacks", "--json", cwd=tmp_path).stdout.splitlines()
    by_name = {record["name"]: record for record in map(json.loads, records)}
    assert by_name["square"]["absent"] == {"art": "it is wrong there", "foolbox": "never had it"}
    assert by_name["square"]["where"]["torchattacks"] == ["linf", "l2"]
    assert by_name["pgd"]["unavailable"] == {"art": "pip install no_such_package"}
    assert by_name["noise"]["unavailable"] == by_name["noise"]["absent"] == {}


def test_ls_tells_of_one_attack(invoke, tmp_path):
    screen = invoke("ls", "attacks", "fgsm", cwd=tmp_path, COLUMNS="80").stdout
    assert max(map(len, screen.splitlines())) <= 80
    lines = [" ".join(line.split()) for line in screen.splitlines()]
    assert "targeted only none: foolbox cannot be targeted" in lines
    assert "named native: runs it where a suite names it, or in a norm that no other has" in lines
    assert any(line.startswith("eot 1 a whole number from 1 gradients averaged") for line in lines)
    (line,) = invoke("ls", "attacks", "fgsm", "--json", cwd=tmp_path).stdout.splitlines()
    record = json.loads(line)
    assert [one["name"] for one in record["parameters"]] == ["eps", "eot", "targeted", "loss"]
    assert record["parameters"][2]["refused"] == {
        "foolbox": "only none: foolbox cannot be targeted"
    }


def test_parity_where_a_line_is_short_lists_what_differs_and_counts_the_rest(invoke, done):
    folder, _ = done
    seen = invoke("parity", "--suite", "tiny.toml", cwd=folder, COLUMNS="80")
    assert seen.returncode == 0
    shown = sum(line.endswith("pass") for line in seen.stdout.splitlines())
    counted = re.search(r"([0-9]+) more comparisons? came out as expected", seen.stderr)
    assert shown + int(counted[1]) == 6
    (width,) = re.findall(
        r"bench parity --suite tiny.toml > FILE lists them, as do (\d+) columns", seen.stderr
    )
    wide = invoke("parity", "--suite", "tiny.toml", cwd=folder, COLUMNS=width)
    assert "more comparison" not in wide.stderr
    assert wide.stdout.count("pass") == 6
    narrow = invoke("parity", "--suite", "tiny.toml", cwd=folder, COLUMNS=str(int(width) - 1))
    assert "more comparison" in narrow.stderr
    assert max(map(len, seen.stdout.splitlines()), default=0) <= 80


def test_optional_packages_are_told_of(invoke, lacking, tmp_path):
    kits = invoke("ls", "toolkits", cwd=tmp_path, COLUMNS="100").stdout
    assert "not installed; run: pip install no_such_package; for art's pgd" in kits
    doctor = invoke("doctor", cwd=tmp_path)
    assert doctor.returncode == 0, doctor.stdout  # what is optional may be missing
    assert "for art's pgd; to have them run: pip install no_such_package" in doctor.stdout


def test_doctor_says_what_is_here(invoke, tmp_path):
    process = invoke("doctor", cwd=tmp_path)
    assert process.returncode == 0, process.stdout
    assert str(Path("bench")) in process.stdout
    assert "cifar10/cnn" in process.stdout


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a file that is always full")
def test_output_that_finds_no_space_ends_in_one_line(tmp_path):
    with open("/dev/full", "w") as full:  # noqa: PTH123
        process = subprocess.run(
            [sys.executable, "-m", "bench.cli.main", "ls", "toolkits"],
            cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert process.returncode == 1
    (line,) = process.stderr.splitlines()
    assert line.startswith("error: No space left on device; nothing saved before is lost: free")
