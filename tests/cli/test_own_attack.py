"""An attack that a user's file registers, on the command line and in Python."""

import csv
import json
import sys

import own_attack
import pytest

import bench
from bench import registry as names
from bench.attacks.rows import ATTACKS
from bench.attacks.users import USERS
from bench.store.results import load_results

RUN = ("run", "--suite", "own.toml", "--trust", "off", "--display", "plain")
NAMED = ("--plugin", "invert.py")


def forget():
    """Forget the file that was run and its attack, as a new process does."""
    for name in [name for name in sys.modules if name.startswith("bench_plugin_")]:
        del sys.modules[name]
    ATTACKS.pop("invert", None), USERS.pop("invert", None)


def run(folder, text=own_attack.PLUGIN):
    """Run the suite with a plug-in of this text, and return what came of it."""
    forget()
    (folder / "invert.py").write_text(text)
    return bench.run(
        folder / "own.toml", plugin=folder / "invert.py", results=folder / "results", trust="off"
    )


@pytest.mark.slow
def test_its_cells_are_kept_until_its_code_changes(tmp_path, registry):
    folder = own_attack.write(tmp_path)
    first = run(folder)
    own = first.cells()[first.cells()["attack"] == "invert"]
    assert list(own["toolkit"]) == ["plugin"] * 2
    assert [cell["strength"] for cell in own["parameters"]] == ["0.5", "1"]
    rows = first.samples()[(first.samples()["attack"] == "invert") & first.samples()["correct"]]
    assert set(rows["forwards"]) == {1}
    assert set(rows["linf"].round(4)) == {0.2, 0.4}

    assert run(folder).outcome.computed == ()
    commented = own_attack.PLUGIN.replace("return 1 - 2", "# to its opposite\n    return 1 - 2")
    assert run(folder, commented).outcome.computed == ()
    edited = run(folder, own_attack.PLUGIN.replace("x.round()", "x.round().abs()"))
    assert len(edited.outcome.computed) == 2
    kept = set(first.cells()["cell"]) & set(edited.cells()["cell"])
    assert kept == set(first.cells().loc[first.cells()["attack"] == "fgsm", "cell"])


@pytest.fixture
def finished(tmp_path, registry):
    """Return the folder of a finished run."""
    folder = own_attack.write(tmp_path)
    run(folder).report(folder / "reports", ("csv",))
    return folder


def test_headline_parity_and_report_have_it(finished, invoke):
    (headline,) = csv.DictReader((finished / "reports" / "own-headline.csv").open())
    assert (headline["attacks"], headline["planned"]) == ("3", "3")
    assert invoke("parity", "--suite", "own.toml", *NAMED, cwd=finished).returncode == 0
    told = list(csv.DictReader((finished / "reports" / "own-attacks.csv").open()))
    assert {row["toolkit"] for row in told if row["attack"] == "invert"} == {"plugin"}


def test_results_are_read_without_the_file(finished, invoke):
    key = load_results(finished / "results", "own").cells["cell"].iloc[0]
    forget()
    shown = invoke("show", key, cwd=finished)
    assert shown.returncode == 0, shown.stderr
    assert "invert linf 0.4" in shown.stdout
    missing = invoke(*RUN, cwd=finished)
    assert missing.returncode == 2
    assert "no attack named 'invert'" in missing.stderr
    assert "name that with --plugin FILE" in missing.stderr
    (finished / "own.toml").unlink()
    report = invoke("report", "--suite", "own", "--format", "csv", "--force", cwd=finished)
    assert report.returncode == 0, report.stderr


def test_it_is_listed_beside_those_of_toolkits(tmp_path, invoke):
    folder = own_attack.write(tmp_path)
    listed = invoke("ls", "attacks", *NAMED, "--json", cwd=folder).stdout
    (told,) = (one for line in listed.splitlines() if (one := json.loads(line))["name"] == "invert")
    assert told["where"] == {"plugin": ["linf"]}
    head = invoke("ls", "attacks", *NAMED, cwd=folder).stdout.splitlines()[0]
    assert head.split()[-1] == "plugin"
    one = invoke("ls", "attacks", "invert", *NAMED, cwd=folder).stdout
    assert "Moves every pixel towards its opposite" in one


def test_without_one_the_list_has_no_column_for_it(tmp_path, invoke):
    assert "plugin" not in invoke("ls", "attacks", cwd=tmp_path).stdout.splitlines()[0]


def test_single_images_are_attacked_with_it(tmp_path, invoke):
    folder = own_attack.write(tmp_path)
    words = ("attack", "digits/mlp", "test:2", "--attack", "invert 0.4", "--set", "strength=0.5")
    done = invoke(*words, "--json", *NAMED, cwd=folder)
    told = json.loads(done.stdout.splitlines()[0])
    assert (told["toolkit"], told["parameters"]["strength"]) == ("plugin", "0.5")
    assert told["linf"] == pytest.approx(0.2, abs=1e-4)


def test_one_that_says_it_needs_more_than_it_takes_is_told_how_to_be_registered(tmp_path, invoke):
    folder = own_attack.write(tmp_path)
    (folder / "invert.py").write_text(own_attack.PLUGIN.replace(', access="decision"', ""))
    words = ("attack", "digits/mlp", "test:2", "--attack", "invert 0.001", *NAMED)
    assert 'invert took no gradient: if it needs none, register it with access="score"' in (
        invoke(*words, cwd=folder).stderr
    )


def test_a_function_that_fails_is_a_failed_cell_and_the_others_run(tmp_path, invoke):
    folder = own_attack.write(tmp_path)
    broken = own_attack.PLUGIN.replace("    model(tried)\n", "    1 / 0\n")
    (folder / "invert.py").write_text(broken)
    done = invoke(*RUN, *NAMED, cwd=folder)
    assert done.returncode == 1
    assert (
        "attack 'invert': invert.py, line 12: its function failed: ZeroDivisionError" in done.stderr
    )
    cells = load_results(folder / "results", "own").cells
    assert dict(zip(cells["attack"], cells["status"], strict=True)) == {
        "invert": "failed", "fgsm": "done",
    }  # fmt: skip


@pytest.fixture
def package(tmp_path, monkeypatch, registry):
    """Return a function that installs a package with an entry point, as pip would lay it out."""

    def install(text, value="tricks.crossfire"):
        (tmp_path / "tricks").mkdir()
        (tmp_path / "tricks" / "__init__.py").touch()
        (tmp_path / "tricks" / "crossfire.py").write_text(text)
        info = tmp_path / "tricks-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tricks\nVersion: 1\n")
        (info / "entry_points.txt").write_text(f"[crossfire.plugins]\ntricks = {value}\n")
        monkeypatch.syspath_prepend(tmp_path)
        names._installed.cache_clear()

    monkeypatch.setattr(names, "_LOADED", set())
    names._installed.cache_clear()
    yield install
    names._installed.cache_clear()
    for name in ("tricks", "tricks.crossfire"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("value", ["tricks.crossfire", "tricks.crossfire:register"])
def test_an_installed_package_brings_it_without_a_word(tmp_path, invoke, package, value):
    text = own_attack.PLUGIN
    if value.endswith("register"):
        text = f"def register():\n    {text.replace(chr(10), chr(10) + '    ')}"
    package(text, value)
    assert "invert" in invoke("ls", "attacks", cwd=tmp_path).stdout


def test_in_python_an_installed_package_is_looked_into_for_an_unknown_name(package):
    package(own_attack.PLUGIN)
    model = bench.load_model("digits/mlp")
    x, y = bench.load_data("digits", images=5)
    assert len(bench.attack(model, x, y, "invert", norm="linf", eps=0.4).rows) == 5


def test_a_package_whose_plug_in_fails_is_named(tmp_path, invoke, package):
    package("import bench\n1 / 0\n")
    done = invoke("ls", "attacks", cwd=tmp_path)
    assert done.returncode == 2
    assert (
        "the plug-in tricks of the installed package tricks failed: crossfire.py, line 2"
        in done.stderr
    )
    assert (
        "ZeroDivisionError: division by zero; repair it, or run: pip uninstall tricks"
        in done.stderr
    )
