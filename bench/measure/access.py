"""What attacks know of a model: all of it, its exact gradient, that of something in its place, or its answers alone."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from bench.attacks.catalogue import is_evidence
from bench.measure.curves import points_of
from bench.measure.outcomes import Outcomes
from bench.measure.threats import data_sets, threats_by_data
from bench.spec import BLACK_BOX_SURFACE, ITSELF, SubstituteName

WHOLE, EXACT, SURROGATE, SUBSTITUTE, TRANSFER, SCORES, DECISIONS, UNKNOWN = (
    "whole", "exact", "surrogate", "substitute", "transfer", "scores", "decisions", "unknown",
)  # fmt: skip
#: The kinds of access, from knowing the most about a model to knowing the least; of images that others made
#: nobody knows.
ACCESSES = (WHOLE, EXACT, SURROGATE, SUBSTITUTE, TRANSFER, SCORES, DECISIONS, UNKNOWN)
#: What the worst case over all of them is called in `access_curves`.
WORST = "worst case"

#: The surfaces that are the model itself.
_ITSELF = ("network", "exact")
_BY_CATALOGUE = {"score": SCORES, "decision": DECISIONS, "none": UNKNOWN}


def access_of(cell: Mapping[Hashable, Any]) -> str:
    """Return what the attack of a cell knows of the model, one of `ACCESSES`.

    `whole` tries whatever a model offers; `exact` climbs the model's own gradient and `surrogate` that of a stand-in made with inside knowledge;
    `substitute` that of a network trained on the model's answers; `transfer` tries images that were made on
    another model; `scores` and `decisions` ask the model alone; of images that others made it is `unknown`.

    Args:
        cell: a row of `bench.store.results.Results.cells`.
    """
    elsewhere = dict(cell["parameters"]).get("fitted_on", ITSELF) != ITSELF
    if elsewhere or not pd.isna(cell["crafted_on"]):
        return TRANSFER
    if SubstituteName.read(cell["surface"]) is not None:
        return SUBSTITUTE
    if cell["access"] in _BY_CATALOGUE:
        return _BY_CATALOGUE[cell["access"]]
    if cell["access"] == "whole":
        return SCORES if cell["surface"] == BLACK_BOX_SURFACE else WHOLE
    return EXACT if cell["surface"] in _ITSELF else SURROGATE


def with_access(cells: pd.DataFrame) -> pd.DataFrame:
    """Return the cells of attacks with `access`, see `access_of`; without those of noise, which is no attack.

    Args:
        cells: of `Outcomes.cells`.
    """
    attacks = cells[cells["attack"].map(is_evidence).astype(bool)]
    kinds = [access_of(cell) for cell in attacks.to_dict("records")]
    return attacks.assign(access=pd.Series(kinds, index=attacks.index, dtype="str"))


def access_curves(outcomes: Outcomes) -> pd.DataFrame:
    """Return accuracy against eps by what attacks know of a model, for each model and norm attacked in several ways.

    As `bench.measure.curves.curve`, at 0 and the radii of the run, from the attacks of one kind of access alone,
    and from all attacks as `worst case`. All of a model and norm are on the same images: those that every valid
    cell has.

    Returns:
        `model, norm, access` (in the order of `ACCESSES`, then `WORST`), `eps, accuracy, low, high` (95 %
        Wilson), `n`; eps ascending. A kind of access without a valid attack has no rows.
    """
    by_data, data = threats_by_data(outcomes.results, outcomes.cells), data_sets(outcomes.results)
    known = with_access(outcomes.cells)
    points = []
    for (model, norm), cells in outcomes.cells.groupby(["model", "norm"], sort=False):
        own = known[(known["model"] == model) & (known["norm"] == norm)]
        if own["access"].nunique() < 2:
            continue
        run_threats = by_data[data[str(model)]]
        radii = sorted(run_threats.loc[run_threats["norm"] == norm, "radius"])
        valid = cells.loc[cells["shows_robust"] & (cells["flag"] == ""), "cell"]
        whole = outcomes.group(cells["cell"])
        images = whole.images[whole.attacked_by_all(valid)]
        parts = {
            kind: own[own["access"] == kind] for kind in ACCESSES if kind in set(own["access"])
        }
        for access, part in {**parts, WORST: cells}.items():
            for point in points_of(outcomes, part, radii, images):
                if point["eps"] in (0.0, *radii):
                    points.append({"model": model, "norm": norm, "access": access, **point})
    names = ["model", "norm", "access", "eps", "accuracy", "low", "high", "n"]
    return pd.DataFrame(points, columns=names)
