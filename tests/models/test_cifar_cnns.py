import dataclasses

import pytest
import torch
import torchvision.models
from torch import nn

from bench.data.labelled import LabelledImages
from bench.models import cifar_cnns
from bench.train.recipes import RECIPES
from bench.train.trainer import build, train

KINDS = ("resnet50", "densenet169", "mobilenetv2", "inceptionv3")

#: Parameters as the study prints them, in its CIFAR-10 and its ImageNet form.
PUBLISHED = {
    "resnet50": (23_520_842, 25_557_032),
    "densenet169": (12_493_450, 14_149_480),
    "mobilenetv2": (2_236_682, 3_504_872),
    "inceptionv3": (21_638_954, 27_161_264),
}
IMAGENET = {
    "resnet50": torchvision.models.resnet50,
    "densenet169": torchvision.models.densenet169,
    "mobilenetv2": torchvision.models.mobilenet_v2,
    "inceptionv3": lambda: torchvision.models.inception_v3(init_weights=False),
}


def count(net):
    return sum(weight.numel() for weight in net.parameters())


def slim(kind):
    return getattr(cifar_cnns, f"slim_{kind}")()


@pytest.mark.parametrize("kind", KINDS)
def test_parameters_are_as_many_as_published(kind):
    with torch.device("meta"):
        assert (count(getattr(cifar_cnns, kind)()), count(IMAGENET[kind]())) == PUBLISHED[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_slim_networks_give_ten_logits_and_a_gradient_for_each_image(kind):
    x = torch.rand(2, 3, 32, 32, requires_grad=True)
    logits = slim(kind).eval()(x)
    assert logits.shape == (2, 10)
    logits[:, 0].sum().backward()
    assert x.grad.flatten(1).norm(dim=1).min() > 0


def topology(net):
    """Return what a network is made of, and all of its geometry but the widths."""
    found = []
    for name, part in net.named_modules():
        facts = [name, type(part).__name__]
        if isinstance(part, nn.Conv2d):
            facts += [
                part.kernel_size,
                part.stride,
                part.padding,
                part.groups > 1,
                part.bias is None,
            ]
        if isinstance(part, nn.BatchNorm2d):
            facts += [part.eps]
        found.append(tuple(facts))
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_slim_networks_have_the_topology_of_the_full_ones(kind):
    full = getattr(cifar_cnns, kind)()
    assert topology(slim(kind)) == topology(full)
    assert count(slim(kind)) < count(full) / 8


@pytest.mark.parametrize(
    ("kind", "sizes"),
    [
        ("resnet50", {"maxpool": 16, "layer1": 16, "layer4": 2}),
        ("densenet169", {"features.pool0": 16, "features.denseblock4": 2}),
        ("mobilenetv2", {"features.0": 32, "features.3": 32, "features.18": 4}),
        ("inceptionv3", {"maxpool2": 32, "Mixed_5d": 32, "Mixed_6e": 15, "Mixed_7c": 7}),
    ],
)
def test_maps_are_halved_where_the_study_halves_them(kind, sizes):
    net, seen = slim(kind).eval(), {}
    for name in sizes:
        net.get_submodule(name).register_forward_hook(
            lambda part, given, made, name=name: seen.update({name: made.shape[-1]})
        )
    net(torch.rand(1, 3, 32, 32))
    assert seen == sizes


def test_a_width_without_whole_layers_is_refused():
    with pytest.raises(ValueError, match=r"width=0\.3: 64 channels"):
        cifar_cnns.resnet50(width=0.3)


def weights(net):
    return torch.cat([value.flatten().float() for value in net.state_dict().values()])


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_slim_network_trains_by_its_recipe_the_same_way_twice(kind):
    rules = dataclasses.replace(RECIPES[f"cifar10/{kind}-slim"], epochs=1, batch_size=8)
    generator = torch.Generator().manual_seed(0)
    raw = torch.randint(0, 256, (16, 3, 32, 32), dtype=torch.uint8, generator=generator)
    data = LabelledImages(raw, torch.arange(16) % 10)
    first = weights(train(rules, data))
    assert first.isfinite().all()
    assert torch.equal(first, weights(train(rules, data)))
    assert not torch.equal(first, weights(build(rules)))
