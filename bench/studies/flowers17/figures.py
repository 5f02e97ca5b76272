"""The figures of the study: first whether a top without a gradient is a defence, then those of the document."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from bench.report.blocks import Figure
from bench.report.findings import Findings
from bench.report.sections.access import access_figure
from bench.studies.flowers17.bars import features_figure
from bench.studies.flowers17.classes import classes_figure
from bench.studies.flowers17.curves import learning_curves
from bench.studies.flowers17.names import OTHER_TRUNKS, TRUNKS, on_features

#: The classifiers and the ways of combining members that the first figure compares, in its order.
_TOPS = ("logistic", "knn", "forest")
_HOWS = ("bagging", "stacking")
_NORM = "linf"


def figures(findings: Findings) -> Sequence[Figure]:
    """Return the figures that a run has something for."""
    drawn = [
        tops_figure(findings),
        classes_figure(findings),
        *learning_curves(findings),
        features_figure(findings),
    ]
    return [figure for figure in drawn if figure is not None]


def tops_figure(findings: Findings) -> Figure | None:
    """Return accuracy against eps by kind of access, a panel each of five tops; None without such attacks."""
    points = findings.measured.access
    points = points[points["norm"] == _NORM]
    models = [model for model in compared_models(findings, points) if model is not None]
    return access_figure(findings, points, models, "tops") if models else None


def compared_models(findings: Findings, points: pd.DataFrame) -> list[str | None]:
    """Return the models of the first figure: of each kind the one attacked in most ways.

    Args:
        findings: of the run.
        points: of `bench.measure.access.access_curves`, of one norm.

    Returns:
        A model for each of `_TOPS` on one trunk and each of `_HOWS`; None where no such model was attacked.
    """
    ways = points.groupby("model", sort=False)["access"].nunique().to_dict()

    def most(candidates: Iterable[str]) -> str | None:
        return max(
            (one for one in candidates if one in ways), key=lambda one: ways[one], default=None
        )

    tops = {str(model): on_features(findings.own_name(str(model))) for model in ways}
    trunks = [*OTHER_TRUNKS, *(own for own, _ in TRUNKS.values())]
    trunk = next(
        (one for one in trunks if any(made and made.trunk == one for made in tops.values())), ""
    )
    found = [
        most(
            model for model, made in tops.items() if made and (made.trunk, made.top) == (trunk, top)
        )
        for top in _TOPS
    ]
    for how in _HOWS:
        found.append(
            most(
                str(model["model"])
                for model in findings.results.models
                if (model.get("combined") or {}).get("how") == how
            )
        )
    return found
