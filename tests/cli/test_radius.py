"""A suite that measures radii at the command line: its table, its JSON lines, its file."""

import json

SUITE = """\
title  = "Radii"
data   = "digits"
images = 20

[[models]]
name = "digits/mlp"

[[attacks]]
name = "fgsm-radius"
norm = "linf"
scan = 10
"""


def test_run_and_report_end_with_the_critical_eps(invoke, tmp_path):
    (tmp_path / "radii.toml").write_text(SUITE)
    process = invoke("run", "--suite", "radii.toml", cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    head, row = process.stdout.splitlines()[-2:]
    assert "critical eps" in head
    assert row.split()[:2] == ["digits/mlp", "fgsm-radius"]
    assert "images, 500 are needed" in row
    assert "reports/radii-radius.csv" in process.stderr

    report = invoke(
        "report", "--suite", "radii.toml", "--format", "csv", "--out", "again", cwd=tmp_path
    )
    assert report.returncode == 0, report.stderr
    written = report.stdout.split()
    assert "again/radii-radius.csv" in written
    assert all((tmp_path / line).is_file() for line in written)
    assert "images, 500 are needed" in report.stderr


def test_json_lines_have_null_where_there_is_no_number(invoke, tmp_path):
    (tmp_path / "radii.toml").write_text(SUITE)
    process = invoke("run", "--suite", "radii.toml", "--json", "--display", "none", cwd=tmp_path)

    def refuse(word):
        raise AssertionError(f"{word} is no JSON")

    events = [json.loads(line, parse_constant=refuse) for line in process.stdout.splitlines()]
    (radius,) = [event for event in events if event["event"] == "radius"]
    assert radius["critical_eps"] is radius["error"] is None
    assert 0 < radius["n"] <= 20
    assert radius["censored"] in range(radius["n"])
    assert radius["parameters"] == "least_confidence 0, max_eps 0.5, scan 10"
