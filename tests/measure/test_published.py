from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scenes import dml

from bench.errors import SpecError
from bench.measure.outcomes import Outcomes
from bench.measure.published import COLUMNS, comparison, read_published, readings
from bench.measure.statistics import wilson
from bench.store.results import Results
from bench.suite_files import published_file

DL, DML = "mnist/dl-cross-entropy-sgd", "mnist/dml-contrastive-sgd-knn1-cosine"

#: What a line has to say; the other columns take any text.
VALID = {"norm": "linf", "eps": "8/255", "metric": "accuracy", "value": "0.5", "unit": "fraction"}


@pytest.fixture(scope="module")
def results() -> Results:
    return dml.results([DL, DML])


@pytest.fixture(scope="module")
def published() -> pd.DataFrame:
    return read_published(dml.PUBLISHED)


def found(results: Results, published: pd.DataFrame) -> pd.DataFrame:
    """Return the comparison, a row a model, attack and eps of ours."""
    table = comparison(Outcomes(results), published)
    table["title"] = table["data"] + "/" + table["model"]
    return table.set_index(["title", "attack", "eps"])


def by_hand(
    results: Results, model: str, attack: str, eps: str, surface: str | None = None
) -> float:
    """Return the share of images that no row of an attack at an eps broke, in percent."""
    radius = 14 / 255 if eps == "14/255" else float(eps)
    fell: dict[int, bool] = {}
    for row in results.rows.to_dict("records"):
        if row["model"] != model or row["attack"] != attack or row["eps"] != radius:
            continue
        if surface is None or row["surface"] == surface:
            fell[row["index"]] = (
                fell.get(row["index"], False) or row["success"] or not row["correct"]
            )
    return 100 * (1 - sum(fell.values()) / len(fell))


def test_ours_is_the_worst_case_over_surfaces_and_toolkits(
    results: Results, published: pd.DataFrame
) -> None:
    table = found(results, published)
    for model in (DL, DML):
        for attack in ("pgd", "bim", "fgsm"):
            for eps in ("0.01", "0.02", "14/255", "1"):
                row, expected = (
                    table.loc[(model, attack, eps)],
                    by_hand(results, model, attack, eps),
                )
                assert row["ours"] == pytest.approx(expected)
                low, high = wilson(round(expected * row["n"] / 100), row["n"])
                assert (row["low"], row["high"]) == pytest.approx((100 * low, 100 * high))
    row = table.loc[(DML, "pgd", "0.02")]
    for surface in dml.SURFACES:
        alone = by_hand(results, DML, "pgd", "0.02", surface)
        assert row[f"ours on {surface}"] == pytest.approx(alone)
    assert row["ours"] <= min(row[f"ours on {surface}"] for surface in dml.SURFACES)
    assert (row["cells"], row["planned"]) == (9, 9)
    assert np.isnan(row["ours on network"])


def test_clean_images_and_both_readings_of_a_radius_no_image_has(
    results: Results, published: pd.DataFrame
) -> None:
    table = found(results, published)
    rows = results.rows[results.rows["model"] == DL].drop_duplicates("index")
    assert table.loc[(DL, "none", "0"), "ours"] == pytest.approx(100 * rows["correct"].mean())
    for eps in ("14/255", "1"):
        row = table.loc[(DL, "fgsm", eps)]
        assert (row["eps_published"], row["published"]) == ("14", 7.49)
    assert readings("linf", "0.3") == ("0.3",)
    assert readings("l2", "14") == ("14",)


def test_every_published_figure_is_there_with_or_without_ours(
    results: Results, published: pd.DataFrame
) -> None:
    table = comparison(Outcomes(results), published)
    twice = (published["eps"] == "14").sum()
    assert len(table) == len(published) + twice
    assert table["published"].notna().all()
    of_it = (table["data"] + "/" + table["model"]).isin([DL, DML])
    assert table["ours"].notna().equals(of_it)
    assert (table.loc[~of_it, "planned"] == 0).all()


def test_cells_without_a_result_are_left_out_and_counted(
    results: Results, published: pd.DataFrame
) -> None:
    cells = results.cells
    gone = (cells["model"] == DL) & (cells["attack"] == "pgd")
    gone |= (cells["model"] == DML) & (cells["surface"] == "soft-knn")
    part = dataclasses.replace(
        results,
        cells=cells.assign(status=cells["status"].mask(gone, "missing")),
        rows=results.rows[~results.rows["cell"].isin(cells.loc[gone, "cell"])],
    )
    table = found(part, published)
    nothing = table.loc[(DL, "pgd", "0.02")]
    assert np.isnan(nothing["ours"])
    assert (nothing["cells"], nothing["planned"], nothing["n"]) == (0, 3, 0)
    less = table.loc[(DML, "bim", "0.01")]
    assert (less["cells"], less["planned"]) == (2, 3)
    assert less["ours"] == min(less["ours on nearest-other"], less["ours on metric-loss"])


def test_shares_become_percent_and_other_metrics_are_left_out(
    results: Results, tmp_path: Path
) -> None:
    lines = [
        "study,table,dataset,model,attack,norm,eps,metric,value,unit,note",
        "x,1,mnist,dl-cross-entropy-sgd,pgd,linf,0.02,accuracy,0.5,fraction,",
        "x,1,mnist,dl-cross-entropy-sgd,pgd,linf,0.02,f_score,0.5,fraction,",
        "x,1,mnist,dl-cross-entropy-sgd,deepfool,l2,,accuracy,3,%,",
    ]
    (tmp_path / "x.csv").write_text("\n".join(lines))
    table = comparison(Outcomes(results), read_published(tmp_path / "x.csv"))
    assert list(table["published"]) == [50.0, 3.0]
    assert list(table["ours"].notna()) == [True, False]


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    path = tmp_path / "study.csv"
    row = ["", *["x"] * (len(COLUMNS) - 2), ""]
    for column, said in VALID.items():
        row[COLUMNS.index(column)] = said
    path.write_bytes(b"\xef\xbb\xbf" + f"{','.join(COLUMNS)}\r\n{','.join(row)}\r\n".encode())
    assert tuple(read_published(path).columns) == (*COLUMNS, "printed")


def test_a_study_is_a_suite_with_published_figures_beside_it(tmp_path: Path) -> None:
    assert published_file("dml") == dml.PUBLISHED
    assert published_file("digits") is None
    (tmp_path / "mine.csv").touch()
    assert published_file(str(tmp_path / "mine.toml")) == tmp_path / "mine.csv"


HEADER = ",".join(COLUMNS) + "\n"


@pytest.mark.parametrize(("text", "words"), [
    ("a,b\n1,2\n", "need the columns study.*; it is without study, .* and with 'a', 'b'"),
    (HEADER.replace("study,table", "table,study"), "in another order: table stands where study belongs"),
    (HEADER.replace("note", "unit"), "it is without note"),
    (HEADER.replace("note", "note,note"), "it has note more than once"),
    ("", "an empty file; its first line is study,"),
    ("\n\n", "an empty file"),
    (HEADER, "no published figure; write a line for each"),
    (f"{HEADER}x,1\n", "line 2: 2 fields, but there are 11 columns"),
    (HEADER + 'x,1,"d', "broken CSV: .*; quote a text"),
])  # fmt: skip
def test_a_file_that_is_no_table_of_figures_is_named(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(text)
    with pytest.raises(SpecError, match=words) as error:
        read_published(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("column", "said", "words"), [
    ("value", "high", "value: 'high' is not a number"),
    ("value", "", "value: '' is not a number"),
    ("value", "nan", "value: 'nan' is not a number"),
    ("norm", "l3", "norm: 'l3'; write l0, l1, l2, linf, or leave it empty"),
    ("metric", "acuracy", "metric: 'acuracy'; write accuracy, "),
    ("unit", "per cent", "unit: 'per cent'; for the metric accuracy write % or fraction"),
    ("unit", "linf", "unit: 'linf'; for the metric accuracy"),
    ("eps", "small", "eps: 'small' is not a number or a fraction"),
])  # fmt: skip
def test_a_wrong_field_is_named_by_its_line(
    tmp_path: Path, column: str, said: str, words: str
) -> None:
    path = tmp_path / "x.csv"
    right = [VALID.get(name, "x") for name in COLUMNS]
    wrong = [said if name == column else VALID.get(name, "x") for name in COLUMNS]
    path.write_text(f"{HEADER}{','.join(right)}\n\n{','.join(wrong)}\n")
    with pytest.raises(SpecError, match=words) as error:
        read_published(path)
    assert str(error.value).startswith(f"{path}, line 4: ")


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SpecError, match=r"x.csv: not a UTF-8 text file"):
        read_published(tmp_path / "x.csv")
