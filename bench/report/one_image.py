"""The picture of single images under attack: original, perturbation and attacked image, a line an image."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from bench.errors import SpecError
from bench.report import formatting
from bench.report.labels import class_name, label_of
from bench.report.pixels import amplified, framed, to_picture

#: Width of an image in the picture, and how many of its pixels are an inch in print: three take 12 cm.
_TILE, DPI = 448, 300
#: Most attacks side by side; further ones go on the next line.
_ABREAST = 3
#: Between perturbation and attacked image, between attacks, between lines, around all.
_NEAR, _APART, _BETWEEN, _MARGIN = 8, 28, 26, 16

_BLACK, _GREY, _RULE, _OUTLINE = (0, 0, 0), (110, 110, 110), (60, 60, 60), (120, 120, 120)
_SIZE = 32
#: A norm: what follows the letter is its index.
_NORM = {"l0": "ℓ0", "l1": "ℓ1", "l2": "ℓ2", "linf": "ℓ∞"}
_RUNS = re.compile("(ℓ.)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What one attack did to an image.

    Attributes:
        attack: its name, and the parameters that were given: `sparsefool, lambda 2`.
        x_adv: the image tried, (C, H, W) in [0, 1]; None where the attack failed with an error.
        row: its row, with the columns of a stored result; empty where there is none.
        toolkit: that ran it.
        threat: as people type it, `linf 8/255`.
    """

    attack: str
    threat: str
    toolkit: str
    x_adv: NDArray[np.float32] | None
    row: Mapping[Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnderAttack:
    """An image and what attacks did to it.

    Attributes:
        name: of the image.
        x: (C, H, W) in [0, 1].
        attempts: the same attacks in the same order for all images of a picture.
    """

    name: str
    x: NDArray[np.float32]
    attempts: tuple[Attempt, ...]


def draw(model: str, images: Sequence[UnderAttack], classes: Sequence[str] = ()) -> Image.Image:
    """Return the picture of some images under the same attacks, in colour.

    Each image has a line: the original, and for each attack what it added (around grey, amplified by the
    factor below it) and the image that it tried. Below them stand the model's decision with its confidence
    and the norms of what was added; grey and slanted where the attack failed. A fourth attack begins a
    new line.

    Args:
        model: its name.
        images: at least one, all of one shape.
        classes: names of the classes; those without a name are numbered.

    Raises:
        SpecError: the images have neither one nor three channels.
    """
    channels = len(images[0].x)
    if channels not in (1, 3):
        raise SpecError(
            f"no picture can be made of images of {channels} channels; it takes 1 (grey) or 3 (colour)"
        )
    count = len(images[0].attempts)
    abreast = -(-count // -(-count // _ABREAST))  # four are two and two, not three and one
    lines: list[_Line] = []
    above: list[tuple[str, str, str]] | None = None
    for image in images:
        for start in range(0, len(image.attempts), abreast):
            part = image.attempts[start : start + abreast]
            heads = [(one.attack, one.threat, one.toolkit) for one in part]
            if heads != above:
                lines.append(_head(model if above is None else "", part))
            above = heads
            original = _original(image, classes) if start == 0 else None
            lines.append(
                _Line((original, *(tile for one in part for tile in _pair(image, one, classes))))
            )
    return _joined(lines)


@dataclass(frozen=True, slots=True)
class _Words:
    """A paragraph below or above an image."""

    said: str
    colour: tuple[int, int, int] = _BLACK
    slanted: bool = False


@dataclass(frozen=True, slots=True)
class _Tile:
    """An image, and the paragraphs below it; without an image, words alone."""

    shown: Image.Image | None
    below: tuple[_Words, ...]
    across: int = 1
    ruled: bool = False


@dataclass(frozen=True, slots=True)
class _Line:
    """Tiles side by side; None leaves a place empty."""

    tiles: tuple[_Tile | None, ...]


def _head(model: str, attempts: Sequence[Attempt]) -> _Line:
    """Return the line that names the model and the attacks, each over its two images."""
    tiles: list[_Tile | None] = [_Tile(None, (_Words(model, slanted=True),))]
    for one in attempts:
        norm, _, radius = one.threat.partition(" ")
        name, _, settings = one.attack.partition(", ")
        words = (
            _Words(f"{name}  {_NORM.get(norm, norm)} {radius}"),
            _Words(formatting.join(one.toolkit, settings), _GREY),
        )
        tiles += [_Tile(None, words, across=2, ruled=True), None]
    return _Line(tuple(tiles))


def _original(image: UnderAttack, classes: Sequence[str]) -> _Tile:
    rows = [one.row for one in image.attempts if one.row]
    words = [_Words(image.name, _GREY)]
    if rows:
        words.append(_Words(label_of(rows[0], "clean", classes)))
        if rows[0]["label"] != rows[0]["clean_label"]:
            words.append(_Words(f"label: {class_name(int(rows[0]['label']), classes)}", _GREY))
    return _Tile(to_picture(image.x, _TILE), tuple(words))


def _pair(image: UnderAttack, one: Attempt, classes: Sequence[str]) -> tuple[_Tile, _Tile | None]:
    """Return what an attack added and the image it tried; where it tried none, why."""
    if one.x_adv is None or formatting.missing(one.row["linf"]):
        return _Tile(None, (_Words(_untried(one.row), _GREY, slanted=True),), across=2), None
    change = one.x_adv - image.x
    factor, shown = amplified(change, float(np.abs(change).max()))
    added = _Tile(to_picture(framed(shown, change), _TILE), _sizes(one.row, factor))
    colour, slanted = (_BLACK, False) if one.row["success"] else (_GREY, True)
    words = [_Words(label_of(one.row, "adv", classes), colour, slanted)]
    if not one.row["success"]:
        words.append(_Words(not_reached(one.row, classes), _GREY, slanted=True))
    return added, _Tile(to_picture(one.x_adv, _TILE), tuple(words))


def _untried(row: Mapping[Any, Any]) -> str:
    if not row:
        return "failed"
    return "not attacked" if formatting.missing(row["invalid"]) else str(row["invalid"])


def not_reached(row: Mapping[Any, Any], classes: Sequence[str]) -> str:
    """Return what an attack that failed did not reach: `not fooled`, or the class that it was after."""
    if not formatting.missing(row["invalid"]):
        return f"invalid: {row['invalid']}"
    if not formatting.missing(row["target"]):
        return f"not taken for {class_name(int(row['target']), classes)}"
    return "not less sure by half" if row["goal"] == "confidence-reduction" else "not fooled"


def _sizes(row: Mapping[Any, Any], factor: int) -> tuple[_Words, ...]:
    if not row["linf"]:
        return (_Words("no perturbation", _GREY),)
    shown = ("l1", "l2", "linf") if row["norm"] == "l1" else ("l2", "linf")
    said = {"l0": formatting.count(row["l0"])} | {
        norm: formatting.amount(row[norm]) for norm in shown
    }
    norms = "  ".join(f"{_NORM[norm]} {length}" for norm, length in said.items())
    return _Words(f"perturbation × {factor}"), _Words(norms)


def _joined(lines: Sequence[_Line]) -> Image.Image:
    """Return the lines below each other on white."""
    shown = [tile.shown for line in lines for tile in line.tiles if tile and tile.shown]
    wide, tall = shown[0].size
    lefts = _lefts(max(len(line.tiles) for line in lines), wide)
    scratch = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    scale = wide / _TILE
    tops, bottom = [], _MARGIN
    for line in lines:
        tops.append(bottom)
        images = tall + 4 if any(tile and tile.shown for tile in line.tiles) else 0
        below = max(_write(scratch, tile, (0, 0), wide, scale) for tile in line.tiles if tile)
        bottom += images + below + (_BETWEEN if images else _NEAR)
    page = Image.new("RGB", (lefts[-1] + wide + _MARGIN, bottom), "white")
    pen = ImageDraw.Draw(page)
    for line, top in zip(lines, tops, strict=True):
        has_images = any(tile and tile.shown for tile in line.tiles)
        for tile, left in zip(line.tiles, lefts, strict=False):
            if tile is None:
                continue
            if tile.shown is not None:
                page.paste(tile.shown, (left, top))
                pen.rectangle((left - 1, top - 1, left + wide, top + tall), outline=_OUTLINE)
            lower = top + (tall + 4 if has_images else 0)
            height = _write(pen, tile, (left, lower), wide, scale)
            if tile.ruled:
                right = left + 2 * wide + _NEAR
                pen.line((left, lower + height, right, lower + height), fill=_RULE, width=2)
    return page


def _lefts(count: int, wide: int) -> list[int]:
    """Return where each column begins."""
    lefts = [_MARGIN]
    for at in range(1, count):
        lefts.append(lefts[-1] + wide + (_APART if at % 2 else _NEAR))
    return lefts


def _write(
    pen: ImageDraw.ImageDraw, tile: _Tile, corner: tuple[int, int], wide: int, scale: float
) -> int:
    """Write the words of a tile, centred below each other, and return how much height they take."""
    room = wide if tile.across == 1 else 2 * wide + _NEAR
    left, top = corner
    height = 0
    for words in tile.below:
        font = _font(words.slanted, max(12, round(_SIZE * scale)))
        for said in _broken(words.said, font, room):
            start = left + (room - _length(said, font)) / 2
            _write_line(pen, said, (start, top + height), font, words.colour)
            height += round(1.15 * font.size)
    return height + (6 if tile.ruled else 0)


def _write_line(
    pen: ImageDraw.ImageDraw,
    said: str,
    corner: tuple[float, float],
    font: ImageFont.FreeTypeFont,
    colour: tuple[int, int, int],
) -> None:
    """Write a line; the index of a norm is smaller and lower."""
    left, top = corner
    for run in _RUNS.split(said):
        for text, size, lower in _pieces(run, font):
            pen.text((left, top + lower), text, fill=colour, font=size)
            left += size.getlength(text)


def _pieces(
    run: str, font: ImageFont.FreeTypeFont
) -> tuple[tuple[str, ImageFont.FreeTypeFont, float], ...]:
    """Return the parts of a text that have a size and height of their own."""
    if not _RUNS.fullmatch(run):
        return ((run, font, 0.0),)
    small = font.font_variant(size=round(0.7 * font.size))
    return (run[0], font, 0.0), (run[1], small, 0.45 * font.size)


def _length(said: str, font: ImageFont.FreeTypeFont) -> float:
    return sum(
        size.getlength(text) for run in _RUNS.split(said) for text, size, _ in _pieces(run, font)
    )


def _broken(said: str, font: ImageFont.FreeTypeFont, room: int) -> list[str]:
    """Return a text in lines that fit; a word is broken only where it alone is too long."""
    lines = [""]
    for word in re.split(r"(?<=[ ])(?!%)", said):
        if _length(lines[-1] + word.rstrip(), font) > room and lines[-1]:
            lines.append("")
        for letter in word if _length(word.rstrip(), font) > room else [word]:
            if _length(lines[-1] + letter.rstrip(), font) > room:
                lines.append("")
            lines[-1] += letter
    return [line.strip() for line in lines]


@cache
def _font(slanted: bool, size: int) -> ImageFont.FreeTypeFont:
    import matplotlib as mpl  # the fonts of the report's figures come with it

    name = "STIXGeneralItalic.ttf" if slanted else "STIXGeneral.ttf"
    return ImageFont.truetype(str(Path(mpl.get_data_path()) / "fonts" / "ttf" / name), size)
