"""Certificates in a report: certified accuracy, its curves, and the accuracy under attack above it."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes

from bench.measure.validity import ONE_DRAW, WITHOUT_NOISE
from bench.report import formatting
from bench.report.blocks import Column, Figure, Say, Section, Table, tabulate
from bench.report.drawing import NORM, canvas, is_wide, look, percent_axis, size, style, to_pdf
from bench.report.findings import Findings
from bench.report.labels import COUNT, MODEL, NOTE, THREAT
from bench.report.legends import BESIDE, legend
from bench.report.rules import SectionRule

_CERTIFICATE = Column("certificate")


def section(findings: Findings) -> Section | None:
    """Return certificates, the bounds they give and their curves; in brief the tables alone."""
    measured = findings.measured
    tables = [
        certificate_table(measured.certificates), bounds_table(measured.certified_bounds),
    ]  # fmt: skip
    shown = [table for table in tables if len(table.frame)]
    if not shown:
        return None
    figures = certified_figures(measured.certified, measured.certified_bounds)
    drawn = () if findings.study.brief else tuple(figures)
    return Section(label="certificates", title="Certificates", blocks=(*shown, *drawn))


def frames(findings: Findings) -> Mapping[str, pd.DataFrame]:
    """Return the raw certificates, their curve and bounds, of a run that has some."""
    found = {
        "certificates": findings.measured.certificates,
        "certified": findings.measured.certified,
        "certified-bounds": findings.measured.certified_bounds,
    }
    return {name: frame for name, frame in found.items() if len(frame)}


def certificate_table(found: pd.DataFrame) -> Table:
    """Return a row a model and the parameters of its certificates: how much is certified, how far.

    Args:
        found: of `bench.measure.certified.certificates`.
    """
    columns: dict[Column, Say] = {
        MODEL: "model",
        _CERTIFICATE: "parameters",
        COUNT: lambda row: formatting.count(row.n),
        Column("copies", "number"): lambda row: formatting.count(row.copies),
        Column("certified (%)", "rate"): lambda row: formatting.rate(
            row.accuracy, row.low, row.high
        ),
        Column("abstained (%)", "rate"): lambda row: formatting.percent(row.abstained),
        Column("average radius", "number"): lambda row: formatting.amount(row.average_radius),
        Column("largest", "number"): lambda row: formatting.amount(row.largest),
        Column("label changed within radius", "number"): lambda row: formatting.count(row.inside),
        NOTE: lambda row: formatting.text(row.flag),
    }
    return tabulate(
        found,
        columns,
        "Certificates in l2: the mean number of noisy copies of an image, the share of images that are "
        "certified at all (rightly decided, not "
        "abstained) with its 95 % Wilson interval, the share of abstentions, the mean certified radius "
        "over all images (0 where there is none), the largest, and how many certified images some attack "
        f"of the run gave another label within their radius.{_ended(found)}",
        name="certificates",
    )


def _ended(found: pd.DataFrame) -> str:
    """Return what it means that copies ended at some radii; empty where none did."""
    if not found["parameters"].str.contains("radii").any():
        return ""
    return (
        " Where radii are named, an image takes no more copies than decide these, and its radius is the "
        "largest of them that is certified: the share certified within each is nearly that of all copies, while "
        "the mean and the largest radius are smaller."
    )


def bounds_table(found: pd.DataFrame) -> Table:
    """Return a row a model, the parameters of its certificates and an l2 radius: both bounds.

    Args:
        found: of `bench.measure.certified.certified_bounds`.
    """
    columns: dict[Column, Say] = {
        MODEL: "model",
        _CERTIFICATE: "parameters",
        THREAT: lambda row: formatting.threat("l2", row.eps_text),
        COUNT: lambda row: formatting.count(row.n),
        Column("certified (%)", "rate"): lambda row: formatting.rate(
            row.certified, row.certified_low, row.certified_high
        ),
        Column("under attack (%)", "rate"): lambda row: formatting.rate(row.attacked, row.low, row.high),
        Column("abstained (%)", "rate"): lambda row: formatting.percent(row.abstained),
        Column("attacks", "number"): lambda row: formatting.count(row.attacks),
        NOTE: lambda row: formatting.text(row.flag),
    }  # fmt: skip
    return tabulate(
        found,
        columns,
        "Certified bounds: certified accuracy within the radius, and the share of the same images whose "
        "label no attack changed, with 95 % Wilson intervals; the true robust accuracy of the smoothed "
        "classifier lies between. Abstained: part of the latter, where the model gave no class, on the "
        "clean image or under attack; they lower the robust accuracy of the headline, which may so lie "
        "below the certified.",
        name="certified-bounds",
    )


def certified_figures(points: pd.DataFrame, bounds: pd.DataFrame) -> list[Figure]:
    """Return certified accuracy against the radius, in one figure; none without certificates.

    Args:
        points: of `bench.measure.certified.certified_curve`.
        bounds: of `bench.measure.certified.certified_bounds`; its accuracy under attack gets markers.
    """
    if points.empty:
        return []
    titles = _titles(points)
    count, names = len(titles), list(titles.values())
    with style():
        figure = canvas(*size(names))
        draw_certified(figure.subplots(), points, bounds, titles)
        pdf = to_pdf(figure)
    alone = (
        f"{points['model'].iloc[0]}, {points['parameters'].iloc[0]}: share"
        if count == 1
        else "Share"
    )
    marked = f" {markers(bounds)}" if len(bounds) else ""
    ended = (
        " Where radii are named, what is certified is known at these, and is at least so much between them."
        if points["parameters"].str.contains("radii").any()
        else ""
    )
    caption = f"{alone} of images certified within the radius.{ended}{marked}"
    return [Figure(pdf=pdf, wide=is_wide(names), caption=caption)]


def markers(bounds: pd.DataFrame) -> str:
    """Return what the markers of a figure are, and which attacks they are of.

    Args:
        bounds: of `bench.measure.certified.certified_bounds`.
    """
    unseen = [how for how in (ONE_DRAW, WITHOUT_NOISE) if bounds["flag"].str.contains(how).any()]
    how = f" (some attacked {', or '.join(unseen)})" if unseen else ""
    return (
        f"Markers: the share whose label no attack of that radius changed{how}; the true accuracy lies "
        "between."
    )


def draw_certified(
    axes: Axes, points: pd.DataFrame, bounds: pd.DataFrame, titles: Mapping[str, str]
) -> None:
    """Draw certified accuracy as steps, and the accuracy under attack as markers, a look a cell.

    Args:
        axes: drawn on.
        points: of `certified_curve`.
        bounds: of `certified_bounds`.
        titles: what each cell is called.
    """
    keys = []
    for turn, (cell, line) in enumerate(points.groupby("cell", sort=False)):
        own = look(turn)
        keys += axes.step(
            line["radius"], 100 * line["accuracy"], where="post", color=own.colour,
            linestyle=own.dashes, label=titles[str(cell)], zorder=3,
        )  # fmt: skip
        under = bounds[bounds["cell"] == cell]
        axes.plot(
            under["eps"], 100 * under["attacked"], linestyle="none", color=own.colour,
            marker=own.marker, markeredgecolor="white", markeredgewidth=0.4, zorder=4,
        )  # fmt: skip
    right = max(float(points["radius"].max()), float(bounds["eps"].max()) if len(bounds) else 0)
    axes.set_xlim(0, 1.04 * right or 1.0)
    axes.set_xlabel(f"{NORM['l2']} radius (pixels in [0, 1])")
    percent_axis(axes, "certified accuracy (%)")
    if len(titles) > 1:
        names = [titles[str(cell)] for cell in points["cell"].unique()]
        legend(axes, keys, names, **(BESIDE if is_wide(names) else {"loc": "upper right"}))


def _titles(points: pd.DataFrame) -> dict[str, str]:
    """Return what each cell is called: the model, and those of its parameters that differ."""
    cells = points.drop_duplicates("cell")
    given = [str(parameters).split(", ") for parameters in cells["parameters"]]
    shared = set.intersection(*map(set, given))
    return {
        str(cell): ", ".join(
            [str(model), *(parameter for parameter in own if parameter not in shared)]
        )
        for cell, model, own in zip(cells["cell"], cells["model"], given, strict=True)
    }


SECTION = SectionRule(name="certified", place=70, make=section, frames=frames)
