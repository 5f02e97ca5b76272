"""`bench run MODEL`: no suite file, and all that follows from the suite that is made."""

import tomllib

import digits_network
import pytest
import torch

PLUGIN = """\
import torch
import bench

@bench.register_model("asked", data="digits")
def asked():
    return bench.wrap_predict(lambda x: torch.zeros(len(x), 10).index_fill(1, torch.tensor([3]), 1.0), 10, (1, 8, 8))

@bench.register_model("beside", data="digits")
def beside():
    raise RuntimeError("this model was not asked for")
"""
THREAT = ("--norm", "linf", "--eps", "0.1")
QUICK = ("--images", "6", "--attack", "pgd", "--trust", "off", "--display", "none")


@pytest.fixture
def scripted(tmp_path):
    """Write a network as a TorchScript file and return its address, without its data set."""
    torch.jit.script(digits_network.shipped()).save(tmp_path / "net.pt")
    return "torchscript:net.pt"


def test_a_model_by_address_from_its_first_run_to_reports_and_comparisons(
    invoke, tmp_path, scripted
):
    asked = ("run", scripted, "--data", "digits", *THREAT, *QUICK)
    planned = invoke(*asked, "--dry-run", cwd=tmp_path)
    assert planned.returncode == 0, planned.stderr
    assert not (tmp_path / "results").exists()
    first = invoke(*asked, cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    name = "torchscript-net-pt-data-digits-linf-0-1"
    file = tmp_path / "results" / "suites" / f"{name}.toml"
    written = file.read_text()
    assert tomllib.loads(written)["models"] == [{"name": f"{scripted}?data=digits"}]
    assert f"suite {name}, written to results/suites/{name}.toml:\n\n{written}" in first.stderr
    assert written in planned.stderr
    command = written.splitlines()[0].removeprefix("# Made by: ")
    assert command == f"bench run '{scripted}?data=digits' --norm linf --eps 0.1"
    again = invoke(*asked, cwd=tmp_path)  # resumes
    assert again.stdout == first.stdout
    assert written not in again.stderr
    assert file.read_text() == written
    reported = invoke("report", "--suite", name, "--format", "csv", cwd=tmp_path)
    assert reported.returncode == 0, reported.stderr
    assert f"reports/{name}-headline.csv" in reported.stdout
    compared = invoke("compare", "results", "results", "--fail-on", "worse", cwd=tmp_path)
    assert compared.returncode == 0, compared.stderr
    assert compared.stdout.splitlines()[-1] == "same: all 6 rows of 1 cell are equal"
    trusted = invoke("trust", "--suite", name, cwd=tmp_path)
    assert trusted.stdout.startswith("model "), trusted.stderr
    assert f"{scripted}?data=digits" in trusted.stdout


def test_a_plugs_model_that_can_only_be_asked_gets_attacks_that_only_ask(invoke, tmp_path):
    (tmp_path / "p.py").write_text(PLUGIN)
    planned = invoke("run", "asked", *THREAT, "--plugin", "p.py", "--dry-run", cwd=tmp_path)
    assert planned.returncode == 0, planned.stderr
    assert "square linf 0.1" in planned.stdout
    assert "hopskipjump linf" in planned.stdout
    assert "pgd" not in planned.stdout
    assert "beside" not in planned.stdout + planned.stderr  # the plug-in's other models stay out


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ((), 2, "say what to run: --suite NAME|FILE, or a model and its threat"),
        (("digits/cnn",), 2, "digits/cnn: say how it is attacked with --norm, such as --norm linf"),
        (("digits/cnn", "--norm", "l2"), 2, "say how it is attacked with --eps"),
        (("digits/cnn", "--suite", "digits", *THREAT), 2, "give MODEL or --suite, not both"),
        (("--suite", "digits", "--norm", "l2"), 2, "--norm goes with MODEL"),
        (("--suite", "digits", "--data", "mnist"), 2, "--data mnist: a suite names its data sets itself"),
        (("digits/cnn", "--model", "*", *THREAT), 2, "--model chooses models of a suite"),
        (("digits/cnn", "--data", "mnist", *THREAT), 2, "--data mnist: digits/cnn classifies digits"),
        (("digits/cnn", "--data", "digit", *THREAT), 2, "no data set named 'digit'; did you mean digits?"),
        (("digits", *THREAT), 2, "digits is a suite, no model; run: bench run --suite digits"),
        (("digits/cmn", *THREAT), 2, "no model named 'digits/cmn'; did you mean digits/cnn"),
        (("torchscript:gone.pt", *THREAT), 2, "say which data set it classifies"),
        (("torchscript:gone.pt", "--data", "digits", *THREAT), 3, "no file"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_said_before_anything_is_written(
    invoke, tmp_path, words, code, says
):
    found = invoke("run", *words, cwd=tmp_path)
    assert (found.returncode, says in found.stderr) == (code, True), found.stderr
    assert found.stderr.count("\n") == 1
    assert not (tmp_path / "results").exists()


def test_a_folder_called_like_a_data_set_is_the_folder(invoke, tmp_path):
    (tmp_path / "mnist").mkdir()
    words = ("--suite", "digits", "--data", "mnist", "--model", "digits/mlp", "--dry-run")
    assert invoke("run", *words, cwd=tmp_path).returncode == 0
