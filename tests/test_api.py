"""The Python calls as the README shows them."""

import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import bench
from bench.errors import SpecError, UnsupportedAttack

README = (Path(__file__).parent.parent / "README.md").read_text()
real = pytest.mark.skipif("BENCH_DATA" not in os.environ, reason="BENCH_DATA is not set")


def block(language, containing):
    blocks = re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)
    return next(text for text in blocks if containing in text)


@pytest.mark.slow
@real
def test_the_python_calls_of_the_readme_word_for_word():
    names: dict = {}
    code = block("python", "bench.attack(").split("\nrun ")[0]
    exec(code, names)
    x, y, out = names["x"], names["y"], names["out"]
    assert x.shape == (100, 3, 32, 32)
    assert (x.dtype, y.dtype) == (torch.float32, torch.int64)
    assert isinstance(out.rows, pd.DataFrame)
    assert out.rows.success.mean() > 0.5
    assert float((out.x_adv - x).abs().max()) <= 8 / 255 * (1 + 1e-5) + 1e-6


def test_the_users_file_of_the_readme_word_for_word(tmp_path, monkeypatch, registry):
    code = block("python", "@bench.register_model")
    assert len(code.splitlines()) <= 15
    net = "class MyNet(torch.nn.Sequential):\n    def __init__(self):\n        super().__init__(torch.nn.Flatten(), torch.nn.Linear(3072, 10))\n"
    file = tmp_path / "my_model.py"
    file.write_text(code.replace("@bench", net + "@bench"))
    names: dict = {}
    exec(f"import torch\n{net}", names)
    torch.save(names["MyNet"]().state_dict(), tmp_path / "my.pt")
    monkeypatch.chdir(tmp_path)
    model = bench.load_model("my-net", plugin=file)
    assert model.spec.name == "my-net"
    assert model.predict(torch.rand(2, 3, 32, 32)).scores.shape == (2, 10)


def test_the_suite_of_the_readme_is_sound(tmp_path):
    from bench.runner.suite import load_suite

    file = tmp_path / "my_suite.toml"
    file.write_text(block("toml", "[[models]]"))
    suite = load_suite(str(file))
    assert [attack.spec.eps for attack in suite.attacks] == ["2/255", "8/255"]


@pytest.mark.parametrize(("settings", "error", "words"), [
    ({"name": "pdg"}, SpecError, "did you mean pdgd, pdpgd, pgd"),
    ({"toolkit": "folbox"}, SpecError, "did you mean foolbox"),
    ({"stepz": 3}, SpecError, "no parameter of pgd named 'stepz'"),
    ({"eps": 8}, SpecError, "out of range"),
    ({"norm": "l0"}, SpecError, "has no norm 'l0'"),
    ({"eps": [0.1]}, SpecError, "eps: [0.1] is not a number"),
    ({"batch_size": 0}, SpecError, "batch_size: 0 is not a whole number from 1"),
    ({"batch_size": 2.5}, SpecError, "batch_size: 2.5 is not a whole number"),
    ({"seed": 2**70}, SpecError, "is not a whole number from 0"),
    ({"targeted": 10}, SpecError, "the model has no class 10"),
    ({"name": "universal", "toolkit": "native", "fit": (1,)}, SpecError, "fit is a pair of images"),
    ({"name": "deepfool", "eps": None, "toolkit": "torchattacks"}, UnsupportedAttack,
     "torchattacks has no deepfool for linf"),
])  # fmt: skip
def test_words_that_mean_nothing_are_said(settings, error, words):
    model = bench.load_model("digits/mlp")
    x, y = bench.load_data("digits", images=4)
    asked = {"name": "pgd", "norm": "linf", "eps": "8/255", "toolkit": "foolbox", **settings}
    with pytest.raises(error, match=re.escape(words)):
        bench.attack(model, x, y, **asked)


def test_the_picture_of_an_attack_has_a_line_for_each_of_the_first_images():
    model = bench.load_model("digits/mlp")
    x, y = bench.load_data("digits", images=20)
    out = bench.attack(model, x, y, "fgsm", norm="linf", eps=0.1, toolkit="native", loss="logit")
    assert torch.equal(out.x, x)
    assert (out.attack, out.classes) == ("fgsm, loss logit", tuple("0123456789"))
    picture = out.picture()
    two = bench.attack(
        model, x[:2], y[:2], "fgsm", norm="linf", eps=0.1, toolkit="native"
    ).picture()
    one = bench.attack(
        model, x[:1], y[:1], "fgsm", norm="linf", eps=0.1, toolkit="native"
    ).picture()
    line = two.size[1] - one.size[1]
    assert line > 448
    assert 448 * 16 < picture.size[1] <= one.size[1] + 15 * (line + 80)
    # The first pixel of the first image, of its change (amplified by 5 around grey), and as it was tried.
    tried = float(out.x_adv[0, 0, 0, 0])
    values = [picture.getpixel((left + 20, 104 + 20))[0] for left in (16, 492, 948)]
    first = float(x[0, 0, 0, 0])
    shown = (first, 0.5 + 5 * (tried - first), tried)
    assert values == [pytest.approx(255 * value, abs=1) for value in shown]


def test_there_is_no_picture_of_images_that_are_not_there():
    model = bench.load_model("digits/mlp")
    x, y = bench.load_data("digits", images=1)
    out = bench.attack(model, x, y, "fgsm", norm="linf", eps=0.1, toolkit="native")
    with pytest.raises(SpecError, match="no picture without the images"):
        bench.Attacked(out.x_adv, out.rows).picture()


def test_bench_has_the_names_it_says_and_no_others():
    assert dir(bench) == sorted(bench.__all__)
    for name in bench.__all__:
        assert getattr(bench, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = bench.nothing


def test_a_universal_perturbation_is_fitted_and_used_again():
    model = bench.load_model("digits/mlp")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
    other = bench.wrap(net, 10, (1, 8, 8))
    fit = bench.load_data("digits", split="train", images=20)
    x, y = bench.load_data("digits", images=12)
    asked = {"norm": "linf", "eps": 0.15, "toolkit": "native"}
    out = bench.attack(model, x, y, "universal", **asked, fit=fit, passes=1, batch_size=5)
    v = out.perturbation
    assert 0 < float(v.abs().max()) <= 0.15 * (1 + 1e-6)
    right = torch.tensor(out.rows.correct.tolist())
    assert torch.equal(out.x_adv[right], (x + v).clamp(0, 1)[right])
    labels = other.predict(x).labels
    moved = bench.attack(other, x, labels, "universal", **asked, perturbation=v)
    assert torch.equal(moved.perturbation, v)
    assert moved.rows.surface.unique().tolist() == ["predict"]
    assert moved.rows.invalid.isna().all()
    beyond = bench.attack(model, x, y, "universal", **asked, perturbation=4 * v)
    assert beyond.rows[beyond.rows.correct].invalid.str.contains("over budget").any()
    assert bench.attack(model, x, y, "fgsm", **{**asked, "toolkit": "art"}).perturbation is None


@pytest.mark.parametrize(("name", "settings", "says"), [
    ("universal", {}, "needs fit=(x, y)"),
    ("universal", {"fit": True, "perturbation": torch.zeros(1, 8, 8)}, "needs fit=(x, y)"),
    ("universal", {"perturbation": torch.zeros(8, 8)}, "shape (8, 8) does not fit images of shape (1, 8, 8)"),
    ("universal", {"fit": True, "fitted_on": "digits/cnn"}, "perturbation="),
    ("noise", {"fit": True}, "noise is not fitted"),
])  # fmt: skip
def test_what_is_fitted_on_is_asked_for_where_it_belongs(name, settings, says):
    model = bench.load_model("digits/mlp")
    x, y = bench.load_data("digits", images=4)
    if "fit" in settings:
        settings = {**settings, "fit": (x, y)}
    with pytest.raises(SpecError, match=re.escape(says)):
        bench.attack(model, x, y, name, norm="linf", eps=0.1, toolkit="native", **settings)


def test_images_labels_and_numbers_may_come_in_any_form():
    model = bench.load_model("digits/mlp")
    x, y = bench.load_data("digits", images=6)

    def made(x=x, y=y, **settings):
        settings = {"steps": 3, "seed": 1, **settings}
        return bench.attack(
            model, x, y, "pgd", norm="linf", eps="0.1", toolkit="torchattacks", **settings
        ).x_adv

    first = made()
    for form in (
        made(x=x.numpy()), made(x=x.tolist()), made(x=list(x)), made(y=y.numpy()), made(y=y.tolist()),
        made(steps=np.int64(3), seed=np.int64(1)), made(x=x.double().numpy()),
    ):  # fmt: skip
        assert torch.equal(form, first)


@pytest.mark.parametrize(("change", "words"), [
    ({"model": nn.Linear(1, 1)}, "the model is a Linear; .*bench.wrap"),
    ({"x": (torch.rand(2, 1, 8, 8) * 255).byte().numpy()}, "got torch.uint8 .*by 255"),
    ({"x": "images"}, "images: a str that is no batch of numbers"),
    ({"y": ["a", "b"]}, "labels: a list that is no batch of numbers"),
    ({"y": torch.eye(10)[:2]}, "take the argmax of one-hot labels"),
    ({"eps": [0.1, 0.2]}, r"eps: \[0.1, 0.2\] is not a number"),
    ({"batch_size": 0}, "batch_size: 0 is not a whole number from 1"),
    ({"seed": 0.5}, "seed: 0.5 is not a whole number from 0"),
    ({"fit": torch.rand(2)}, "fit is a pair"),
])  # fmt: skip
def test_what_is_no_batch_or_number_is_said(change, words):
    given = {
        "model": bench.load_model("digits/mlp"),
        "x": torch.rand(2, 1, 8, 8),
        "y": [1, 2],
        "eps": 0.1,
    }
    with pytest.raises(SpecError, match=words):
        bench.attack(**(given | change), name="fgsm", norm="linf", toolkit="foolbox")


class _Writing(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        x.data.mul_(0.5).add_(0.25)
        return self.net((x - 0.25) / 0.5)


@pytest.mark.parametrize("toolkit", ["art", "foolbox", "torchattacks"])
@pytest.mark.parametrize("name", ["fgsm", "pgd"])
def test_a_network_that_writes_into_its_input_is_attacked_like_one_that_does_not(name, toolkit):
    net = bench.load_model("digits/mlp").module
    x, y = bench.load_data("digits", images=20)
    before = x.clone()
    rows = [
        bench.attack(
            bench.wrap(one, 10, (1, 8, 8)), x, y, name, norm="linf", eps="0.1", toolkit=toolkit
        ).rows
        for one in (net, _Writing(net))
    ]
    assert torch.equal(x, before)
    assert rows[1].invalid.isna().all()
    assert rows[0].success.sum() == rows[1].success.sum() > 0


class _Half(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return self.net(x)


@pytest.mark.parametrize("toolkit", ["art", "foolbox", "torchattacks"])
def test_logits_in_half_precision_are_attacked_by_every_toolkit(toolkit):
    model = bench.wrap(_Half(bench.load_model("digits/mlp").module), 10, (1, 8, 8))
    x, y = bench.load_data("digits", images=10)
    out = bench.attack(model, x, y, "pgd", norm="linf", eps="0.2", toolkit=toolkit)
    assert out.rows.success.sum() > 5


@pytest.mark.slow
def test_the_substitute_of_the_readme_word_for_word():
    names: dict = {"bench": bench}
    code, last = block("python", "train_substitute").rstrip().rsplit("\n", 1)
    exec(f"{code}\nout = {last}", names)
    assert names["substitute"].agreement > 0.7
    assert names["out"].rows.success.mean() > 0.3
