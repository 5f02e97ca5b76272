"""Certificates in a report: certified accuracy, its curves, and the accuracy under attack above it."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.measure.validity import ONE_DRAW, WITHOUT_NOISE
from bench.report import formatting
from bench.report.figures import NORM, is_wide, look, size, style, to_pdf
from bench.report.legends import BESIDE, legend
from bench.report.sections.radius import Curves

CERTIFICATES = (
    "Certificates in l2: the share of images that are certified at all (rightly decided, not "
    "abstained) with its 95 % Wilson interval, the share of abstentions, the mean certified radius "
    "over all images (0 where there is none), the largest, and how many certified images some attack "
    "of the run gave another label within their radius."
)
SANDWICH = (
    "Certified accuracy within the radius, and the share of the same images whose label no attack "
    "changed, with 95 % Wilson intervals; the true robust accuracy of the smoothed classifier lies "
    "between. Abstained: part of the latter, where the judge said no class, on the clean image or "
    "under attack; they lower the robust accuracy of the headline, which may so lie below the certified."
)


def certificate_table(found: pd.DataFrame) -> pd.DataFrame:
    """Return a row a model and its words: how much is certified, and how far.

    Args:
        found: of `bench.measure.certified.certificates`.
    """
    return pd.DataFrame({
        "model": found["model"],
        "certificate": found["parameters"],
        "n": formatting.each(found, lambda row: formatting.count(row.n)),
        "certified (%)": formatting.each(found, lambda row: formatting.rate(row.accuracy, row.low, row.high)),
        "abstained (%)": formatting.each(found, lambda row: formatting.percent(row.abstained)),
        "average radius": formatting.each(found, lambda row: formatting.amount(row.average_radius)),
        "largest": formatting.each(found, lambda row: formatting.amount(row.largest)),
        "changed inside": formatting.each(found, lambda row: formatting.count(row.inside)),
        "note": formatting.each(found, lambda row: formatting.text(row.flag)),
    })  # fmt: skip


def sandwich_table(found: pd.DataFrame) -> pd.DataFrame:
    """Return a row a model, its words and an l2 radius: certified and attacked accuracy.

    Args:
        found: of `bench.measure.certified.sandwich`.
    """
    return pd.DataFrame({
        "model": found["model"],
        "certificate": found["parameters"],
        "threat": formatting.each(found, lambda row: formatting.threat("l2", row.eps_text)),
        "n": formatting.each(found, lambda row: formatting.count(row.n)),
        "certified (%)": formatting.each(
            found, lambda row: formatting.rate(row.certified, row.certified_low, row.certified_high)
        ),
        "under attack (%)": formatting.each(
            found, lambda row: formatting.rate(row.attacked, row.low, row.high)
        ),
        "abstained (%)": formatting.each(found, lambda row: formatting.percent(row.abstained)),
        "attacks": formatting.each(found, lambda row: formatting.count(row.attacks)),
        "note": formatting.each(found, lambda row: formatting.text(row.flag)),
    })  # fmt: skip


def certified_figures(points: pd.DataFrame, between: pd.DataFrame) -> list[Curves]:
    """Return certified accuracy against the radius, in one figure; none without certificates.

    Args:
        points: of `bench.measure.certified.certified_curve`.
        between: of `bench.measure.certified.sandwich`; its accuracy under attack gets markers.
    """
    if points.empty:
        return []
    titles = _titles(points)
    count, names = len(titles), list(titles.values())
    with style():
        figure = Figure(figsize=size(names), layout="constrained")
        draw_certified(figure.subplots(), points, between, titles)
        pdf = to_pdf(figure)
    alone = (
        f"{points['model'].iloc[0]}, {points['parameters'].iloc[0]}: share"
        if count == 1
        else "Share"
    )
    marked = f" {markers(between)}" if len(between) else ""
    caption = f"{alone} of images certified within the radius.{marked}"
    return [Curves(pdf=pdf, wide=is_wide(names), caption=caption)]


def markers(between: pd.DataFrame) -> str:
    """Return what the markers of a figure are, and which attacks they are of.

    Args:
        between: of `bench.measure.certified.sandwich`.
    """
    unseen = [
        said for said in (ONE_DRAW, WITHOUT_NOISE) if between["flag"].str.contains(said).any()
    ]
    how = f" (some attacked {', or '.join(unseen)})" if unseen else ""
    return (
        f"Markers: the share whose label no attack of that radius changed{how}; the true accuracy lies "
        "between."
    )


def draw_certified(
    axes: Axes, points: pd.DataFrame, between: pd.DataFrame, titles: Mapping[str, str]
) -> None:
    """Draw certified accuracy as steps, and the accuracy under attack as markers, a look a cell.

    Args:
        axes: drawn on.
        points: of `certified_curve`.
        between: of `sandwich`.
        titles: what each cell is called.
    """
    keys = []
    for turn, (cell, line) in enumerate(points.groupby("cell", sort=False)):
        mine = look(turn)
        keys += axes.step(
            line["radius"], 100 * line["accuracy"], where="post", color=mine.colour,
            linestyle=mine.dashes, label=titles[str(cell)], zorder=3,
        )  # fmt: skip
        under = between[between["cell"] == cell]
        axes.plot(
            under["eps"], 100 * under["attacked"], linestyle="none", color=mine.colour,
            marker=mine.marker, markeredgecolor="white", markeredgewidth=0.4, zorder=4,
        )  # fmt: skip
    right = max(float(points["radius"].max()), float(between["eps"].max()) if len(between) else 0)
    axes.set_xlim(0, 1.04 * right or 1.0)
    axes.set_ylim(0, 102)
    axes.set_yticks(range(0, 101, 20))
    axes.set_xlabel(f"{NORM['l2']} radius (pixels in [0, 1])")
    axes.set_ylabel("certified accuracy (%)")
    axes.grid(axis="y", linewidth=0.3, color="0.85", zorder=0)
    axes.spines[["top", "right"]].set_visible(False)
    if len(titles) > 1:
        names = [titles[str(cell)] for cell in points["cell"].unique()]
        legend(axes, keys, names, **(BESIDE if is_wide(names) else {"loc": "upper right"}))


def _titles(points: pd.DataFrame) -> dict[str, str]:
    """Return what each cell is called: the model, and those of its words that differ."""
    cells = points.drop_duplicates("cell")
    given = [str(said).split(", ") for said in cells["parameters"]]
    shared = set.intersection(*map(set, given))
    return {
        str(cell): ", ".join(
            [str(model), *(parameter for parameter in own if parameter not in shared)]
        )
        for cell, model, own in zip(cells["cell"], cells["model"], given, strict=True)
    }
