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
    assert records[-1] == {
        "id": "how-sure", "needs": "model", "level": "quick", "title": "sure of all images",
    }  # fmt: skip
    assert {record["needs"] for record in records} >= {"model", "rows", "threat"}
    seen = invoke("validate", "my-cnn", "--plugin", "mine.py", cwd=tmp_path)
    assert seen.returncode == 0, seen.stderr
    last = seen.stdout.splitlines()[-1]
    assert last.split() == ["how", "sure", "warn", *last.split()[3:]]
    assert last.endswith("at least: train longer")
    assert "looking at digits" in seen.stderr  # stdout is for data


OF_RUNS = """
import bench

def breaks(outcomes):
    raise KeyError("l7")

bench.register_check(bench.Check(id="breaks", title="rows have l7", needs="rows", run=breaks))
"""


#: A run of one attack, in a second.
RUN = ("run", "--attack", "fgsm", "--toolkit", "torchattacks", "--images", "5")


def test_a_check_of_a_run_that_fails_costs_no_headline_and_no_report(invoke, tmp_path, tiny_suite):
    (tmp_path / "mine.py").write_text(OF_RUNS)
    run = (*RUN, "--suite", tiny_suite)
    done = invoke(*run, "--plugin", "mine.py", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "robust accuracy" in done.stdout  # the headline
    words = "the check itself failed: mine.py, line 5: KeyError: 'l7'"
    assert words in " ".join(done.stdout.split())
    last = done.stderr.splitlines()[-1]
    assert last == f"check failed: rows have l7: {words}"
    assert (tmp_path / "reports" / "tiny.pdf").is_file()
    assert words in (tmp_path / "reports" / "tiny-checks.csv").read_text()


def test_a_run_without_a_failed_check_exits_0(invoke, tmp_path, tiny_suite):
    run = (*RUN, "--suite", tiny_suite)
    done = invoke(*run, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "check failed" not in done.stderr


def test_an_unknown_model_or_attack_may_be_a_plug_in_s(invoke, tmp_path, tiny_suite):
    hint = "; if it comes from a plug-in, name that with --plugin FILE"
    for name, other in (("digits/mlp", "digits/my-mlp"), ("fgsm", "my-fgsm")):
        wrong = tmp_path / "wrong.toml"
        wrong.write_text(tiny_suite.read_text().replace(f'"{name}"', f'"{other}"'))
        done = invoke("run", "--suite", wrong, "--dry-run", cwd=tmp_path)
        assert done.returncode == 2
        assert f"named '{other}'" in done.stderr
        assert done.stderr.splitlines()[-1].endswith(hint)


def test_a_model_is_validated_with_its_options(tmp_path, invoke):
    seen = invoke("validate", "digits/ensemble", cwd=tmp_path)
    assert (seen.returncode, seen.stdout) == (2, "")
    assert "digits/ensemble needs members" in seen.stderr
    members = "members=digits/mlp + digits/cnn"
    seen = invoke(
        "validate", "digits/ensemble", "--option", members, "--option", "how=majority", cwd=tmp_path
    )
    assert seen.returncode == 0, seen.stdout + seen.stderr
    assert invoke("validate", "digits/cnn", "--option", "k", cwd=tmp_path).returncode == 2
