"""A plan in which some cells have more images than the suite says, or that has cells which the suite lacks."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from bench.adapters.abilities import KeepsApart
from bench.data.datasets import load_set
from bench.errors import SpecError
from bench.runner.expand_cells import grouped
from bench.runner.plan import Plan, images_in
from bench.spec import Cell, ImageSet
from bench.store.identity import cell_key, identity, sibling_key


def most_images(plan: Plan, cell: Cell) -> int:
    """Return how many images a cell can have: those of the split that its model was not fitted on."""
    images = cell.images
    every = len(load_set(images, plan.data))
    adapter = plan.adapters[cell.model]
    apart = adapter.attackable if isinstance(adapter, KeepsApart) else None
    if apart is None or (apart.data, apart.split) != (images.data, images.split):
        return every
    return min(every, apart.count or 0)


def grown(plan: Plan, counts: Mapping[str, int]) -> Plan:
    """Return a plan in which some cells have other numbers of images; all else is as it was.

    A cell with another number of images has another key. When such a plan is run, the chunks that the store
    has of the cell on another number of images are taken over from there. Image sets that the plan does not
    have yet are read now. Of the run, figures other than those of claims are made of the images that the
    suite asks for, see `bench.store.results.Results.as_asked`.

    Args:
        plan: of a suite, grown before or not.
        counts: by key of a cell of the plan, how many images it gets, see `most_images`.

    Raises:
        SpecError: a key that the plan does not have, or more images than the cell can have.
    """
    unknown = counts.keys() - plan.cells.keys()
    if unknown:
        raise SpecError(f"the plan has no cell {min(unknown)}")
    images = dict(plan.images)
    checksums: dict[ImageSet, str] = {}
    cells: dict[str, Cell] = {}
    keys: dict[str, str] = {}
    asked_images: dict[str, int] = {}
    for old, cell in plan.cells.items():
        asked = plan.asked_images.get(old, len(plan.images_of(cell)))
        if counts.get(old, len(plan.images_of(cell))) != len(plan.images_of(cell)):
            wanted = _wanted(plan, cell, counts[old])
            if wanted not in checksums:
                images[wanted] = images_in(wanted, plan.data)
                checksums[wanted] = images[wanted].checksum()
            cell = dataclasses.replace(cell, images=wanted, checksum=checksums[wanted])
        keys[old] = new = cell_key(cell)
        cells[new] = cell
        if len(images[cell.images]) > asked:
            asked_images[new] = asked
    return dataclasses.replace(
        plan,
        cells=grouped(cells),
        images=images,
        asked_images=asked_images,
        sources={keys.get(key, key): source for key, source in plan.sources.items()},
        substitutes={keys.get(key, key): source for key, source in plan.substitutes.items()},
    )


def with_cells(plan: Plan, cells: Mapping[str, Cell]) -> Plan:
    """Return a plan with further cells of its models, on images that are read now.

    Those that would be others here are left out: of another model, on images of other content, or made from
    something that no cell of the plan has (a fit, a substitute).

    Args:
        plan: of a suite.
        cells: by key; those that the plan has stay as they are.
    """
    further = {key: cell for key, cell in cells.items() if key not in plan.cells}
    if not further:
        return plan
    like = {sibling_key(identity(cell)): key for key, cell in plan.cells.items()}
    given = {key: like.get(sibling_key(identity(cell)), "") for key, cell in further.items()}
    sources = {key: plan.sources[own] for key, own in given.items() if own in plan.sources}
    substitutes = {
        key: plan.substitutes[own] for key, own in given.items() if own in plan.substitutes
    }
    wanted = {cell.images for cell in further.values()} - plan.images.keys()
    images = plan.images | {one: images_in(one, plan.data) for one in wanted}
    checksums = {one: images[one].checksum() for one in wanted}
    same = {
        key: cell
        for key, cell in further.items()
        if plan.fingerprints.get(cell.model) == cell.fingerprint
        and checksums.get(cell.images, cell.checksum) == cell.checksum
        and (cell.crafted_on is None or cell.crafted_on.model in plan.adapters)
        and (cell.fit is None or key in sources)
        and (cell.substitute is None or key in substitutes)
    }
    return dataclasses.replace(
        plan,
        cells=plan.cells | same,
        images=images,
        sources=plan.sources | sources,
        substitutes=plan.substitutes | substitutes,
    )


def _wanted(plan: Plan, cell: Cell, count: int) -> ImageSet:
    most = most_images(plan, cell)
    if not 1 <= count <= most:
        raise SpecError(f"{cell.title()}: {count} images were asked for; it can have 1 to {most}")
    return dataclasses.replace(cell.images, count=count)
