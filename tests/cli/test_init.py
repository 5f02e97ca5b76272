"""`bench init`: what it writes runs as it is, and nothing is written over."""

import pytest

import bench

FILES = ("my_suite.toml", "my_plugin.py")


def test_what_it_writes_runs_at_once(tmp_path, invoke):
    made = invoke("init", "new/tries", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert made.stdout.splitlines() == [f"new/tries/{name}" for name in FILES]
    assert (
        "bench run --suite new/tries/my_suite.toml --plugin new/tries/my_plugin.py" in made.stderr
    )
    suite, plugin = (tmp_path / "new" / "tries" / name for name in FILES)
    run = bench.run(
        suite,
        plugin=plugin,
        models=("my-model",),
        images=30,
        results=tmp_path / "results",
        trust="off",
    )
    assert not run.outcome.failed
    assert not run.results.left_out
    assert set(run.cells()["attack"]) == {"my-attack", "pgd", "square"}
    headline = run.headline().set_index("eps_text")
    assert (headline["clean_accuracy"] > 0.8).all()
    assert headline.loc["0.1", "robust_accuracy"] < headline.loc["0.05", "robust_accuracy"]


def test_without_a_folder_it_writes_here(tmp_path, invoke):
    assert invoke("init", cwd=tmp_path).stdout.splitlines() == list(FILES)


@pytest.mark.parametrize("name", FILES)
def test_nothing_is_written_over(tmp_path, invoke, name):
    (tmp_path / name).write_text("mine")
    done = invoke("init", cwd=tmp_path)
    assert done.returncode == 2
    assert f"{name} is there already; name another folder: bench init DIR" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine"
