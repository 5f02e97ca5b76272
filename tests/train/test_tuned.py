"""Fine-tuning: what the recipes of the study of flowers say, and how a training starts from a trunk."""

import dataclasses
import importlib.util
import itertools

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torchvision import models

from bench.adapters.network import Normalised
from bench.data.datasets import load
from bench.errors import PrerequisiteError, SpecError
from bench.models.convnets import digits_cnn
from bench.models.heads import TRUNKS, TrunkPlan
from bench.train.cards import SHIPPED, learning_curves, weights_file
from bench.train.features import trunks
from bench.train.networks import begin, card_facts
from bench.train.recipe import Phase, Start
from bench.train.recipes import RECIPES
from bench.train.trainer import build
from bench.train.weights import clean_accuracy, load_weights, train_to

timm = pytest.mark.skipif(importlib.util.find_spec("timm") is None, reason="no timm here")

TUNED = {name: rules for name, rules in RECIPES.items() if "/tuned-" in name}
CIFAR10 = RECIPES["flowers17/tuned-cifar10-adam-bn-dropout"]

#: The layers that learn besides the head in the second phase.
LAST_STAGE = {
    "cifar10": {"trunk.12", "trunk.13", "trunk.15"},
    "vgg16": {"trunk.24", "trunk.26", "trunk.28"},
    "mobilenetv1": {"trunk.blocks.4"},
    "efficientnet-lite0": {"trunk.blocks.6", "trunk.conv_head", "trunk.bn2"},
}


def test_every_trunk_has_the_eight_forms_of_the_document():
    forms = itertools.product(TRUNKS, ("-adam", "-sgd"), ("", "-bn"), ("", "-dropout"))
    assert set(TUNED) == {f"flowers17/tuned-{''.join(words)}" for words in forms}
    for name, rules in TUNED.items():
        head = {"batch_norm": True} if "-bn" in name else {}
        head |= {"dropout": 0.5} if "-dropout" in name else {}
        assert dict(rules.options).items() - {"trunk": 0, "outputs": 0}.items() >= head.items()
        assert len(rules.options) == 2 + len(head)
        assert f"-{rules.optimiser}" in name
        assert [(phase.epochs, phase.learning_rate) for phase in rules.phases] == [
            (25, 1e-3), (50, 1e-4),
        ]  # fmt: skip
        assert (rules.select, rules.augmentation, rules.shipped) == ("validation", "", False)


@pytest.mark.parametrize("called", [
    "cifar10", "vgg16", *(pytest.param(name, marks=timm) for name in ("mobilenetv1", "efficientnet-lite0")),
])  # fmt: skip
def test_only_the_head_learns_and_then_the_last_stage_of_the_trunk_too(called):
    rules = TUNED[f"flowers17/tuned-{called}-sgd"]
    with torch.device("meta"):
        net = build(rules)
    learning = []
    for phase in rules.phases:
        still = {w for part in phase.frozen for w in net.get_submodule(part).parameters()}
        learning.append({name for name, weight in net.named_parameters() if weight not in still})
    assert {name.rsplit(".", 1)[0] for name in learning[0]} == {"head.0", "head.2"}
    found = {name.rsplit(".", 1)[0] for name in learning[1] - learning[0]}
    stages = LAST_STAGE[called]
    assert all(any(name == s or name.startswith(f"{s}.") for s in stages) for name in found)
    assert all(any(name == s or name.startswith(f"{s}.") for name in found) for s in stages)
    # Nothing behind the first layer that learns is frozen: the layers before it are a front.
    order = [name for name, _ in net.named_parameters()]
    assert order[-len(learning[1]):] == [name for name in order if name in learning[1]]  # fmt: skip


def test_images_are_normalised_as_the_weights_want_them():
    assert (CIFAR10.mean, CIFAR10.std) == (RECIPES["cifar10/cnn"].mean, RECIPES["cifar10/cnn"].std)
    wanted, rules = (
        models.VGG16_Weights.IMAGENET1K_V1.transforms(),
        TUNED["flowers17/tuned-vgg16-sgd"],
    )
    assert (list(rules.mean), list(rules.std)) == (wanted.mean, wanted.std)


@timm
@pytest.mark.parametrize(
    ("called", "network"),
    [("efficientnet-lite0", "tf_efficientnet_lite0"), ("mobilenetv1", "mobilenetv1_100")],
)
def test_images_are_normalised_as_timm_says(called, network):
    import timm

    wanted, rules = timm.get_pretrained_cfg(network), TUNED[f"flowers17/tuned-{called}-sgd"]
    assert (rules.mean, rules.std) == (wanted.mean, wanted.std)


def test_a_part_starts_from_the_weights_of_another_model():
    net = build(CIFAR10)
    begin(CIFAR10.start, net)
    shipped = load_file(weights_file(SHIPPED, "cifar10/cnn"))
    kept = {key[2:]: value for key, value in shipped.items() if key.startswith("0.")}
    assert set(kept) == set(net.trunk.state_dict())
    assert all(torch.equal(net.trunk.state_dict()[key], kept[key].to(value.dtype))
               for key, value in net.trunk.state_dict().items())  # fmt: skip


@timm
def test_a_trunk_that_others_have_published_gives_their_features():
    rules = TUNED["flowers17/tuned-efficientnet-lite0-adam"]
    net = build(rules)
    begin(rules.start, net)
    x = torch.rand(2, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    trunk = trunks.trunk_named("imagenet/efficientnet-lite0", "cpu")
    own = Normalised(net.eval()[:-1], rules.mean, rules.std)
    with torch.no_grad():
        assert torch.equal(own(x), trunk(x))


@pytest.mark.parametrize(("start", "error", "words"), [
    (Start(model="cifar10/cnn", part="net.9", into="trunk"), SpecError, "cannot start from 'net.9'"),
    (Start(model="cifar10/cnn", part="net.1", into="trunk"), SpecError, "'trunk' cannot start"),
    (Start(model="cifar10/cnm", part="net.0", into="trunk"), SpecError, "cifar10/cnn"),
    (Start(model="flowers17/mk-3", part="net", into="trunk"), PrerequisiteError,
     "run: bench train flowers17/mk-3"),
])  # fmt: skip
def test_a_start_that_is_not_to_be_had_is_said(start, error, words, tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path))
    with pytest.raises(error, match=words):
        begin(start, build(CIFAR10))


@pytest.mark.parametrize(("called", "says"), [
    ("vgg16", "vgg16-397923af.pth is not in"),
    pytest.param("mobilenetv1", "the weights of mobilenetv1_100 are not here", marks=timm),
])  # fmt: skip
def test_published_weights_that_are_not_to_be_had_are_said_in_one_line(called, says, no_network):
    rules = TUNED[f"flowers17/tuned-{called}-adam"]
    with torch.device("meta"):
        net = build(rules)
    with pytest.raises(PrerequisiteError) as caught:
        begin(rules.start, net)
    (line,) = str(caught.value).splitlines()
    assert says in line
    assert "where there is a network run: " in line


@pytest.fixture
def no_network(tmp_path, monkeypatch):
    """Let torchvision and timm find no weights, at once."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    file = tmp_path / "nowhere" / "vgg16-397923af.pth"
    monkeypatch.setattr(models.VGG16_Weights.IMAGENET1K_V1.value, "url", file.as_uri())
    if importlib.util.find_spec("timm"):
        import timm

        made = timm.create_model

        def offline(*words, pretrained, **rest):
            if pretrained:
                raise OSError("no network")
            return made(*words, **rest)

        monkeypatch.setattr(timm, "create_model", offline)


def test_a_card_says_what_a_training_started_from_and_has_its_curves(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    train_to(tmp_path / "cache" / "weights", "digits/cnn", None)
    monkeypatch.setitem(TRUNKS, "tiny", TrunkPlan(layers=lambda: digits_cnn()[:7], features=512))
    rules = dataclasses.replace(
        CIFAR10,
        data="digits", options=(("trunk", "tiny"), ("outputs", 10)), select="test", epochs=3,
        mean=RECIPES["digits/cnn"].mean, std=RECIPES["digits/cnn"].std,
        start=Start(model="digits/cnn", part="net.0", into="trunk.0"),
        phases=(Phase(epochs=2, learning_rate=1e-3, frozen=("shrunk", "trunk")),
                Phase(epochs=1, learning_rate=1e-4, frozen=("shrunk", "trunk.0"))),
    )  # fmt: skip
    monkeypatch.setitem(RECIPES, "digits/mlp", rules)
    card = train_to(tmp_path, "digits/mlp", None)
    assert (card["trunk"], card["trunk_trained_on"]) == ("digits/cnn", "digits")
    curves = learning_curves(card)
    assert {name: len(curve["loss"]) for name, curve in curves["splits"].items()} == {
        "train": 3, "test": 3,
    }  # fmt: skip
    accuracy = clean_accuracy(load_weights(tmp_path, "digits/mlp"), load("digits", "test"))
    assert accuracy == card["clean_accuracy"] > 0.8


@pytest.mark.parametrize(("model", "trained_on"), [
    ("cifar10/cnn", "cifar10"), ("imagenet/vgg16", "ImageNet"), ("imagenet/resnet50", "ImageNet"),
])  # fmt: skip
def test_a_card_names_the_trunk_and_its_data(model, trained_on):
    rules = dataclasses.replace(CIFAR10, start=Start(model=model, part="net", into="trunk"))
    assert card_facts(rules, nn.Identity()) == {"trunk": model, "trunk_trained_on": trained_on}
    assert card_facts(RECIPES["cifar10/cnn"], nn.Identity()) == {}
