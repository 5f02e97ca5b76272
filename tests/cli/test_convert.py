"""`bench convert` on the command line: what goes where, what is asked for, and the exit codes."""

import json

import pytest
from scenes import stored_run


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("converted")
    stored_run.write_run(folder / "results")
    return folder


def convert(invoke, folder, *words):
    return invoke("convert", "--suite", stored_run.SUITE, *words, cwd=folder)


def test_a_file_for_robustbench_is_printed_and_says_what_it_is_not(invoke, folder):
    one = ("--to", "robustbench", "--model", "digits/cnn", "--norm", "linf", "--eps", "8/255")
    found = convert(invoke, folder, *one)
    assert found.returncode == 1
    info = json.loads(found.stdout)
    assert (info["dataset"], info["eps"], info["clean_acc"]) == ("digits", "8/255", None)
    assert "digits/cnn at linf 8/255: measured on 40 of 500 test images\n" in found.stderr
    assert "no autoattack among its attacks\n" in found.stderr
    assert "fill in link, name, authors, additional_data, " in found.stderr


def test_several_go_into_a_folder_and_never_over_what_was_filled_in(invoke, folder):
    several = convert(invoke, folder, "--to", "robustbench")
    assert several.returncode == 2
    assert several.stdout == ""
    assert "write a file each with --out DIR" in several.stderr
    words = ("--to", "robustbench", "--eps", "8/255", "--out", "here")
    written = convert(invoke, folder, *words).stdout.splitlines()
    named = [f"here/model_info/digits/linf/digits-{name}.json" for name in ("cnn", "wide")]
    assert written == named
    both = convert(invoke, folder, *words[:2], "--out", "there")
    assert both.returncode == 2
    assert (
        "digits-cnn.json: a model has one file for each norm, and the run has it at" in both.stderr
    )
    assert not (folder / "there").exists()
    (folder / named[0]).write_text("filled in")
    again = convert(invoke, folder, *words)
    assert again.stdout == ""
    assert f"{named[0]} is there already and is left" in again.stderr
    assert (folder / named[0]).read_text() == "filled in"


@pytest.mark.parametrize(("to", "lines"), [("markdown", 2 + 4), ("latex", 1 + 4)])
def test_rows_of_all_models_and_threats_are_printed(invoke, folder, to, lines):
    found = convert(invoke, folder, "--to", to)
    assert found.returncode == 0, found.stderr
    rows = found.stdout.splitlines()[:lines]
    assert [row.count("digits/") for row in rows[-4:]] == [1] * 4
    assert "measured on 40 of 500 test images." in found.stdout


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--to", "latex", "--out", "x"), "--out goes with --to robustbench"),
        (("--to", "latex", "--model", "nope"), "no such model and threat in the run; it has digits/cnn at linf 8/255, "),
        (("--to", "latex", "--eps", "x"), "--eps: 'x' is not a number"),
    ],
)  # fmt: skip
def test_what_does_not_go_is_said(invoke, folder, words, says):
    found = convert(invoke, folder, *words)
    assert found.returncode == 2
    assert says in found.stderr
