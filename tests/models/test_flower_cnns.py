import pytest
import torch

from bench.models.flower_cnns import PLANS, Shrunk, flower_cnn
from bench.train.recipes import RECIPES

#: Parameters as the study of flowers prints them.
PUBLISHED = {
    "baseline": 8_390_673, "mk-1": 18_337_425, "mk-2": 33_998_257, "mk-3": 38_386_513,
    "mk-4": 19_318_193, "mk-5": 11_285_777, "mk-6": 34_598_417,
}  # fmt: skip

#: Convolutions as the study prints them, and the side of the last map.
LAYERS = {
    "baseline": (1, 64), "mk-1": (4, 8), "mk-2": (6, 16), "mk-3": (9, 8), "mk-4": (6, 12),
    "mk-5": (7, 4), "mk-6": (6, 16),
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_and_last_map_are_as_published(name):
    with torch.device("meta"):
        net = flower_cnn(name)
        features = net[
            : next(i for i, part in enumerate(net) if isinstance(part, torch.nn.Flatten))
        ]
        shape = features(torch.empty(1, 3, 128, 128)).shape
        assert net(torch.empty(2, 3, 128, 128)).shape == (2, 17)
    assert sum(weight.numel() for weight in net.parameters()) == PUBLISHED[name]
    convolutions = sum(isinstance(part, torch.nn.Conv2d) for part in net)
    assert (convolutions, shape[-1]) == LAYERS[name]


def test_every_network_has_a_recipe_as_published_and_slim():
    assert set(PLANS) == set(PUBLISHED)
    assert {f"flowers17/{name}{form}" for name in PLANS for form in ("", "-slim")} <= set(RECIPES)


@pytest.mark.parametrize("name", PUBLISHED)
def test_slim_networks_take_the_same_images_and_have_a_quarter_of_the_channels(name):
    net, full = flower_cnn(name, slim=True), PLANS[name]
    assert net(torch.zeros(2, 3, 128, 128)).shape == (2, 17)
    widths = [part.out_channels for part in net if isinstance(part, torch.nn.Conv2d)]
    assert widths == [width // 4 for block in full.blocks for width in block]
    assert sum(weight.numel() for weight in net.parameters()) < 500_000


def test_images_are_shrunk_without_false_patterns_and_with_a_gradient():
    stripes = (torch.arange(128) % 2).float().repeat(1, 3, 128, 1).requires_grad_()
    small = Shrunk(64)(stripes)
    assert small.shape == (1, 3, 64, 64)
    assert float((small.detach()[..., 1:-1] - 0.5).abs().max()) < 1e-5
    small.sum().backward()
    assert (stripes.grad > 0).all()  # every pixel counts


def test_first_weights_and_leaky_slope_are_those_of_keras():
    net = flower_cnn("mk-6", slim=True)
    slopes = {part.negative_slope for part in net if isinstance(part, torch.nn.LeakyReLU)}
    assert slopes == {0.3}
    for part in net:
        if isinstance(part, torch.nn.Conv2d):
            limit = (6 / (9 * (part.in_channels + part.out_channels))) ** 0.5
            largest = float(part.weight.detach().abs().max())
            assert 0.9 * limit < largest <= limit
            assert not part.bias.any()
