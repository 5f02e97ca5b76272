"""`bench run --executor ray` says at once what is missing or does not go together."""

import importlib.util
import socket

import pytest

from bench.errors import PrerequisiteError, WorkerError
from bench.runner import luggage, on_ray


@pytest.fixture
def told(invoke, tmp_path):
    def told(*words, code, **env):
        done = invoke("run", "--suite", "digits", *words, cwd=tmp_path, **env)
        assert done.returncode == code, done.stderr
        return " ".join(done.stderr.split())

    return told


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--address", "auto"], "--address goes with --executor ray"),
        (["--executor", "ray", "--workers", "2"], "--workers goes with --executor local"),
    ],
)
def test_options_that_do_not_go_together(told, words, line):
    assert line in told(*words, code=2)


def test_without_ray_the_extra_is_named(told, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "ray" else find(name)
    )
    assert "pip install 'crossfire-bench[ray]'" in told("--executor", "ray", code=3)


@pytest.fixture
def with_ray(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())


def test_an_address_at_which_nothing_listens_and_one_of_the_client_are_told_at_once(told, with_ray):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    line = told("--executor", "ray", "--address", address, code=3)
    assert (
        f"--address {address}: no Ray cluster answers there; start one with: ray start --head"
        in line
    )
    assert address in told("--executor", "ray", code=3, RAY_ADDRESS=address)
    assert "HOST:PORT of its head" in told(
        "--executor", "ray", "--address", "ray://h:10001", code=2
    )


def test_what_listens_and_is_no_cluster_is_told_within_seconds(told, with_ray, monkeypatch):
    monkeypatch.setattr(on_ray, "_PATIENCE", 0.5)
    monkeypatch.setattr(on_ray, "_JOIN", "import time; time.sleep(9)")
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        assert "no Ray cluster answers" in told("--executor", "ray", "--address", address, code=3)
        monkeypatch.setattr(on_ray, "_JOIN", "print('Version mismatch')")
        line = told("--executor", "ray", "--address", address, code=3)
    assert f"--address {address}: Version mismatch" in line


def test_a_plugin_too_large_to_travel_is_told_before_anything_is_loaded(
    told, tmp_path, monkeypatch
):
    monkeypatch.setattr(luggage, "LIMIT", 1000)
    (tmp_path / "plug.py").touch()
    (tmp_path / "large.pt").write_bytes(bytes(2000))
    line = told("--executor", "ray", "--plugin", "plug.py", code=3)
    assert "large.pt (0 MiB)" in line
    assert "loading models" not in line


def test_what_a_task_died_of_is_told_in_words():
    exceptions = pytest.importorskip("ray.exceptions")
    how, tries = on_ray._how(exceptions.NodeDiedError("it died"))
    assert (how, tries > 2) == ("lost its machine", True)
    assert on_ray._how(exceptions.WorkerCrashedError()) == (
        "got killed, perhaps for want of memory",
        2,
    )
    lacking = exceptions.RayTaskError("f", "", exceptions.RaySystemError("No module named 'bench'"))
    with pytest.raises(PrerequisiteError, match=r"install crossfire-bench .* on each"):
        on_ray._how(lacking)
    with pytest.raises(WorkerError, match="a task failed: ValueError: x"):
        on_ray._how(exceptions.RayTaskError("f", "", ValueError("x")))
