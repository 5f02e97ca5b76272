from __future__ import annotations

import torch
from torch import nn

from bench.attacks.instrument import attacked
from bench.attacks.native.hunt import Hunt


class Brightness(nn.Module):
    """Class 1 of what is brighter than a half on average; two more classes that never win."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        bright = x.flatten(1).mean(1)
        return torch.stack([0.5 - bright, bright - 0.5, bright - 9, bright - 8], dim=1)


def images(*brightness: float) -> torch.Tensor:
    return torch.tensor(brightness).view(-1, 1, 1, 1).expand(-1, 1, 2, 2).clone()


def test_the_first_wrong_image_of_a_row_is_kept() -> None:
    x, y = images(0.1, 0.2, 0.3), torch.zeros(3, dtype=torch.int64)
    with attacked(Brightness(), x, 0) as probe:
        hunt = Hunt(probe, x, y)
        rows = torch.tensor([0, 2, 2, 2])
        wrong = torch.tensor([False, False, True, True])
        assert hunt.keep(rows, images(0.5, 0.6, 0.7, 0.8), wrong)
        assert not hunt.keep(torch.tensor([1]), images(0.9), torch.tensor([False]))
    assert torch.equal(hunt.x_adv, images(0.1, 0.2, 0.7))
    assert hunt.broken.tolist() == [False, False, True]
    assert hunt.left().tolist() == [0, 1]


def test_clean_images_that_are_wrong_are_broken_at_once_and_others_are_ranked() -> None:
    x, y = images(0.1, 0.9), torch.zeros(2, dtype=torch.int64)
    with attacked(Brightness(), x, 0) as probe:
        hunt = Hunt(probe, x, y)
        assert hunt.begin(9).tolist() == [[1, 3, 2], [1, 3, 2]]
        assert probe.forwards.tolist() == [1, 1]
    assert hunt.broken.tolist() == [False, True]
    assert torch.equal(hunt.x_adv, x)


def test_more_classes_are_aimed_at_together_as_images_drop_out() -> None:
    x, y = images(0.1, 0.2, 0.3, 0.4), torch.zeros(4, dtype=torch.int64)
    seen = []
    with attacked(Brightness(), x, 0) as probe:
        hunt = Hunt(probe, x, y)
        for rows, ranks in hunt.rounds(5):
            seen.append((rows.tolist(), ranks.tolist()))
            hunt.broken[:2] = True
    assert seen == [
        ([0, 1, 2, 3], [0, 0, 0, 0]),
        ([2, 3, 2, 3], [1, 1, 2, 2]),
        ([2, 3, 2, 3], [3, 3, 4, 4]),
    ]


class Viewed(nn.Module):
    """Flattens by `view` behind a convolution, which one layout of the memory does not allow."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        seen = self.conv(x)
        return seen.view(len(seen), -1)


def test_a_network_that_flattens_by_view_is_asked_in_its_own_layout() -> None:
    x, y = torch.rand(2, 3, 4, 4), torch.zeros(2, dtype=torch.int64)
    net = Viewed()
    with attacked(net, x, 0) as probe:
        hunt = Hunt(probe, x, y)
        rows = torch.arange(2)
        asked = [hunt.ask(x, rows) for _ in range(2)]
        assert probe.forwards.tolist() == [2, 2]
        assert all(torch.equal(one, net(x)) for one in asked)
