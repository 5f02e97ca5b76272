"""Several processes compute the rows that one computes, whatever becomes of them."""

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import build
import pytest
from command import call

from bench.attacks.catalogue import resolve
from bench.runner import workers
from bench.runner.execute import execute
from bench.runner.grown import grown
from bench.runner.loading import Setting
from bench.runner.plan import make_plan
from bench.runner.scope import ALL_MISSING
from bench.runner.selection import Selection
from bench.runner.suite import load_suite
from bench.runner.task import whole_surface
from bench.runner.units import Unit
from bench.runner.worker import Order
from bench.runner.workers import workers_for
from bench.store.identity import cell_key
from bench.store.results import load_results
from bench.store.store import open_store

SUITE = build.suite(
    images=12,
    models=["digits/mlp"],
    attacks=[
        {"name": ["fgsm", "bim"], "norm": "linf", "eps": ["0.1", "0.2"], "toolkits": ["foolbox", "torchattacks"]}
    ],
)  # fmt: skip

PLUGIN = """\
import os, pathlib, signal, sys, torch, bench
WORKER = sys.argv[0].endswith("worker.py")
@bench.register_model("users", data="digits")
def users():
    {seed}
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
    {body}
    return bench.wrap(net, 10, (1, 8, 8))
"""
SEED = "torch.manual_seed(0)"
DIES = "if WORKER: os.kill(os.getpid(), signal.SIGKILL)"
DIES_ONCE = (
    "flag = pathlib.Path('died')\n    if WORKER and not flag.exists(): "
    "flag.touch(); os.kill(os.getpid(), signal.SIGKILL)"
)


@pytest.fixture
def folder(tmp_path, cache):
    (tmp_path / "s.toml").write_text(SUITE)
    return tmp_path


def run(folder, count, *words):
    return call(
        "run", "--suite", "s.toml", "--workers", str(count), "--results", f"by-{count}",
        "--trust", "off", "--json", "--display", "none", *words, cwd=folder,
    )  # fmt: skip


def rows_of(folder, count):
    results = load_results(folder / f"by-{count}", "s")
    cells = list(results.cells.loc[results.cells["status"] == "done", "cell"])
    store = open_store(folder / f"by-{count}")
    return {cell: store.rows(cell).drop(columns="seconds") for cell in cells}


def same(left, right):
    assert left.keys() == right.keys()
    for cell, rows in left.items():
        assert rows.equals(right[cell])


@pytest.mark.slow
def test_two_workers_write_the_rows_of_one_process(folder):
    (folder / "plug.py").write_text(PLUGIN.format(seed=SEED, body=""))
    plugin = ("--plugin", "plug.py")
    alone, shared = run(folder, 1, *plugin), run(folder, 2, *plugin)
    assert (alone.returncode, shared.returncode) == (0, 0), shared.stderr
    assert len(rows_of(folder, 1)) == 16
    same(rows_of(folder, 1), rows_of(folder, 2))
    told = [json.loads(line) for line in shared.stdout.splitlines()]
    assert sum(one["event"] == "done" for one in told) == 16


@pytest.mark.slow
def test_workers_compute_cells_that_the_suite_lacks(folder):
    suite = load_suite(str(folder / "s.toml"))
    plan = make_plan(suite)
    larger = grown(plan, dict.fromkeys(plan.cells, 20))
    cell = next(iter(plan.cells.values()))
    added = dataclasses.replace(
        cell, attack=resolve("adaptive", "linf", "0.1", {"passes": 50}), toolkit="native",
        surface=whole_surface(plan.adapters[cell.model]),
    )  # fmt: skip
    larger = dataclasses.replace(larger, cells=larger.cells | {cell_key(added): added})
    told = []
    for count in (1, 2):
        order = Order(
            suite=suite, selection=Selection(), setting=Setting(), plugins=(),
            results=folder / f"by-{count}", scope=ALL_MISSING,
        )  # fmt: skip
        compute = workers_for(order, count)
        execute(larger, open_store(folder / f"by-{count}"), on_event=told.append, compute=compute)
    assert not [event for event in told if event["event"] in ("note", "failed")]
    assert len(rows_of(folder, 1)) == 9
    same(rows_of(folder, 1), rows_of(folder, 2))


@pytest.mark.slow
def test_a_model_that_is_another_in_each_process_is_computed_without_workers(folder):
    (folder / "plug.py").write_text(PLUGIN.format(seed="torch.seed()", body=""))
    done = call(
        "run", "--suite", "s.toml", "--workers", "2", "--trust", "off", "--plugin", "plug.py",
        "--display", "plain", cwd=folder,
    )  # fmt: skip
    assert "users: another model in each process" in done.stderr
    assert "0 failed" not in done.stdout.splitlines()[0]
    cells = load_results(folder / "results", "s").cells
    assert set(cells["status"]) == {"done"}


@pytest.mark.slow
@pytest.mark.parametrize(("body", "failed"), [(DIES_ONCE, 0), (DIES, 8)])
def test_what_killed_its_worker_is_tried_once_more(folder, body, failed):
    (folder / "plug.py").write_text(PLUGIN.format(seed=SEED, body=body))
    done = run(folder, 2, "--plugin", "plug.py")
    assert done.returncode == (1 if failed else 0), done.stderr
    cells = load_results(folder / "by-2", "s").cells
    of_users = cells[cells["model"] == "users"]
    assert (of_users["status"] == "failed").sum() == failed
    assert set(cells.loc[cells["model"] == "digits/mlp", "status"]) == {"done"}
    if failed:
        error = open_store(folder / "by-2").last_error(of_users["cell"].iloc[0])
        assert error["message"] == "its worker got killed, perhaps for want of memory, 2 times"


def children(process):
    return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]  # fmt: skip


def gone(pids, seconds=10):
    for _ in range(int(10 * seconds)):
        if not any(Path(f"/proc/{pid}").exists() and "zombie" not in Path(f"/proc/{pid}/status").read_text() for pid in pids):  # fmt: skip
            return True
        time.sleep(0.1)
    return False


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs /proc")
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_an_interrupted_or_killed_run_leaves_no_worker_and_goes_on(folder, sent, code):
    words = [sys.executable, "-m", "bench.cli.main", "run", "--suite", "digits", "--workers", "2",
             "--images", "500", "--batch-size", "10", "--model", "digits/mlp", "--attack", "pgd",
             "--trust", "off"]  # fmt: skip
    process = subprocess.Popen(
        words, cwd=folder, env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    for line in process.stderr:
        if line.startswith("[1/"):
            break
    pids = children(process)
    assert len(pids) == 2
    process.send_signal(sent)
    rest = process.stderr.read()
    assert process.wait() == code, rest
    assert gone(pids)
    again = call(*words[3:], cwd=folder)
    assert again.returncode == 0, again.stderr
    assert "kept" in again.stderr
    assert set(load_results(folder / "results", "digits").cells["status"]) == {"done"}


class Process:
    returncode = -9

    def terminate(self): ...

    def wait(self, seconds=None): ...


class Connection:
    def close(self): ...

    def send(self, unit): ...


def dead(began=True, left=("1", "2")):
    worker = workers._Worker(process=Process(), connection=Connection(), place=0, began=began)
    worker.give(Unit(("a",), left))
    return worker


def test_a_cell_that_kills_two_workers_fails_and_the_rest_of_its_unit_goes_on(tmp_path):
    ledger = workers._Ledger(open_store(tmp_path), [])
    assert list(ledger.died(dead())) == []
    assert ledger.queue.take((), []) == Unit(("a",), ("1", "2"))
    (event,) = ledger.died(dead())
    assert (event["event"], event["cell"]) == ("failed", "1")
    assert "got killed" in event["error"]
    assert ledger.queue.take((), []) == Unit(("a",), ("2",))


def test_workers_that_cannot_start_end_the_run(tmp_path):
    ledger = workers._Ledger(open_store(tmp_path), [Unit(("a",), ("1",))])
    unborn = dead(began=False, left=())
    assert list(ledger.died(unborn)) == []  # it is replaced
    assert list(ledger.died(dead(left=()))) == []
    assert list(ledger.died(unborn)) == []
    with pytest.raises(workers.WorkerError, match="as they started; compute with --workers 1"):
        list(ledger.died(unborn))


def test_short_work_takes_one_process_and_long_work_one_a_core_or_a_gpu(monkeypatch):
    monkeypatch.setattr(workers, "cores", lambda: 4)
    assert [workers.worker_count(seconds, 0) for seconds in (59, 61)] == [1, 4]
    assert [workers.worker_count(seconds, 2) for seconds in (59, 61)] == [1, 2]
    monkeypatch.setattr(
        workers, "_MEMORY", os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 3
    )
    assert workers.worker_count(61, 0) == 3


def test_devices_are_those_that_the_process_may_use(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, 5")
    assert workers.cuda_devices() == ("3", "5")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setattr(workers.torch.cuda, "device_count", lambda: 2)
    assert workers.cuda_devices() == ("0", "1")


@pytest.mark.slow
def test_a_worker_whose_run_is_gone_ends_without_a_word():
    ours, theirs = socket.socketpair()
    ours.close()
    words = [sys.executable, "-m", "bench.runner.worker", str(theirs.fileno())]
    ended = subprocess.run(
        words, pass_fds=[theirs.fileno()], capture_output=True, text=True, check=False
    )
    theirs.close()
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
