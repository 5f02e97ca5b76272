"""A kind of rows that a user's file adds, on the command line."""

import own_kind

from bench.attacks.rows import MEASUREMENTS
from bench.runner.kinds import KINDS
from bench.spec import ROW_KINDS
from bench.store.results import load_results


def test_a_kind_of_ones_own_on_the_command_line(tmp_path, invoke):
    folder = own_kind.write(tmp_path)
    plugin = ("--plugin", folder / "logits.py")
    run = invoke(
        "run",
        "--suite",
        folder / "logits.toml",
        *plugin,
        "--trust",
        "off",
        "--display",
        "none",
        cwd=folder,
    )
    assert run.returncode == 0, run.stderr
    listed = invoke("ls", "attacks", "mean-logit", *plugin, cwd=folder).stdout
    assert "the mean absolute value of the logits" in listed
    assert "logits: a measurement, and attacks nothing" in listed
    assert "of each absolute value" in listed
    cells = load_results(folder / "results", "logits").cells
    key = cells.loc[cells["kind"] == "logits", "cell"].iloc[0]
    shown = invoke("show", key, *plugin, cwd=folder).stdout
    lines = [" ".join(line.split()) for line in shown.splitlines()]
    assert "measured 30 of 30 images" in lines
    assert any(line.startswith("mean logit median ") for line in lines)


def test_results_of_a_kind_are_read_without_the_file_that_added_it(tmp_path, invoke):
    folder = own_kind.write(tmp_path)
    run = ("run", "--suite", folder / "logits.toml", "--trust", "off", "--display", "none")
    assert invoke(*run, "--plugin", folder / "logits.py", cwd=folder).returncode == 0
    cells = load_results(folder / "results", "logits").cells
    key = cells.loc[cells["kind"] == "logits", "cell"].iloc[0]
    for table in (KINDS, ROW_KINDS):
        del table["logits"]
    del MEASUREMENTS["mean-logit"]
    shown = invoke("show", key, cwd=folder)
    assert shown.returncode == 0, shown.stderr
    assert "mean-logit l2" in shown.stdout
    assert invoke(*run, cwd=folder).returncode == 2  # no attack of that name
