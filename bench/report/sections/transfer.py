"""The table of universal perturbations, from model to model."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from bench.report import formatting

TRANSFER = (
    "Universal perturbations from model to model: the share of the images that the "
    "model in the column gets right which the perturbation fitted on the model in the row "
    "takes to another class. Then the share of the images it was fitted on, and what the fit "
    "took in all: passes over them, passes through the model, seconds."
)


def transfer_table(found: pd.DataFrame, called: Mapping[str, str]) -> pd.DataFrame:
    """Return a row a universal perturbation: how it was fitted, and the share of images it fools.

    A model's column is the share of the images it gets right that fall to the perturbation; of
    several surfaces of a model fitted on, the first counts.

    Args:
        found: of `bench.measure.transfer.transfer`.
        called: what the attack of each cell is called.
    """
    tested = [f"{model} (%)" for model in dict.fromkeys(found["model"])]
    rows: dict[tuple[str, ...], dict[str, str]] = {}
    for one in found.to_dict("records"):
        parts = called[one["cell"]].split(", ")
        attack = ", ".join(part for part in parts if not part.startswith("fitted on "))
        threat = formatting.threat(one["norm"], one["eps_text"])
        row = rows.setdefault((one["fitted_on"], attack, threat, one["toolkit"]), {})
        row.setdefault(f"{one['model']} (%)", formatting.percent(one["fooling"]))
        if not formatting.missing(one["passes"]):
            row |= {
                "fitted (%)": formatting.percent(one["fit_fooling"]),
                "passes": formatting.count(one["passes"]),
                "forwards": formatting.count(one["forwards"]),
                "backwards": formatting.count(one["backwards"]),
                "s": formatting.amount(one["seconds"]),
            }
    named = ["fitted on", "attack", "threat", "toolkit"]
    columns = [*tested, "fitted (%)", "passes", "forwards", "backwards", "s"]
    table = [
        [*key, *(row.get(column, formatting.NONE) for column in columns)]
        for key, row in rows.items()
    ]
    return pd.DataFrame(table, columns=[*named, *columns], dtype=object)
