import importlib.util

import pytest
import torch
from torch import nn
from torchvision import models

from bench.errors import PrerequisiteError
from bench.models.heads import TRUNKS, dense_head, on_trunk

timm = pytest.mark.skipif(importlib.util.find_spec("timm") is None, reason="no timm here")

#: Parameters of trunks as Keras and timm have them; those of VGG16 and MobileNet are printed in the document.
PARAMETERS = {
    "cifar10": 287_456,
    "vgg16": 14_714_688,
    "mobilenetv1": 3_206_976,
    "efficientnet-lite0": 3_371_008,
}


def names(*of_torch):
    """Return names of trunks as cases, those of timm only where it is."""
    return [*of_torch, *(pytest.param(name, marks=timm) for name in TRUNKS if name not in of_torch)]


def test_every_trunk_is_tried():
    assert set(PARAMETERS) == set(TRUNKS)


@pytest.mark.parametrize("name", names("cifar10", "vgg16"))
def test_trunks_have_the_known_parameters_and_fit_their_heads(name):
    with torch.device("meta"):
        net = on_trunk(name, 17, batch_norm=True, dropout=0.5)
        assert net(torch.zeros(2, 3, 128, 128)).shape == (2, 17)
    assert [part for part, _ in net.named_children()] == ["shrunk", "trunk", "flat", "head"]
    assert sum(weight.numel() for weight in net.trunk.parameters()) == PARAMETERS[name]
    units = TRUNKS[name].features + 1  # with the bias
    assert sum(w.numel() for w in net.head.parameters()) == units * 512 + 2 * 512 + 513 * 17


def test_layers_of_vgg16_are_those_of_torchvision():
    with torch.device("meta"):
        wanted, found = models.vgg16().features, on_trunk("vgg16", 17).trunk
    assert repr(found) == repr(wanted)


@timm
@pytest.mark.parametrize(
    ("name", "network"),
    [("efficientnet-lite0", "tf_efficientnet_lite0"), ("mobilenetv1", "mobilenetv1_100")],
)
def test_layers_of_timm_in_a_row_give_its_last_feature_map(name, network):
    import timm

    whole, trunk = timm.create_model(network).eval(), on_trunk(name, 17).trunk.eval()
    weights = {key: value for key, value in whole.state_dict().items() if "classifier" not in key}
    trunk.load_state_dict(weights)
    x = torch.rand(1, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(trunk(x), whole.forward_features(x))


def test_a_trunk_of_timm_without_timm_names_the_command(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "timm", None)
    with pytest.raises(PrerequisiteError, match=r"mobilenetv1_100 needs timm; run: pip install"):
        on_trunk("mobilenetv1", 17)


@pytest.mark.parametrize(("batch_norm", "dropout", "kinds"), [
    (False, 0.0, []), (True, 0.0, [nn.BatchNorm1d]), (False, 0.5, [nn.Dropout]),
    (True, 0.5, [nn.BatchNorm1d, nn.Dropout]),
])  # fmt: skip
def test_heads_have_one_hidden_layer_with_what_they_are_asked_for(batch_norm, dropout, kinds):
    head = dense_head(30, 17, batch_norm, dropout)
    assert [type(part) for part in head] == [nn.Linear, nn.ReLU, *kinds, nn.Linear]
    assert (head[0].in_features, head[0].out_features, head[-1].out_features) == (30, 512, 17)
