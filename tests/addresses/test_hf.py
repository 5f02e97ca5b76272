import json
import socket

import pytest
import torch
import torch.nn.functional as F
from addresses import hub_cache
from safetensors.torch import save

from bench.addresses.hf import _preprocessing, _size
from bench.data.table import DATASETS
from bench.errors import AdapterError, PrerequisiteError, SpecError
from bench.zoo import load_model

NAME = "hf:owner/net?data=cifar10"
CIFAR10 = list(DATASETS["cifar10"].classes)
PROCESSOR = {
    "do_resize": True, "size": {"height": 16, "width": 16}, "do_rescale": True, "rescale_factor": 1 / 255,
    "do_normalize": True, "image_mean": [0.5, 0.4, 0.3], "image_std": [0.25, 0.2, 0.1],
}  # fmt: skip


@pytest.fixture
def transformers():
    return pytest.importorskip("transformers", reason="needs the extra hf")


@pytest.fixture
def make(transformers, hf_cache):
    """Return a function that puts a small network of transformers into the cache and returns it."""

    def make(names=CIFAR10, processor=PROCESSOR, **changes):
        torch.manual_seed(0)
        config = transformers.ResNetConfig(
            embedding_size=8, hidden_sizes=[8, 8], depths=[1, 1], num_labels=len(names),
            id2label=dict(enumerate(names)), label2id={name: i for i, name in enumerate(names)},
            architectures=["ResNetForImageClassification"],
        )  # fmt: skip
        net = transformers.ResNetForImageClassification(config).eval()
        files = {
            "config.json": json.dumps({**config.to_dict(), **changes}).encode(),
            "model.safetensors": save(net.state_dict(), metadata={"format": "pt"}),
        }
        if processor is not None:
            files["preprocessor_config.json"] = json.dumps(processor).encode()
        hub_cache.add(hf_cache, "owner/net", files)
        return net

    return make


def logits(net, x):
    mean, std = (torch.tensor(PROCESSOR[f"image_{key}"]).view(3, 1, 1) for key in ("mean", "std"))
    small = F.interpolate((x - mean) / std, (16, 16), mode="bilinear", antialias=True)
    with torch.no_grad():
        return net(small).logits


def test_a_network_brings_its_weights_normalisation_and_size(make):
    net, x = make(), torch.rand(3, 3, 32, 32)
    model = load_model(NAME)
    assert model.spec.input_shape == (3, 32, 32)
    assert torch.allclose(model.predict(x).scores, logits(net, x), atol=1e-5)
    assert model.gradient(x, torch.tensor([0, 1, 2])).abs().amax((1, 2, 3)).min() > 0
    assert model.fingerprint() == load_model(NAME).fingerprint()


def test_classes_in_another_order_are_put_into_that_of_the_data_set(make):
    net, x = make([name.title() for name in reversed(CIFAR10)]), torch.rand(3, 3, 32, 32)
    assert torch.allclose(load_model(NAME).predict(x).scores, logits(net, x).flip(1), atol=1e-5)


@pytest.mark.parametrize(("changes", "error", "words"), [
    ({"names": ["a", "b"]}, AdapterError, "has 2 classes, cifar10 has 10"),
    ({"processor": None}, PrerequisiteError, "preprocessor_config.json of owner/net is not here"),
    ({"architectures": ["BertModel"]}, SpecError, "no image classifier .*BertModel"),
    ({"auto_map": {"AutoModel": "code.Net"}}, SpecError, "needs code of its own, which is not run"),
])  # fmt: skip
def test_what_is_no_classifier_for_the_data_is_refused(make, changes, error, words):
    make(**changes)
    with pytest.raises(error, match=words) as caught:
        load_model(NAME)
    assert "\n" not in str(caught.value)


def test_a_network_of_timm_on_the_hub(hf_cache):
    timm = pytest.importorskip("timm", reason="needs the extra timm")
    torch.manual_seed(0)
    net = timm.create_model("test_resnet", num_classes=10).eval()
    facts = {
        "mean": [0.5] * 3,
        "std": [0.25] * 3,
        "input_size": [3, 64, 64],
        "fixed_input_size": False,
    }
    config = {"architecture": "test_resnet", "num_classes": 10, "pretrained_cfg": facts}
    hub_cache.add(hf_cache, "owner/net", {
        "config.json": json.dumps(config).encode(), "model.safetensors": save(net.state_dict()),
    })  # fmt: skip
    x = torch.rand(2, 3, 32, 32)
    large = F.interpolate((x - 0.5) / 0.25, (64, 64), mode="bilinear")
    assert torch.allclose(load_model(NAME).predict(x).scores, net(large), atol=1e-5)


def test_without_a_network_it_says_what_to_do(hf_cache):
    with pytest.raises(
        PrerequisiteError, match=r"config.json of owner/net is not here .* hf download owner/net"
    ):
        load_model(NAME)


def test_a_name_of_another_form_is_refused(hf_cache):
    with pytest.raises(SpecError, match="is no name on Hugging Face: write OWNER/NAME"):
        load_model("hf:a/b/c?data=cifar10")


def test_without_huggingface_hub_its_extra_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(PrerequisiteError, match=r"pip install 'crossfire-bench\[hf\]'"):
        load_model(NAME)


@pytest.mark.parametrize(("told", "value"), [
    ({"do_normalize": False}, lambda x: x),
    ({"do_normalize": False, "do_rescale": False}, lambda x: 255 * x),
    ({"rescale_factor": 1 / 127.5, "rescale_offset": True, "do_normalize": False}, lambda x: 2 * x - 1),
    ({"image_mean": [0.5], "image_std": [0.25]}, lambda x: (x - 0.5) / 0.25),
    ({"rescale_factor": 1 / 127.5, "image_mean": [1.0], "image_std": [2.0]}, lambda x: (2 * x - 1) / 2),
])  # fmt: skip
def test_values_are_scaled_as_the_processor_says(told, value):
    wanted, x = _preprocessing({"do_resize": False, **told}), torch.rand(20, dtype=torch.float64)
    found = x if wanted.mean is None else (x - wanted.mean[0]) / wanted.std[0]
    assert torch.allclose(found, value(x))


@pytest.mark.parametrize(("told", "size"), [
    ({"size": 224}, (224, 224)), ({"size": {"shortest_edge": 256}}, (256, 256)),
    ({"size": {"height": 10, "width": 20}}, (10, 20)), ({}, None), ({"do_resize": False, "size": 3}, None),
    ({"size": {"shortest_edge": 256}, "do_center_crop": True, "crop_size": {"height": 224, "width": 224}},
     (224, 224)),
    ({"size": 256, "do_center_crop": False, "crop_size": 224}, (256, 256)),
])  # fmt: skip
def test_the_size_is_that_of_what_reaches_the_network(told, size):
    assert _size(told) == size


def _closed_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_without_a_network_the_hub_is_asked_once(hf_cache, monkeypatch):
    """The hub's own package would ask six times, for half a minute."""
    hub = pytest.importorskip("huggingface_hub")
    monkeypatch.setattr(hub.constants, "HF_HUB_OFFLINE", False)
    template = f"http://127.0.0.1:{_closed_port()}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(hub, "hf_hub_download", lambda *_: pytest.fail("asked again"))
    with pytest.raises(PrerequisiteError, match=r"config\.json of owner/net is not here .*refused"):
        load_model("hf:owner/net?data=cifar10")
