"""Published trunks: their parameters and features are those that Keras' networks have, as printed."""

import importlib.util

import pytest
import torch
from torchvision import models

from bench.errors import PrerequisiteError
from bench.models.trunks import Trunk, headless_inception
from bench.train.features import trunks
from bench.train.features.names import PUBLISHED_TRUNKS
from bench.train.features.trunks import PUBLISHED, trunk_named

timm = pytest.mark.skipif(importlib.util.find_spec("timm") is None, reason="no timm here")


@pytest.fixture
def fresh():
    trunk_named.cache_clear()
    yield
    trunk_named.cache_clear()


def on_meta(net):
    """Return the parameters of a trunk, and its features of an image of 128 x 128."""
    with torch.device("meta"):
        features = Trunk(net.eval(), "", "")(torch.zeros(1, 3, 128, 128))
    return sum(weight.numel() for weight in net.parameters()), features.shape[1]


def test_vgg16_and_inceptionv3_have_the_printed_sizes():
    with torch.device("meta"):
        vgg, inception = models.vgg16().features, models.inception_v3(init_weights=False)
    assert on_meta(vgg) == (14_714_688, 4 * 4 * 512)
    # Batch norm in Keras' InceptionV3 has no scale, which makes 17,216 parameters less.
    assert on_meta(headless_inception(inception)) == (21_768_352 + 17_216, 2 * 2 * 2048)


@timm
@pytest.mark.parametrize(
    ("name", "parameters", "features"),
    [
        ("imagenet/mobilenetv1", 3_206_976, 4 * 4 * 1024),
        ("imagenet/xception", 20_806_952, 4 * 4 * 2048),
    ],
)
def test_mobilenet_v1_and_xception_have_the_printed_sizes(name, parameters, features, monkeypatch):
    import timm

    made = timm.create_model
    monkeypatch.setattr(
        timm, "create_model", lambda *words, pretrained, **rest: made(*words, **rest)
    )
    with torch.device("meta"):
        net = PUBLISHED[name]()
    assert on_meta(net.net) == (parameters, features)
    assert net.mean.shape == (3, 1, 1)


@timm
def test_weights_of_timm_that_cannot_be_had_name_the_command(monkeypatch, fresh):
    import timm

    def offline(*words, **rest):
        raise OSError("no network")

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(
        PrerequisiteError, match=r"mobilenetv1_100 are not here .*no network.*run: python"
    ):
        trunk_named("imagenet/mobilenetv1", "cpu")


@pytest.mark.parametrize(("name", "network"), [("imagenet/mobilenetv2", "mobilenet_v2"),
                                               ("imagenet/mobilenetv3", "mobilenet_v3_large")])  # fmt: skip
def test_a_trunk_of_torchvision_is_normalised_as_its_weights_say(name, network, monkeypatch, fresh):
    preset = models.get_model_weights(network).DEFAULT.transforms()
    net = models.get_model(network).eval()
    monkeypatch.setattr(trunks, "torchvision_network", lambda *words: (net, preset))
    trunk = trunk_named(name, "cpu")
    x = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    mean, std = (torch.tensor(each).view(3, 1, 1) for each in (preset.mean, preset.std))
    with torch.no_grad():
        assert torch.allclose(trunk(x), net.features((x - mean) / std).flatten(1), atol=1e-5)
    assert trunk.trained_on == "ImageNet"
    assert not any(weight.requires_grad for weight in trunk.parameters())


@timm
def test_efficientnet_lite0_gives_features_of_the_photographs(fresh):
    trunk = trunk_named("imagenet/efficientnet-lite0", "cpu")
    with torch.no_grad():
        features = trunk(torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
    assert features.shape == (2, 1280 * 2 * 2)
    assert features.std() > 0.01


def test_every_trunk_that_a_name_may_have_can_be_made():
    assert set(PUBLISHED_TRUNKS.values()) == set(PUBLISHED)
