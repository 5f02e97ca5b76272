"""The identity of a cell as canonical JSON, and the key it is stored under."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from bench.errors import SpecError
from bench.spec import Cell, ModelRequest, Suite, in_short

#: To be increased when the meaning of a cell changes, so that rows with the old meaning are never reused.
IDENTITY_VERSION = 1

#: The rule of success of confidence reduction, part of the identity of cells with that goal only.
REDUCTION_RULE = "half of the true class's, or another label"


def canonical_json(value: Any) -> str:
    """Return the one JSON text of a value: keys sorted, no spaces, no NaN.

    Raises:
        SpecError: the value contains something that JSON cannot express, such as NaN.
    """
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise SpecError(f"cannot be part of a cell's identity: {value!r} ({error})") from error


def identity(cell: Cell) -> dict[str, Any]:
    """Return everything that decides a cell's rows, as plain JSON values.

    Device, host and library versions are left out on purpose: they are recorded beside the rows, but an
    upgrade does not make all results worthless. The source of a fit is included only for fitted attacks,
    a substitute only where one is attacked, code only of users' attacks, and the model that images are
    crafted on only if it is another than the judge, so that the keys of all other cells stay the same. Images
    that others made are known by their content, wherever their file lies.
    """
    optional: dict[str, Any] = {} if cell.fit is None else {"fit": dataclasses.asdict(cell.fit)}
    if cell.attack.goal == "confidence-reduction":
        optional["rule"] = REDUCTION_RULE
    if cell.substitute is not None:
        optional["substitute"] = dataclasses.asdict(cell.substitute)
    if cell.crafted_on is not None:
        optional["climbed"] = _model(cell.crafted_on.model, cell.crafted_on.fingerprint)
    words = dict(cell.attack.parameters)
    if cell.handed_in is not None:
        optional["handed_in"] = cell.handed_in
        words.pop("file", None)
    if cell.code is not None:
        optional["code"] = cell.code
    return optional | {
        "version": IDENTITY_VERSION,
        "kind": cell.kind,
        "model": _model(cell.model, cell.fingerprint),
        "attack": {
            "name": cell.attack.name,
            "norm": cell.attack.norm,
            "eps": cell.attack.eps,
            "words": words,
        },
        "toolkit": cell.toolkit,
        "surface": cell.surface,
        "images": {
            "data": cell.images.data,
            "split": cell.images.split,
            "count": cell.images.count,
            "checksum": cell.checksum,
            **({"order": in_short(cell.images.order)} if cell.images.order else {}),
        },
        "seed": cell.seed,
        "batch_size": cell.batch_size,
    }


def without_count(named: Mapping[str, Any]) -> dict[str, Any]:
    """Return an identity without how many images there are and what they contain.

    Cells that agree in it are siblings: they differ only in how many images of one split they have, in one order.
    """
    images = {
        part: named["images"][part]
        for part in ("data", "split", "order")
        if part in named["images"]
    }
    return {**named, "images": images}


def sibling_key(named: Mapping[str, Any]) -> str:
    """Return the 20 hex digits that the identities of siblings share, see `without_count`."""
    return hashlib.sha256(canonical_json(without_count(named)).encode()).hexdigest()[:20]


def _model(request: ModelRequest, fingerprint: str) -> dict[str, Any]:
    return {"name": request.name, "options": dict(request.options), "fingerprint": fingerprint}


def cell_key(cell: Cell) -> str:
    """Return the 20 hex digits a cell is stored under: the start of its identity's sha256."""
    return hashlib.sha256(canonical_json(identity(cell)).encode()).hexdigest()[:20]


#: Former names of fields, under which they are hashed, so that renaming a field changes no content.
_FORMER = {"parameters": "words", "crafted_on": "climbed"}


def suite_content(suite: Suite) -> str:
    """Return 20 hex digits over everything in a suite: title, images, models, attacks, claims, seed.

    Two files with the same content are one suite, whatever their names. Fields with default values are
    left out, so that a new field changes no content.
    """
    content = {name: value for name, value in _plain(suite).items() if name != "name"}
    return hashlib.sha256(canonical_json(content).encode()).hexdigest()[:20]


def _plain(noun: Any) -> Any:
    """Return a dataclass as plain JSON values, without the fields that have their default."""
    if isinstance(noun, tuple):
        return [_plain(part) for part in noun]
    if not dataclasses.is_dataclass(noun):
        return noun
    values = ((field, getattr(noun, field.name)) for field in dataclasses.fields(noun))
    return {
        _FORMER.get(field.name, field.name): _plain(value)
        for field, value in values
        if value != field.default
    }
