import pytest
import torch

from bench.models import convnets


@pytest.mark.parametrize(
    ("net", "shape"),
    [
        (convnets.six_convs(), (1, 28, 28)),
        (convnets.three_blocks(), (3, 32, 32)),
        (convnets.digits_cnn(), (1, 8, 8)),
        (convnets.digits_mlp(), (1, 8, 8)),
    ],
)
def test_networks_give_ten_logits_for_their_images(net, shape):
    assert net.eval()(torch.rand(2, *shape)).shape == (2, 10)


def test_trunks_end_in_the_features_their_heads_take():
    assert convnets.six_convs_trunk(8)(torch.rand(2, 1, 28, 28)).shape == (2, 576)
    assert convnets.three_blocks_trunk((4, 8, 16))(torch.rand(2, 3, 32, 32)).shape == (2, 256)
