"""Checks that a plug-in registers, on the command line."""

from __future__ import annotations

import json

PLUGIN = """
import bench

@bench.register_model("my-cnn", data="digits")
def my_cnn():
    return bench.wrap(bench.load_model("digits/cnn").surfaces()["network"], 10, (1, 8, 8))

def sure(model):
    print("looking at", model.data)
    least = float(model.prediction.scores.softmax(1).amax(1).min())
    return bench.Finding(
        status="warn" if least < 0.99 else "pass", sentence=f"sure to {least:.0%} at least",
        value=least, bound="99%", remedy="train longer",
    )

bench.register_check(bench.Check(id="how-sure", title="sure of all images", needs="model", run=sure))
"""


def test_a_check_of_a_plug_in_is_listed_and_run_by_validate(invoke, tmp_path):
    (tmp_path / "mine.py").write_text(PLUGIN)
    listed = invoke("ls", "checks", "--plugin", "mine.py", "--json", cwd=tmp_path)
    records = [json.loads(line) for line in listed.stdout.splitlines()]
    assert records[-1] == {"id": "how-sure", "needs": "model", "title": "sure of all images"}
    assert {record["needs"] for record in records} == {"model", "rows"}
    seen = invoke("validate", "my-cnn", "--plugin", "mine.py", cwd=tmp_path)
    assert seen.returncode == 0, seen.stderr
    last = seen.stdout.splitlines()[-1]
    assert last.split() == ["how", "sure", "warn", *last.split()[3:]]
    assert last.endswith("at least: train longer")
    assert "looking at digits" in seen.stderr  # stdout is for data
