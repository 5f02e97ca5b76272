"""Orders of images as texts: empty for that of the file, `random 3`, `balanced 3`, `list 12 7 1030`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

_LIST = "list "


def list_order(places: Iterable[int]) -> str:
    """Return the order that consists of some images of a split, by their places from 0 on."""
    return _LIST + " ".join(map(str, places))


def listed(order: str) -> list[int]:
    """Return the places that an order lists; none where it is no list."""
    if not order.startswith(_LIST):
        return []
    return [int(place) for place in order.removeprefix(_LIST).split()]


def in_short(order: str) -> str:
    """Return an order in a few words, in which two lists differ if their images do: `list 5000 1b2f...`."""
    if not order.startswith(_LIST):
        return order
    return f"list {len(listed(order))} {hashlib.sha256(order.encode()).hexdigest()[:20]}"
