import torch
from torch import nn

from bench.train.epochs import Epoch
from bench.train.local_learning.names import local_recipe
from bench.train.local_learning.rule import FilterEpoch
from bench.train.local_learning.snapshots import FilterSnapshots, as_pictures, read_filters


def test_shades_span_each_filter():
    filters = torch.tensor([[0.0, 1.0, 2.0, 3.0], [-4.0, 0.0, 2.0, 4.0], [7.0, 7.0, 7.0, 7.0]])
    found = as_pictures(filters.view(3, 1, 2, 2)).flatten(1).tolist()
    assert found == [[0, 85, 170, 255], [0, 128, 191, 255], [0, 0, 0, 0]]


def test_the_phase_that_trains_filters_is_watched():
    net = nn.Sequential(nn.Conv2d(1, 120, 3))
    told = [
        *(FilterEpoch(number, 10, 0.0, 0.0) for number in range(1, 11)),
        *(Epoch(number, 20, 0.0, 0.0, 0.0) for number in range(1, 21)),
    ]
    for name, expected in (
        ("digits/ll-K5-w3-m2-p2-n1-pool2-relu", [1, 4, 5, 10]),
        ("digits/bp-K5-w3-n1-pool2-relu", [1, 4, 10, 20]),
    ):
        pictures = FilterSnapshots(local_recipe(name))
        for epoch in told:
            pictures.watch(epoch, net)
        found = read_filters(pictures.payload())
        assert list(found) == expected
        assert all(
            one.shape == (100, 1, 3, 3) and one.dtype == torch.uint8 for one in found.values()
        )
