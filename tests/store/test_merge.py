"""Results folders put together have the cells of each, and a cell whose rows differ is named."""

import pytest
from scenes import stored_run

from bench.errors import StoreError
from bench.store.carry import names_in
from bench.store.findings import read_found, write_found
from bench.store.identity import cell_key
from bench.store.merge import merge
from bench.store.parts import Arrays
from bench.store.store import open_store

CELLS = {cell_key(cell): cell for cell, *_ in stored_run.cells()}
A, B = list(CELLS)[:2]
MADE_ON = "cc" + "0" * 18


def write(store, key, *, finish=True, **changed):
    rows = stored_run.make_rows(CELLS[key])[0].iloc[:4].assign(**changed)
    store.write_chunk(key, 0, 4, rows, Arrays())
    if finish:
        store.finish(key, {"title": key})


@pytest.fixture
def stores(tmp_path):
    return open_store(tmp_path / "ours"), open_store(tmp_path / "theirs")


def test_what_is_missing_is_copied_and_what_is_there_stays(stores):
    ours, theirs = stores
    write(ours, A)
    write(theirs, A, seconds=9.0)  # the same rows, made on another machine
    write(theirs, B)
    write_found(theirs.root, MADE_ON, {"check": "a"})
    merged = merge(ours, theirs)
    assert (merged.copied, merged.same, merged.conflicts, merged.unfinished) == (1, 1, {}, 0)
    assert ours.is_done(B)
    assert ours.rows(B).equals(theirs.rows(B))
    assert read_found(ours.root, MADE_ON) == {"check": "a"}
    assert merge(ours, theirs).same == 2
    assert ours.rows(A)["seconds"].iloc[0] != 9.0


def test_a_cell_with_other_rows_is_named_and_kept(stores):
    ours, theirs = stores
    write(ours, A)
    write(theirs, A, adv_label=77)
    before = ours.rows(A)
    (difference,) = merge(ours, theirs).conflicts.values()
    assert difference == "4 of 4 rows differ in adv_label"
    assert ours.rows(A).equals(before)


def test_what_is_only_begun_is_counted_and_left(stores):
    ours, theirs = stores
    write(theirs, A, finish=False)
    assert merge(ours, theirs).unfinished == 1
    assert not ours.is_done(A)


def test_a_record_is_written_after_everything_it_names(stores, monkeypatch):
    ours, theirs = stores
    write(theirs, A)

    def full(path, data, elsewhere=""):
        raise StoreError("no space left")

    monkeypatch.setattr("bench.store.merge.atomic_write", full)
    with pytest.raises(StoreError, match="no space left"):
        merge(ours, theirs)
    assert not ours.is_done(A)
    monkeypatch.undo()
    assert merge(ours, theirs).copied == 1
    assert ours.is_done(A)


def test_a_cell_that_is_computed_anew_meanwhile_is_copied_as_it_was(stores, monkeypatch):
    ours, theirs = stores
    write(theirs, A)
    before = theirs.rows(A)

    def overwritten(folder):
        names = names_in(folder)  # a part that the new record names is not among them
        (folder / "cell.json").write_text('{"parts": ["rows-of-another-run.parquet"]}')
        return names

    monkeypatch.setattr("bench.store.merge.names_in", overwritten)
    merge(ours, theirs)
    assert ours.is_done(A)
    assert ours.rows(A).equals(before)
