"""A Ray cluster of two machines computes the rows that one process computes, whatever becomes of it.

Both are on this one, as `ray.cluster_utils` makes them: processes of their own, which see the same files. Where they
must not, the results folder has a name that is another folder for each process.
"""

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time

import build
import pytest
import torch
from safetensors.torch import load_file, save_file

from bench.registry import load_plugin
from bench.runner.execute import execute
from bench.runner.loading import Setting
from bench.runner.plan import make_plan
from bench.runner.suite import load_suite
from bench.store.store import open_store
from bench.train.cards import retrained_dir, weights_file
from bench.zoo import load_model

pytestmark = pytest.mark.slow

SUITE = build.suite(
    images=12, models=["users", "digits/mlp"],
    attacks=[
        {"name": ["fgsm", "bim"], "norm": "linf", "eps": ["0.1", "0.2"], "toolkits": ["foolbox", "torchattacks"]},
        {"name": "bad", "norm": "linf", "eps": "0.1"},
    ],
)  # fmt: skip

# It has its weights in a file, and helpers beside it, takes its time, and has to have travelled to compute there.
PLUGIN = """\
import pathlib, sys, time, torch, bench, beside
if sys.argv[0].endswith("default_worker.py"):
    import ray
    assert "working_dir_files" in __file__, __file__
    pathlib.Path(beside.SEEN, ray.get_runtime_context().get_node_id()).touch()

class Slow(torch.nn.Linear):
    def forward(self, x):
        time.sleep(0.03 * sys.argv[0].endswith("default_worker.py"))
        return super().forward(x)

@bench.register_model("users", data="digits")
def users():
    net = torch.nn.Sequential(torch.nn.Flatten(), Slow(64, 10))
    net.load_state_dict(torch.load(beside.WEIGHTS, weights_only=True))
    return bench.wrap(net, 10, (1, 8, 8))

@bench.register_attack("bad", norms=["linf"])
def bad(model, x, y, eps):
    raise RuntimeError("it does")
"""


@pytest.fixture(scope="module")
def cluster():
    pytest.importorskip("ray", reason="needs Ray: pip install 'crossfire-bench[ray]'")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    os.environ |= {"RAY_health_check_period_ms": "500", "RAY_health_check_failure_threshold": "3"}
    head = {"num_cpus": 0, "gcs_server_port": free_port(), "include_dashboard": False}
    made = Cluster(initialize_head=True, head_node_args={**head, "object_store_memory": 80_000_000})
    yield made
    made.shutdown()


def free_port():
    """Return a free port below those that Ray gives to its workers."""
    for port in range(6400, 10_000):
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)):
                return port
    raise AssertionError


@pytest.fixture
def machines(cluster):
    """Return two machines of the cluster, of one core each."""
    two = [cluster.add_node(num_cpus=1, object_store_memory=80_000_000) for _ in range(2)]
    yield two
    for machine in two:
        if machine in cluster.worker_nodes:
            cluster.remove_node(machine, allow_graceful=False)


@pytest.fixture
def folder(tmp_path, cache, registry):
    (tmp_path / "s.toml").write_text(SUITE)
    (tmp_path / "plug.py").write_text(PLUGIN)
    (tmp_path / "beside.py").write_text(f"WEIGHTS, SEEN = 'my.pt', {str(tmp_path / 'seen')!r}\n")
    (tmp_path / "seen").mkdir()
    torch.manual_seed(0)
    torch.save({"1.weight": torch.randn(10, 64) / 8, "1.bias": torch.zeros(10)}, tmp_path / "my.pt")
    own_weights(tmp_path / "cache")
    return tmp_path


def own_weights(folder):
    """Keep weights of a trained network in a cache that are not those of another training."""
    load_model("digits/mlp")
    file = weights_file(retrained_dir(), "digits/mlp")
    moved = {name: weight * 0.99 for name, weight in load_file(file).items()}
    copy = weights_file(folder / "weights", "digits/mlp")
    copy.parent.mkdir(parents=True)
    save_file(moved, copy)
    card = json.loads(file.with_suffix(".json").read_text())
    card["sha256"] = hashlib.sha256(copy.read_bytes()).hexdigest()
    copy.with_suffix(".json").write_text(json.dumps(card))


def start(folder, cluster, results="results"):
    return subprocess.Popen(
        [sys.executable, "-m", "bench.cli.main", "run", "--suite", "s.toml", "--plugin", "plug.py",
         "--executor", "ray", "--address", cluster.address, "--results", results, "--batch-size", "4",
         "--trust", "off", "--json", "--display", "plain"],
        cwd=folder, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "BENCH_CACHE": str(folder / "cache")},
        stdout=subprocess.PIPE, stderr=(folder / "said").open("a"),
    )  # fmt: skip


def events(process):
    for line in process.stdout:
        yield json.loads(line)


def wait_for(process, cells):
    """Wait until some cells are done."""
    for event in events(process):
        cells -= event["event"] == "done"
        if not cells:
            return
    raise AssertionError("it ended before")


def last_to_begin(folder, machines):
    """Wait until each machine has a task, and return the one that got its first task last, so has just begun it."""
    for _ in range(1200):
        seen = {path.name: path.stat().st_mtime_ns for path in (folder / "seen").iterdir()}
        if len(seen) == len(machines):
            return max(machines, key=lambda machine: seen[machine.node_id])
        time.sleep(0.05)
    raise AssertionError("a machine does nothing")


def compare_with_local(folder, results, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("BENCH_CACHE", str(folder / "cache"))
    load_plugin("plug.py")
    plan = make_plan(load_suite("s.toml"), setting=Setting(batch_size=4, device="cpu"))
    local, found = open_store(folder / "local"), open_store(folder / results)
    outcome = execute(plan, local)
    assert len(outcome.computed) == 16
    for key in outcome.computed:
        assert (
            found.rows(key).drop(columns="seconds").equals(local.rows(key).drop(columns="seconds"))
        )
        ours, theirs = local.pictures(key), found.pictures(key)
        assert all(theirs[name].equal(ours[name]) for name in ours)
    assert len(outcome.failed) == 2
    for key in outcome.failed:
        assert found.last_error(key)["message"] == local.last_error(key)["message"]


def test_a_machine_dies_and_the_rows_are_those_of_a_local_run(
    cluster, machines, folder, monkeypatch
):
    process = start(folder, cluster)
    cluster.remove_node(last_to_begin(folder, machines), allow_graceful=False)
    ended = [event["event"] for event in events(process)]
    assert process.wait() == 1, (folder / "said").read_text()  # `bad` fails
    assert (ended.count("done"), ended.count("failed")) == (16, 2)
    said = (folder / "said").read_text()
    assert "its worker lost its machine" in said
    assert "cannot be computed" not in said
    compare_with_local(folder, "results", monkeypatch)
    assert not list((folder / "results").glob(".*"))


def test_killed_without_a_common_folder_it_goes_on(cluster, machines, folder, monkeypatch):
    apart = "/proc/self/cwd/apart"  # of each process another one
    process = start(folder, cluster, apart)
    wait_for(process, 2)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = len(list(folder.glob("apart/cells/*/*/cell.json")))
    assert 2 <= before < 16
    cluster.remove_node(machines[0], allow_graceful=False)
    again = start(folder, cluster, apart)
    ended = [event["event"] for event in events(again)]
    assert again.wait() == 1, (folder / "said").read_text()
    assert (ended.count("kept"), ended.count("done")) == (before, 16 - before)
    compare_with_local(folder, "apart", monkeypatch)


def test_terminated_it_ends_without_a_trace_of_the_stack(cluster, machines, folder):
    process = start(folder, cluster)
    wait_for(process, 1)
    process.terminate()
    assert process.wait(30) == -signal.SIGTERM
    assert "SIGTERM received" not in (folder / "said").read_text()
