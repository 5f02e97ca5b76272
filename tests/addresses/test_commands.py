"""Addresses where the commands take the name of a model, with a traced network that needs no extra."""

import json

import build
import pytest
import torch

import bench
from bench.addresses.address import SCHEMES
from bench.errors import SpecError
from bench.model_names import MODELS
from bench.zoo import load_model

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")

NAME = "torchscript:net.pt?data=digits"


@pytest.fixture
def folder(tmp_path):
    """Return a folder with `net.pt`, the perceptron for digits as a traced module."""
    shipped = load_model("digits/mlp").module.eval()
    torch.jit.trace(shipped, torch.rand(2, 1, 8, 8)).save(tmp_path / "net.pt")
    return tmp_path


def run(invoke, folder, models, *words):
    attacks = [{"name": "fgsm", "norm": "linf", "eps": "0.1", "toolkits": ["foolbox"]}]
    suite = build.suite(title="Own", images=20, models=models, attacks=attacks)
    (folder / "own.toml").write_text(suite)
    words = ("run", "--suite", "own.toml", "--json", "--display", "none", *words)
    done = invoke(*words, cwd=folder)
    return done, [json.loads(line) for line in done.stdout.splitlines()]


def headline(events):
    return {one["model"]: one["robust_accuracy"] for one in events if one["event"] == "headline"}


def test_a_suite_names_an_address(folder, invoke):
    done, events = run(invoke, folder, [NAME, "digits/mlp"])
    assert done.returncode == 0, done.stderr
    robust = headline(events)
    assert robust[NAME] == robust["digits/mlp"] > 0
    (log,) = (folder / "results" / "runs").glob("*.jsonl")
    models = json.loads(log.read_text().splitlines()[0])["models"]
    assert {model["model"]: model["loaded_with"] for model in models} == {
        NAME: {},
        "digits/mlp": None,
    }


def test_a_model_at_an_address_joins_a_suite(folder, invoke):
    done, events = run(invoke, folder, ["digits/mlp"], "--model", NAME)
    assert done.returncode == 0, done.stderr
    assert list(headline(events)) == [NAME]
    listed = invoke("ls", "runs", cwd=folder)
    assert "0 of 1 model and 1 model that it does not list" in listed.stdout


def test_a_model_for_other_images_does_not_join(folder, invoke):
    done, _ = run(invoke, folder, ["digits/mlp"], "--model", NAME.replace("digits", "mnist"))
    assert done.returncode == 2
    assert "classifies mnist, suite own is digits" in done.stderr


def test_what_is_missing_ends_a_run_of_its_own_and_is_left_out_of_a_larger_one(folder, invoke):
    absent = "torchscript:nix.pt?data=digits"
    done, _ = run(invoke, folder, [absent])
    assert done.returncode == 3
    assert f"error: {absent}: no file" in done.stderr
    done, events = run(invoke, folder, [absent, "digits/mlp"], "--display", "plain")
    assert done.returncode == 1
    assert f"{absent}: no file" in done.stderr
    assert list(headline(events)) == ["digits/mlp"]


@pytest.mark.parametrize(("scheme", "extra"), [("onnx", "onnx"), ("hf", "hf"), ("timm", "timm")])
def test_a_missing_extra_is_named_with_exit_code_3(folder, invoke, monkeypatch, scheme, extra):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    done = invoke("validate", f"{scheme}:owner/net?data=digits", cwd=folder)
    assert done.returncode == 3
    assert f"pip install 'crossfire-bench[{extra}]'" in done.stderr
    assert done.stderr.count("\n") == 1


def test_validate_and_attack_take_an_address(folder, invoke):
    done = invoke("validate", NAME, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    done = invoke("attack", NAME, "test:2", "--attack", "fgsm", "--eps", "0.3", cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "test:2" in done.stdout


def test_an_address_is_a_model_in_python(folder, monkeypatch):
    monkeypatch.chdir(folder)
    model = bench.load_model(NAME)
    x, y = bench.load_data("digits", images=5)
    found = bench.attack(model, x, y, "fgsm", norm="linf", toolkit="native", eps=0.1)
    assert (found.rows["model"] == NAME).all()


def test_settings_go_into_the_address(folder, invoke):
    done = invoke("validate", NAME, "--option", "mean=0.5", cwd=folder)
    assert done.returncode == 2
    assert f"write its settings into the address: {NAME}&mean=0.5" in done.stderr


def test_a_model_at_an_address_that_cannot_be_attacked_is_left_out_of_a_larger_run(folder, invoke):
    shipped = load_model("digits/mlp").module.eval()
    net = torch.nn.Sequential(shipped, torch.nn.Softmax(1)).eval()
    torch.jit.trace(net, torch.rand(2, 1, 8, 8)).save(folder / "net.pt")
    done, events = run(invoke, folder, [NAME, "digits/mlp"], "--display", "plain")
    assert done.returncode == 1
    assert f"left out: {NAME}: the network returns probabilities" in done.stderr
    assert list(headline(events)) == ["digits/mlp"]


@pytest.mark.parametrize("name", ["clip:vit", "Timm:resnet18", "https://example.org/net.pt"])
def test_a_scheme_that_is_none_is_answered_with_those_that_are(name):
    with pytest.raises(
        SpecError, match=r"addresses of models are timm:NAME, .*torchscript:FILE"
    ) as caught:
        load_model(name)
    assert f"no model named {name!r}" in str(caught.value)


def test_a_plugin_may_call_its_model_as_an_address_of_no_scheme(monkeypatch):
    monkeypatch.setattr(MODELS, "_entries", dict(MODELS._entries))
    bench.register_model("own:net", data="digits")(lambda: load_model("digits/mlp"))
    assert load_model("own:net").spec.num_classes == 10


def test_the_list_of_models_ends_with_the_forms_of_addresses(invoke, tmp_path):
    listed = invoke("ls", "models", cwd=tmp_path).stdout
    _, _, addresses = listed.partition("Models at addresses, and what must be installed for them\n")
    told = dict(line.split(maxsplit=1) for line in addresses.splitlines())
    assert set(told) == {scheme.form for scheme in SCHEMES.values()}
    assert told["timm:NAME"] == "pip install 'crossfire-bench[timm]'"
    assert told["hub:OWNER/REPO:ENTRY"] == "nothing"
