"""Layouts of images for other programs: what each file holds, and that it is read back."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch

from bench.cli.export import IMAGES
from bench.data.handed_in import read_handed_in
from bench.data.labelled import LabelledImages
from bench.data.layouts import _WRITERS, ImagesOut, write_images
from bench.errors import SpecError

_DRAWS = torch.Generator().manual_seed(0)
RAW = torch.randint(10, 245, (6, 3, 4, 5), generator=_DRAWS, dtype=torch.uint8)
CLEAN = LabelledImages(RAW, torch.arange(6))
X_ADV = CLEAN.images + 0.005


def out(x_adv=X_ADV, places=None):
    places = torch.arange(len(x_adv)) if places is None else places
    return ImagesOut(x_adv, CLEAN.labels[places], places, {"attack": ["pgd"] * len(x_adv)})


def loaded(content):
    return torch.load(io.BytesIO(content), weights_only=True)


def test_what_other_programs_find():
    assert torch.equal(loaded(write_images(out(), "robustbench")[".pt"]), X_ADV)
    assert torch.equal(loaded(write_images(out(), "autoattack")[".pt"])["adv_complete"], X_ADV)
    given = loaded(write_images(out(), "torchattacks")[".pt"])
    assert torch.equal(given["adv_inputs"], X_ADV)
    assert given["labels"].tolist() == list(range(6))
    cifar = np.load(io.BytesIO(write_images(out(), "madry")[".npy"]))
    assert cifar.shape == (6, 4, 5, 3)
    np.testing.assert_allclose(cifar[2, :, :, 1], X_ADV[2, 1] * 255, rtol=1e-6)
    mnist = np.load(io.BytesIO(write_images(out(X_ADV[:, :1]), "madry")[".npy"]))
    np.testing.assert_array_equal(mnist, X_ADV[:, :1].flatten(1))


@pytest.mark.parametrize("layout", IMAGES)
def test_each_is_read_back(tmp_path, layout):
    for ending, content in write_images(out(), layout).items():
        (tmp_path / f"a{ending}").parent.mkdir(exist_ok=True)
        (tmp_path / f"a{ending}").write_bytes(content)
    (path,) = tmp_path.iterdir()
    found = read_handed_in(path, CLEAN, (3, 4, 5), ("linf", 0.01))
    assert found.places.tolist() == list(range(6))
    expected = ((X_ADV * 255).round() / 255) if layout == "png" else X_ADV
    torch.testing.assert_close(found.images, expected, atol=1e-6, rtol=0)


def test_the_command_offers_every_layout():
    assert set(IMAGES) == set(_WRITERS)


def test_layouts_without_places_hold_the_first_images_alone():
    places = torch.tensor([0, 2])
    for layout in IMAGES:
        if layout in ("npz", "pt", "png"):
            write_images(out(X_ADV[places], places), layout)
        else:
            with pytest.raises(SpecError, match=f"{layout} has no place for which images"):
                write_images(out(X_ADV[places], places), layout)


def test_a_picture_has_one_channel_or_three():
    with pytest.raises(SpecError, match="these images have 2"):
        write_images(out(X_ADV[:, :2]), "png")
