"""The types of a row's columns, the same in every file, even if a column is all null."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bench.errors import StoreError
from bench.spec import COLUMNS, HANDED_IN_SURFACE, HANDED_IN_TOOLKIT, ROW, Column

_TYPES = {"text": pa.string(), "bool": pa.bool_(), "int": pa.int64(), "float": pa.float64()}
_REQUIRED = [name for name, column in ROW.items() if column.required]
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
    try:
        # Column by column, since what pandas would add about its own types takes longer than all else here.
        arrays = [
            pa.array(rows[name], SCHEMA.field(name).type, from_pandas=True) for name in COLUMNS
        ]
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise StoreError(f"rows of a wrong type: {'; '.join(map(str, error.args))}") from error
    table = pa.Table.from_arrays(arrays, schema=SCHEMA)
    empty = [name for name in _REQUIRED if table[name].null_count]
    if empty:
        raise StoreError(f"rows with nulls in {', '.join(empty)}, which every row must have")
    about = {_PICTURES: pictures, _MADE: maker} | ({} if trace is None else {_TRACE: trace})
    return _written(table, about)


def joined(tables: Sequence[Any]) -> bytes:
    """Return the rows of several tables as the bytes of one parquet file, which is read far sooner than they are."""
    plain = [table.cast(SCHEMA) for table in tables]
    return _written(pa.concat_tables(plain).combine_chunks(), {_PICTURES: None})


def _written(table: Any, about: Mapping[bytes, Any]) -> bytes:
    sink = io.BytesIO()
    # Statistics and arrow's own copy of the schema would be half of the file, and nobody reads them.
    with pq.ParquetWriter(sink, SCHEMA, write_statistics=False, store_schema=False) as writer:
        writer.write_table(table)
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
    table, metadata = _read(data)
    if not table.schema.equals(SCHEMA):
        raise ValueError("columns of other types")
    return table, json.loads(metadata[_PICTURES])


def decode_rows(data: bytes) -> Any:
    """Return the pyarrow table in the bytes of a part, each text once (as a dictionary) and a number for each row.

    Raises:
        ValueError: as in `decode`.
    """
    return _read(data, [name for name, column in ROW.items() if column.type == "text"])[0]


def _read(data: bytes, numbered: Sequence[str] = ()) -> tuple[Any, dict[bytes, bytes]]:
    """Return a table with `COLUMNS`, those of texts that are named as dictionaries, and the metadata of its file."""
    try:
        file = _opened(data, numbered)
        # Threads cost more than they gain in files of a few kilobytes.
        table = file.read(use_threads=False).replace_schema_metadata(None)
        metadata: dict[bytes, bytes] = file.metadata.metadata
        metadata[_PICTURES]
    except (pa.ArrowException, OSError, KeyError) as error:
        raise ValueError(str(error)) from error
    if tuple(table.column_names) == COLUMNS:
        return table, metadata
    present = set(table.column_names)
    for name, column in ROW.items():
        if name not in present:
            table = table.append_column(SCHEMA.field(name), _default(name, column, len(table)))
    return table.select(list(COLUMNS)), metadata


def _opened(data: bytes, numbered: Sequence[str]) -> Any:
    try:
        return pq.ParquetFile(pa.BufferReader(data), read_dictionary=list(numbered))
    except KeyError:  # of an older version, which lacks some of them
        there = set(pq.ParquetFile(pa.BufferReader(data)).schema_arrow.names)
        known = [name for name in numbered if name in there]
        return pq.ParquetFile(pa.BufferReader(data), read_dictionary=known)


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


def cell_of(rows: pd.DataFrame) -> pd.Series:
    """Return the cell of each row as a category, by which grouping takes far less time than by its text."""
    lengths, numbers, names = _stretches(rows["cell"])
    codes = np.repeat(numbers, lengths)
    categories = pd.Categorical.from_codes(codes, categories=pd.Index(names))
    return pd.Series(categories, index=rows.index)


def places(texts: pd.Series) -> dict[str, Any]:
    """Return where each text stands, in the order in which they first come, as what takes these rows of an array.

    A slice, which copies nothing, where a text has a single stretch; else an array of places.
    """
    lengths, numbers, names = _stretches(texts)
    if len(names) == len(numbers):
        stops = np.cumsum(lengths)
        return {
            str(name): slice(int(stop - length), int(stop))
            for name, stop, length in zip(names, stops, lengths, strict=True)
        }
    order = np.argsort(np.repeat(numbers, lengths), kind="stable")
    counts = np.bincount(numbers, weights=lengths, minlength=len(names)).astype("int64")
    return {
        str(name): at
        for name, at in zip(names, np.split(order, np.cumsum(counts)[:-1]), strict=True)
    }


def by_image(rows: pd.DataFrame, names: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Return columns of the first row that each model has of each image, by model, indexed by image."""
    read = rows[["index", *names]]
    found = {}
    for model, at in places(rows["model"]).items():
        of_model = read.iloc[at].set_index("index")
        found[model] = of_model[~of_model.index.duplicated()]
    return found


def in_parts(rows: pd.DataFrame, most: int = 500_000) -> Iterator[pd.DataFrame]:
    """Yield the rows of some cells at a time, for figures of cells that take more memory than their rows.

    Args:
        rows: of a run.
        most: how many at a time; a cell is never divided.
    """
    part: list[Any] = []
    count = 0
    for at in places(rows["cell"]).values():
        size = at.stop - at.start if isinstance(at, slice) else len(at)
        if part and count + size > most:
            yield _taken(rows, part)
            part, count = [], 0
        part.append(at)
        count += size
    if part:
        yield _taken(rows, part)


def _taken(rows: pd.DataFrame, at: Sequence[Any]) -> pd.DataFrame:
    if isinstance(at[0], slice):  # then all are, side by side
        return rows.iloc[at[0].start : at[-1].stop]
    return rows.iloc[np.concatenate(at)]


def _stretches(texts: pd.Series) -> tuple[Any, Any, Any]:
    """Return the lengths of stretches of one text, the number of the text of each, and the texts.

    Texts that name cells or models come in long stretches, each of which is looked at once.
    """
    runs = [pc.run_end_encode(chunk) for chunk in pa.chunked_array(pa.array(texts)).chunks]
    ends = [np.diff(run.run_ends.to_numpy(), prepend=0) for run in runs]
    lengths = np.concatenate(ends) if ends else np.zeros(0, dtype="int64")
    said = [text for run in runs for text in run.values.to_pylist()]  # noqa: PD011 (not of pandas)
    numbers, names = pd.factorize(pd.Index(said, dtype="str"))
    new = np.ones(len(numbers), dtype=bool)
    new[1:] = numbers[1:] != numbers[:-1]
    joined = np.add.reduceat(lengths, np.flatnonzero(new)) if len(lengths) else lengths
    return joined, numbers[new], names
