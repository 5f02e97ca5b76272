"""What may be wrong with the rows that a user's kind computes, in words."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import torch

from bench.registry import unknown
from bench.runner.task import Chunk, Part, Task
from bench.spec import COLUMNS, ROW
from bench.store.columns import SCHEMA


def wrong_with(chunk: object, task: Task, part: Part, kind: str) -> str:
    """Return what is wrong with the results for some images (follows `its compute`); empty if nothing.

    Args:
        chunk: what a user's function returned.
        task: what was computed.
        part: the images.
        kind: the name of the kind of rows.
    """
    if not isinstance(chunk, Chunk):
        return f"returned {type(chunk).__name__}; return bench.runner.task.Chunk(rows, x, x_adv)"
    rows: object = chunk.rows
    if not isinstance(rows, pd.DataFrame):
        return f"returned rows as {type(rows).__name__}; make them with rows_of(...)"
    for name in ("x", "x_adv"):
        images = getattr(chunk, name)
        if not isinstance(images, torch.Tensor) or len(images) != len(part.x):
            return f"returned as {name} not the {len(part.x)} images it was given or made of them"
    return (
        _wrong_columns(rows)
        or _wrong_place(rows, task, part, kind)
        or next(filter(None, (_wrong_values(rows[name], name) for name in COLUMNS)), "")
    )


def _wrong_columns(rows: pd.DataFrame) -> str:
    extra = [name for name in rows.columns if name not in COLUMNS]
    if extra:
        return f"returned rows with a column that is not there: {unknown('column', str(extra[0]), list(COLUMNS))}"
    if rows.columns.has_duplicates:
        return f"returned rows with two columns {rows.columns[rows.columns.duplicated()][0]!r}"
    missing = [name for name in COLUMNS if name not in rows.columns]
    if missing:
        return f"returned rows without {', '.join(missing)}; make them with rows_of(...)"
    return ""


def _wrong_place(rows: pd.DataFrame, task: Task, part: Part, kind: str) -> str:
    """Return why rows are not those of the images, the cell and the kind they were asked for."""
    if len(rows) != len(part.x):
        return f"returned {len(rows)} rows for {len(part.x)} images; return one for each"
    expected = {"kind": kind, "cell": task.named.get("cell", ""), "attack": task.spec.name}
    for name, value in expected.items():
        others = [other for other in rows[name] if other != value]
        if others:
            return f"returned rows with {name} {others[0]!r}; it is {value!r}"
    if rows["index"].tolist() != list(range(part.start, part.start + len(part.x))):
        return "returned rows in another order than the images; leave index as rows_of makes it"
    return ""


def _wrong_values(values: pd.Series, name: str) -> str:
    column = ROW[name]
    if column.required and values.isna().any():
        return f"returned rows without a value of {name}, which every row must have"
    try:
        pa.array(values, type=SCHEMA.field(name).type, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        what = (str(error).splitlines() or ["no message"])[0]
        return f"returned rows whose {name} is not {column.type}: {what}"
    return ""
