"""Stratified splits of labelled files, the same on every machine. Imports no torch."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence


def stratified(
    names: Sequence[Sequence[str]], shares: Mapping[str, int], seed: int = 0
) -> dict[str, list[tuple[str, int]]]:
    """Return the files of each split with their labels, with equal shares of every class.

    The files of a class are shuffled by a hash of seed and name, so that a split depends on nothing else:
    not on the order in which a folder lists its files, nor on a library's generator. Each split takes its
    classes in turn, so that its first images are of all classes.

    Args:
        names: file names of each class, in the order of the labels.
        shares: the share of each split, in any unit; the last split gets what rounding leaves.
        seed: of the shuffle.
    """
    drawn = [sorted(files, key=lambda name: place_drawn(seed, name)) for files in names]
    splits, whole, start = {}, sum(shares.values()), 0
    for split, share in shares.items():
        parts = [
            files[len(files) * start // whole : len(files) * (start + share) // whole]
            for files in drawn
        ]
        longest = max((len(part) for part in parts), default=0)
        splits[split] = [
            (part[turn], label)
            for turn in range(longest)
            for label, part in enumerate(parts)
            if turn < len(part)
        ]
        start += share
    return splits


def place_drawn(seed: int, name: str) -> str:
    """Return the text by which a name is sorted into a shuffle."""
    return hashlib.sha256(f"{seed} {name}".encode()).hexdigest()
