from __future__ import annotations

import io
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import stored_run

from bench.errors import StoreError
from bench.spec import COLUMNS, ROW, Column
from bench.store import columns, frames

CELL = next(stored_run.cells())[0]
ROWS = stored_run.make_rows(CELL)[0]

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
INTEGER = st.integers(-(2**62), 2**62)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "text": TEXT, "bool": st.booleans(), "int": INTEGER, "float": st.floats(allow_nan=False),
}  # fmt: skip
ANY = {
    name: VALUES[column.type] if column.required else st.none() | VALUES[column.type]
    for name, column in ROW.items()
}


def back(rows: pd.DataFrame) -> pd.DataFrame:
    return frames.to_pandas([columns.decode(columns.encode(rows, None))[0]])


@settings(max_examples=40)
@given(st.lists(st.fixed_dictionaries(ANY), min_size=1, max_size=4))
def test_round_trip(rows: list[dict[str, Any]]) -> None:
    # Each column as a list of Python objects, the least helpful thing a caller can hand over.
    frame = pd.DataFrame(
        {name: pd.Series([row[name] for row in rows], dtype=object) for name in COLUMNS}
    )
    read = back(frame)
    assert tuple(read.columns) == COLUMNS
    for name in COLUMNS:
        for given_value, value in zip(frame[name], read[name], strict=True):
            assert pd.isna(value) if given_value is None else value == given_value


def test_types_do_not_depend_on_what_is_null() -> None:
    full = ROWS.assign(
        target=1, invalid="over budget", certified_radius=0.5, adversarial_radius=0.5, eps=0.1
    )
    full = full.assign(adv_margin=0.5, ineffective="no gradient", share=0.5, clean_share=0.5)
    full[["adv_label", "iterations", "draws"]] = 1
    empty = ROWS.assign(
        target=None, invalid=None, eps=None, adv_label=None, iterations=None, forwards=None,
        backwards=None, seconds=None, l0=None, l1=None, l2=None, linf=None,
        clean_confidence=None, adv_confidence=None,
    )  # fmt: skip
    assert back(full).dtypes.equals(back(empty).dtypes)
    assert frames.to_pandas([]).dtypes.equals(back(empty).dtypes)


def test_bytes_depend_on_the_values_alone() -> None:
    shuffled = ROWS[list(reversed(COLUMNS))].set_index(pd.Index(range(7, 7 + len(ROWS))))
    shuffled["target"] = shuffled["target"].astype("Int64")
    assert columns.encode(shuffled, None) == columns.encode(ROWS, None)
    assert columns.encode(ROWS.assign(seed=5), None) != columns.encode(ROWS, None)


def test_the_pictures_file_is_part_of_the_bytes() -> None:
    data = columns.encode(ROWS, {"file": "a.safetensors"})
    assert columns.decode(data)[1] == {"file": "a.safetensors"}
    assert data != columns.encode(ROWS, {"file": "b.safetensors"})


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (ROWS.drop(columns="linf"), "linf"),
        (ROWS.assign(extra=1), "extra"),
        (ROWS.assign(success=None), "nulls in success"),
        (ROWS.assign(label="cat"), "wrong type"),
        (ROWS.assign(adv_label=1.5), "wrong type"),
    ],
)
def test_rows_that_break_the_schema(rows: pd.DataFrame, message: str) -> None:
    with pytest.raises(StoreError, match=message):
        columns.encode(rows, None)


def written(table: Any) -> bytes:
    """Return a part with these columns, as another version may have written it."""
    sink = io.BytesIO()
    with pq.ParquetWriter(sink, table.schema, store_schema=False) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({b"crossfire.pictures": b"null"})
    return sink.getvalue()


def test_rows_written_before_some_columns_came_are_read() -> None:
    later = [
        "adv_margin",
        "ineffective",
        "draws",
        "clean_share",
        "share",
        "chosen_share",
        "broken_by",
    ]
    table = columns.decode(columns.encode(ROWS, None))[0]
    older = written(table.drop(later))
    assert columns.decode_rows(older).cast(columns.SCHEMA).equals(columns.decode(older)[0])
    before = columns.decode(older)[0]
    read = frames.to_pandas([before, table])
    assert tuple(read.columns) == COLUMNS
    assert read.loc[: len(ROWS) - 1, later].isna().all(axis=None)


def test_a_column_that_came_later_has_its_default_and_one_of_a_later_version_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = columns.decode(columns.encode(ROWS, None))[0]
    newer = table.append_column("colour", table["model"])
    assert columns.decode(written(newer))[0].equals(table)
    grown = {**ROW, "success": Column("bool", True, False)}
    monkeypatch.setattr(columns, "ROW", grown)
    read = columns.decode(written(table.drop(["success"])))[0]
    assert not any(read["success"].to_pylist())
    with pytest.raises(ValueError, match="no column correct"):
        columns.decode(written(table.drop(["correct"])))


@pytest.mark.parametrize("cut", [0, 3, 1000, -1])
def test_half_a_file_is_no_file(cut: int) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (whatever arrow says)
        columns.decode(columns.encode(ROWS, None)[:cut])


def test_attacked_leaves_out_wrong_images_and_those_that_have_the_target() -> None:
    rows = ROWS.copy()
    rows.loc[1, "adv_label"] = pd.NA  # right, but its label was the one wanted
    rows.loc[2, "adv_label"] = pd.NA
    rows["invalid"] = pd.Series([None] * len(rows), dtype="str")
    rows.loc[2, "invalid"] = "not finite"
    told = columns.attacked(rows)
    assert told.dtype == bool
    assert not told[0]  # wrong
    assert not told[1]
    assert told[2:10].all()


def test_joined_parts_are_their_rows_in_order() -> None:
    parts = [
        columns.decode_rows(columns.encode(ROWS.iloc[at], None))
        for at in (slice(0, 7), slice(7, 40))
    ]
    joined = columns.decode(columns.joined(parts))[0]
    assert joined.equals(columns.decode(columns.encode(ROWS, None))[0])


def test_a_large_frame_is_the_same_in_less_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [columns.decode_rows(columns.encode(ROWS, None))] * 3
    small = frames.to_pandas(parts)
    monkeypatch.setattr(frames, "LARGE", 10)
    monkeypatch.setattr(frames, "_TOGETHER", 50)  # more than one batch
    pd.testing.assert_frame_equal(frames.to_pandas(parts), small)
    with pytest.raises(ValueError, match="120 rows where 130"):
        frames.filled(parts, 130)
    with pytest.raises(ValueError, match="more than 100"):
        frames.filled(parts, 100)


@pytest.mark.parametrize("order", [["a", "a", "b"], ["a", "b", "a"], ["b"], []])
def test_places_and_parts_of_cells_that_stand_together_or_not(order: list[str]) -> None:
    rows = pd.concat(
        [ROWS.iloc[:4].assign(cell=key) for key in order] or [ROWS.iloc[:0]], ignore_index=True
    )
    rows["cell"] = rows["cell"].astype("str")
    expected = {key: [at for at, said in enumerate(rows["cell"]) if said == key] for key in order}
    every = pd.Series(range(len(rows)))
    found = {key: every[at].tolist() for key, at in columns.places(rows["cell"]).items()}
    assert found == expected
    assert columns.cell_of(rows).tolist() == rows["cell"].tolist()
    parts = list(columns.in_parts(rows, most=4))
    assert [set(part["cell"]) for part in parts] == [{key} for key in dict.fromkeys(order)]
    assert sum(map(len, parts)) == len(rows)
