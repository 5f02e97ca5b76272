"""The rows of a run as one table for other programs, a cell at a time, with the facts of their cells."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from bench.errors import PrerequisiteError
from bench.spec import COLUMNS, HANDED_IN_SURFACE, HANDED_IN_TOOLKIT, eps_text
from bench.store.columns import SCHEMA
from bench.store.store import Store

#: The layouts of a table.
TABLES = ("parquet", "csv", "duckdb")
Layout = Literal["parquet", "csv", "duckdb"]

#: About how many rows are written at once.
_TOGETHER = 100_000

#: What each row says beside `spec.COLUMNS`: of its cell, and last the run.
FACTS = pa.schema([
    ("attack_kind", pa.string()), ("access", pa.string()), ("eps_text", pa.string()),
    ("parameters", pa.string()), ("crafted_on", pa.string()), ("batch_size", pa.int64()),
    ("auto", pa.bool_()), ("suite", pa.string()), ("run", pa.string()),
])  # fmt: skip

#: Of a whole table.
TABLE = pa.schema([*SCHEMA, *FACTS])


def exported(store: Store, start: Mapping[str, Any]) -> Iterator[Any]:
    """Yield the rows of the finished cells of a run as pyarrow tables of `TABLE`, in the order of the run.

    `attack_kind` is `fixed`, `minimal` or `certify`, `parameters` are JSON, `crafted_on` is null for the model itself,
    and `auto` says that a check called for the cell.

    Args:
        store: the results folder.
        start: the first line of the run's log.

    Raises:
        StoreError: a file is missing or damaged.
    """
    for cell in start["cells"]:
        if (record := store.record(cell["cell"])) is not None:
            for rows in store.tables(cell["cell"], record):
                yield _with_facts(rows.cast(SCHEMA), cell, start)


def _with_facts(rows: Any, cell: Mapping[str, Any], start: Mapping[str, Any]) -> Any:
    facts = {
        "attack_kind": cell["kind"], "access": cell["access"], "eps_text": cell["eps"] or eps_text(None),
        "parameters": json.dumps(cell["words"], sort_keys=True), "crafted_on": cell["climbed"],
        "batch_size": cell.get("batch_size", start["protocol"]["batch_size"]),
        "auto": cell.get("auto", False), "suite": start["suite"], "run": start["run"],
    }  # fmt: skip
    columns = [rows[name] for name in COLUMNS]
    if cell["surface"] == HANDED_IN_SURFACE:  # they are stored under a toolkit of ours
        columns[COLUMNS.index("toolkit")] = pa.repeat(HANDED_IN_TOOLKIT, len(rows))
    columns += [pa.repeat(pa.scalar(facts[field.name], field.type), len(rows)) for field in FACTS]
    return pa.table(columns, schema=TABLE)


def write_table(tables: Iterable[Any], path: Path, layout: Layout) -> int:
    """Write tables of `TABLE` into a new file, some rows at a time, and return how many rows it has.

    Args:
        tables: of `exported`.
        path: of the file; of `duckdb` a database, in which they are the table `results`.
        layout: of the file.

    Raises:
        PrerequisiteError: `duckdb` is not installed.
        OSError: the file cannot be written.
    """
    rows = 0
    with _OPENED[layout](path) as write:
        for batch in _batches(tables):
            write(batch)
            rows += len(batch)
    return rows


def _batches(tables: Iterable[Any]) -> Iterator[Any]:
    batch: list[Any] = []
    rows = 0
    for table in tables:
        batch.append(table)
        rows += len(table)
        if rows >= _TOGETHER:
            yield pa.concat_tables(batch).combine_chunks()
            batch, rows = [], 0
    yield pa.concat_tables([TABLE.empty_table(), *batch]).combine_chunks()


Write = Callable[[Any], Any]


@contextmanager
def _parquet(path: Path) -> Iterator[Write]:
    import pyarrow.parquet as pq

    with pq.ParquetWriter(path, TABLE) as writer:
        yield writer.write_table


@contextmanager
def _csv(path: Path) -> Iterator[Write]:
    from pyarrow import csv

    with csv.CSVWriter(path, TABLE) as writer:
        yield writer.write_table


@contextmanager
def _duckdb(path: Path) -> Iterator[Write]:
    try:
        import duckdb
    except ImportError as error:
        raise PrerequisiteError(
            "--format duckdb needs a package; install it with: pip install 'crossfire-bench[duckdb]', or write parquet, "
            "which DuckDB reads as it is"
        ) from error
    with duckdb.connect(str(path)) as connection:
        connection.from_arrow(TABLE.empty_table()).create("results")
        yield lambda batch: connection.from_arrow(batch).insert_into("results")


_OPENED: Mapping[Layout, Callable[[Path], AbstractContextManager[Write]]] = {
    "parquet": _parquet, "csv": _csv, "duckdb": _duckdb,
}  # fmt: skip
