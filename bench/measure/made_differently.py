"""What was not the same when two runs were made: versions, machines, weights, images, seeds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from bench.measure.matched_cells import Match
from bench.store.results import Results

_COLUMNS = ("what", "of", "a", "b")

IMAGES = "number of images"
#: What the parts of a cell's identity are called that are not simply named.
_CALLED = {
    "model fingerprint": "weights, settings or code",
    "climbed fingerprint": "weights, settings or code of the model attacked",
    "fit fingerprint": "weights, settings or code of the model fitted on",
    "fit checksum": "images fitted on",
    "images count": IMAGES,
    "images checksum": "content of the images",
    "batch_size": "images attacked together",
    "code": "code of the attack",
}
#: What two identities differ in: what it is called, and both values.
Differing = Mapping[str, tuple[str, str]]

_COUNT, _CONTENT = "images count", "images checksum"
#: Where these differ, image 7 of one run is not image 7 of the other.
_OTHER_IMAGES = ("images data", "images split", "images order", "content of the images")
#: Parts of an identity that are in the name of the attack already.
_TOLD = ("attack eps",)


def differing_identity(a: Mapping[str, Any], b: Mapping[str, Any]) -> Differing:
    """Return in what the identities of a cell in two runs differ.

    Args:
        a: an identity, as `bench.store.identity.identity` makes it; empty if unknown.
        b: likewise.
    """
    if not a or not b:
        return {}
    left, right = _flat(a), _flat(b)
    paths = [path for path in left | right if left.get(path) != right.get(path)]
    if _COUNT in paths and _CONTENT in paths:
        paths.remove(_CONTENT)  # other images come with another number of them
    return {
        _CALLED.get(path, path.replace("_", " ")): (left.get(path, "–"), right.get(path, "–"))
        for path in paths
        if path not in _TOLD
    }


def are_other_images(differing: Differing) -> bool:
    """Return whether cells are known to be of other images, not only of more of them."""
    return any(what in differing for what in _OTHER_IMAGES)


def _flat(identity: Mapping[str, Any], above: str = "") -> dict[str, str]:
    """Return a nested identity as one table of texts, named by their path."""
    found: dict[str, str] = {}
    for name, value in identity.items():
        path = f"{above} {name}".strip()
        if isinstance(value, Mapping):
            found |= _flat(value, path)
        else:
            found[path] = "all" if path == _COUNT and value is None else str(value)
    return found


def made_differently(
    a: Results, b: Results, matches: Iterable[tuple[Match, Differing]]
) -> pd.DataFrame:
    """Return what differed when two runs were made.

    Args:
        a: the first run.
        b: the second.
        matches: the cells of both, each with its `differing_identity`.

    Returns:
        `what` differs, `of` (the model, or how many of the cells that both have; empty for all of a run),
        `a` and `b` (texts; several values are separated by commas).
    """
    rows = [
        {"what": what, "of": "", "a": left, "b": right}
        for what, left, right in _of_runs(a, b)
        if left != right
    ]
    return pd.DataFrame([*rows, *_of_cells(list(matches))], columns=list(_COLUMNS)).astype("str")


def _of_runs(a: Results, b: Results) -> Iterable[tuple[str, str, str]]:
    """Yield what runs say of themselves, and what made their rows."""
    if a.content is not None and b.content is not None:
        yield "content of the suite", a.content, b.content
    names = dict.fromkeys(
        name for run in (a, b) for maker in run.made for name in maker["versions"] or {}
    )
    for name in names:
        left, right = (_values((m["versions"] or {}).get(name) for m in run.made) for run in (a, b))
        yield name, left, right
    for name in ("device", "host", "threads"):
        left, right = (_values(maker[name] for maker in run.made) for run in (a, b))
        yield name, left, right


def _values(found: Iterable[Any]) -> str:
    known = sorted({str(value) for value in found if value is not None})
    return ", ".join(known) or "not recorded"


def _of_cells(matches: list[tuple[Match, Differing]]) -> Iterable[dict[str, str]]:
    """Yield in what cells differ: of weights by model, of all else by how many cells are so."""
    of_models: dict[tuple[str, str, tuple[str, str]], None] = {}
    of_cells: dict[tuple[str, tuple[str, str]], int] = {}
    for match, differing in matches:
        for what, values in differing.items():
            if what == _CALLED["model fingerprint"]:
                of_models[what, str(match.either["model"]), values] = None
            else:
                of_cells[what, values] = of_cells.get((what, values), 0) + 1
    for what, model, (left, right) in of_models:
        yield {"what": what, "of": model, "a": left, "b": right}
    for (what, (left, right)), count in of_cells.items():
        every = "all cells" if count == len(matches) else f"{count} of {len(matches)} cells"
        yield {"what": what, "of": every, "a": left, "b": right}
