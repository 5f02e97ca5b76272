"""The headline: the worst-case accuracy of each model under each threat.

When an image counts as broken or robust: `bench.measure.outcomes` and `bench.measure.validity`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from bench.measure.outcomes import Group, Outcomes, WorstCase, broken
from bench.measure.threats import named_for, same_radius, threats_by_data
from bench.measure.validity import (
    NO_UNTARGETED,
    NOISE_ALONE,
    black_box,
    confidence_filtered,
    shortfall,
    unseen_noise,
)
from bench.spec import BLACK_BOX_SURFACE, HANDED_IN_SURFACE, WHOLE_MODEL_SURFACE

_NAN = float("nan")
_COLUMNS = (
    "model", "family", "norm", "eps", "eps_text", "n", "clean_accuracy", "robust_accuracy",
    "low", "high", "attacks", "planned", "flag", "worst", "draws",
)  # fmt: skip


def headline(outcomes: Outcomes) -> pd.DataFrame:
    """Return the worst-case accuracy of each model under each threat of the run.

    A threat is a norm with an eps that some attack of fixed budget of the run has; radii that agree to
    1e-6 are one. A model has the threats of its own data set, without those that the suite names for
    other models alone.

    Robust accuracy is the share of all images, including those the model gets wrong, that no cell of
    this model and norm broke within eps, whatever its toolkit, surface, budget and goal. The cells that
    attack at this threat are the untargeted ones of just this eps and the minimal-norm ones, without
    noise: they are `planned`, and those of them that ran and had something to go by are `attacks`. If
    these have different numbers of images, the images that all of them have count, for the clean
    accuracy too. For a random model both accuracies are means over the draws that judge it.

    The figure is NaN, and the flag begins with INVALID, if there is no such attack, if none was valid
    on more than 5 % of the images attacked, or if scores were not finite on more than 5 % of the images.

    A norm with only minimal-norm attacks has no row, since the suite names no eps for it; its median
    distances are in `attack_rates`, its whole curve in `curve`.

    Returns:
        A row a model and threat, models in the run's order: `model, family, norm, eps` (float),
        `eps_text, n` (images), `clean_accuracy, robust_accuracy, low, high` (95 % Wilson),
        `attacks, planned, flag` (empty when all is well; it also says if only black-box attacks
        (or those through a substitute) reached the model, and if a random model was attacked through one draw only), `worst` (the
        strongest attacks, several if they tie; empty without a valid one), `draws` (how many judge an
        image of a random model; else null).
    """
    threats = threats_by_data(outcomes.results, outcomes.cells)
    rows = [
        row
        for model in outcomes.results.models
        for row in _rows_of_model(outcomes, model, named_for(model, threats[str(model["data"])]))
    ]
    return pd.DataFrame(rows, columns=list(_COLUMNS)).astype({"draws": "Int64"})


def _rows_of_model(
    outcomes: Outcomes, model: Mapping[str, Any], threats: pd.DataFrame
) -> Iterator[dict[str, Any]]:
    """Yield the row of one model under each threat."""
    title = str(model["model"])
    of_model = outcomes.cells[outcomes.cells["model"] == title]
    clean = outcomes.clean.get(title, pd.Series(dtype=bool))
    for norm in threats["norm"].unique():
        cells = of_model[of_model["norm"] == norm]
        group = outcomes.groups.get((title, norm)) or outcomes.group([])
        clean_share = clean_shares(group, clean)
        for threat in threats[threats["norm"] == norm].to_dict("records"):
            figures = _under_threat(cells, group, threat["radius"])
            counted = clean_share.reindex(figures.pop("images", clean_share.index))
            flags = (figures.pop("flag"), *model.get("notes", ()))
            yield {
                "model": title,
                "family": model["family"],
                "norm": norm,
                "eps": threat["radius"],
                "eps_text": threat["eps"],
                "n": len(counted) or int(outcomes.results.protocol["images"]),
                "clean_accuracy": float(counted.mean()) if len(counted) else _NAN,
                "flag": "; ".join(flag for flag in flags if flag),
            } | figures


def clean_shares(group: Group, clean: pd.Series[bool]) -> pd.Series[float]:
    """Return by image 1 or 0, whether the model gets it right; for a random model the share of draws."""
    share = clean.astype(float)
    for frame in group.draws:
        drawn: pd.Series[float] = frame["clean"].dropna()
        share.update(drawn)
    return share


def _under_threat(cells: pd.DataFrame, group: Group, eps: float) -> dict[str, Any]:
    """Return the figures of one model under one threat, and the `images` they are of.

    Args:
        cells: all cells of the model and norm.
        group: what they did.
        eps: the radius of the threat.
    """
    at_eps = _at(cells, eps)
    planned = at_eps[at_eps["shows_robust"]]
    valid = planned[planned["flag"] == ""]
    draws = next((int(frame["count"].iloc[0]) for frame in group.draws), None)
    figures: dict[str, Any] = {"attacks": len(valid), "planned": len(planned), "draws": draws}
    if valid.empty:
        none = dict.fromkeys(("robust_accuracy", "low", "high"), _NAN)
        why = shortfall(planned) or _why_none(at_eps)
        return figures | none | {"worst": "", "flag": f"INVALID: {why}"}
    worst = group.within(eps, valid["cell"])
    accuracy = worst.figures()
    return figures | {
        "images": worst.robust.index,
        "robust_accuracy": accuracy["accuracy"],
        "low": accuracy["low"],
        "high": accuracy["high"],
        "flag": _flag(worst, planned, valid),
        "worst": _strongest(valid, group, worst.robust.index, eps, set(cells["surface"])),
    }


def _at(cells: pd.DataFrame, eps: float) -> pd.DataFrame:
    """Return those of some cells of one norm that attack at a radius."""
    return cells[same_radius(cells["radius"], eps) | (cells["kind"] == "minimal")]


def worst_case(outcomes: Outcomes, model: str, norm: str, eps: float) -> WorstCase | None:
    """Return the worst case behind a robust accuracy of the headline; None without a valid attack.

    Args:
        outcomes: of a run.
        model: its title.
        norm: of the threat.
        eps: its radius.
    """
    cells = outcomes.cells
    cells = cells[(cells["model"] == model) & (cells["norm"] == norm)]
    valid = _at(cells, eps)
    valid = valid[valid["shows_robust"] & (valid["flag"] == "")]
    if valid.empty:
        return None
    return outcomes.groups[model, norm].within(eps, valid["cell"])


def _flag(worst: WorstCase, planned: pd.DataFrame, valid: pd.DataFrame) -> str:
    """Return what a reader has to know of a worst case; it begins with INVALID if it is no figure."""
    hints = valid["hint"].unique() if worst.untested else ()
    notes = [*worst.notes, *hints, shortfall(planned), _unseen(set(valid["surface"]))]
    flag = "; ".join(note for note in notes if note)
    return f"INVALID: {flag}" if worst.invalid else flag


def _why_none(cells: pd.DataFrame) -> str:
    """Return why none of the cells at a threat can show that an image is robust."""
    if cells.empty:
        return "no attack of this run applies"
    untargeted = cells["goal"] == "misclassification"
    return NOISE_ALONE if (untargeted & ~confidence_filtered(cells)).any() else NO_UNTARGETED


def _strongest(
    valid: pd.DataFrame, group: Group, images: pd.Index[Any], eps: float, surfaces: set[str]
) -> str:
    """Return the attacks that broke the most images, such as `bim, pgd (tie of 6)`.

    Args:
        valid: the cells that count.
        group: what they did.
        images: those that count.
        eps: the radius.
        surfaces: all surfaces through which the model was attacked.
    """
    kept = group.images.isin(images)
    alone = broken(group.distances[kept][:, group.columns(valid["cell"])], eps).sum(axis=0)
    best = valid[alone == alone.max()]
    if len(best) > 1:
        names = list(dict.fromkeys(map(_named, best.to_dict("records"))))
        shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
        return f"{shown} (tie of {len(best)})"
    strongest = best.iloc[0]
    if strongest["auto"] or strongest["surface"] == HANDED_IN_SURFACE:
        return _named(strongest)
    white_box = surfaces - {BLACK_BOX_SURFACE, WHOLE_MODEL_SURFACE, HANDED_IN_SURFACE}
    several = strongest["surface"] in white_box and len(white_box) > 1
    surface = f", {strongest['surface']}" if several else ""
    return f"{strongest['attack']} ({strongest['toolkit']}{surface})"


def _named(cell: Mapping[Any, Any]) -> str:
    """Return the name of an attack, which says so where nobody asked for it; that of a file with its images."""
    if cell["surface"] == HANDED_IN_SURFACE:
        return f"{cell['attack']} ({Path(cell['parameters']['file']).name})"
    return f"{cell['attack']} (auto)" if cell["auto"] else str(cell["attack"])


def _unseen(surfaces: set[str]) -> str:
    """Return what attacks through these surfaces may not have seen of a model; empty if nothing."""
    return black_box(surfaces) or unseen_noise(surfaces)
