"""Layers and parameters that the study of flowers prints are those of our networks."""

import pytest
from scenes import flowers17 as scene

from bench.measure.published import read_published
from bench.models.flower_cnns import PLANS
from bench.studies.flowers17.architectures import activation, network_counts, trunk_counts

PUBLISHED = read_published(scene.PUBLISHED)


@pytest.mark.parametrize("network", PLANS)
def test_layers_and_parameters_are_as_printed(network):
    printed = PUBLISHED[(PUBLISHED["model"] == network) & PUBLISHED["table"].isin(["1", "4"])]
    assert len(printed) in (4, 8)
    counts = network_counts(network)
    for metric, value in zip(printed["metric"], printed["value"], strict=True):
        assert counts[metric] == value


def test_activations_in_words():
    assert [activation(name) for name in ("mk-3", "mk-4", "mk-5")] == [
        "ReLU", "leaky ReLU, slope 0.3", "tanh",
    ]  # fmt: skip


def test_trunks_have_the_printed_maps_and_all_but_one_the_printed_parameters():
    printed = PUBLISHED[PUBLISHED["table"] == "7"].set_index(["model", "metric"])["value"]
    for trunk in ("vgg16", "inception-v3"):
        counts = trunk_counts(trunk)
        for metric in ("map_side", "map_channels", "features"):
            assert counts[metric] == printed[trunk, metric]
    assert trunk_counts("vgg16")["parameters"] == printed["vgg16", "parameters"]
    # Keras' batch norm has no scale there, torchvision's has one for each of its 17,216 channels.
    assert (
        trunk_counts("inception-v3")["parameters"] - printed["inception-v3", "parameters"] == 17_216
    )
    assert trunk_counts("no-such-trunk") == {}
