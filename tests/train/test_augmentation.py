import dataclasses

import pytest
import torch

from bench.errors import SpecError
from bench.train.augmentation import augmented
from bench.train.recipes import RECIPES

PLAIN = RECIPES["flowers17/mk-2-slim"]

#: Red rises from left to right, green from top to bottom.
RAMP = torch.stack([
    torch.arange(64).repeat(64, 1) * 4, torch.arange(64).repeat(64, 1).T * 4,
    torch.full((64, 64), 77),
]).to(torch.uint8)  # fmt: skip


def changed(name, count=200, seed=0):
    torch.manual_seed(seed)
    rules = dataclasses.replace(PLAIN, augmentation=name)
    return augmented(RAMP.repeat(count, 1, 1, 1), rules)


def test_zoom_shows_a_window_of_half_to_the_whole_side():
    images = changed("zoom").float()
    wide = images[:, 0].amax((1, 2)) - images[:, 0].amin((1, 2))
    high = images[:, 1].amax((1, 2)) - images[:, 1].amin((1, 2))
    assert float((wide - high).abs().max()) <= 8  # the window is square
    assert 110 < float(wide.min()) < 150
    assert float(wide.max()) > 235
    assert (images[:, 2] == 77).all()
    assert (images[:, 0, :, -1] > images[:, 0, :, 0]).all()  # never mirrored


def test_flips_are_independent_and_each_happens_half_of_the_time():
    images = changed("flips")
    across = images[:, 0, 0, 0] > images[:, 0, 0, -1]
    down = images[:, 1, 0, 0] > images[:, 1, -1, 0]
    kinds = (2 * across.int() + down.int()).bincount(minlength=4)
    assert (kinds > 25).all()
    assert torch.equal(images[~across & ~down][0], RAMP)


def test_all_rotates_moves_and_fills_with_the_mean_pixel():
    images = changed("all")
    assert len(images.flatten(1).unique(dim=0)) == 200
    fill = torch.tensor([round(255 * mean) for mean in PLAIN.mean]).view(3, 1, 1)
    corners = images[:, :, ::63, ::63].flatten(2)
    filled = (corners == fill.flatten(1)).all(1)
    assert 0.2 < float(filled.float().mean()) < 0.9


@pytest.mark.parametrize("name", ["zoom", "flips", "all"])
def test_changes_are_those_of_the_seed(name):
    assert torch.equal(changed(name, 9), changed(name, 9))
    assert not torch.equal(changed(name, 9), changed(name, 9, seed=1))


def test_an_unknown_augmentation_names_those_there_are():
    with pytest.raises(SpecError, match="did you mean zoom"):
        changed("zooms")
