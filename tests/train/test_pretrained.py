"""Published weights: torchvision's own loading, on files made here, and the weights of a package."""

import hashlib
import importlib.util
import shutil

import pytest
import torch
from torchvision import models

import bench
from bench import model_list
from bench.errors import PrerequisiteError, SpecError
from bench.models.imagenet import load_in_order
from bench.train.pretrained import PRETRAINED
from bench.train.recipes import recipe

TORCHVISION = {
    "imagenet/resnet50": "resnet50",
    "imagenet/densenet169": "densenet169",
    "imagenet/mobilenetv2": "mobilenet_v2",
    "imagenet/inceptionv3": "inception_v3",
}
LITE0 = "imagenet/efficientnet-lite0"

timm = pytest.mark.skipif(importlib.util.find_spec("timm") is None, reason="no timm here")


@pytest.fixture(autouse=True)
def hub(tmp_path, monkeypatch):
    """Return the folder to which torchvision downloads."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub-home"))
    return tmp_path / "hub-home" / "hub" / "checkpoints"


@pytest.fixture
def published(tmp_path, monkeypatch):
    """Return a function that publishes weights of a network as a file, in place of torchvision's."""

    def publish(network, state, digest=None):
        file = tmp_path / "weights.pth"
        torch.save(state, file)
        digest = digest or hashlib.sha256(file.read_bytes()).hexdigest()[:8]
        file = file.rename(tmp_path / f"{network}-{digest}.pth")
        weights = models.get_model_weights(network).DEFAULT
        monkeypatch.setattr(weights.value, "url", file.as_uri())
        return file

    return publish


def count(net):
    return sum(weight.numel() for weight in net.parameters())


@pytest.mark.parametrize("name", TORCHVISION)
def test_parameters_are_those_of_the_network(name):
    with torch.device("meta"):
        extra = {"init_weights": False} if name == "imagenet/inceptionv3" else {}
        assert count(models.get_model(TORCHVISION[name], **extra)) == PRETRAINED[name].parameters


@timm
def test_efficientnet_lite0_has_the_parameters_that_are_listed():
    import timm

    with torch.device("meta"):
        net = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    assert count(net) == PRETRAINED[LITE0].parameters


@pytest.mark.parametrize("name", TORCHVISION)
def test_the_weights_are_those_that_torchvision_takes_by_default(name):
    version = PRETRAINED[name].load.args[1]
    weights = models.get_model_weights(TORCHVISION[name])
    assert weights[version] is weights.DEFAULT
    assert weights[version].meta["num_params"] == PRETRAINED[name].parameters


@pytest.mark.parametrize(
    ("network", "name", "side"),
    [("mobilenet_v2", "imagenet/mobilenetv2", 224), ("inception_v3", "imagenet/inceptionv3", 299)],
)
def test_published_weights_are_downloaded_checked_and_normalised_as_they_say(
    network, name, side, published, hub
):
    extra = {"init_weights": False, "transform_input": True} if side == 299 else {}
    net = models.get_model(network, **extra).eval()
    file = published(network, net.state_dict())
    model = bench.load_model(name)
    assert (hub / file.name).read_bytes() == file.read_bytes()
    assert (model.spec.name, model.spec.data, model.spec.input_shape) == (
        name, "natural", (3, 224, 224),
    )  # fmt: skip
    x = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    seen = torch.nn.functional.interpolate(x, size=(side, side), mode="bilinear")
    mean, std = (torch.tensor(each).view(3, 1, 1) for each in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))  # fmt: skip
    with torch.no_grad():
        wanted = net((seen - mean) / std)
    assert torch.allclose(model.predict(x).scores, wanted, atol=1e-4, rtol=1e-4)


def test_the_fingerprint_follows_the_weights(published, hub):
    net = models.mobilenet_v2()
    prints = []
    for _ in range(2):
        published("mobilenet_v2", net.state_dict())
        prints.append(bench.load_model("imagenet/mobilenetv2").fingerprint())
        net.classifier[1].bias.data[0] += 0.5
    assert prints[0] != prints[1]


def test_weights_that_cannot_be_had_name_the_command(published, hub):
    published("mobilenet_v2", {}).unlink()
    with pytest.raises(
        PrerequisiteError, match=r"mobilenet_v2-\w+\.pth is not in .*checkpoints and could not be "
        r"downloaded .*run: curl -LO file://",
    ):  # fmt: skip
        bench.load_model("imagenet/mobilenetv2")
    assert "downloaded when asked for" in PRETRAINED["imagenet/mobilenetv2"].lacking()


def test_a_download_that_is_not_what_its_name_says_is_not_kept(published, hub):
    published("mobilenet_v2", models.mobilenet_v2().state_dict(), digest="00000000")
    with pytest.raises(PrerequisiteError, match=r"could not be downloaded .*invalid hash value"):
        bench.load_model("imagenet/mobilenetv2")
    assert not list(hub.glob("*"))


@pytest.mark.parametrize("content", [b"", b"<html>", "another network"])
def test_a_damaged_file_names_the_command(published, hub, content):
    file = published("mobilenet_v2", models.mobilenet_v2().state_dict())
    hub.mkdir(parents=True)
    if content == "another network":
        torch.save(torch.nn.Linear(1, 1).state_dict(), hub / file.name)
    else:
        (hub / file.name).write_bytes(content)
    with pytest.raises(PrerequisiteError, match=rf"is damaged .*run: rm {hub / file.name}"):
        bench.load_model("imagenet/mobilenetv2")
    shutil.copy(file, hub / file.name)
    bench.load_model("imagenet/mobilenetv2")


@timm
def test_efficientnet_lite0_gets_18_of_the_20_photographs_right(tmp_path):
    x, y = bench.load_data("natural", root=tmp_path)
    model = bench.load_model(LITE0)
    scores = model.predict(x).scores
    assert int((scores.argmax(1) == y).sum()) == 18
    assert int((scores.topk(5, 1).indices == y[:, None]).any(1).sum()) == 19


def test_a_package_that_is_not_installed_is_named(monkeypatch, invoke, tmp_path):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "timm" else found(name)
    )
    process = invoke("validate", LITE0, cwd=tmp_path)
    assert process.returncode == 3
    assert f"error: {LITE0} needs timm; run: pip install timm\n" in process.stderr


@timm
def test_a_timm_that_builds_another_network_is_named(monkeypatch):
    import timm

    monkeypatch.setattr(timm, "create_model", lambda name, pretrained: torch.nn.Linear(2, 2))
    with pytest.raises(PrerequisiteError, match=r"builds another network .*pip install timm=="):
        bench.load_model(LITE0)
    with pytest.raises(ValueError, match="296 weights do not fit"):
        load_in_order(torch.nn.Linear(2, 2), {str(i): torch.zeros(1) for i in range(296)})


def test_they_are_listed_without_being_loaded():
    known = {record["name"]: record for record in model_list.listing()}
    for name, net in PRETRAINED.items():
        assert known[name] == {
            "name": name, "family": "network", "data": "natural", "parameters": net.parameters,
            "clean_accuracy": None, "surfaces": ["network"], "weights": net.weights,
        }  # fmt: skip


def test_they_are_not_trained_here():
    with pytest.raises(SpecError, match="has weights that others published; it is not trained"):
        recipe("imagenet/resnet50")
