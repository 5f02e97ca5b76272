import hashlib

import pytest
import torch
from torchvision import models

from bench.errors import AdapterError, PrerequisiteError, SpecError
from bench.zoo import load_model

NAME = "torchvision:squeezenet1_1"


@pytest.fixture
def published(tmp_path, monkeypatch):
    """Return a network of torchvision whose weights lie where a download puts them."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    weights = models.SqueezeNet1_1_Weights.IMAGENET1K_V1
    torch.manual_seed(0)
    net = models.squeezenet1_1()
    (tmp_path / "checkpoints").mkdir()
    file = tmp_path / "checkpoints" / "made.pth"
    torch.save(net.state_dict(), file)
    named = file.with_name(f"made-{hashlib.sha256(file.read_bytes()).hexdigest()[:8]}.pth")
    file.rename(named)
    monkeypatch.setattr(
        weights, "_value_", weights.value.__class__(
            f"https://nowhere.invalid/{named.name}", weights.value.transforms, weights.value.meta
        ),
    )  # fmt: skip
    return net.eval(), named


def test_a_classifier_brings_its_weights_and_normalisation(published):
    net, _ = published
    model, x = load_model(NAME), torch.rand(2, 3, 224, 224)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    normalised = (x - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    assert model.spec.data == "natural"
    assert torch.allclose(model.predict(x).scores, net(normalised), atol=1e-5)
    assert load_model(f"{NAME}?weights=IMAGENET1K_V1").fingerprint() == model.fingerprint()


def test_a_file_with_another_digest_than_its_name_is_damaged(published):
    _, file = published
    net = models.squeezenet1_1()
    torch.save(net.state_dict(), file)
    with pytest.raises(PrerequisiteError, match=r"is damaged .* run: rm"):
        load_model(NAME)


def test_without_a_network_it_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "urlopen", _refused)
    with pytest.raises(
        PrerequisiteError, match=r"could not be downloaded .* run: curl -LO https://"
    ) as caught:
        load_model(NAME)
    assert "\n" not in str(caught.value)


def _refused(*arguments, **settings):
    raise OSError("no network")


@pytest.mark.parametrize(("name", "error", "words"), [
    ("torchvision:resnet19", SpecError, "no classifier of torchvision named 'resnet19'; did you mean resnet18"),
    ("torchvision:fcn_resnet50", SpecError, "no classifier of torchvision named 'fcn_resnet50'"),
    ("torchvision:resnet50?weights=IMAGENET1K_V3", SpecError, "no weights of resnet50 named 'IMAGENET1K_V3'"),
    ("torchvision:resnet50?data=cifar10", AdapterError, "has 1000 classes, cifar10 has 10"),
])  # fmt: skip
def test_names_that_lead_nowhere_are_refused(name, error, words):
    with pytest.raises(error, match=words):
        load_model(name)
