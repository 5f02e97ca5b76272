"""Which rows of a long table a document has."""

from __future__ import annotations

import pandas as pd

from bench.report.blocks import Column, Table
from bench.report.render.layout import shortened


def table(models: list[str], group: str = "model") -> Table:
    frame = pd.DataFrame({"model": models, "place": [str(at) for at in range(len(models))]})
    columns = (Column("model", "subject"), Column("place"))
    return Table(caption="Rows.", columns=columns, frame=frame, group=group, notes=("Own.",))


def test_a_table_of_at_most_so_many_rows_stays_as_it_is() -> None:
    short = table(["a"] * 6 + ["b"] * 4)
    assert shortened(short, 10) is short


def test_each_group_of_a_long_table_keeps_its_first_rows_and_a_note_counts_them() -> None:
    long = shortened(table(["a"] * 600 + ["b"] * 3 + ["a"] * 600), 10)
    assert long.frame["place"].tolist() == ["0", "1", "2", "3", "4", "600", "601", "602"]
    assert long.notes == (
        "The first rows of each model: 8 of 1,203. The CSV files have all.",
        "Own.",
    )


def test_a_table_without_groups_or_with_a_group_a_row_keeps_its_first_rows() -> None:
    for long in (table(["a"] * 30, group=""), table([f"m{at}" for at in range(30)])):
        kept = shortened(long, 10).frame["place"].tolist()
        assert kept == [str(at) for at in range(10)]
