"""Tables in the width that a terminal has."""

import io
import json
import re

import pytest
from rich.progress import MofNCompleteColumn, TextColumn

from bench.cli import display, screen

HEADLINE = [
    {
        "model": model,
        "threat": f"linf {eps}",
        "clean accuracy (%)": "98.3 [91.1, 99.7]",
        "robust accuracy (%)": robust,
        "n": "60",
        "attacks": "19 of 19",
        "strongest": "bim, pgd (tie of 6)",
        "note": note,
    }
    for model in ("digits/cnn", "WideResNet-28-10_Gowal2021Improving_ddpm_100m_linf_8_255_seed0")
    for eps, robust, note in (
        ("8/255", "84.5 [78.8, 88.9]", ""),
        ("16/255", "INVALID", "3 of 19 attacks did not run; smoke: n < 100"),
    )
]


def _plain(rows, width, **how):
    return [line.plain for line in screen.lay_out(rows, width, **how)]


@pytest.mark.parametrize("width", [60, 80, 100, 140])
def test_a_table_fits_its_width_with_every_word_whole(width):
    lines = _plain(HEADLINE, width)
    assert max(map(len, lines)) <= max(width, 66)  # the longest name alone is 66
    words = set(" ".join(lines).replace(";", "").split())
    for row in HEADLINE:
        assert set(" ".join(row.values()).replace(";", "").split()) <= words


def test_a_model_s_rows_stay_rows_at_eighty_columns():
    lines = _plain(HEADLINE, 80)
    assert lines.count("digits/cnn") == 1  # above its rows
    row = next(line for line in lines if "8/255" in line)
    assert [cell.strip() for cell in re.split("  +", row.strip())][:3] == [
        "linf 8/255", "98.3 [91.1, 99.7]", "84.5 [78.8, 88.9]",
    ]  # fmt: skip
    assert lines[-1] == "in all rows: n 60; attacks 19 of 19; strongest bim, pgd (tie of 6)"
    assert any(line.startswith("    note: 3 of 19 attacks did not run") for line in lines)


def test_what_fits_is_one_line_a_row():
    lines = _plain(HEADLINE, None)
    assert len(lines) == 1 + len(HEADLINE)
    assert all(line.startswith(row["model"]) for line, row in zip(lines[1:], HEADLINE, strict=True))
    assert _plain(HEADLINE, 1000) == lines


def test_numbers_stand_under_one_another():
    rows = [{"a": "x", "p": "0.5"}, {"a": "y", "p": "<0.001"}, {"a": "z", "p": "–"}]
    assert _plain(rows, None) == ["a       p", "x     0.5", "y  <0.001", "z       –"]


def test_a_long_text_is_wrapped_in_its_column_where_it_has_room():
    words = "a sentence that is somewhat longer than the room which is left for it on the line"
    lines = _plain([{"part": "one", "state": "ok", "found": words}], 60)
    assert lines[1].startswith("one   ok     a sentence that")
    assert lines[2].startswith(" " * 13)
    assert " ".join(" ".join(lines[1:]).split()) == f"one ok {words}"


def test_only_a_terminal_or_columns_limits_the_width(monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    assert screen.width_of(io.StringIO()) is None
    monkeypatch.setenv("COLUMNS", "80")
    assert screen.width_of(io.StringIO()) == 80


class _Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("said", ["INVALID", "FAIL", "missing"])
def test_what_is_wrong_is_red_on_a_terminal_alone(monkeypatch, said):
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    rows = [{"model": "m", "result": said}, {"model": "k", "result": "pass"}]
    seen, filed = _Terminal(), io.StringIO()
    display.print_table(rows, to=seen)
    display.print_table(rows, to=filed)
    assert re.search(rf"\x1b\[1;31m{said}\x1b\[0m", seen.getvalue())
    assert not re.search(r"\x1b\[[0-9;]*31mpass", seen.getvalue())
    assert "\x1b" not in filed.getvalue()


def test_counts_of_progress_are_never_broken(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    shown = display.Display("none", as_json=False).progress
    task = shown.add_task("WideResNet-28-10_Gowal2021Improving_ddpm · pgd linf 8/255", total=99_999)
    shown.update(task, completed=12_345)
    console = shown.console
    with console.capture() as taken:
        console.print(shown.make_tasks_table(shown.tasks))
    (line,) = taken.get().splitlines()
    assert len(line) <= 80
    assert "12345/99999 images" in line
    kinds = [type(column) for column in shown.columns]
    assert kinds[0] is TextColumn
    assert MofNCompleteColumn in kinds


def test_screens_fit_eighty_columns(invoke, tmp_path):
    for what in ("models", "suites", "attacks", "datasets", "toolkits"):
        seen = invoke("ls", what, cwd=tmp_path, COLUMNS="80")
        assert seen.returncode == 0, seen.stderr
        assert max(map(len, seen.stdout.splitlines())) <= 80, what


def test_suites_are_listed_with_the_documents_that_they_repeat(invoke, tmp_path):
    seen = invoke("ls", "suites", cwd=tmp_path, COLUMNS="80").stdout
    assert "Håkon Olav Torvik. Towards Understanding Robustness" in " ".join(seen.split())
    records = map(json.loads, invoke("ls", "suites", "--json", cwd=tmp_path).stdout.splitlines())
    studies = {record["name"]: record["study"] for record in records}
    assert studies["digits"] is None
    assert studies["dml"].startswith("Adversarial Robustness of Deep Metric Learning.")


@pytest.mark.parametrize("width", range(30, 56))
def test_a_percentage_is_never_broken(width):
    said = "dog (7 %), frog (12 %), automobile (52 %), deer (9 %), cat (100 %), airplane (31 %)"
    rows = [{"image": "cat.jpg", "attack": "fgsm", "said": said}]
    lines = [line.plain for line in screen.lay_out(rows, width)]
    assert len(lines) > 3
    assert " ".join(line.strip() for line in lines).count(" %)") == 6
    assert not any(line.strip().startswith("%") for line in lines)
