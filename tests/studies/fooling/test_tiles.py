"""Sheets of pictures: no tile lies on another or off the page, and every pixel of a small image is printed."""

from __future__ import annotations

import itertools

import numpy as np
import pymupdf
import pytest

from bench.studies.fooling.tiles import Layout, Row, Tile, draw_rows, paper_of, sheet, shown


def grey(size, value=0.5):
    return np.full((1, size, size), value, np.float32)


@pytest.mark.parametrize("groups", [(1, 2, 2, 2, 2), (3, 3, 3), (7,), (1,), (1, 7)])
@pytest.mark.parametrize("titled", [False, True])
def test_columns_stand_side_by_side_within_the_width(groups, titled):
    layout = Layout(groups, titled=titled)
    lefts = layout.lefts
    assert len(lefts) == sum(groups)
    assert lefts[0] >= (0.2 if titled else 0) - 1e-9
    assert lefts[-1] + layout.size <= layout.width + 1e-9
    assert all(right - left > layout.size for left, right in itertools.pairwise(lefts))
    assert layout.middle(0) == pytest.approx((lefts[0] + lefts[groups[0] - 1] + layout.size) / 2)


def test_few_columns_stand_in_the_middle_and_are_no_larger_than_asked():
    layout = Layout((2,), width=6.0, largest=0.5)
    assert layout.size == 0.5
    assert layout.lefts[0] == pytest.approx(6.0 - (layout.lefts[1] + 0.5))


def test_a_row_is_as_high_as_its_tile_of_most_lines():
    layout = Layout((2,))
    one, three = Tile(image=grey(4), below="a"), Tile(image=grey(4), below="a\nb\nc")
    low, high = layout.height([Row([one, None])]), layout.height([Row([one, three])])
    assert high > low
    assert layout.height([Row([one]), Row([three])]) == pytest.approx(low + high)


def test_tiles_stand_at_their_columns_and_failed_ones_are_slanted():
    layout = Layout((2,))
    paper = paper_of(layout.width, 3)
    tiles = [Tile(image=grey(4), below="cat"), Tile(image=grey(4), below="dog", failed=True)]
    draw_rows(paper, [Row(tiles, "title"), Row([None, tiles[0]])], layout, 0.5)
    places = [image.get_extent() for image in paper.get_images()]
    below = 0.5 + layout.height([Row(tiles)])
    assert [(round(left, 6), round(top, 6)) for left, _, _, top in places] == [
        (round(layout.lefts[column], 6), round(top, 6)) for column, top in ((0, 0.5), (1, 0.5), (1, below))
    ]  # fmt: skip
    assert {text.get_text(): text.get_style() for text in paper.texts} == {
        "cat": "normal", "dog": "italic", "title": "normal",
    }  # fmt: skip


def test_a_small_image_is_enlarged_and_a_fine_one_made_coarser_unless_each_pixel_counts():
    image = np.random.default_rng(0).random((3, 32, 32), np.float32)
    large = shown(Tile(image=image))
    assert large.shape == (96, 96, 3)
    assert np.array_equal(large[::3, ::3], np.rint(255 * image).astype(np.uint8).transpose(1, 2, 0))
    fine = np.zeros((3, 224, 224), np.float32)
    fine[:, 0, 0] = 1.0
    assert shown(Tile(image=fine)).shape == (112, 112, 3)
    assert shown(Tile(image=fine))[0, 0, 0] == 64  # a quarter of 255, in steps of four: 63.75 is 64
    assert shown(Tile(image=fine, whole=True))[0, 0, 0] == 255


def test_a_sheet_has_its_words_as_text():
    rows = [Row([Tile(image=grey(8), below="automobile\n99 %")], "first")]
    text = pymupdf.open(stream=sheet(rows, Layout((1,), ["head"], titled=True)))[0].get_text()
    for words in ("automobile", "99 %", "first", "head"):
        assert words in text
