"""What travels to the machines of a cluster, and what is too large for it."""

from pathlib import Path

import pytest

from bench.errors import PrerequisiteError
from bench.runner import luggage


@pytest.fixture
def here(tmp_path, monkeypatch):
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(luggage._heard, "listens", False)
    return folder


def write(*files, size=1):
    for file in map(Path, files):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(bytes(size))


def test_the_folder_of_a_plugin_travels_but_for_what_is_hidden_ignored_or_of_the_run(here):
    write(
        "mine/plug.py",
        "mine/w.pt",
        "mine/sub/net.py",
        "mine/big/a.bin",
        "mine/sub/b.bin",
        "other.py",
    )
    write(
        "mine/.git/x", "mine/__pycache__/plug.pyc", "mine/results/store.json", "mine/env/pyvenv.cfg"
    )
    Path("mine/.rayignore").write_text("# large\n/big/\n*.bin\n")
    found = luggage.plugin_files([Path("mine/plug.py")], [here / "mine/results"])
    assert sorted(found.files) == ["here/mine/plug.py", "here/mine/sub/net.py", "here/mine/w.pt"]
    assert found.plugins == ("here/mine/plug.py",)


def test_plugins_of_other_folders_keep_what_is_beside_them_apart(here, tmp_path):
    write("plug.py", tmp_path / "a/plug.py", tmp_path / "a/x.pt", tmp_path / "b/plug.py")
    found = luggage.plugin_files([Path("plug.py"), tmp_path / "a/plug.py", tmp_path / "b/plug.py"])
    assert found.plugins == ("here/plug.py", "plugins/0/plug.py", "plugins/1/plug.py")
    assert found.files["plugins/0/x.pt"] == tmp_path / "a/x.pt"
    found.pack(tmp_path / "packed")
    assert (tmp_path / "packed/plugins/0/x.pt").read_bytes() == bytes(1)
    assert (tmp_path / "packed/cache").is_dir()


def test_files_that_were_read_travel_and_weights_that_were_made_here(here, tmp_path):
    write(
        "adv/1.png",
        "adv.pt",
        "unread.pt",
        "results/store.json",
        tmp_path / "elsewhere.pt",
        "code.py",
        ".hidden",
    )
    cache = tmp_path / "cache"
    write(
        cache / "weights/net.safetensors",
        cache / "data/mnist",
        cache / "robustbench/net.pt",
        cache / "old",
    )
    luggage.note_files()
    for path in ("adv/1.png", "adv.pt", "results/store.json", tmp_path / "elsewhere.pt", "code.py", ".hidden",
                 cache / "data/mnist", cache / "robustbench/net.pt"):  # fmt: skip
        Path(path).read_bytes()
    (cache / "weights/.tmp-1").write_bytes(b"")
    (cache / "weights/.tmp-1").rename(
        cache / "weights/made.json"
    )  # as files of the cache are written
    (cache / "weights/net.safetensors").open("rb").close()
    found = luggage.luggage([], Path("results"), Path("reports"), None)
    Path("unread.pt").read_bytes()  # after it was packed
    assert sorted(found.files) == [
        "cache/weights/made.json", "cache/weights/net.safetensors", "here/adv.pt", "here/adv/1.png",
    ]  # fmt: skip
    assert found.left == ()


def test_too_much_names_the_largest_file_and_what_to_do(here, monkeypatch):
    monkeypatch.setattr(luggage, "LIMIT", 3 * 2**20)
    write("plug.py", "small.pt", size=2**20)
    write("large.pt", size=2 * 2**20)
    with pytest.raises(PrerequisiteError) as told:
        luggage.plugin_files([Path("plug.py")])
    assert str(told.value) == (
        f"4 MiB of {here} would have to travel to the machines of the cluster, at most 3 MiB may; the largest file is "
        f"{here}/large.pt (2 MiB): name what is not needed in .rayignore beside the plug-in (a pattern a line), or "
        f"put large files where every machine sees them"
    )
    Path(".rayignore").write_text("small.pt\n")
    assert len(luggage.plugin_files([Path("plug.py")]).files) == 2


def test_of_the_cache_as_much_travels_as_has_room(here, tmp_path, monkeypatch):
    monkeypatch.setattr(luggage, "LIMIT", 3000)
    cache = tmp_path / "cache"
    write(cache / "banks/large", size=2500)
    write(cache / "weights/net", "adv.pt", size=1000)
    luggage.note_files()
    for path in ("adv.pt", cache / "banks/large", cache / "weights/net"):
        Path(path).read_bytes()
    found = luggage.luggage([], Path("results"), Path("reports"), None)
    assert sorted(found.files) == ["cache/weights/net", "here/adv.pt"]
    assert found.left == (cache / "banks/large",)
