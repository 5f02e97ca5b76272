import subprocess
import sys

import pytest

from bench.addresses.address import SCHEMES, Address, data_of, is_address
from bench.errors import SpecError
from bench.model_names import MODELS, check_options, register_model


@pytest.mark.parametrize(("name", "place", "settings", "data"), [
    ("onnx:a/b.onnx", "a/b.onnx", {}, ""),
    ("onnx:b.onnx?data=cifar10", "b.onnx", {}, "cifar10"),
    ("onnx:b.onnx?mean=0.5&data=mnist&std=0.2", "b.onnx", {"mean": "0.5", "std": "0.2"}, "mnist"),
    ("onnx:b.onnx?std=1&data=folder:birds?size=64&seed=1", "b.onnx", {"std": "1"},
     "folder:birds?size=64&seed=1"),
    ("state:w.pt?arch=timm:resnet18&classes=10", "w.pt", {"arch": "timm:resnet18", "classes": "10"}, ""),
    ("hub:o/r:entry?width=2", "o/r:entry", {"width": "2"}, ""),
])  # fmt: skip
def test_an_address_is_read(name, place, settings, data):
    address = Address.read(name)
    assert (address.place, dict(address.settings), address.data) == (place, settings, data)
    assert is_address(name)


@pytest.mark.parametrize("name", ["cifar10/cnn", "my-net", "tim:resnet18", "folder:birds", "a:b"])
def test_other_names_are_no_addresses(name):
    assert not is_address(name)


@pytest.mark.parametrize(("name", "words"), [
    ("timm:", "write timm:NAME"),
    ("timm:resnet18?size=3", "takes no setting 'size'; it takes data"),
    ("onnx:b.onnx?mean", "'mean' is not NAME=VALUE"),
    ("onnx:b.onnx?mean=1&mean=2", "mean is given twice"),
    ("onnx:b.onnx?std=1", r"say which data set it classifies, such as onnx:b.onnx\?std=1&data=cifar10"),
    ("onnx:b.onnx?data=cifar11", "no data set named 'cifar11'; did you mean cifar10"),
    ("robustbench:cifar10/Linf/Standard?x=1", "takes no setting 'x'"),
])  # fmt: skip
def test_what_is_wrong_with_an_address_is_said_in_one_line(name, words):
    with pytest.raises(SpecError, match=words) as caught:
        data_of(name)
    assert "\n" not in str(caught.value)


def test_names_of_models_say_what_they_classify():
    assert data_of("torchvision:resnet50") == "natural"
    assert data_of("robustbench:imagenet/Linf/Standard_R50") == "natural"
    assert MODELS["onnx:b.onnx?data=mnist"].facts["data"] == "mnist"


def test_settings_of_an_address_are_not_options():
    with pytest.raises(SpecError, match=r"into the address: onnx:b.onnx\?data=mnist&mean=0.5"):
        check_options("onnx:b.onnx?data=mnist", {"mean": "0.5"})


def test_an_address_cannot_be_registered():
    with pytest.raises(SpecError, match="is an address"):
        register_model("timm:resnet18", data="cifar10")


def test_each_scheme_has_its_module():
    for scheme in SCHEMES.values():
        assert callable(scheme.code().load)


def test_names_are_read_without_torch():
    code = (
        "import sys; from bench.model_names import MODELS; MODELS['onnx:b.onnx?data=mnist'];"
        "MODELS['torchvision:resnet50']; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
