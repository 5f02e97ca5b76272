"""`bench attack` as its users meet it."""

import json
import os
import pty
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from command import call
from PIL import Image

import bench
from bench.cli import attack_files, attack_trials
from bench.errors import StoreError

#: A model that knows bright images (airplane) from dark ones (automobile); 0.5012 is between them.
PLUGIN = """\
import torch, bench

class Bright(torch.nn.Module):
    def forward(self, x):
        above = 400 * (x.mean((1, 2, 3)) - 0.5012)
        others = torch.full((len(x), 8), -50.0)
        return torch.cat([above[:, None], -above[:, None], others], 1)

@bench.register_model("bright", data="cifar10")
def bright():
    return bench.wrap(Bright(), num_classes=10, input_shape=(3, 20, 10))

class Broken(Bright):
    def forward(self, x):
        if x.requires_grad and x.mean() > 0.7:
            raise ZeroDivisionError("too bright")
        return super().forward(x)

@bench.register_model("broken", data="cifar10")
def broken():
    return bench.wrap(Broken(), num_classes=10, input_shape=(3, 20, 10))

class Constant(torch.nn.Module):
    def forward(self, x):
        return 5 * torch.eye(10)[0].repeat(len(x), 1) + 0 * x.sum()

@bench.register_model("constant", data="cifar10")
def constant():
    return bench.wrap(Constant(), num_classes=10, input_shape=(3, 20, 10))

@bench.register_model("of-two", data="cifar10")
def of_two():
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(600, 2))
    return bench.wrap(net, num_classes=2, input_shape=(3, 20, 10))
"""

FGSM = ("--attack", "fgsm", "--eps", "0.1")


@pytest.fixture
def folder(tmp_path):
    """Return a folder with a plug-in and pictures of one grey each, called by its level."""
    (tmp_path / "mine.py").write_text(PLUGIN)
    for level in (100, 128, 140, 200):
        Image.new("RGB", (40, 40), (level, level, level)).save(tmp_path / f"{level}.png")
    return tmp_path


def rows(process):
    """Return the events that a command printed as JSON."""
    return [json.loads(line) for line in process.stdout.splitlines()]


@pytest.mark.slow
def test_an_image_of_the_digits_is_attacked_with_nothing_installed(tmp_path):
    process = call("attack", "digits/mlp", "test:2", *FGSM, cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    head, row = process.stdout.splitlines()
    assert head.split()[:6] == ["image", "attack", "threat", "toolkit", "before", "after"]
    assert re.match(r"test:2 +fgsm +linf 0\.1 +native +2 \(\d+ %\) +\d \(\d+ %\) +", row)
    begin = "digits-mlp-test-2-fgsm-linf-0.1"
    names = [f"{begin}-attacked.npy", f"{begin}-attacked.png", f"{begin}.png"]
    assert sorted(path.name for path in (tmp_path / "attacks").iterdir()) == names
    assert f"wrote attacks/{names[0]} and .png\n" in process.stderr
    assert f"wrote attacks/{names[2]}\n" in process.stderr

    model = bench.load_model("digits/mlp")
    x, y = bench.load_data("digits", images=3)
    out = bench.attack(model, x[2:], y[2:], "fgsm", norm="linf", eps=0.1, toolkit="native")
    kept = np.load(tmp_path / "attacks" / names[0])
    assert np.array_equal(kept, out.x_adv[0].numpy())
    rounded = np.asarray(Image.open(tmp_path / "attacks" / names[1]))
    assert np.array_equal(rounded, np.rint(255 * kept[0]))
    assert f"{out.rows.adv_label[0]} (" in row
    drawn = Image.open(tmp_path / "attacks" / names[2])
    assert drawn.size[0] == out.picture().size[0]
    assert round(drawn.info["dpi"][0]) == 300


def test_a_photo_is_resized_and_its_label_is_what_the_model_says(invoke, folder):
    words = (
        "attack",
        "bright",
        "140.png",
        "--plugin",
        "mine.py",
        "--attack",
        "fgsm",
        "--eps",
        "0.1",
    )
    process = invoke(*words, cwd=folder)
    assert process.returncode == 0, process.stderr
    head, row = (re.split(" {2,}", line) for line in process.stdout.splitlines())
    said = dict(zip(head, row, strict=True))
    assert said["resized from"] == "40x40"
    assert (said["before"][:8], said["after"][:10]) == ("airplane", "automobile")
    assert (said["result"], said["after saving as PNG"]) == ("fooled", "still fooled")
    assert (said["l0"], said["linf"], said["iterations"]) == ("200", "0.100", "1")
    assert float(said["l2"]) == pytest.approx(0.1 * 600**0.5, rel=1e-2)
    assert (
        "140.png: the true class is not known, so the model's own answer is used as the label"
        in process.stderr
    )
    (event, picture) = rows(invoke(*words, "--json", cwd=folder))
    assert (event["event"], event["resized_from"], event["label_from"]) == (
        "attacked",
        "40x40",
        "model",
    )
    assert (event["label"], event["clean_name"], event["adv_name"]) == (0, "airplane", "automobile")
    assert (event["eps"], event["success"], event["saved_as_png"]["success"]) == ("0.1", True, True)
    assert picture == {"event": "picture", "file": "attacks/bright-140-fgsm-linf-0.1.png"}
    assert all((folder / name).is_file() for name in event["files"])


def test_a_change_that_rounding_undoes_no_longer_fools(invoke, folder):
    # 128/255 = 0.50196 less 0.001 is below 0.5012, and 8 bits round it to 128 again.
    process = invoke(
        "attack", "bright", "128.png", "--plugin", "mine.py", "--attack", "fgsm", "--eps", "0.001",
        cwd=folder,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    assert "fooled  no longer fooled" in process.stdout
    kept = torch.from_numpy(np.load(next((folder / "attacks").glob("*.npy"))))
    saved = np.asarray(Image.open(next((folder / "attacks").glob("*-attacked.png"))))
    model = bench.load_model("bright", plugin=folder / "mine.py")
    assert model.predict(kept[None]).labels.tolist() == [1]
    assert (saved == 128).all()


def test_several_images_and_attacks_make_a_sheet(invoke, folder):
    process = invoke(
        "attack", "bright", "140.png", "100.png", "test:0" if "BENCH_DATA" in os.environ else "128.png",
        "--plugin", "mine.py", *FGSM, "--attack", "deepfool", "--attack", "pgd l2 0.01", "--set",
        "steps=2", cwd=folder,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    lines = process.stdout.splitlines()
    assert len(lines) == 10
    assert [line.split("  ")[0] for line in lines[1:7]] == ["140.png"] * 3 + ["100.png"] * 3
    assert lines[2].split("  ")[1].strip() == "deepfool, steps 2"
    wrote = "fooled; wrote attacks/bright-140-fgsm-linf-0.1-attacked.npy and .png"
    assert f"[1/9] 140.png, fgsm linf 0.1: {wrote}" in process.stderr
    assert "[9/9]" in process.stderr
    written = {path.name for path in (folder / "attacks").iterdir()}
    assert {"bright-140-fgsm-linf-0.1-attacked.npy", "bright-100-deepfool-l2-attacked.png",
            "bright-sheet.png"} <= written  # fmt: skip
    sheet = Image.open(folder / "attacks" / "bright-sheet.png")
    assert sheet.size[0] > 7 * 448
    assert sheet.size[1] > 3 * 896  # an image is twice as high as it is wide


def test_the_same_again_writes_nothing_new_and_something_else_goes_beside_it(invoke, folder):
    words = (
        "attack",
        "bright",
        "140.png",
        "--plugin",
        "mine.py",
        "--attack",
        "pgd",
        "--eps",
        "0.1",
    )
    invoke(*words, cwd=folder)
    first = {path.name: path.read_bytes() for path in (folder / "attacks").iterdir()}
    assert len(first) == 3
    invoke(*words, cwd=folder)
    assert {path.name for path in (folder / "attacks").iterdir()} == set(first)
    process = invoke(*words, "--set", "steps=1", cwd=folder)
    assert "attacks/bright-140-pgd-linf-0.1-2-attacked.npy" in process.stderr
    now = {path.name: path.read_bytes() for path in (folder / "attacks").iterdir()}
    assert len(now) >= 5
    assert {name: now[name] for name in first} == first


def test_a_label_that_the_model_gets_wrong_is_not_attacked(invoke, folder):
    words = ("attack", "bright", "140.png", "--plugin", "mine.py", *FGSM)
    wrong = invoke(*words, "--label", "automobile", cwd=folder)
    assert wrong.returncode == 1
    assert "not attacked" in wrong.stdout
    assert (
        "140.png, fgsm linf 0.1: not attacked: the model is wrong already; it says airplane ("
        in (wrong.stderr)
    )
    assert "the label is automobile" in wrong.stderr
    assert list((folder / "attacks").iterdir()) == []
    (event,) = rows(invoke(*words, "--label", "1", "--json", cwd=folder))
    assert (event["event"], event["correct"], event["label_from"]) == (
        "not attacked",
        False,
        "--label",
    )
    right = invoke(*words, "--label", "Airplane", cwd=folder)
    assert right.returncode == 0, right.stderr
    assert "true class" not in right.stderr
    each = invoke(*words[:3], "100.png", *words[3:], "--label", "0", "--label", "1", cwd=folder)
    assert each.returncode == 0
    assert "not attacked" not in each.stdout


def test_a_target_is_called_by_its_name(invoke, folder):
    process = invoke(
        "attack", "bright", "140.png", "100.png", "--plugin", "mine.py", "--attack", "pgd", "--eps", "0.1",
        "--set", "targeted=automobile", cwd=folder,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    _, reached, none = process.stdout.splitlines()
    assert reached.split("  ")[1] == "pgd, targeted automobile"
    assert "goal reached  still reached" in reached
    assert "not attacked" in none
    assert (
        "100.png, pgd linf 0.1: not attacked: it is of class automobile, which the attack would"
        in process.stderr
    )


def test_an_image_of_another_class_than_the_source_is_not_attacked(invoke, folder):
    process = invoke(
        "attack", "bright", "100.png", "--plugin", "mine.py", "--attack", "pgd", "--eps", "0.1",
        "--set", "source=airplane", "--set", "targeted=automobile", cwd=folder,
    )  # fmt: skip
    assert process.returncode == 1
    assert (
        "it is of class automobile, and the attack is for images of airplane alone"
        in process.stderr
    )


def test_a_failed_attack_without_a_gradient_is_told_from_one_that_tried(invoke, folder):
    process = invoke(
        "attack", "constant", "140.png", "--plugin", "mine.py", "--attack", "fgsm 0.1", "--attack", "noise 0.1",
        cwd=folder,
    )  # fmt: skip
    assert process.stdout.count("not fooled") == 2
    found = (
        "140.png, fgsm linf 0.1: the attack had nothing to go by (no gradient), so its failure says"
    )
    assert found in process.stderr
    assert process.stderr.count("nothing to go by") == 1


def test_a_model_that_fails_on_one_image_is_told_and_the_others_go_on(invoke, folder):
    process = invoke(
        "attack", "broken", "200.png", "140.png", "--plugin", "mine.py", *FGSM, cwd=folder
    )  # fmt: skip
    assert process.returncode == 1
    assert re.search("200.png +fgsm .* failed", process.stdout)
    assert re.search("140.png +fgsm .* fooled", process.stdout)
    assert "200.png, fgsm linf 0.1: native fgsm: ZeroDivisionError: too bright" in process.stderr
    assert (folder / "attacks" / "broken-sheet.png").is_file()
    alone = invoke("attack", "broken", "200.png", "--plugin", "mine.py", *FGSM, cwd=folder)
    assert alone.returncode == 1
    assert alone.stderr.splitlines()[-1] == "error: native fgsm: ZeroDivisionError: too bright"


@pytest.mark.parametrize(("words", "code", "says"), [
    (("digits/mpl", "test:0", *FGSM), 2, "no model named 'digits/mpl'; did you mean digits/mlp"),
    (("digits/mlp", "test:0", "--attack", "fgms", "--eps", "1"), 2, "did you mean fgsm"),
    (("digits/mlp", "test:0", "--attack", "fgsm"), 2, "fgsm needs eps, the radius in linf"),
    (("digits/mlp", "test:0", *FGSM, "--set", "steps=3"), 2, "no parameter of fgsm named 'steps'"),
    (("digits/mlp", "test:0", *FGSM, "--set", "targeted=ten"), 2, "--set targeted: no class named 'ten'"),
    (("digits/mlp", "test:0", *FGSM, "--set", "targeted=10"), 2, "the model has no class 10"),
    (("digits/mlp", "test:0", *FGSM, "--toolkit", "foolbx"), 2, "did you mean foolbox"),
    (("digits/mlp", "test:0", *FGSM, "--label", "1"), 2, "--label: images of the data set have their own labels"),
    (("digits/mlp", "140.png", *FGSM, "--label", "1", "--label", "2"), 2, "--label: 2 given for 1 file;"),
    (("digits/mlp", "140.png", *FGSM, "--label", "10"), 2, "its classes are 0 to 9"),
    (("digits/mlp", "140.png", *FGSM, "--label", "one"), 2, "--label: no class named 'one'"),
    (("digits/mlp", "test:0", "--attack", "universal", "--eps", "0.1"), 2, "bench run --suite FILE"),
    (("digits/mlp", "test:0", "nowhere.png", *FGSM), 2, "nowhere.png: no such file"),
    (("digits/mlp", "mine.py", *FGSM), 2, "mine.py is no picture that can be read"),
    (("digits/mlp", "test:0", *FGSM, "--out", "140.png/x"), 3, "pictures cannot be written to 140.png/x"),
    (("digits/mlp", "test:0", *FGSM, "--surface", "mean"), 2, "no such surface; it has network, or write substitute-500"),
    (("digits/mlp", "test:0", *FGSM, "--surface", "substitute"), 2, "write substitute-N"),
    (("of-two", "140.png", *FGSM, "--plugin", "mine.py", "--label", "airplane"), 2,
     "none of the model's classes is known as 'airplane'"),
])  # fmt: skip
def test_bad_input_gets_one_line_and_its_exit_code(invoke, folder, words, code, says):
    process = invoke("attack", *words, cwd=folder)
    assert process.returncode == code, process.stderr
    errors = [line for line in process.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, process.stderr
    assert says in errors[0]
    assert process.stdout == ""


def test_a_full_disk_loses_nothing_that_was_found(invoke, folder, monkeypatch):
    written = []

    def write(path, data, elsewhere):
        if len(written) == 3:
            raise StoreError(f"no space left to write {path}; {elsewhere}")
        written.append(path)
        path.write_bytes(data)

    monkeypatch.setattr(attack_files, "atomic_write", write)
    process = invoke(
        "attack", "bright", "140.png", "100.png", "128.png", "--plugin", "mine.py", *FGSM, cwd=folder
    )  # fmt: skip
    assert process.returncode == 1
    assert [line.split()[0] for line in process.stdout.splitlines()[1:]] == ["140.png", "100.png"]
    assert "error: no space left" in process.stderr.splitlines()[-1]


@pytest.mark.slow
def test_a_model_that_can_only_be_asked_is_attacked_through_a_substitute(invoke, tmp_path):
    (tmp_path / "p.py").write_text(
        "import bench\n\n\n"
        '@bench.register_model("asked", data="digits")\n'
        "def asked():\n"
        '    model = bench.load_model("digits/mlp")\n'
        "    return bench.wrap_predict(lambda x: model.predict(x).scores.softmax(1), 10, (1, 8, 8))\n"
    )
    words = ("attack", "asked", "test:0", "test:1", "--attack", "pgd linf 0.5", "--plugin", "p.py")
    alone = invoke(*words, cwd=tmp_path)
    assert "asked has no gradient; pgd is a white-box attack" in alone.stderr
    found = invoke(*words, "--surface", "substitute-200", "--json", cwd=tmp_path)
    assert found.returncode == 0, found.stderr
    events = [json.loads(line) for line in found.stdout.splitlines()]
    rows = [event for event in events if event["event"] == "attacked"]
    assert [row["surface"] for row in rows] == ["substitute-200"] * 2
    agrees = re.search(
        r"asked: substitute-200 agrees with it on (\d+)% of 500 others", found.stderr
    )
    assert agrees is not None
    assert int(agrees[1]) > 50
    other = invoke(
        *words[:-4],
        "--attack",
        "square linf 0.5",
        *words[-2:],
        "--surface",
        "substitute-200",
        cwd=tmp_path,
    )
    assert "square is a black-box attack: it asks the model, not a substitute" in other.stderr


def test_what_was_found_before_an_interrupt_is_shown_and_stays(invoke, folder, monkeypatch):
    real, asked = attack_trials.tried, []

    def tried(*words):
        asked.append(words)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return real(*words)

    monkeypatch.setattr(attack_trials, "tried", tried)
    process = invoke(
        "attack", "bright", "140.png", "100.png", "--plugin", "mine.py", *FGSM, cwd=folder
    )  # fmt: skip
    assert process.returncode == 130
    assert "140.png" in process.stdout
    assert "interrupted; what was written stays" in process.stderr
    assert len(list((folder / "attacks").iterdir())) == 3


def test_files_of_one_name_are_told_apart_by_their_folders(invoke, folder):
    for name in ("cats", "dogs"):
        (folder / name).mkdir()
    (folder / "140.png").rename(folder / "cats" / "1.png")
    (folder / "200.png").rename(folder / "dogs" / "1.png")
    process = invoke(
        "attack", "bright", "cats/1.png", "dogs/1.png", "--plugin", "mine.py", *FGSM, cwd=folder
    )  # fmt: skip
    assert [line.split()[0] for line in process.stdout.splitlines()[1:]] == [
        "cats/1.png",
        "dogs/1.png",
    ]
    assert (folder / "attacks" / "bright-dogs-1-fgsm-linf-0.1-attacked.npy").is_file()


def test_what_is_not_finite_is_said_and_is_no_infinity_in_json(invoke, folder):
    words = ("attack", "bright", "200.png", "--plugin", "mine.py", "--attack", "fgsm-radius")
    process = invoke(*words, "--set", "max_eps=0.1", "--json", cwd=folder)
    assert "Infinity" not in process.stdout
    (event, _) = rows(process)
    assert (event["success"], event["adversarial_radius"]) == (False, None)


def test_an_attack_that_returns_no_image_is_invalid(invoke, folder, monkeypatch):
    from bench.attacks import native_driver

    def spoilt(job):
        return job.x * float("nan")

    monkeypatch.setitem(native_driver.ATTACKS, ("fgsm", "linf"), spoilt)
    process = invoke("attack", "bright", "140.png", "--plugin", "mine.py", *FGSM, cwd=folder)
    assert "invalid: not finite" in process.stdout
    assert process.returncode == 1
    assert list((folder / "attacks").iterdir()) == []


@pytest.mark.parametrize("width", [80, 140])
def test_tables_keep_to_the_width_of_the_terminal(invoke, folder, width):
    process = invoke(
        "attack", "bright", "140.png", "100.png", "--plugin", "mine.py", *FGSM, "--attack", "deepfool",
        cwd=folder, COLUMNS=str(width),
    )  # fmt: skip
    assert max(map(len, process.stdout.splitlines())) <= width
    together = " ".join(process.stdout.split())
    for said in (
        "140.png",
        "fgsm",
        "deepfool",
        "airplane (",
        "automobile (",
        "still fooled",
        "40x40",
    ):
        assert said in together


@pytest.mark.slow
def test_a_terminal_that_can_shows_the_picture(tmp_path, cache):
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.cli.main", "attack", "digits/mlp", "test:2", *FGSM],
        cwd=tmp_path, stdout=theirs, stderr=subprocess.DEVNULL,
        env={**os.environ, "TERM": "xterm-kitty", "TMUX": ""} | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        shown += part
        if not part:
            break
    assert process.wait() == 0
    assert b"fooled" in shown
    assert b"\x1b_Ga=T,f=100,q=2" in shown
