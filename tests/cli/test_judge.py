"""Images out of a run and in again: `bench export` and `bench judge`."""

from __future__ import annotations

import json

import build
import digits_network
import numpy as np
import pytest
import torch

import bench
from bench.measure.headline import headline
from bench.measure.outcomes import Outcomes
from bench.registry import load_plugin
from bench.runner.execute import Scope, execute
from bench.runner.plan import make_plan
from bench.runner.suite import load_suite
from bench.store.results import load_results
from bench.store.store import open_store

COUNT = 40
PLUGIN = """
import bench, digits_network, torch

@bench.register_model("small", data="digits")
def small(shift: float = 0.0, twice: bool = False):
    # `shift` is taken off the score of the first class, twice if asked for.
    network = digits_network.shipped()
    if shift:
        class Shifted(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.network = network

            def forward(self, x):
                return self.network(x) - (1 + twice) * shift * torch.eye(10)[0]
        network = Shifted()
    return bench.wrap(network, 10, (1, 8, 8))
"""
SUITE = build.suite(
    ["small"],
    [
        {"name": "fgsm", "norm": "linf", "eps": ["0.05", "0.1"], "toolkits": ["native"]},
        {"name": "pgd", "norm": "linf", "eps": "0.1", "steps": 10, "toolkits": ["torchattacks"]},
    ],
    images=COUNT,
)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "own.py").write_text(PLUGIN)
    (tmp_path / "s.toml").write_text(SUITE)
    return tmp_path


def run(folder, keep_all=True):
    """Run the suite without a report and return its headline by radius."""
    load_plugin(folder / "own.py")
    plan = make_plan(load_suite(str(folder / "s.toml")))
    outcome = execute(plan, open_store(folder / "results"), Scope(keep_all=keep_all))
    found = headline(Outcomes(load_results(folder / "results", "s", run=outcome.run)))
    return {row["eps_text"]: row for row in found.to_dict("records")}


def make_images(folder):
    """Write FGSM's images of the small network and return the name of their file."""
    net = bench.wrap(digits_network.shipped(), 10, (1, 8, 8))
    x, y = bench.load_data("digits", images=COUNT)
    out = bench.attack(net, x, y, "fgsm", norm="linf", eps=0.1, toolkit="native")
    torch.save(out.x_adv, folder / "adv.pt")
    return "adv.pt"


def judged(invoke, folder, file, *words, eps="0.1", code=0):
    process = invoke(
        "judge", "small", file, "--norm", "linf", "--eps", eps, "--plugin", "own.py", "--json",
        *words, cwd=folder,
    )  # fmt: skip
    assert process.returncode == code, process.stdout + process.stderr
    shown, images = (json.loads(line) for line in process.stdout.splitlines())
    return shown, images, process.stderr


def test_what_is_exported_is_judged_the_same(invoke, folder):
    told = invoke("export", "--suite", "s.toml", "--adversarial", "out", cwd=folder)
    assert told.returncode == 3
    figures = run(folder, keep_all=False)
    told = invoke("export", "--suite", "s.toml", "--adversarial", "out", cwd=folder)
    assert told.returncode == 3
    assert "kept only some of the images they tried; the same bench run with --keep all" in (
        told.stderr
    )
    assert run(folder) == figures
    for layout in ("npz", "robustbench"):
        told = invoke(
            "export", "--suite", "s.toml", "--adversarial", f"out/{layout}", "--format", layout,
            cwd=folder,
        )  # fmt: skip
        assert told.returncode == 0, told.stderr
        files = told.stdout.split()
        assert [file.rpartition("/")[2].rpartition(".")[0] for file in files] == [
            "small-linf-0.05", "small-linf-0.1",
        ]  # fmt: skip
        for file, eps in zip(files, ("0.05", "0.1"), strict=True):
            shown, images, said = judged(invoke, folder, file, eps=eps)
            for figure in ("n", "clean_accuracy", "robust_accuracy", "low", "high"):
                assert shown[figure] == figures[eps][figure]
            assert shown["flag"].startswith("images handed in only")
            withstood = round(COUNT * shown["robust_accuracy"])
            assert images["withstood"] == withstood
            assert images["broken"] + images["wrong before"] == COUNT - withstood
            assert "bench report --suite judge-small-linf-0-" in said


def test_pictures_hold_their_list_and_are_never_written_over(invoke, folder):
    run(folder)
    words = ("export", "--suite", "s.toml", "--adversarial", "out", "--format", "png")
    first = invoke(*words, cwd=folder).stdout.split()
    assert invoke(*words, cwd=folder).stdout.split() == first
    (folder / first[1] / "00003.png").write_bytes(b"mine")
    second = invoke(*words, cwd=folder).stdout.split()
    assert second == [first[0], f"{first[1]}-2"]
    assert (folder / first[1] / "00003.png").read_bytes() == b"mine"
    lines = (folder / second[1] / "manifest.csv").read_text().splitlines()
    assert lines[0] == "file,index,label,attack,toolkit,adv_label,broken"
    assert len(lines) == COUNT + 1
    # The digits are no whole 255ths, so that pictures of them lie beyond the budget wherever it was spent.
    shown, images, _ = judged(invoke, folder, second[1], code=1)
    assert shown["robust_accuracy"] is None
    assert images["over budget, by no more than rounding to 8 bits adds"] > COUNT / 2


def test_a_run_without_a_figure_has_no_images(invoke, folder):
    nearest = {"name": "deepfool", "norm": "linf", "toolkits": ["native"]}
    (folder / "s.toml").write_text(build.suite(["small"], [nearest], images=4))
    run(folder)
    told = invoke("export", "--suite", "s.toml", "--adversarial", "out", cwd=folder)
    assert (told.returncode, told.stdout) == (1, "")
    assert "no robust accuracy, since its suite names no eps" in told.stderr
    aimed = {
        "name": "fgsm",
        "norm": "linf",
        "eps": "0.1",
        "targeted": "next",
        "toolkits": ["native"],
    }
    (folder / "s.toml").write_text(build.suite(["small"], [aimed], images=4))
    run(folder)
    told = invoke("export", "--suite", "s.toml", "--adversarial", "out", cwd=folder)
    assert (told.returncode, told.stdout) == (1, "")
    assert "small at linf 0.1: INVALID, so there are no images to write" in told.stderr


def test_a_judged_file_has_a_report_and_its_cell_is_kept(invoke, folder):
    run(folder)
    invoke("export", "--suite", "s.toml", "--adversarial", "out", cwd=folder)
    file = folder / "out" / "small-linf-0.1.npz"
    judged(invoke, folder, file)
    torch.save(torch.from_numpy(np.load(file)["x_adv"]), folder / "same.pt")
    cells = {path.name for path in folder.glob("results/cells/*/*")}
    shown, _, _ = judged(invoke, folder, "same.pt")
    assert shown["worst"] == "external (same.pt)"
    assert {path.name for path in folder.glob("results/cells/*/*")} == cells
    report = invoke(
        "report", "--suite", "judge-same", "--format", "csv", "--out", "rep", cwd=folder
    )
    assert report.returncode == 0, report.stderr
    assert "external (same.pt)" in (folder / "rep" / "judge-same-headline.csv").read_text()
    (key,) = (key for key in cells if "handed_in" in (
        json.loads((folder / f"results/cells/{key[:2]}/{key}/cell.json").read_text())["identity"]
    ))  # fmt: skip
    screen = invoke("show", key, cwd=folder)
    assert "none: the images were handed in" in screen.stdout
    assert screen.stdout.splitlines()[0] == "small · external linf 0.1"
    attacks = (folder / "rep" / "judge-same-attacks.csv").read_text()
    assert "handed in" in attacks
    assert "native" not in attacks


def test_a_judged_file_is_a_suite_that_the_other_commands_find(invoke, folder):
    file = make_images(folder)
    judged(invoke, folder, file)
    suite = folder / "results" / "suites" / "judge-adv.toml"
    kept = suite.read_text()
    assert kept.startswith("# Made by: bench judge small adv.pt --norm linf --eps 0.1\n")
    named = ("--suite", "judge-adv", "--plugin", "own.py")
    trusted = invoke("trust", *named, cwd=folder)
    assert trusted.returncode == 0, trusted.stderr
    assert "only images that others made were tried" in trusted.stdout
    assert "doubtful" in trusted.stdout
    again = invoke("run", *named, "--dry-run", cwd=folder)
    assert [line.split()[-1] for line in again.stdout.splitlines() if "external" in line] == [
        "done"
    ]
    assert "handed in" in again.stdout
    assert "no claims" in invoke("claims", *named, cwd=folder).stderr
    compared = invoke("compare", "results", "results", "--suite", "judge-adv", cwd=folder)
    assert compared.stdout.splitlines()[-1] == f"same: all {COUNT} rows of 1 cell are equal"
    # Another budget is another suite, and the first stays as it was.
    judged(invoke, folder, file, eps="0.2")
    assert suite.read_text() == kept
    other = (folder / "results" / "suites" / "judge-adv-2.toml").read_text()
    assert 'eps  = "0.2"' in other


def test_a_model_with_options_is_judged_with_these(invoke, folder):
    file = make_images(folder)
    shown, _, _ = judged(invoke, folder, file, "--option", "shift=-100.0", "--option", "twice=true")
    assert shown["model"] == "small-shift=-100.0-twice=True"
    assert (shown["clean_accuracy"], shown["n"]) == (pytest.approx(0.1, abs=0.1), COUNT)
    text = (folder / "results" / "suites" / "judge-adv.toml").read_text()
    assert "shift = -100.0\ntwice = true\n" in text
    wrong = invoke(
        "judge", "small", file, "--norm", "linf", "--eps", "0.1", "--plugin", "own.py", "--option",
        "k=3", cwd=folder,
    )  # fmt: skip
    assert (wrong.returncode, "small takes shift, twice, got k" in wrong.stderr) == (2, True)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("small", "none.pt", "--norm", "linf", "--eps", "0.1"), 2, "none.pt: no such file"),
        (("small", "a.npy", "--norm", "linf", "--eps", "8"), 2, "eps=8 is out of range"),
        (("smal", "a.npy", "--norm", "linf", "--eps", "0.1"), 2, "did you mean small"),
        (("small", "a.npy", "--norm", "linf", "--eps", "0.1", "--split", "dev"), 2, "no split 'dev'"),
        (("small", "a.npy", "--norm", "linf", "--eps", "0.1"), 2, "shape (3, 5, 5)"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_a_line(invoke, folder, words, code, message):
    np.save(folder / "a.npy", np.zeros((3, 5, 5), dtype=np.float32))
    process = invoke("judge", *words, "--plugin", "own.py", cwd=folder)
    assert process.returncode == code
    assert message in process.stderr
    assert "Traceback" not in process.stderr
    assert not (folder / "results").exists()
