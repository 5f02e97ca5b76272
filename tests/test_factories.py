"""What goes wrong in a factory, or in a plug-in, is one line with its place."""

import json
import sys

import build
import pytest
import torch
from torch import nn

import bench
from bench.errors import FactoryError, SpecError
from bench.model_names import MODELS
from bench.registry import load_plugin
from bench.runner.plan import make_plan
from bench.runner.suite import load_suite

PLUGIN = """
import json, os, sys, bench, torch

def made(net):
    return bench.wrap(net, 10, (1, 8, 8))

def net():
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))

@bench.register_model("users", data="digits")
def users({options}):
    {body}
"""


@pytest.fixture
def loaded(registry, tmp_path, monkeypatch):
    """Return a function that loads a model whose factory has some body."""
    monkeypatch.chdir(tmp_path)

    def load(body, options="", **given):
        path = tmp_path / "mine.py"
        path.write_text(PLUGIN.format(options=options, body=body))
        return bench.load_model("users", given, plugin=path)

    return load


@pytest.mark.parametrize(("body", "words"), [
    ("return made(net().undefined)", "AttributeError: 'Sequential' object has no attribute 'undefined'"),
    ("return missing", "NameError: name 'missing' is not defined"),
    ("import no_such_package", "ModuleNotFoundError: No module named 'no_such_package'; install it"),
    ("return json.loads('{')", "JSONDecodeError: Expecting property name"),
    ("assert net is None", "AssertionError: no message"),
    ("sys.exit('done')", "SystemExit: done; it ends the program"),
    ("raise EOFError", "EOFError; the file is empty or cut off"),
    ("return torch.load('lfs.pt', weights_only=True)", "UnpicklingError; the file is not a state dict"),
    ("return torch.load('empty.pt', weights_only=True)", "EOFError; the file is empty"),
    ("return {}['state_dict']", "KeyError: 'state_dict'; look at what the file holds"),
    ("n = net(); n.load_state_dict({'module.' + k: v for k, v in net().state_dict().items()})",
     "all its names begin with 'module.', .*strip that"),
    ("n = net(); n.load_state_dict({'1.weight': n[1].weight, 'other': n[1].bias})",
     "missing 1.bias; unexpected other"),
    ("n = net(); n.load_state_dict({'1.weight': n[1].weight.T, '1.bias': n[1].bias})",
     "size mismatch for 1.weight"),
])  # fmt: skip
def test_whatever_a_factory_raises_is_one_line_with_its_place(loaded, tmp_path, body, words):
    (tmp_path / "lfs.pt").write_text("version https://git-lfs\n")
    (tmp_path / "empty.pt").touch()
    with pytest.raises(FactoryError, match=rf"^users: .*mine.py, line 12: .*{words}") as raised:
        loaded(body)
    assert "\n" not in str(raised.value)
    assert raised.value.exit_code == 2


def test_an_interrupt_is_no_error_of_the_factory(loaded):
    with pytest.raises(KeyboardInterrupt):
        loaded("raise KeyboardInterrupt")


def test_options_that_a_factory_needs_are_said(loaded):
    with pytest.raises(
        FactoryError,
        match=r"^users: its factory needs sigma; list the model in .* with sigma = \.\.\.",
    ):
        loaded("return made(net())", "sigma, tau=1", tau=2)


def test_a_factory_may_take_any_option(loaded):
    assert loaded("return made(net())", "**anything", tau=2).spec.name == "users"


@pytest.mark.parametrize(("text", "words"), [
    ("@bench.register_model('m', data='digit')\ndef m(): pass", "line 2: no data set named 'digit'; did you mean digits"),
    ("@bench.register_model('m', data='digits', family='netwrk')\ndef m(): pass", "line 2: no family named"),
    ("r = bench.register_model('m', data='digits')\n\n\n@r\ndef m(): pass\n@r\ndef m(): pass", r"'m' is registered twice: by .*mine.py, line 5 and by .*line 7"),
    ("import sys; sys.exit(0)", r"line 2: it ends the program \(sys.exit\)"),
    ("raise EOFError", "line 2: EOFError: no message"),
])  # fmt: skip
def test_what_goes_wrong_in_a_plugin_is_told_with_its_line(registry, tmp_path, text, words):
    path = tmp_path / "mine.py"
    path.write_text(f"import bench\n{text}\n")
    with pytest.raises(SpecError, match=f"mine.py, {words}" if "twice" not in words else words):
        load_plugin(path)
    assert not [name for name in sys.modules if name.startswith("bench_plugin_mine")]


def test_loops_and_notebooks_may_register(registry):
    def made(count):
        return lambda: count

    for count in range(3):
        bench.register_model(f"m{count}", data="digits")(made(count))
    typed = {"__name__": "__main__", "bench": bench}
    for text in ("def m(): pass", "\n\ndef m(): return 1"):  # a cell that was edited and run again
        exec(f"{text}\nbench.register_model('cell', data='digits')(m)", typed)
    assert [MODELS[f"m{count}"].load()() for count in range(3)] == [0, 1, 2]
    assert MODELS["cell"].load()() == 1


def test_a_listed_model_joins_with_its_options_alone(registry, tmp_path):
    built = []

    @bench.register_model("digits/mine", data="digits")
    def mine(sigma=0.5):
        built.append(sigma)
        return bench.wrap(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), 10, (1, 8, 8))

    path = tmp_path / "s.toml"
    models = [{"name": "digits/mine", "sigma": [0.1, 0.2]}]
    attacks = [{"name": "fgsm", "norm": "linf", "eps": "0.1"}]
    path.write_text(build.suite(models, attacks, images=20))
    plan = make_plan(load_suite(str(path)))
    assert [request.title() for request in plan.suite.models] == [
        "digits/mine-sigma=0.1", "digits/mine-sigma=0.2"
    ]  # fmt: skip
    assert built == [0.1, 0.2]


def test_what_a_users_code_prints_is_not_data(loaded, capsys):
    model = loaded(
        "print('factory'); n = net(); n.register_forward_hook(lambda *g: print('forward')); return made(n)"
    )
    x = torch.rand(2, 1, 8, 8)
    model.predict(x)
    model.gradient(x, torch.tensor([0, 1]))
    model.fingerprint()
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("factory") == 1
    assert said.err.count("forward") == 4  # two of the probe, one each


@pytest.mark.slow
def test_json_of_a_loud_model_is_json_alone(tiny_suite, tmp_path):
    import subprocess

    (tmp_path / "loud.py").write_text(
        "print('plug-in')\n"
        + PLUGIN.format(
            options="",
            body="torch.manual_seed(0); n = net(); n.register_forward_hook(lambda *g: print('forward')); "
            "return made(n)",
        )
    )
    done = subprocess.run(
        [sys.executable, "-m", "bench.cli.main", "run", "--suite", tiny_suite, "--plugin", "loud.py",
         "--model", "users", "--attack", "fgsm", "--json"],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "no better than chance" in done.stderr  # it was never trained
    assert {json.loads(line)["event"] for line in done.stdout.splitlines()} >= {"plan", "done"}
    assert "plug-in" in done.stderr
    assert "forward" in done.stderr
