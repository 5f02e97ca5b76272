"""The networks of the study have the sizes that are known of them."""

from __future__ import annotations

import pytest

from bench.studies.fooling.architectures import STAGES, parameter_count, stages

PUBLISHED = {
    "resnet50": (23_520_842, 25_557_032),
    "densenet169": (12_493_450, 14_149_480),
    "mobilenet-v2": (2_236_682, 3_504_872),
    "inception-v3": (21_638_954, 27_161_264),
}
#: Heights of the maps on images of 32 x 32, and as the study prints them for ImageNet.
SIZES = {
    "resnet50": ((32, 16, 16, 8, 4, 2, 1), (112, 56, 56, 28, 14, 7, 1)),
    "densenet169": ((32, 16, 16, 8, 8, 4, 4, 2, 2), (112, 56, 56, 28, 28, 14, 14, 7, 7)),
    "mobilenet-v2": ((32, 32, 32, 16, 8, 8, 4, 4, 4), (112, 112, 56, 28, 14, 14, 7, 7, 7)),
    "inception-v3": ((32, 32, 15, 15, 7, 7), (35, 35, 17, 17, 8, 8)),
}


@pytest.mark.parametrize("model", PUBLISHED)
def test_the_published_counts_are_met(model):
    found = tuple(parameter_count(model, data) for data in ("cifar10", "imagenet"))
    assert found == PUBLISHED[model]
    assert parameter_count(model, "cifar10", slim=True) < found[0] / 8


@pytest.mark.parametrize("model", SIZES)
def test_the_stages_have_their_known_sizes(model):
    small, large = SIZES[model]
    assert tuple(stage.size for stage in stages(model, "cifar10").values()) == small
    assert tuple(stage.size for stage in stages(model, "imagenet").values()) == large
    assert list(stages(model, "cifar10", slim=True)) == list(STAGES[model])


def test_blocks_are_those_of_the_published_tables():
    assert [
        (stage.block, stage.blocks) for stage in list(stages("resnet50", "cifar10").values())[2:6]
    ] == [
        ("1x1 64, 3x3 64, 1x1 256", 3), ("1x1 128, 3x3 128 /2, 1x1 512", 4),
        ("1x1 256, 3x3 256 /2, 1x1 1024", 6), ("1x1 512, 3x3 512 /2, 1x1 2048", 3),
    ]  # fmt: skip
    dense = stages("densenet169", "cifar10")
    assert [dense[f"dense block {turn}"].blocks for turn in range(1, 5)] == [6, 12, 32, 32]
    assert {dense[f"dense block {turn}"].block for turn in range(1, 5)} == {"1x1 128, 3x3 32"}
    assert [dense[f"transition {turn}"].channels for turn in range(1, 4)] == [128, 256, 640]
    mobile = stages("mobilenet-v2", "cifar10")
    inverted = [mobile[f"bottleneck {turn}"] for turn in range(1, 8)]
    assert [one.channels for one in inverted] == [16, 24, 32, 64, 96, 160, 320]
    assert [one.blocks for one in inverted] == [1, 2, 3, 4, 3, 3, 1]
    # Of the second bottleneck the stride is 2 on ImageNet alone.
    assert "/2" not in inverted[1].block
    assert "/2" in stages("mobilenet-v2", "imagenet")["bottleneck 2"].block
    stem = "first convolutions"
    assert stages("inception-v3", "cifar10")[stem].block == "3x3 192"
    assert stages("inception-v3", "imagenet")[stem].block == "5 convolutions"
    assert stages("resnet50", "imagenet")["first convolution"].block == "7x7 64 /2"


def test_a_slim_network_has_the_same_layers():
    for model in STAGES:
        full, slim = stages(model, "cifar10"), stages(model, "cifar10", slim=True)
        assert [(one.size, one.blocks) for one in full.values()] == [
            (one.size, one.blocks) for one in slim.values()
        ]
    assert stages("resnet50", "cifar10", slim=True)["stage 5"].channels == 2048 * 3 // 16
