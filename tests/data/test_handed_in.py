"""Images that others made, beside the clean ones: forms, scales, order, and what identifies them."""

from __future__ import annotations

import pytest
import torch

from bench.data.handed_in import read_handed_in
from bench.data.labelled import LabelledImages
from bench.errors import SpecError

COUNT, SHAPE, EPS = 30, (3, 6, 7), 8 / 255
BUDGET = ("linf", EPS)
_DRAWS = torch.Generator().manual_seed(0)
CLEAN = LabelledImages(
    torch.randint(20, 230, (COUNT, *SHAPE), generator=_DRAWS, dtype=torch.uint8),
    torch.randint(0, 10, (COUNT,), generator=_DRAWS),
)
SIGNS = torch.randint(0, 2, (COUNT, *SHAPE), generator=_DRAWS) * 2 - 1
X_ADV = CLEAN.images + EPS * SIGNS


def read(tmp_path, content, clean=CLEAN, shape=SHAPE, budget=BUDGET):
    torch.save(content, tmp_path / "a.pt")
    return read_handed_in(tmp_path / "a.pt", clean, shape, budget)


@pytest.mark.parametrize(
    ("content", "note"),
    [
        (X_ADV, ""),
        (X_ADV.double(), ""),
        (X_ADV.permute(0, 2, 3, 1), "channels were last"),
        (X_ADV * 255, "divided by 255"),
        ((X_ADV * 255).round().byte(), "divided by 255"),
        ((X_ADV * 255).round().long().permute(0, 2, 3, 1), "channels were last, and are first now"),
    ],
)
def test_forms_and_scales(tmp_path, content, note):
    found = read(tmp_path, content)
    assert found.places.tolist() == list(range(COUNT))
    torch.testing.assert_close(found.images, X_ADV, atol=1e-6, rtol=0)
    assert note in " ".join(found.notes)
    assert bool(found.notes) == bool(note)


@pytest.mark.parametrize("shape", [(COUNT, 42), (COUNT, 6, 7), (COUNT, 6, 7, 1)])
def test_grey_images_without_channels(tmp_path, shape):
    clean = LabelledImages(CLEAN.raw[:, :1], CLEAN.labels)
    found = read(tmp_path, X_ADV[:, :1].reshape(shape), clean, (1, 6, 7))
    assert torch.equal(found.images, X_ADV[:, :1])


def test_images_beyond_range_and_budget_or_not_finite_are_left_to_the_judge(tmp_path):
    spoilt = X_ADV.clone()
    spoilt[0, 0, 0, 0], spoilt[1, 0, 0, 0], spoilt[2] = 1.3, torch.nan, 0.0
    found = read(tmp_path, spoilt)
    assert torch.equal(found.images.isnan(), spoilt.isnan())
    assert torch.equal(found.images.nan_to_num(), spoilt.nan_to_num())
    everywhere = read(tmp_path, (CLEAN.images + 5 * EPS * SIGNS).clamp(0, 1))
    assert everywhere.places.tolist() == list(range(COUNT))
    assert everywhere.notes == ()


def test_another_order_and_a_part_of_the_split_are_found_by_the_nearest_images(tmp_path):
    order = torch.randperm(COUNT, generator=torch.Generator().manual_seed(3))[:20]
    found = read(tmp_path, {"x_adv": X_ADV[order], "y": CLEAN.labels[order]})
    assert torch.equal(found.places, order.sort().values)
    assert torch.equal(found.images, X_ADV[found.places])
    assert found.content == read(tmp_path, X_ADV[order.flip(0)]).content
    assert "each was set beside the nearest" in found.notes[0]
    twice = torch.cat([order, order[:1]])
    doubled = read(tmp_path, X_ADV[twice])
    assert doubled.content == found.content
    assert "1 beside one that has an image already are left out" in doubled.notes[0]


def test_places_in_the_file_are_kept_to(tmp_path):
    places = torch.tensor([7, 3, 25])
    found = read(tmp_path, {"x_adv": X_ADV[places], "index": places, "y": CLEAN.labels[places]})
    assert found.places.tolist() == [3, 7, 25]
    assert found.extent == 26
    x_adv, there = found.instead_of(CLEAN.images[2:5], 2)
    assert there == [False, True, False]
    assert torch.equal(x_adv, torch.stack([CLEAN.images[2], X_ADV[3], CLEAN.images[4]]))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (X_ADV[:0], "it holds no image"),
        (X_ADV[:, :2], r"shape \(30, 2, 6, 7\); give images of shape \(3, 6, 7\)"),
        (X_ADV.flatten(1), r"shape \(30, 126\)"),
        ((X_ADV - 0.5) / 0.2, "values from -2.* undo the normalisation"),
        # As is usual of MNIST: no value is far below 0.
        (
            X_ADV.clamp(0, 1) / 0.3081 - 0.1307 / 0.3081,
            "values from -0.* to 2.* undo the normalisation",
        ),
        (X_ADV * 1000, "neither of"),
        (X_ADV.byte(), "were images of .* cut off"),
        (CLEAN.images, "none is changed"),
        (torch.rand(COUNT + 1, *SHAPE), "31 images, and the split has 30; give the place of each"),
        ({"x_adv": X_ADV, "y": CLEAN.labels + 1}, "its labels are those of other images"),
        ({"x_adv": X_ADV, "y": CLEAN.labels[1:]}, "30 images, but 29 labels"),
        ({"x_adv": X_ADV[:2], "index": torch.tensor([0, 30])}, "index runs from 0 to 30"),
        ({"x_adv": X_ADV[:2], "index": torch.tensor([4, 4])}, "names a place twice"),
        (
            {"x_adv": X_ADV[:1], "index": torch.tensor([0]), "y": CLEAN.labels[:1] + 1},
            "labels differ from those of the split",
        ),
    ],
)
def test_what_is_refused(tmp_path, content, message):
    with pytest.raises(SpecError, match=message):
        read(tmp_path, content)


def test_the_content_identifies_images_in_whatever_file_they_are(tmp_path):
    known = read(tmp_path, X_ADV)
    assert read(tmp_path, {"adv_complete": X_ADV.permute(0, 2, 3, 1)}).content == known.content
    other = X_ADV.clone()
    other[4, 1, 2, 3] += 1e-6
    assert read(tmp_path, other).content != known.content
    at = torch.arange(1, COUNT)
    moved = {"x_adv": X_ADV[1:], "index": at}
    assert read(tmp_path, moved).content != read(tmp_path, {**moved, "index": at - 1}).content
