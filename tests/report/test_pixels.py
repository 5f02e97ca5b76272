from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from bench.report.pixels import amplified, framed, png_bytes, to_picture


def test_a_change_is_amplified_as_far_as_grey_has_room() -> None:
    change = np.asarray([[[0.04, -0.02]]], dtype=np.float32)
    factor, shown = amplified(change, 0.04)
    assert factor == 10
    assert shown[0, 0] == pytest.approx([0.9, 0.3])
    assert amplified(change, 0.9)[0] == 1  # what is larger than half of the range is cut off


def test_each_pixel_becomes_a_square_and_what_lies_outside_is_cut_off() -> None:
    image = np.asarray([[[0.0, 1.2], [-0.1, 0.5]]], dtype=np.float32)
    grey = np.asarray(to_picture(image, 6))
    assert grey.shape == (6, 6)
    assert [grey[at].tolist() for at in ((2, 2), (0, 3), (5, 0), (3, 5))] == [0, 255, 0, 128]
    colour = to_picture(image.repeat(3, axis=0))
    assert (colour.mode, colour.size) == ("RGB", (2, 2))
    wide = to_picture(np.zeros((1, 5, 500), dtype=np.float32), 100)
    assert wide.size == (500, 5)  # never made smaller


def test_a_png_says_how_large_it_is_in_print() -> None:
    picture = Image.new("L", (3, 2))
    assert Image.open(io.BytesIO(png_bytes(picture, 300))).info["dpi"][0] == pytest.approx(
        300, 1e-3
    )
    assert "dpi" not in Image.open(io.BytesIO(png_bytes(picture))).info


def test_single_pixels_of_a_fine_image_are_framed() -> None:
    change = np.zeros((1, 32, 32), dtype=np.float32)
    change[0, 10, 20] = 0.4
    change[0, 0, 31] = -0.4  # its frame is cut at the edge
    marked = framed(0.5 + change, change)
    assert marked.shape == (3, 32, 32)
    assert marked[:, 10, 20] == pytest.approx([0.9] * 3)
    assert marked[:, 0, 31] == pytest.approx([0.1] * 3)
    frame = (marked[0] != marked[2]).nonzero()
    assert len(frame[0]) == 16 + 5
    assert {*zip(*frame, strict=True)} >= {(8, 18), (12, 22), (2, 31), (0, 29)}
    many, coarse = np.ones((3, 32, 32), dtype=np.float32), change[:, :8, 15:23]
    assert framed(many, many) is many
    assert framed(coarse, coarse) is coarse


def test_frames_grow_with_the_image() -> None:
    change = np.zeros((3, 224, 224), dtype=np.float32)
    change[:, 100, 50] = 0.4
    marked = framed(0.5 + change, change)
    frame = (marked[0] != marked[2]).nonzero()
    assert len(frame[0]) == 13**2 - 7**2  # three pixels wide, three from the one that changed
    assert (frame[0].min(), frame[0].max(), frame[1].min(), frame[1].max()) == (94, 106, 44, 56)
