"""What the differences from the study come from: our figures by how sure a network was, and by steps taken."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from bench.measure.statistics import wilson
from bench.report import formatting
from bench.report.blocks import Column, Say, Section, Table, Text, tabulate
from bench.report.findings import Findings
from bench.report.rules import SectionRule
from bench.studies.fooling.beside import beside

#: Classes of confidence in the clean image: no sure, and how nines follow.
_EDGES = (0.0, 0.9, 0.99, 0.999, 1.0)
_MOST = 4
#: What the figures by confidence are of: a name, and the published figure whose cells they come from.
_OF = {
    "fgsm": {"table": "12.1", "eps": "0.01", "metric": "fooling_rate"},
    "deepfool": {"table": "12.3", "metric": "fooling_rate"},
    "deepfool_linf": {"table": "12.5", "metric": "fooling_rate"},
    "sparsefool": {"table": "12.6", "metric": "fooling_rate"},
}


def section(findings: Findings) -> Section | None:
    """Return our figures by what they depend on, of a run of the study of fooling."""
    made = frames(findings)
    if not made:
        return None
    why = (
        "The published networks were not at hand. Of our slim ones taken together, the figures depend on the "
        "image as follows; the causes named beside the tables refer to this."
    )
    blocks = (Text(text=why), sureness_table(made["sureness"]), steps_table(made["steps"]))
    return Section(label="sureness", title="What the figures depend on", blocks=blocks)


def frames(findings: Findings) -> Mapping[str, pd.DataFrame]:
    """Return our figures by confidence and by steps, of a run of the study of fooling that has some."""
    if findings.beside is None or findings.study.beside is not beside:
        return {}
    rows = {name: _rows(findings, wanted) for name, wanted in _OF.items()}
    if rows["fgsm"].empty or rows["deepfool"].empty:
        return {}
    return {"sureness": by_sureness(rows), "steps": by_steps(rows)}


def _rows(findings: Findings, wanted: Mapping[str, str]) -> pd.DataFrame:
    """Return the rows of the images attacked in the cells that stand beside some published figures."""
    found = findings.beside
    assert found is not None
    chosen = np.logical_and.reduce([found[name] == value for name, value in wanted.items()])
    cells = found.loc[chosen & (found["further"] == ""), "cell"]
    rows = findings.results.rows
    return rows[rows["cell"].isin(cells) & rows["correct"]]


def by_sureness(rows: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return figures by how sure the network was of the clean image.

    Args:
        rows: of images attacked, by the names in `_OF`.

    Returns:
        `above, upto` (confidence); of FGSM at 0.01 `n, fooling, low, high` (95 % Wilson); of DeepFool in l2
        `size, iterations`, `crossed` (share fooled by the clipped image); of SparseFool `values` (median
        share of changed channel values). NaN where there is no image.
    """
    found = []
    for above, upto in pairwise(_EDGES):
        fgsm, deepfool, _, sparse = (
            one[(one["clean_confidence"] > above) & (one["clean_confidence"] <= upto)]
            for one in rows.values()
        )
        low, high = wilson(int(fgsm["success"].sum()), len(fgsm))
        found.append({
            "above": above, "upto": upto, "n": len(fgsm), "fooling": fgsm["success"].mean(),
            "low": low, "high": high, "size": deepfool["l2"].mean(),
            "iterations": deepfool["iterations"].astype("float64").mean(),
            "crossed": deepfool["success"].mean(), "values": sparse["changed_values"].median(),
        })  # fmt: skip
    return pd.DataFrame(found)


def by_steps(rows: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return what the clip leaves of DeepFool by the steps that an image took.

    Returns:
        `norm, steps` (the last for all above too), `n, fooling, low, high` (share that the clipped image
        fools, 95 % Wilson), `size` (mean, in the norm).
    """
    found = []
    for name, norm in (("deepfool", "l2"), ("deepfool_linf", "linf")):
        steps = rows[name]["iterations"].astype("float64").clip(upper=_MOST)
        for count, group in rows[name].groupby(steps):
            low, high = wilson(int(group["success"].sum()), len(group))
            found.append({
                "norm": norm, "steps": int(count), "n": len(group),
                "fooling": group["success"].mean(), "low": low, "high": high,
                "size": group[norm].mean(),
            })  # fmt: skip
    return pd.DataFrame(found)


def sureness_table(found: pd.DataFrame) -> Table:
    """Return a row a class of confidence; see `by_sureness`."""
    columns: dict[Column, Say] = {
        Column("confidence", "subject"): _class,
        Column("n", "number"): lambda row: formatting.count(row.n),
        Column("FGSM fooled (%)", "rate"): lambda row: formatting.rate(
            row.fooling, row.low, row.high
        ),
        Column("DeepFool size", "number"): lambda row: formatting.amount(row.size),
        Column("DeepFool iterations", "number"): lambda row: formatting.amount(row.iterations),
        Column("DeepFool fooled (%)", "number"): lambda row: formatting.percent(row.crossed),
        Column("SparseFool values (%)", "number"): lambda row: _hundredths(row.values_),
    }
    return tabulate(
        found.rename(columns={"values": "values_"}), columns,
        "By how sure the network was of the clean image: n images and the share that FGSM fools at ε = 0.01; "
        "DeepFool in l2, its mean size, iterations and the share still fooled after the one clip; the median "
        "share of channel values that SparseFool changes.",
        name="sureness", group="",
    )  # fmt: skip


def steps_table(found: pd.DataFrame) -> Table:
    """Return a row a norm and number of steps; see `by_steps`."""
    columns: dict[Column, Say] = {
        Column("norm", "norm"): "norm",
        Column("steps", "number"): lambda row: (
            f"{row.steps}" + (" or more" if row.steps == _MOST else "")
        ),
        Column("n", "number"): lambda row: formatting.count(row.n),
        Column("fooled (%)", "rate"): lambda row: formatting.rate(row.fooling, row.low, row.high),
        Column("size", "number"): lambda row: formatting.amount(row.size),
    }
    return tabulate(
        found, columns,
        "DeepFool by the steps that an image took: the share that the image fools after the one clip at the "
        "end (before it, all), and its mean size.",
        name="steps", group="",
    )  # fmt: skip


def _class(row: Any) -> str:
    if row.above == 0:
        return f"at most {100 * row.upto:g} %"
    if row.upto == 1:
        return f"above {100 * row.above:g} %"
    return f"{100 * row.above:g} to {100 * row.upto:g} %"


def _hundredths(share: float) -> str:
    return formatting.NONE if formatting.missing(share) else f"{100 * share:.2f}"


SECTION = SectionRule(name="sureness", place=105, make=section, frames=frames)
