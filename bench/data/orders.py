"""Which images of a split come first, where it is not their order in the file: drawn by a seed, or listed.

An order is a text: empty for the order of the file, `random 3`, `balanced 3` or `list 12 7 1030`. A number of images
are always the first in their order, so that more of them contain the fewer.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from bench.data.address import files_at
from bench.data.splits import place_drawn
from bench.data.table import DATASETS
from bench.errors import SpecError
from bench.spec import list_order, listed

if TYPE_CHECKING:
    import torch

_DRAWN = re.compile(r"(random|balanced)(?: ([0-9]{1,9}))?", re.ASCII)


def drawn_order(text: str) -> str:
    """Return an order that a seed draws as it is stored: `random 0` for `random`.

    Raises:
        SpecError: it is none.
    """
    match = _DRAWN.fullmatch(text)
    if match is None:
        raise SpecError(
            f"{text!r} is no order of images; write random or balanced, with a seed: balanced 3"
        )
    return f"{match[1]} {int(match[2] or 0)}"


def listed_order(file: Path, data: str, split: str) -> str:
    """Return the order that a file lists: an image a line, by its place in the split from 0 on, or by its file.

    Empty lines, and what follows a `#`, do not count.

    Args:
        file: the list.
        data: the data set.
        split: of it.

    Raises:
        SpecError: no such file, or a line that names no image of the split, or one twice.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "no text"
        raise SpecError(
            f"{file}: {reason}; name a file with the place of an image a line"
        ) from error
    lines = {
        number: line.partition("#")[0].strip() for number, line in enumerate(text.splitlines(), 1)
    }
    named = {number: line for number, line in lines.items() if line}
    if not named:
        raise SpecError(f"{file} lists no image; write the place of an image a line, from 0 on")
    by_number = all(re.fullmatch(r"[0-9]{1,9}", line, re.ASCII) for line in named.values())
    places = (
        _by_place(file, named, data, split) if by_number else _by_file(file, named, data, split)
    )
    return list_order(places)


def places_of(order: str, labels: torch.Tensor) -> torch.Tensor:
    """Return the places of the images of a split in an order, int64 (N,).

    Args:
        order: not empty.
        labels: of the split, int64 (M,).
    """
    import torch

    return torch.tensor(
        listed(order) or _drawn(drawn_order(order), tuple(labels.tolist())), dtype=torch.int64
    )


def _by_place(file: Path, named: dict[int, str], data: str, split: str) -> list[int]:
    count = DATASETS[data].splits[split]
    places = {line: int(text) for line, text in named.items()}
    for line, place in places.items():
        if place >= count:
            raise SpecError(
                f"{file}, line {line}: {place}: {data} {split} has {count} images, 0 to {count - 1}"
            )
    return _each_once(file, named, places)


def _by_file(file: Path, named: dict[int, str], data: str, split: str) -> list[int]:
    known = files_at(data, split)
    if known is None:
        line, text = next((at, text) for at, text in named.items() if not text.isdecimal())
        raise SpecError(
            f"{file}, line {line}: {text!r}: write the place of an image in {data} {split}, from 0 on"
        )
    places_of_files = {name: place for place, name in enumerate(known)}
    for line, text in named.items():
        if text not in places_of_files:
            raise SpecError(f"{file}, line {line}: {data} {split} has no file {text!r}")
    return _each_once(file, named, {line: places_of_files[text] for line, text in named.items()})


def _each_once(file: Path, named: dict[int, str], places: dict[int, int]) -> list[int]:
    twice = {place for place, count in Counter(places.values()).items() if count > 1}
    for line, place in places.items():
        if place in twice:
            raise SpecError(f"{file}, line {line}: {named[line]} is listed twice")
    return list(places.values())


@cache
def _drawn(order: str, labels: tuple[int, ...]) -> list[int]:
    """Return all places, drawn: in any order, or the classes in turn, each in any order."""
    kind, seed = order.split()
    drawn = sorted(range(len(labels)), key=lambda place: place_drawn(int(seed), str(place)))
    return drawn if kind == "random" else _in_turn(drawn, labels)


def _in_turn(drawn: Sequence[int], labels: Sequence[int]) -> list[int]:
    """Return places so that the first of each class come first, then the second."""
    seen: Counter[int] = Counter()
    turns = []
    for place in drawn:
        turns.append((seen[labels[place]], labels[place], place))
        seen[labels[place]] += 1
    return [place for _, _, place in sorted(turns)]
