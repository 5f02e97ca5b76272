"""Accuracy against eps by what attacks know of a model: is it robust, or is only its gradient hidden?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from bench.measure.access import (
    ACCESSES,
    DECISIONS,
    EXACT,
    SCORES,
    SUBSTITUTE,
    SURROGATE,
    TRANSFER,
    UNKNOWN,
    WHOLE,
    WORST,
)
from bench.report import formatting
from bench.report.blocks import Figure, Section
from bench.report.drawing import NORM, TEXT_WIDTH, canvas, look, percent_axis, style, to_pdf
from bench.report.findings import Findings
from bench.report.labels import spoken_against
from bench.report.rules import SectionRule
from bench.report.sections.accuracy import spaced_ticks

_CALLED = {
    WHOLE: "whatever the whole model offers",
    EXACT: "its own gradient",
    SURROGATE: "gradient of a surrogate",
    SUBSTITUTE: "trained substitute",
    TRANSFER: "transferred from another model",
    SCORES: "its scores alone",
    DECISIONS: "its labels alone",
    UNKNOWN: "not known: images from outside",
    WORST: "worst case of all attacks",
}
#: In the order of their looks; kinds that were added later come last, so that others keep theirs.
_LOOKS = (*(kind for kind in ACCESSES if kind not in (WHOLE, UNKNOWN)), WHOLE, UNKNOWN)
#: The kinds of access that make a figure worth its place: a plain network is attacked through itself.
_TELLING = (SURROGATE, SUBSTITUTE, TRANSFER)
#: Panels side by side, in a figure, and the height of each in inches.
_ACROSS, _MOST, _PANEL = 3, 9, 1.75


def section(findings: Findings) -> Section | None:
    """Return the figures, of a run that attacks a model through something else too; a brief study has its own."""
    if findings.study.brief:
        return None
    points = findings.measured.access
    figures = [
        figure
        for norm, of_norm in points.groupby("norm", sort=False)
        for figure in _figures(findings, of_norm, str(norm))
    ]
    if not figures:
        return None
    return Section(label="access", title="Kinds of access", blocks=tuple(figures))


def frames(findings: Findings) -> Mapping[str, pd.DataFrame]:
    """Return the raw points, of a run that attacks some model through something else too."""
    points = findings.measured.access
    return {"access": points} if telling_models(points) else {}


def telling_models(points: pd.DataFrame) -> list[str]:
    """Return the models that are attacked in several ways, one of them through something in their place.

    Args:
        points: of `bench.measure.access.access_curves`.
    """
    found = []
    for model, of_model in points.groupby("model", sort=False):
        kinds = set(of_model.loc[of_model["eps"] > 0, "access"]) - {WORST}
        if len(kinds) > 1 and kinds & set(_TELLING):
            found.append(str(model))
    return found


def _figures(findings: Findings, points: pd.DataFrame, norm: str) -> list[Figure]:
    models = telling_models(points)
    parts = [models[at : at + _MOST] for at in range(0, len(models), _MOST)]
    return [
        access_figure(findings, points, part, f"access-{norm}-{turn}")
        for turn, part in enumerate(parts, 1)
    ]


def access_figure(
    findings: Findings, points: pd.DataFrame, models: Sequence[str], name: str
) -> Figure:
    """Return a panel a model with a line for each kind of access.

    Args:
        findings: of the run.
        points: of `bench.measure.access.access_curves`, of one norm.
        models: those shown, at least one.
        name: of the figure's file.
    """
    norm = str(points["norm"].iloc[0])
    asked = findings.measured.headline
    radii = asked.loc[asked["norm"] == norm, ["eps", "eps_text"]].drop_duplicates("eps")
    against = spoken_against(asked, norm)
    texts = {float(eps): str(text) for eps, text in radii.itertuples(index=False)}
    down = -(-len(models) // _ACROSS)
    with style():
        figure = canvas(TEXT_WIDTH, 0.35 + _PANEL * down)
        grid = figure.subplots(down, _ACROSS, sharex=True, sharey=True, squeeze=False)
        for axes, model in zip(grid.flat, models, strict=False):
            draw_access(axes, points[points["model"] == model], texts)
            doubt = f" ({against[model]})" if model in against else ""
            axes.set_title(findings.called(model) + doubt, fontsize=8, pad=3)
        for turn, axes in enumerate(grid.flat):
            axes.set_ylabel("accuracy (%)" if turn % _ACROSS == 0 else "")
            if turn + _ACROSS >= len(models):
                axes.set_xlabel(f"{NORM[norm]} radius $\\varepsilon$")
                axes.tick_params(labelbottom=True)
        kinds = [kind for kind in (*ACCESSES, WORST) if kind in set(_of(points, models)["access"])]
        keys = [Line2D([], [], label=_CALLED[kind], **_line_of(kind)) for kind in kinds]
        spare = list(grid.flat[len(models) :])
        for axes in spare:
            axes.set_axis_off()
        if spare:
            spare[0].legend(handles=keys, loc="center left", frameon=False, handlelength=2.8)
        else:
            figure.legend(handles=keys, loc="outside lower center", ncols=4, frameon=False)
        pdf = to_pdf(figure)
    return Figure(name=name, pdf=pdf, caption=_caption(_of(points, models), norm))


def _of(points: pd.DataFrame, models: Sequence[str]) -> pd.DataFrame:
    return points[points["model"].isin(models)]


def draw_access(axes: Axes, points: pd.DataFrame, asked: Mapping[float, str]) -> None:
    """Draw the lines of one model, with a band around the worst case.

    Args:
        axes: drawn on.
        points: of `bench.measure.access.access_curves`, of one model and norm.
        asked: the radii that the run asked for, with their text; they get ticks.
    """
    for kind, line in points.groupby("access", sort=False):
        known = line.dropna(subset=["accuracy"])
        axes.plot(known["eps"], 100 * known["accuracy"], clip_on=False, **_line_of(str(kind)))
        if kind == WORST:
            axes.fill_between(
                known["eps"], 100 * known["low"], 100 * known["high"], color="black", alpha=0.12,
                linewidth=0, zorder=1,
            )  # fmt: skip
    right = float(points["eps"].max())
    axes.set_xlim(0, 1.04 * right or 1.0)
    ticks = spaced_ticks(dict(asked), right)
    axes.set_xticks(list(ticks), list(ticks.values()))
    percent_axis(axes, "")


def _line_of(kind: str) -> dict[str, Any]:
    """Return how the line of a kind of access is drawn, the same in every panel."""
    if kind == WORST:
        return {"color": "black", "linewidth": 1.7, "marker": "o", "markersize": 3, "zorder": 3}
    own = look(_LOOKS.index(kind))
    return {
        "color": own.colour, "linestyle": own.dashes, "linewidth": 1.0, "marker": own.marker,
        "markersize": 3.8, "markeredgecolor": "white", "markeredgewidth": 0.4, "zorder": 4,
    }  # fmt: skip


def _caption(points: pd.DataFrame, norm: str) -> str:
    counts = sorted({int(n) for n in points["n"]})
    images = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    smoke = f" (smoke: n < {formatting.SMOKE})" if counts[0] < formatting.SMOKE else ""
    meanings = {
        WHOLE: "the whole model: its gradients, what is inside it, its scores and decisions",
        EXACT: "its own gradient: the exact one of the model",
        SURROGATE: "a surrogate: a differentiable stand-in made with inside knowledge",
        SUBSTITUTE: "a trained substitute: a network trained on the model's answers",
        TRANSFER: "transferred: images that were made on another model",
        SCORES: "its scores or its labels alone: asking the model, without any gradient",
        UNKNOWN: "not known: images that others made",
    }
    there = set(points["access"])
    if DECISIONS in there:
        there.add(SCORES)
    said = "; ".join(text for kind, text in meanings.items() if kind in there)
    gap = (
        " No marker: too many images without a valid attack."
        if points["accuracy"].isna().any()
        else ""
    )
    return (
        f"Accuracy against the {norm} radius by what attacks know of the model, n = {images} images a panel{smoke}, "
        f"the same for all its lines. {said[:1].upper()}{said[1:]}. Black: images that no attack of any kind broke, "
        f"the band its 95 % Wilson interval. At radius 0: clean accuracy.{gap} The lines between the markers measure "
        "nothing. Where attacks that know less of a model break more images than those that follow its gradient, "
        "the gradient is only hidden, and the model no more robust for that."
    )


SECTION = SectionRule(name="access", place=45, make=section, frames=frames)
