"""Rows from the tables of many cells as one frame, in little more memory than the frame takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from bench.spec import COLUMNS, ROW, Column
from bench.store.columns import told_toolkit

#: How many rows are turned into arrays together.
_TOGETHER = 50_000

#: In a frame of at least so many rows, a column without a value takes no memory; it cannot be written to.
LARGE = 1_000_000

_TEXT: Any = pd.StringDtype("pyarrow", na_value=np.nan)


def to_pandas(tables: Sequence[Any]) -> pd.DataFrame:
    """Return concatenated tables as a frame with `spec.COLUMNS` and fixed types; see `filled`."""
    return filled(tables, sum(map(len, tables)))


def filled(tables: Iterable[Any], count: int) -> pd.DataFrame:
    """Return concatenated tables as a frame with `spec.COLUMNS` and fixed types.

    Text is `str`, nullable integers are `Int64`, the others `int64`, `float64` and `bool`. Each table is forgotten
    once its values are in the frame.

    Args:
        tables: of `columns.decode` or `columns.decode_rows`.
        count: how many rows they have in all.

    Raises:
        ValueError: they have another number of rows.
    """
    columns = {
        name: _Texts() if column.type == "text" else _Numbers(column, count)
        for name, column in ROW.items()
    }
    at = 0
    for table in _batches(tables):
        if at + len(table) > count:
            raise ValueError(f"more than {count} rows")
        for name, values in columns.items():
            values.add(table[name], at)
        at += len(table)
    if at != count:
        raise ValueError(f"{at} rows where {count} are wanted")
    arrays = {name: columns[name].array() for name in COLUMNS}
    return told_toolkit(pd.DataFrame(arrays, index=pd.RangeIndex(count), copy=count < LARGE))


def _batches(tables: Iterable[Any]) -> Iterator[Any]:
    """Yield the rows of tables, some thousand at a time."""
    batch: list[Any] = []
    rows = 0
    for table in chain(tables, [None]):
        if batch and (table is None or rows + len(table) > _TOGETHER):
            yield pa.concat_tables(batch)
            batch, rows = [], 0
        if table is not None:
            batch.append(table)
            rows += len(table)


class _Texts:
    """A column of texts; equal stretches share their memory."""

    def __init__(self) -> None:
        self._chunks: list[Any] = []

    def add(self, values: Any, at: int) -> None:
        self._chunks += map(_shared, values.chunks)

    def array(self) -> Any:
        return _TEXT.__from_arrow__(pa.chunked_array(self._chunks, type=pa.large_string()))


def _shared(chunk: Any) -> Any:
    """Return texts as they are held in a frame; of a text that all rows have, the one that others share."""
    if not pa.types.is_dictionary(chunk.type):
        return chunk.cast(pa.large_string())
    if chunk.null_count == len(chunk):
        return _same(None, len(chunk))
    if not chunk.null_count and len(chunk.dictionary) == 1:
        return _same(chunk.dictionary[0].as_py(), len(chunk))
    return chunk.dictionary_decode().cast(pa.large_string())


@lru_cache(maxsize=256)
def _same(text: str | None, count: int) -> Any:
    return pa.repeat(pa.scalar(text, pa.large_string()), count)


class _Numbers:
    """A column of numbers or flags; it takes memory from its first value on."""

    def __init__(self, column: Column, count: int) -> None:
        self.column, self.count = column, count
        self._values: np.ndarray[Any, Any] | None = None
        self._missing: Any = None

    @property
    def _nullable(self) -> bool:
        return self.column.type == "int" and not self.column.required

    def add(self, values: Any, at: int) -> None:
        """Take over values, the first of which stands in the row `at`."""
        if values.null_count == len(values) and self._values is None and len(values):
            return
        held = self._values if self._values is not None else self._begun()
        stretch = slice(at, at + len(values))
        if self._nullable:
            self._missing[stretch] = values.is_null().to_numpy()
            values = values.fill_null(0)
        held[stretch] = values.to_numpy()

    def _begun(self) -> np.ndarray[Any, Any]:
        kind = {"int": "int64", "float": "float64", "bool": "bool"}[self.column.type]
        empty = np.nan if kind == "float64" else 0
        self._values = np.full(self.count, empty, dtype=kind)
        self._missing = np.ones(self.count, dtype=bool) if self._nullable else None
        return self._values

    def array(self) -> Any:
        held = self._values
        if held is None and (self.count < LARGE or self.column.required):
            held = self._begun()
        if held is None:
            empty = np.float64(np.nan) if self.column.type == "float" else np.int64(0)
            held = np.broadcast_to(empty, self.count)
            self._missing = np.broadcast_to(np.True_, self.count)
        return pd.arrays.IntegerArray(held, self._missing) if self._nullable else held
