"""The types of a row's columns, the same in every file, even if a column is all null."""

from __future__ import annotations

import io
import json
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bench.errors import StoreError
from bench.spec import COLUMNS, HANDED_IN_SURFACE, HANDED_IN_TOOLKIT, ROW, Column

_TYPES = {"text": pa.string(), "bool": pa.bool_(), "int": pa.int64(), "float": pa.float64()}
_REQUIRED = [name for name, column in ROW.items() if column.required]
#: The pandas types of the columns that must not be null.
_FIXED = {
    name: {"int": "int64", "bool": "bool"}[column.type]
    for name, column in ROW.items()
    if column.required and column.type in ("int", "bool")
}
_PICTURES, _TRACE, _MADE = b"crossfire.pictures", b"crossfire.trace", b"crossfire.made"

SCHEMA = pa.schema([pa.field(name, _TYPES[column.type]) for name, column in ROW.items()])


def encode(
    rows: pd.DataFrame,
    pictures: dict[str, Any] | None,
    maker: dict[str, Any] | None = None,
    trace: dict[str, Any] | None = None,
) -> bytes:
    """Return rows as the bytes of a parquet file that also names the files of its pictures and trace.

    Args:
        rows: a frame with exactly `spec.COLUMNS`, in any order.
        pictures: facts of the pictures' file, as plain JSON values; None without pictures.
        maker: versions and device that made the rows, as plain JSON values; None if unknown.
        trace: facts of the trace's file, as plain JSON values; None without a trace.

    Raises:
        StoreError: a column is missing, unknown, of the wrong type, or null where it must not be.
    """
    wrong = set(rows.columns) ^ set(COLUMNS)
    if wrong:
        raise StoreError(f"rows with missing or unknown columns: {', '.join(sorted(wrong))}")
    empty = [name for name in _REQUIRED if rows[name].isna().any()]
    if empty:
        raise StoreError(f"rows with nulls in {', '.join(empty)}, which every row must have")
    try:
        table = pa.Table.from_pandas(rows[list(COLUMNS)], schema=SCHEMA, preserve_index=False)
    except pa.ArrowException as error:
        raise StoreError(f"rows of a wrong type: {'; '.join(map(str, error.args))}") from error
    table = table.replace_schema_metadata(None)  # pandas' type names differ between its versions
    sink = io.BytesIO()
    # Statistics and arrow's own copy of the schema would be half of the file, and nobody reads them.
    with pq.ParquetWriter(sink, SCHEMA, write_statistics=False, store_schema=False) as writer:
        writer.write_table(table)
        about = {_PICTURES: pictures, _MADE: maker} | ({} if trace is None else {_TRACE: trace})
        writer.add_key_value_metadata(
            {name: json.dumps(value).encode() for name, value in about.items()}
        )
    return sink.getvalue()


def decode(data: bytes) -> tuple[Any, dict[str, Any] | None]:
    """Return the pyarrow table in the bytes of a part, and the facts of its pictures' file.

    Columns added after the part was written get their defaults; unknown columns of a later version are
    left out.

    Raises:
        ValueError: the bytes are no parquet file, or one with other columns.
    """
    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        # Threads cost more than they gain in files of a few kilobytes.
        table = file.read(use_threads=False).replace_schema_metadata(None)
        pictures = json.loads(file.metadata.metadata[_PICTURES])
    except (pa.ArrowException, OSError, KeyError) as error:
        raise ValueError(str(error)) from error
    present = set(table.column_names)
    for name, column in ROW.items():
        if name not in present:
            table = table.append_column(SCHEMA.field(name), _default(name, column, len(table)))
    table = table.select(list(COLUMNS))
    if not table.schema.equals(SCHEMA):
        raise ValueError("columns of other types")
    return table, pictures


def _default(name: str, column: Column, count: int) -> Any:
    """Return default values for a column that is missing in a part of an older version."""
    if column.required and column.default is None:
        raise ValueError(f"no column {name}")
    return pa.array([column.default] * count, type=_TYPES[column.type])


def made_by(data: bytes) -> dict[str, Any] | None:
    """Return what made the rows in the bytes of an intact part; None if not recorded."""
    return _about(data, _MADE)


def trace_of(data: bytes) -> dict[str, Any] | None:
    """Return the facts of the trace's file from the bytes of an intact part; None without a trace."""
    return _about(data, _TRACE)


def _about(data: bytes, key: bytes) -> dict[str, Any] | None:
    metadata = pq.ParquetFile(pa.BufferReader(data)).metadata.metadata
    about: dict[str, Any] | None = json.loads(metadata.get(key, b"null"))
    return about


def to_pandas(tables: list[Any]) -> pd.DataFrame:
    """Return concatenated tables as a frame with `spec.COLUMNS` and fixed types.

    Text is `str`, nullable integers are `Int64`, the others `int64`, `float64` and `bool`.
    """
    table = pa.concat_tables(tables) if tables else SCHEMA.empty_table()
    rows: pd.DataFrame = table.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
    return told_toolkit(rows.astype(_FIXED))


def told_toolkit(frame: pd.DataFrame) -> pd.DataFrame:
    """Return rows or cells whose `toolkit` says so where images were handed in; they are stored under one of ours."""
    handed_in = frame["surface"] == HANDED_IN_SURFACE
    if not handed_in.any():
        return frame
    return frame.assign(toolkit=frame["toolkit"].mask(handed_in, HANDED_IN_TOOLKIT))


def attacked(rows: pd.DataFrame) -> pd.Series[bool]:
    """Return which rows, bool, are of images that an attack was run on.

    These are the images that the model gets right, except those already of the target class.
    """
    return rows["correct"] & (rows["adv_label"].notna() | rows["invalid"].notna())
