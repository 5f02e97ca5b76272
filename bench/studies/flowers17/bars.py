"""Table 8 of the document as bars: classifiers on the features of trunks, published and ours."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from bench.report.blocks import Figure
from bench.report.drawing import TEXT_WIDTH, canvas, look, percent_axis, style, to_pdf
from bench.report.findings import Findings
from bench.studies.flowers17.beside import LINEAR
from bench.studies.flowers17.names import (
    CLASSIFIERS,
    TRUNKS,
    on_features,
    trunk_name,
    trunk_with_data,
)

_WIDTH = 0.8


def features_figure(findings: Findings) -> Figure | None:
    """Return a group of bars a classifier and a bar a trunk; None where the run has no such model."""
    assert findings.beside is not None
    rows = findings.beside
    rows = rows[(rows["table"] == "8") & ~rows["further"].str.endswith(LINEAR)]
    if rows["ours"].isna().all():
        return None
    made = [on_features(model.partition("/")[2]) for model in rows["our_model"]]
    rows = rows.assign(
        trunk=[one.trunk if one else "" for one in made],
        top=[model.partition("+")[2] for model in rows["model"]],
    )
    published = [own for own, _ in TRUNKS.values()]
    trunks = sorted(rows["trunk"].unique(), key=lambda one: one not in published)
    with style():
        figure = canvas(TEXT_WIDTH, 2.4)
        axes = figure.subplots()
        for turn, trunk in enumerate(trunks):
            at = np.arange(len(CLASSIFIERS)) + _WIDTH * ((turn + 0.5) / len(trunks) - 0.5)
            _draw(axes, rows[rows["trunk"] == trunk], at, turn, _WIDTH / len(trunks))
        axes.set_xticks(range(len(CLASSIFIERS)), [title for _, title in CLASSIFIERS.values()])
        axes.tick_params(axis="x", length=0)
        percent_axis(axes, "accuracy (%)")
        keys = [_key(trunk, turn, rows) for turn, trunk in enumerate(trunks)]
        figure.legend(handles=keys, loc="outside upper center", ncols=3, frameon=False)
        pdf = to_pdf(figure)
    counts = rows.loc[rows["n"] > 0, "n"]
    low, high = int(counts.min()), int(counts.max())
    images = f"{low}" if low == high else f"{low} to {high}"
    return Figure(
        name="features", pdf=pdf,
        caption="Accuracy of classifiers on the features of a frozen trunk. Hollow: published, on 340 images; filled: "
        f"ours, n = {images} test images, with 95 % Wilson intervals. The support vector machine of ours has an RBF "
        "kernel. Table 8 of the document.",
    )  # fmt: skip


def _draw(axes: Axes, rows: pd.DataFrame, at: Any, turn: int, width: float) -> None:
    """Draw the bars of one trunk: the published hollow, ours filled or, beside a published one, a mark."""
    by_top = rows.drop_duplicates("top").set_index("top").reindex(list(CLASSIFIERS))
    ours, printed = by_top["ours"].to_numpy(float), by_top["published"].to_numpy(float)
    colour = look(turn).colour
    hollow = ~np.isnan(printed)
    axes.bar(at[hollow], printed[hollow], width * 0.86, fill=False, edgecolor=colour, linewidth=1.0)
    axes.bar(at[~hollow], ours[~hollow], width * 0.86, color=colour, zorder=2)
    axes.vlines(at, by_top["low"], by_top["high"], color="black", linewidth=0.8, zorder=3)
    axes.plot(at[hollow], ours[hollow], linestyle="none", color=colour, marker="o", zorder=4)


def _key(trunk: str, turn: int, rows: pd.DataFrame) -> Patch:
    hollow = rows.loc[rows["trunk"] == trunk, "published"].notna().any()
    colour = look(turn).colour
    if hollow:
        return Patch(
            facecolor="none",
            edgecolor=colour,
            linewidth=1.0,
            label=f"{trunk_name(trunk)}, published",
        )
    return Patch(facecolor=colour, label=f"ours: {trunk_with_data(trunk)}")
