import pytest

from bench.errors import SpecError
from bench.registry import Entry, Registry, load_file, load_plugin, unknown


def make():
    return "made"


def test_a_lazy_entry_is_imported_at_first_use():
    registry = Registry("thing")
    registry.add("late", "json:dumps", colour="blue")
    assert registry["late"].facts == {"colour": "blue"}
    assert registry["late"].load()([1]) == "[1]"


def test_an_unknown_name_gets_the_nearest():
    registry = Registry("model")
    registry.add("cifar10/cnn", make)
    with pytest.raises(SpecError, match="no model named 'cifar/cnn'; did you mean cifar10/cnn"):
        registry["cifar/cnn"]


def test_a_part_of_a_name_is_hint_enough():
    assert "did you mean cifar10/cnn" in str(unknown("model", "cnn", ["cifar10/cnn", "b"]))
    assert "known: a, b" in str(unknown("model", "zzz", ["b", "a"]))


def test_a_taken_name_names_both_sources():
    registry = Registry("model")
    registry.add("x", make)
    registry.add("x", make)
    with pytest.raises(
        SpecError, match=r"registered twice: by .*test_registry.py, line \d+ and by json:dumps"
    ):
        registry.add("x", "json:dumps")


def test_a_plugin_runs_once_and_may_import_its_neighbours(tmp_path):
    (tmp_path / "neighbour_of_plugin.py").write_text("VALUE = 3\n")
    plugin = tmp_path / "mine.py"
    plugin.write_text(
        "import neighbour_of_plugin, pathlib\n"
        "out = pathlib.Path(__file__).with_suffix('.txt')\n"
        "out.write_text(f'{out.exists()} {neighbour_of_plugin.VALUE}')\n"
    )
    load_plugin(plugin)
    load_plugin(plugin)
    assert plugin.with_suffix(".txt").read_text() == "False 3"


@pytest.mark.parametrize(("text", "words"), [
    ("x = 1\nraise ValueError('boom')\n", r"line 2: ValueError: boom"),
    ("x = 1\n\ndef f(:\n", r"SyntaxError"),
    ("def f():\n    return 1 / 0\nf()\n", r"line 2: ZeroDivisionError"),
])  # fmt: skip
def test_a_broken_plugin_names_file_and_line(tmp_path, text, words):
    plugin = tmp_path / "broken.py"
    plugin.write_text(text)
    with pytest.raises(SpecError, match=rf"broken.py.*{words}"):
        load_plugin(plugin)


def test_a_missing_plugin_is_said(tmp_path):
    with pytest.raises(SpecError, match="no such Python file"):
        load_plugin(tmp_path / "nowhere.py")


def test_a_name_that_was_not_registered_may_be_derived():
    registry = Registry("number", lambda name: Entry(name, {}) if name.isdigit() else None)
    registry.add("7", make)
    assert registry["7"].target is make
    assert registry["8"].target == "8"
    assert list(registry) == ["7"]
    with pytest.raises(SpecError, match="no number named 'x'"):
        registry["x"]


def test_a_file_that_is_no_plug_in_is_not_called_one(tmp_path):
    broken = tmp_path / "report.py"
    broken.write_text("x = 1\n\ndef f(:\n")
    with pytest.raises(SpecError, match=rf"^{broken}, line 3: SyntaxError"):
        load_file(broken)
    with pytest.raises(SpecError, match=rf"^--plugin {broken}, line 3: SyntaxError"):
        load_plugin(broken)


def test_a_plug_in_that_ends_the_program_is_told_what_one_does(tmp_path):
    (tmp_path / "ends.py").write_text("import sys\nsys.exit(3)\n")
    with pytest.raises(SpecError, match=r"line 2: it ends the program .* only registers things"):
        load_plugin(tmp_path / "ends.py")


def test_of_very_many_names_the_first_are_listed_and_the_rest_counted():
    said = str(unknown("model", "zzz", [f"n{number:03d}" for number in range(200)]))
    assert "n000, n001" in said
    assert said.endswith("and 170 more; see `bench ls`")
    assert len(said) < 400
