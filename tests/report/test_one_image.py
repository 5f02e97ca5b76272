from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from bench.errors import SpecError
from bench.report import one_image
from bench.report.one_image import Attempt, UnderAttack, draw

#: Where images lie in a picture: their width, and the left edges of original, first and second attack.
WIDE = 448
ORIGINAL, FIRST, SECOND = 16, (492, 948), (1424, 1880)
#: The first line of images, below the line of names.
TOP = 104

#: Rows of a stored result, as far as they are drawn.
FOOLED: dict[str, Any] = {
    "label": 0, "clean_label": 0, "clean_confidence": 0.9, "adv_label": 1, "adv_confidence": 0.6,
    "norm": "linf", "success": True, "invalid": None, "target": None, "goal": "misclassification", "l0": 1.0, "l2": 0.2,
    "linf": 0.2,
}  # fmt: skip
WITHSTOOD = {**FOOLED, "adv_label": 0, "success": False}
UNTRIED = {**FOOLED, "label": 2, "adv_label": None, "adv_confidence": None, "success": False, "l0": None,
           "l2": None, "linf": None}  # fmt: skip


def _image(change: float = 0.0, channels: int = 1, side: int = 8) -> NDArray[np.float32]:
    x = np.linspace(0, 0.75, side * side, dtype=np.float32).reshape(1, side, side)
    x = x.repeat(channels, axis=0)
    x[:, 2, 5] += change
    return x


def _attempt(row: dict[str, Any], change: float | None = 0.2, **asked: Any) -> Attempt:
    words = {"attack": "fgsm", "threat": "linf 0.2", "toolkit": "native", **asked}
    return Attempt(x_adv=None if change is None else _image(change), row=row, **words)


def _drawn(*attempts: Attempt, classes: tuple[str, ...] = (), images: int = 1) -> Image.Image:
    shown = UnderAttack(name="test:7", x=_image(), attempts=attempts)
    return draw("digits/cnn", [shown] * images, classes)


def _pixel(page: Image.Image, left: int, row: int, column: int, top: int = TOP) -> int:
    side = WIDE // 8
    value = page.getpixel((left + side * column + side // 2, top + side * row + side // 2))
    assert isinstance(value, tuple)
    assert len(set(value)) == 1  # grey
    return int(value[0])


def _darkest(page: Image.Image, left: int, top: int, height: int = 74) -> int:
    return int(np.asarray(page)[top : top + height, left : left + WIDE].min())


def test_original_perturbation_and_attacked_image_stand_side_by_side() -> None:
    page = _drawn(_attempt(FOOLED))
    x = _image()[0]
    assert page.size[0] == FIRST[1] + WIDE + 16
    for row, column in ((0, 0), (2, 5), (7, 7)):
        assert _pixel(page, ORIGINAL, row, column) == round(255 * x[row, column])
        added = 0.2 if (row, column) == (2, 5) else 0
        assert _pixel(page, FIRST[1], row, column) == pytest.approx(
            255 * (x[row, column] + added), abs=1
        )
        # The largest factor that leaves a change of 0.2 within half of the range is 2.
        assert _pixel(page, FIRST[0], row, column) == pytest.approx(255 * (0.5 + 2 * added), abs=1)


def test_what_failed_is_grey_and_what_fooled_is_black() -> None:
    below = TOP + WIDE + 4
    page = _drawn(_attempt(FOOLED), _attempt(WITHSTOOD))
    assert _darkest(page, FIRST[1], below) < 10
    assert 100 < _darkest(page, SECOND[1], below) < 130


def test_an_image_that_was_not_attacked_leaves_two_places_empty() -> None:
    page = _drawn(_attempt(FOOLED), _attempt(UNTRIED, None), _attempt({}, None))
    pixels = np.asarray(page)
    third = SECOND[1] + WIDE + 28
    for left in (*SECOND, third, third + WIDE + 8):
        assert pixels[TOP : TOP + WIDE, left - 1 : left + WIDE + 1].min() == 255
    middle = (SECOND[0] + SECOND[1] + WIDE) // 2
    words = pixels[TOP + WIDE + 4 : TOP + WIDE + 44, middle - 100 : middle + 100]
    assert 100 < words.min() < 130


def test_an_image_that_came_back_as_it_was_has_no_perturbation() -> None:
    unmoved = {**WITHSTOOD, "l0": 0.0, "l2": 0.0, "linf": 0.0}
    page = _drawn(_attempt(unmoved, 0.0))
    assert _pixel(page, FIRST[0], 2, 5) == 128
    assert 100 < _darkest(page, FIRST[0], TOP + WIDE + 4) < 130  # in grey, and no factor of nothing


def test_more_than_three_attacks_take_further_lines_of_about_as_many() -> None:
    three = _drawn(*[_attempt(FOOLED)] * 3)
    four = _drawn(*[_attempt(FOOLED, attack=f"a{turn}") for turn in range(4)])
    assert three.size[0] == SECOND[1] + WIDE + 28 + 2 * WIDE + 8 + 16
    assert four.size[0] == SECOND[1] + WIDE + 16
    assert four.size[1] > 2 * TOP + 2 * WIDE
    assert (
        np.asarray(four)[TOP + WIDE + 90 :, : FIRST[0] - 2].min() == 255
    )  # the original stands once


def test_names_of_attacks_stand_once_where_images_follow_under_the_same() -> None:
    one, three = _drawn(_attempt(FOOLED)), _drawn(_attempt(FOOLED), images=3)
    line = one.size[1] - TOP
    assert three.size[1] == TOP + 3 * line
    second = TOP + line
    assert _pixel(three, ORIGINAL, 7, 7, second) == _pixel(one, ORIGINAL, 7, 7)


def test_long_names_stay_below_their_image() -> None:
    long = (
        "great grey owl, Strix nebulosa",
        "Nördliche_sehr_lange_Bezeichnung_ohne_eine_Lücke_" * 2,
    )
    page = np.asarray(_drawn(_attempt(FOOLED), classes=long))
    for left, right in ((0, 15), (ORIGINAL + WIDE + 1, FIRST[0] - 1), (FIRST[1] + WIDE + 1, None)):
        assert page[TOP:, left:right].min() == 255
    short = np.asarray(_drawn(_attempt(FOOLED)))
    assert page.shape[0] > short.shape[0]


def test_colour_is_kept_and_single_pixels_of_a_fine_image_are_framed() -> None:
    x, x_adv = _image(0, 3, 32), _image(0, 3, 32)
    x_adv[0, 2, 5] += 0.2
    shown = Attempt(attack="one-pixel", threat="l0 1", toolkit="native", x_adv=x_adv, row=FOOLED)
    page = draw("cifar10/cnn", [UnderAttack(name="a.png", x=x, attempts=(shown,))])
    side = WIDE // 32
    at = (FIRST[0] + 5 * side + side // 2, TOP + 2 * side + side // 2)
    assert page.getpixel(at) == (230, 128, 128)
    frame = page.getpixel((at[0], at[1] + 2 * side))
    assert isinstance(frame, tuple)
    assert frame[0] > 200 > 100 > frame[2]


def test_images_that_are_no_pictures_are_refused() -> None:
    x = np.zeros((2, 4, 4), dtype=np.float32)
    with pytest.raises(SpecError, match="of 2 channels"):
        draw("mine", [UnderAttack(name="a", x=x, attempts=(_attempt(FOOLED),))])


def test_a_percentage_is_never_broken() -> None:
    font = one_image._font(False, 32)
    for room in range(120, 500, 10):
        lines = one_image._broken("custard apple (56 %)", font, room)
        assert " ".join(lines) == "custard apple (56 %)"
        assert not any(line.startswith("%") for line in lines)
