import torch
from digits_network import shipped
from threats import Behind, found, leaky, rounded, threat
from torch.nn import functional as F

import bench


class Coded(torch.nn.Module):
    """A network whose first layer gets a channel for each level that a pixel exceeds."""

    def __init__(self, levels):
        super().__init__()
        torch.manual_seed(0)
        self.levels, self.layer = levels, torch.nn.Conv2d(len(levels), 10, 8)

    def forward(self, x):
        return self.layer((x - self.levels).relu()).flatten(1)


def test_a_network_that_only_shifts_and_scales_its_images_hides_nothing():
    for net in (shipped(), Behind(lambda net, x: net((x - 0.3) / 0.9))):
        finding = found("straight-through", threat(net, steps=5))
        assert (finding.status, finding.sentence) == (
            "pass",
            "nothing but a shift and a scale comes before its first layer",
        )


def test_rounding_that_hides_a_gradient_is_passed_by():
    for change in (rounded, leaky):
        finding = found("straight-through", threat(Behind(change), eps="0.2", steps=5))
        assert finding.status == "fail"
        assert finding.value > 0.5
        assert finding.sentence.startswith(
            "pgd along a gradient that passes by what comes before the first layer breaks "
        )
        assert (
            ": the preparation of images hides the gradient, and the robust accuracy is about "
            in (finding.sentence)
        )


def test_a_preparation_with_an_honest_gradient_is_no_fault():
    def blurred(net, x):
        return net(0.7 * x + 0.3 * F.avg_pool2d(x, 3, 1, 1))

    finding = found("straight-through", threat(Behind(blurred), steps=20))
    assert finding.status == "pass"
    assert " images that the run's attacks left" in finding.sentence


def test_a_model_that_is_no_network_or_sees_no_picture_is_left_alone():
    net = shipped()
    answers = bench.wrap_predict(lambda x: net(x).detach(), 10, (1, 8, 8), scores="logits")
    finding = found("straight-through", threat(answers, attack=None))
    assert finding.sentence == "no network of torch is seen inside the model"
    levels = torch.tensor([0.25, 0.75]).view(-1, 1, 1)
    coded = Coded(levels)
    finding = found("straight-through", threat(coded, attack=None))
    assert finding.sentence == "the input of its first layer is no picture like the image"
