"""`bench run --dry-run`: which cells a run would make."""

from __future__ import annotations

import json
import re

import build


def test_attacks_of_one_threat_are_told_apart(invoke, cache, tmp_path):
    attacks = [
        {"name": "deepfool", "norm": "l2", "clip": ["end", "steps"], "toolkits": ["native"]},
        {"name": "deepfool", "norm": "l2", "clip": "end", "batch_size": 1, "toolkits": ["native"]},
        {"name": "noise", "norm": "linf", "eps": ["0.1", "0.2"], "toolkits": ["native"]},
    ]
    (tmp_path / "s.toml").write_text(build.suite(["digits/mlp"], attacks))
    words = ("run", "--suite", "s.toml", "--dry-run")
    process = invoke(*words, cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    shown = re.findall("((?:deepfool|noise) .*?)  ", process.stdout)
    assert shown == [
        "deepfool l2, batch size 100, clip end", "deepfool l2, batch size 100",
        "deepfool l2, batch size 1, clip end", "noise linf 0.1", "noise linf 0.2",
    ]  # fmt: skip
    lines = invoke(*words, "--json", cwd=tmp_path).stdout.splitlines()
    assert [json.loads(line)["attack"] for line in lines] == [
        "deepfool l2", "deepfool l2", "deepfool l2", "noise linf 0.1", "noise linf 0.2",
    ]  # fmt: skip
