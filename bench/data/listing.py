"""The data sets as `bench ls datasets` lists them. Imports no torch."""

from __future__ import annotations

from typing import Any

from bench.data.address import DATA_SCHEMES
from bench.data.table import DATASETS


def listing() -> list[dict[str, Any]]:
    """Return `name, shape, classes` (how many), `splits` and `note` of each data set; then the forms of addresses.

    Of these, shape and classes are None.
    """
    named = [
        {
            "name": entry.name,
            "shape": list(entry.input_shape),
            "classes": len(entry.classes),
            "splits": [f"{name} {count}" for name, count in entry.splits.items()],
            "note": entry.note,
        }
        for entry in DATASETS.values()
    ]
    addresses: list[dict[str, Any]] = [
        {"name": scheme.form, "shape": None, "classes": None, "splits": [], "note": scheme.note}
        for scheme in DATA_SCHEMES.values()
    ]
    return [*named, *addresses]
