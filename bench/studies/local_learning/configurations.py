"""Models of one family beside what they were made with: a row a configuration."""

from __future__ import annotations

import pandas as pd

from bench.store.results import Results

#: What a configuration of local learning may have, in the order of its columns.
PARTS = ("rule", "K", "w", "m", "p", "delta", "n", "pool", "activation", "seed")


def grid(results: Results, headline: pd.DataFrame) -> pd.DataFrame:
    """Return a row a model that is a configuration, in the run's order; no rows without such models.

    Args:
        results: the run.
        headline: of `bench.measure.headline`.

    Returns:
        `model`, the parts (`PARTS`; null where its rule has none), `f_score` (null for networks
        without the local rule), `images`, `clean_accuracy` and for each threat its robust
        accuracy, `robust linf 0.1` (NaN where no attack of it is valid).
    """
    found = []
    for model in results.models:
        options = model.get("options")
        if not options:
            continue
        row = {"model": model["model"], **{part: options.get(part) for part in PARTS}}
        row["f_score"] = model.get("f_score")
        for one in headline[headline["model"] == model["model"]].itertuples():
            row |= {"images": one.n, "clean_accuracy": one.clean_accuracy}
            row[f"robust {one.norm} {one.eps_text}"] = one.robust_accuracy
        found.append(row)
    table = pd.DataFrame(found)
    whole = {part: "Int64" for part in ("K", "w", "m", "p", "n", "pool", "seed") if part in table}
    return table.astype(whole)
