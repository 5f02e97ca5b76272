"""Rows that a cell takes over from its siblings: the same cell on another number of images.

The rows of a chunk depend on the cell without its count and on the images of the chunk alone, so the rows of
the same chunk in a sibling are those that would be computed. In folders of older versions they were drawn
with other seeds: another sample of the same protocol.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from bench.data.datasets import load_set
from bench.data.labelled import LabelledImages
from bench.runner.plan import Plan
from bench.spec import ImageSet, in_short
from bench.store.fits import read_fit, write_fit
from bench.store.identity import identity, sibling_key
from bench.store.siblings import (
    Sibling,
    chunks_of,
    copy_chunk,
    find_siblings,
    perturbation_of,
)
from bench.store.store import Store


class TakenOver(NamedTuple):
    """What a cell took over from a sibling.

    Attributes:
        giver: key of the sibling.
        images: how many.
        starts: of the chunks.
    """

    giver: str
    images: int
    starts: frozenset[int]


@dataclass(frozen=True, slots=True)
class Siblings:
    """The siblings of planned cells in a store, found once a run.

    Attributes:
        found: by the key that siblings share.
        same_images: by data, split, order and count, what is known of whether a sibling's images are those that
            the data folder has.
    """

    plan: Plan
    store: Store
    found: Mapping[str, Sequence[Sibling]]
    same_images: dict[tuple[Any, ...], bool] = field(default_factory=dict)

    def of(self, key: str) -> list[Sibling]:
        """Return the siblings of a planned cell whose images begin as its own do, the largest first."""
        others = self.found.get(sibling_key(identity(self.plan.cells[key])), ())
        return [one for one in others if one.key != key and self._same(one)]

    def _same(self, sibling: Sibling) -> bool:
        parts = ("data", "split", "order", "count", "checksum")
        named = tuple(sibling.images.get(part) for part in parts)
        if named not in self.same_images:
            # All images of the sibling are compared, since a chunk has no checksum of its own.
            self.same_images[named] = self.images(sibling).checksum() == named[-1]
        return self.same_images[named]

    def images(self, sibling: Sibling) -> LabelledImages:
        """Return the images that the data folder has in the place of a sibling's."""
        data, split, count = (sibling.images[part] for part in ("data", "split", "count"))
        orders = {in_short(images.order): images.order for images in self.plan.images}
        # Its order is that of the planned cell, which has the same key without count.
        order = orders[sibling.images.get("order", "")]
        wanted = ImageSet(data=data, split=split, count=count, order=order)
        return load_set(wanted, self.plan.data).first(count)

    def left(self, key: str) -> int:
        """Return how many images of a planned cell are in no whole chunk of a finished sibling."""
        cell = self.plan.cells[key]
        own = spans(len(self.plan.images_of(cell)), cell.batch_size)
        for sibling in self.of(key):
            if sibling.finished:
                own -= spans(len(self.images(sibling)), cell.batch_size)
        return sum(stop - start for start, stop in own)


def siblings_in(plan: Plan, store: Store, wanted: Collection[str]) -> Siblings:
    """Return the siblings of some cells of a plan in a store, by their keys."""
    shared = {sibling_key(identity(plan.cells[key])) for key in wanted}
    return Siblings(plan, store, find_siblings(store, shared))


def take_over(
    siblings: Siblings, key: str, done: Collection[int], pictures: int
) -> list[TakenOver]:
    """Copy the whole chunks that a planned cell lacks from its siblings.

    A cell that applies a fitted perturbation takes over that too, and the rows that were made with it alone.

    Args:
        siblings: of the run.
        key: of the cell.
        done: the starts of the chunks that it has.
        pictures: how many images tried it keeps.

    Returns:
        What was taken over, by sibling.

    Raises:
        StoreError: the disk is full.
    """
    cell, store = siblings.plan.cells[key], siblings.store
    every = spans(len(siblings.plan.images_of(cell)), cell.batch_size)
    missing = {(start, stop) for start, stop in every if start not in done}
    taken = []
    for sibling in siblings.of(key):
        if not missing:
            break
        if cell.fit is not None and not _same_fit(store, sibling.key, key):
            continue
        copied = {
            (start, part["stop"])
            for start, part in chunks_of(store, sibling.key, missing).items()
            if _kept(part) >= min(part["stop"], pictures) - start
            and copy_chunk(store, sibling.key, part, key)
        }
        missing -= copied
        if copied:
            images = sum(stop - start for start, stop in copied)
            taken.append(TakenOver(sibling.key, images, frozenset(start for start, _ in copied)))
    return taken


def spans(images: int, together: int) -> set[tuple[int, int]]:
    """Return start and stop of each chunk of so many images, of which so many are attacked together."""
    return {(start, min(start + together, images)) for start in range(0, images, together)}


def _kept(part: Mapping[str, Any]) -> int:
    return int(part["pictures"]["images"]) if part["pictures"] else 0


def _same_fit(store: Store, giver: str, key: str) -> bool:
    """Return whether the rows of two cells are of one perturbation; one without any takes over the other's."""
    given, own = perturbation_of(store, giver), read_fit(store.folder(key))
    if given is None:
        return False
    if own is None:
        write_fit(store.folder(key), *given)
        return True
    return bool(own[1]["sha256"] == given[1]["sha256"])
