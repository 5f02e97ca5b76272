"""Adversarial radii in a report: the critical eps of each model, and the curves it is read from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from bench.measure.radius import CONFIDENCE, LEVEL, Array, Fit, measured_radii
from bench.report import formatting
from bench.report.blocks import Column, Figure, Say, Section, Table, notes_below, tabulate
from bench.report.drawing import NORM, canvas, is_wide, look, percent_axis, size, style, to_pdf
from bench.report.findings import Findings
from bench.report.labels import ATTACK, COUNT, MODEL, NOTE, data_name, surface_column
from bench.report.legends import BESIDE, legend
from bench.report.rules import SectionRule

_CAPTION = (
    "The eps at which labels flip, of the n "
    f"images that the model gets right with a confidence of at least {CONFIDENCE:g}; each "
    "figure with its standard error. Not broken: images whose label never flips, so that their radius is "
    "censored. Median radius: half of the labels have flipped, the censored ones included. Mode: the most "
    "labels flip, by a kernel estimate. Critical eps: R of the fitted "
    "logistic, the inflection of a generalised logistic fitted to accuracy as eps grows; it is where "
    "accuracy falls the fastest only if accuracy has that shape, and is left out where a test at level "
    f"{LEVEL:g} rejects it. Where nu is at the end of its range, the data do not determine it."
)

#: So many points make a measured curve; its steps are finer than a figure shows.
_GRID = 400
#: Where a figure ends: this share of the images that flip have done so, under every model.
_SHOWN = 0.99
#: A logarithmic axis begins at most so many times below where it ends.
_DECADES = 1000


def section(findings: Findings) -> Section | None:
    """Return the critical eps and their curves, of a run that measured radii; in brief the table alone."""
    found, called = findings.measured.radii, findings.attack_names
    if found.empty:
        return None
    table = notes_below(radius_table(found, called), NOTE, "critical eps")
    if findings.beside is not None:
        table = _of_study(table, findings)
    if findings.study.brief:
        return Section(label="radius", title="Critical eps", blocks=(table,))
    curves = radius_figures(found, measured_radii(findings.results), called)
    return Section(label="radius", title="Critical eps", blocks=(table, *curves))


def frames(findings: Findings) -> Mapping[str, pd.DataFrame]:
    """Return the raw critical eps, of a run that measured radii."""
    found = findings.measured.radii
    return {"radius": found} if len(found) else {}


def radius_table(found: pd.DataFrame, called: Mapping[str, str]) -> Table:
    """Return a row a model and attack: its critical eps, or why there is none.

    Args:
        found: of `bench.measure.radius.critical_eps`.
        called: what the attack of each cell is called.
    """
    columns: dict[Column, Say] = {
        MODEL: "model",
        ATTACK: lambda row: called[row.cell],
        **surface_column(found),
        COUNT: lambda row: formatting.count(row.n),
        Column("not broken (censored)", "number"): lambda row: formatting.count(row.censored),
        Column("median radius", "number"): _median,
        Column("mode", "number"): lambda row: formatting.with_error(row.mode, row.mode_error),
        Column("critical eps", "number"): lambda row: formatting.with_error(
            row.critical_eps, row.error
        ),
        Column("R²", "number"): lambda row: formatting.amount(row.r2, 4),
        NOTE: _note,
    }
    return tabulate(found, columns, _CAPTION, name="radius")


def _of_study(table: Table, findings: Findings) -> Table:
    """Return the table with models as the study calls them, by data set."""
    models = table.frame["model"]
    frame = table.frame.assign(model=[findings.called(model) for model in models])
    frame.insert(0, "data", [data_name(findings.data_of[model]) for model in models])
    columns = (Column("data"), Column("model", "subject"), *table.columns[1:])
    return replace(table, columns=columns, frame=frame, group="data")


def _median(row: Any) -> str:
    """Return a median with its error; of few images, or where many never flipped, without."""
    figure = formatting.with_error(row.median, row.median_error)
    return formatting.amount(row.median) if figure == formatting.NONE else figure


def _note(row: Any) -> str:
    """Return why there is no critical eps, and whether the fit went to the end of its range."""
    return formatting.join(
        formatting.text(row.refused), f"nu at its {row.nu_bound}" if row.nu_bound else ""
    )


def radius_figures(
    found: pd.DataFrame, radii: Mapping[str, Array], called: Mapping[str, str]
) -> list[Figure]:
    """Return accuracy against eps, measured and fitted, a figure for each attack.

    Args:
        found: of `bench.measure.radius.critical_eps`.
        radii: of `bench.measure.radius.measured_radii`.
        called: what the attack of each cell is called.
    """
    found = found[found["n"] > 0]
    titled = found.assign(title=_titles(found), attack=found["cell"].map(called))
    drawn = []
    for attack, lines in titled.groupby("attack", sort=False):
        with style():
            figure = canvas(*size(list(lines["title"])))
            draw_radii(figure.subplots(), lines, radii)
            pdf = to_pdf(figure)
        drawn.append(
            Figure(
                pdf=pdf,
                wide=is_wide(list(lines["title"])),
                caption=_figure_caption(str(attack), lines),
            )
        )
    return drawn


def _figure_caption(attack: str, lines: pd.DataFrame) -> str:
    alone = f"{lines['title'].iloc[0]}, " if len(lines) == 1 else ""
    without = " The table says why a model has none." if lines["refused"].any() else ""
    return (
        f"{alone}{attack}: share of the images that keep their label up to eps (pale), the logistic "
        f"fitted to it, and its inflection, the critical eps, with its standard error.{without}"
    )


def draw_radii(axes: Axes, lines: pd.DataFrame, radii: Mapping[str, Array]) -> None:
    """Draw the measured accuracy, the fitted one and its inflection of each model.

    Args:
        axes: drawn on.
        lines: rows of `critical_eps`, with a `title` each.
        radii: by cell, ascending.
    """
    curves = [radii[cell] for cell in lines["cell"]]
    right = _right(curves)
    left = _left(curves, right)
    eps = np.geomspace(left, right, _GRID) if left else np.linspace(0, right, _GRID)
    keys = []
    for turn, line in enumerate(lines.to_dict("records")):
        own_look, own = look(turn), radii[line["cell"]]
        stands = 100 * (1 - np.searchsorted(own, eps, side="right") / len(own))
        (pale,) = axes.step(eps, stands, where="post", color=own_look.colour, **_MEASURED)
        key = [pale]
        if not line["refused"]:
            critical = line["critical_eps"]
            fit = Fit(critical=critical, b=line["b"], nu=line["nu"], r2=line["r2"])
            height = 100 * float(fit.accuracy(np.array([critical]))[0])
            drawn = axes.plot(
                eps,
                100 * fit.accuracy(eps),
                color=own_look.colour,
                linestyle=own_look.dashes,
                **_FITTED,
            )
            axes.vlines(critical, 0, height, color=own_look.colour, linewidth=0.5, zorder=2)
            spot = axes.errorbar(
                critical,
                height,
                xerr=line["error"],
                color=own_look.colour,
                marker=own_look.marker,
                **_SPOT,
            )
            key += [*drawn, spot.lines[0]]
        keys.append((tuple(key), line["title"]))
    _label(axes, (left, right), str(lines["norm"].iloc[0]))
    if len(keys) > 1:
        _legend(axes, keys)


_MEASURED: dict[str, Any] = {"linewidth": 3.2, "alpha": 0.3, "zorder": 2}
_FITTED: dict[str, Any] = {"linewidth": 0.9, "zorder": 3}
_SPOT: dict[str, Any] = {
    "linestyle": "none", "markeredgecolor": "white", "markeredgewidth": 0.4, "ecolor": "black",
    "elinewidth": 0.8, "capsize": 1.5, "capthick": 0.8, "zorder": 4,
}  # fmt: skip


def _right(curves: list[Array]) -> float:
    """Return the eps at which a figure ends."""
    flipped = [radii[np.isfinite(radii)] for radii in curves]
    ends = [float(np.quantile(radii, _SHOWN)) for radii in flipped if len(radii)]
    return max(ends, default=1.0)


def _left(curves: list[Array], right: float) -> float:
    """Return the eps at which a figure begins: above 0, for a logarithmic axis, where most curves are crowded.

    That is where under more than half of the models half of the images that flip have flipped within
    the first tenth of a linear axis.
    """
    flipped = [radii[np.isfinite(radii)] for radii in curves]
    middles = [float(np.median(radii)) for radii in flipped if len(radii)]
    first = min((float(radii[radii > 0].min(initial=right)) for radii in flipped), default=0.0)
    crowded = sum(middle < right / 10 for middle in middles) > len(middles) / 2
    return max(first, right / _DECADES) if crowded else 0.0


def _label(axes: Axes, ends: tuple[float, float], norm: str) -> None:
    if ends[0]:
        axes.set_xscale("log")
    axes.set_xlim(*ends)
    axes.set_xlabel(f"{NORM[norm]} radius $\\varepsilon$ (pixels in [0, 1])")
    percent_axis(axes, "accuracy (%)")


def _legend(axes: Axes, keys: list[tuple[tuple[Any, ...], str]]) -> None:
    above: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0, 1), "borderaxespad": 0.2}
    handles, names = zip(*keys, strict=True)
    legend(axes, handles, names, **(BESIDE if is_wide(names) else above))


def _titles(found: pd.DataFrame) -> list[str]:
    """Return the models, with the surface that attacks follow where a model has several."""
    several = found[["model", "surface"]].drop_duplicates()["model"].value_counts() > 1
    return [
        f"{model}, {surface}" if several[model] else str(model)
        for model, surface in zip(found["model"], found["surface"], strict=True)
    ]


SECTION = SectionRule(name="radius", place=60, make=section, frames=frames)
