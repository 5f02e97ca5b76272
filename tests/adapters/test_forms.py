"""Kinds of networks that people have: each must answer as the same network that gives plain float32 logits."""

import copy
from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import bench
from bench.errors import AdapterError

SHAPE = (1, 4, 4)


def network(classes=3):
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, classes))


class Giving(nn.Module):
    """A network whose logits come in another form."""

    def __init__(self, form, classes=3):
        super().__init__()
        self.net, self.form = network(classes), form

    def forward(self, x):
        return self.form(self.net(x))


@dataclass
class Output:
    features: torch.Tensor
    scores: torch.Tensor


Pair = namedtuple("Pair", "features scores")

FORMS = {
    "tuple": lambda logits: (logits, logits.mean()),
    "list": lambda logits: [logits[:, :2], logits],
    "namedtuple": lambda logits: Pair(logits[:, :1], logits),
    "dict": lambda logits: {"features": logits[:, :2], "out": logits},
    "dict with logits": lambda logits: {"aux": -logits, "logits": logits},
    "ordered dict": lambda logits: OrderedDict(loss=None, out=logits),
    "dataclass": lambda logits: Output(logits[:, :1], logits),
    "object with logits": lambda logits: SimpleNamespace(logits=logits, loss=None),
    "log-probabilities": lambda logits: logits.log_softmax(1),
    "shifted": lambda logits: logits + 5,
}


@pytest.mark.parametrize("form", FORMS)
def test_whatever_holds_the_logits_the_model_is_the_same(form):
    plain = bench.wrap(network(), 3, SHAPE)
    model = bench.wrap(Giving(FORMS[form]), 3, SHAPE)
    x, y = torch.rand(5, *SHAPE), torch.tensor([0, 1, 2, 0, 1])
    found, wanted = model.predict(x), plain.predict(x)
    assert torch.equal(found.labels, wanted.labels)
    assert torch.allclose(found.scores.softmax(1), wanted.scores.softmax(1), atol=1e-6)
    assert torch.allclose(model.gradient(x, y), plain.gradient(x, y), atol=1e-6)
    assert model.surfaces()["network"](x).shape == (5, 3)


@pytest.mark.parametrize("form", [lambda z: z, lambda z: z.squeeze(1), lambda z: (z, None)])
def test_one_logit_is_that_of_the_second_of_two_classes(form):
    net = Giving(form, classes=1)
    model, x = bench.wrap(net, 2, SHAPE), torch.rand(5, *SHAPE)
    z = net.net(x).squeeze(1)
    probabilities = model.predict(x).scores.softmax(1)
    assert torch.allclose(probabilities, torch.stack([1 - z.sigmoid(), z.sigmoid()], 1), atol=1e-6)
    assert torch.equal(model.predict(x).labels, (z > 0).long())
    x.requires_grad_()
    for label in (0, 1):
        y = torch.full((5,), label)
        loss = nn.functional.binary_cross_entropy_with_logits(
            net.net(x).squeeze(1), y.float(), reduction="sum"
        )
        (wanted,) = torch.autograd.grad(loss, x)
        assert torch.allclose(model.gradient(x, y), wanted, atol=1e-6)


def test_one_probability_is_refused():
    with pytest.raises(AdapterError, match=r"one score between 0 and 1, .* leave out its sigmoid"):
        bench.wrap(Giving(torch.sigmoid, classes=1), 2, SHAPE)


def test_one_class_is_refused():
    with pytest.raises(AdapterError, match="one logit has num_classes=2"):
        bench.wrap(network(1), 1, SHAPE)


@pytest.mark.parametrize(("dtype", "close"), [
    (torch.float64, 1e-6), (torch.bfloat16, 0.05), (torch.float16, 0.01),
])  # fmt: skip
def test_a_network_of_another_precision_gets_images_in_it(dtype, close):
    plain, model = bench.wrap(network(), 3, SHAPE), bench.wrap(network().to(dtype), 3, SHAPE)
    x, y = torch.rand(5, *SHAPE), torch.tensor([0, 1, 2, 0, 1])
    assert model.predict(x).scores.dtype == torch.float32
    assert model.surfaces()["network"](x).dtype == torch.float32
    assert torch.allclose(model.predict(x).scores, plain.predict(x).scores, atol=close)
    assert torch.allclose(model.gradient(x, y), plain.gradient(x, y), atol=close)
    normalised = bench.wrap(network().to(dtype), 3, SHAPE, mean=[0.5], std=[0.25])
    assert torch.allclose(
        normalised.predict(x).scores, plain.predict((x - 0.5) / 0.25).scores, atol=4 * close
    )


@pytest.mark.parametrize("net", [network().half(), Giving(FORMS["dict"])])
def test_a_copy_computes_in_double_precision(net):
    """Gradients are checked on such a copy."""
    model, x = bench.wrap(net, 3, SHAPE), torch.rand(2, *SHAPE)
    exact = copy.deepcopy(model.module).double()(x.double())
    assert exact.dtype == torch.float64
    assert torch.allclose(exact.float(), model.predict(x).scores, atol=0.01)


def test_the_form_is_part_of_the_fingerprint():
    swapped = Giving(lambda logits: {"a": logits, "logits": -logits})
    prints = {
        bench.wrap(net, 3, SHAPE).fingerprint()
        for net in (network(), network().double(), Giving(FORMS["tuple"]), swapped)
    }
    assert len(prints) == 4


def test_a_plain_network_is_left_as_it_is():
    net = network()
    assert bench.wrap(net, 3, SHAPE).module is net
