"""The threats of a run: a norm with a radius, each radius once however it was written."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from math import isclose
from typing import Any

import pandas as pd

from bench.spec import number
from bench.store.results import Results

#: Radii whose relative difference is at most this are the same radius.
SAME_RADIUS = 1e-6


def same_radius(radii: pd.Series[float], eps: float) -> pd.Series[bool]:
    """Return which radii equal eps, however they were written."""
    return (radii - eps).abs() <= SAME_RADIUS * radii.clip(lower=eps)


def threats(fixed: pd.DataFrame) -> pd.DataFrame:
    """Return the norms and radii that some cells of fixed budget attack within.

    Args:
        fixed: rows of `Results.cells` whose kind is `fixed`.

    Returns:
        `norm, radius, eps` (as text); radii ascending within a norm. Radii that agree to 1e-6 are one
        threat, with the shortest of their texts.
    """
    distinct: list[dict[Hashable, Any]] = []
    for norm in fixed["norm"].unique():
        attacked = fixed.loc[fixed["norm"] == norm, ["norm", "radius", "eps"]].drop_duplicates()
        for threat in attacked.sort_values("radius", kind="stable").to_dict("records"):
            last = distinct[-1] if distinct and distinct[-1]["norm"] == norm else None
            if last and isclose(last["radius"], threat["radius"], rel_tol=SAME_RADIUS):
                if (len(threat["eps"]), threat["eps"]) < (len(last["eps"]), last["eps"]):
                    last |= {"radius": threat["radius"], "eps": threat["eps"]}
            else:
                distinct.append(threat)
    return pd.DataFrame(distinct, columns=["norm", "radius", "eps"])


def threats_by_data(results: Results, cells: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the `threats` under which models of each data set are attacked, by data set.

    Where no attack reaches a model of a data set, these are all threats of the run.

    Args:
        results: the cells of a run.
        cells: those of its cells that attack.
    """
    fixed = cells[cells["kind"] == "fixed"]
    data = fixed["model"].map(data_sets(results))
    by_data = {}
    for name in {str(model["data"]) for model in results.models}:
        own = fixed[data == name] if (data == name).any() else fixed
        by_data[name] = threats(own)
    return by_data


def named_for(model: Mapping[str, Any], threats: pd.DataFrame) -> pd.DataFrame:
    """Return those of some threats under which a suite attacks a model, as far as its log tells.

    A minimal-norm attack is made under all threats of its norm. Where the suite names none of them for the
    model these are all, so that no model looks as if nothing was asked of it.

    Args:
        model: of `Results.models`.
        threats: of its data set, see `threats_by_data`.
    """
    named = [(norm, number(eps) if eps else None) for norm, eps in model.get("threats", ())]
    under = [
        any(
            norm == threat["norm"]
            and (eps is None or isclose(eps, threat["radius"], rel_tol=SAME_RADIUS))
            for norm, eps in named
        )
        for threat in threats.to_dict("records")
    ]
    return threats[under] if any(under) else threats


def data_sets(results: Results) -> dict[str, str]:
    """Return the data set of each model of a run."""
    return {str(model["model"]): str(model["data"]) for model in results.models}
