import pytest
import torch
import torch.nn.functional as F
from addresses import hub_cache
from safetensors.torch import save

from bench.addresses.address import data_of
from bench.errors import AdapterError, PrerequisiteError, SpecError
from bench.zoo import load_model

timm = pytest.importorskip("timm", reason="needs the extra timm")

#: A network of timm that is small, for tests: for ImageNet's classes, at 160 pixels.
NAME, REPOSITORY = "test_resnet.r160_in1k", "timm/test_resnet.r160_in1k"


@pytest.fixture
def published(hf_cache):
    """Return a small network of timm, whose weights lie in the cache as if downloaded."""
    torch.manual_seed(0)
    net = timm.create_model(NAME, pretrained=False)
    hub_cache.add(hf_cache, REPOSITORY, {"model.safetensors": save(net.state_dict())})
    return net.eval()


def test_a_network_brings_its_weights_normalisation_and_size(published):
    model = load_model(f"timm:{NAME}")
    assert (model.spec.data, model.spec.input_shape) == ("natural", (3, 224, 224))
    x = torch.rand(2, 3, 224, 224)
    facts = timm.data.resolve_model_data_config(published)
    mean, std = (torch.tensor(facts[key]).view(3, 1, 1) for key in ("mean", "std"))
    scaled = F.interpolate((x - mean) / std, (160, 160), mode="bilinear", antialias=True)
    assert facts["input_size"] == (3, 160, 160)
    assert torch.allclose(model.predict(x).scores, published(scaled), atol=1e-5)


def test_other_weights_under_the_same_name_are_another_model(published, hf_cache):
    first = load_model(f"timm:{NAME}").fingerprint()
    with torch.no_grad():
        next(published.parameters()).add_(0.01)
    hub_cache.add(hf_cache, REPOSITORY, {"model.safetensors": save(published.state_dict())})
    assert load_model(f"timm:{NAME}").fingerprint() != first


def test_a_damaged_file_is_not_loaded(published, hf_cache):
    (file,) = hub_cache.blobs(hf_cache)
    file.write_bytes(file.read_bytes()[:-4] + b"\0\0\0\0")
    with pytest.raises(PrerequisiteError, match=r"is damaged: .* run: rm"):
        load_model(f"timm:{NAME}")


def test_without_a_network_it_says_what_to_do(hf_cache):
    with pytest.raises(
        PrerequisiteError, match=r"is not here .* run: hf download timm/test_resnet"
    ) as caught:
        load_model(f"timm:{NAME}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "error", "words"), [
    ("timm:resnet19", SpecError, "no network of timm named 'resnet19'; did you mean resnet18"),
    ("timm:resnet18.a1_in2k", SpecError, "no published weights of timm named .* did you mean resnet18.a1_in1k"),
    ("timm:test_byobnet_nix", SpecError, "no network of timm named"),
    ("timm:vit_base_patch16_224.augreg_in21k", SpecError, "say which data set it classifies"),
    (f"timm:{NAME}?data=cifar10", AdapterError, "has 1000 classes, cifar10 has 10"),
])  # fmt: skip
def test_names_that_lead_nowhere_are_refused(name, error, words):
    with pytest.raises(error, match=words):
        load_model(name)


def test_a_network_for_imagenet_needs_no_data_named():
    assert data_of("timm:resnet18.a1_in1k") == "natural"
    assert data_of("timm:resnet18") == "natural"


def test_without_timm_its_extra_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(PrerequisiteError, match=r"pip install 'crossfire-bench\[timm\]'"):
        load_model("timm:resnet18d?data=natural")
