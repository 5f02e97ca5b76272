"""From certificates to figures: certified accuracy, and the bounds it puts on the true robust accuracy.

An image is certified within eps if its certified decision is right and its radius is above eps. Then no
image nearer than eps gets another decision, except for a share alpha of all certificates requested. A
successful attack shows the opposite: the decision is not robust. So at each l2 radius

    certified accuracy <= robust accuracy of the ideal smoothed classifier <= accuracy under attack

An abstention of the judge shows nothing, so in this comparison the image counts as not broken.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import binom

from bench.attacks.values import amounts
from bench.measure.outcomes import Outcomes, attacked_by_all, broken, by_cell, side_by_side
from bench.measure.statistics import wilson
from bench.measure.validity import unseen_noise
from bench.spec import number
from bench.store.columns import cell_of
from bench.store.results import Results

#: Certificates are flagged if alpha explains the labels changed within them with less than this probability.
_UNLIKELY = 0.01

#: Radii this near to each other are one threat.
_SAME = 1e-6

_NAMED = ("cell", "model", "parameters")


def certificates(outcomes: Outcomes) -> pd.DataFrame:
    """Return what the certificates of each model come to, a row a done cell, in the plan's order.

    Returns:
        `cell, model, parameters` (text); `n` (images), `copies` (noisy ones, mean over images), `accuracy,
        low, high` (share that is certified at any radius, and right; 95 % Wilson), `abstained` (share),
        `average_radius` (mean over all images, 0 where not certified: Zhai et al., MACER, ICLR 2020; smaller
        where copies end at given radii), `largest`;
        `inside` (certified images whose label some attack of the run changed within their radius) and
        `flag` (these are more than alpha explains; else empty).
    """
    figures = []
    certifying = list(_done_cells(outcomes))
    rows = outcomes.results.rows if certifying else outcomes.results.rows.iloc[:0]
    changed = _least_changes(rows)
    means = rows[["abstained", "forwards"]].groupby(cell_of(rows)).mean()
    for cell, names in certifying:
        radii = outcomes.certified_radii[cell["cell"]]
        hits, n = int((radii > 0).sum()), len(radii)
        low, high = wilson(hits, n)
        least = changed.get(str(cell["model"]), pd.Series(dtype=float))
        inside = int((least.reindex(radii.index) < radii).sum())
        alpha = number(cell["parameters"]["alpha"], "alpha")
        figures.append(names | {
            "n": n, "copies": float(means["forwards"][cell["cell"]]),
            "accuracy": hits / n, "low": low, "high": high,
            "abstained": float(means["abstained"][cell["cell"]]), "average_radius": float(radii.mean()),
            "largest": float(radii.max()), "inside": inside,
            "flag": _flag(inside, n, alpha),
        })  # fmt: skip
    return pd.DataFrame(figures, columns=[
        *_NAMED, "n", "copies", "accuracy", "low", "high", "abstained", "average_radius", "largest",
        "inside", "flag",
    ])  # fmt: skip


def certified_curve(outcomes: Outcomes) -> pd.DataFrame:
    """Return certified accuracy against the l2 radius: a step function, to be drawn to the right.

    Returns:
        `cell, model, parameters, radius` (ascending: 0, each radius certified, and the largest of the run),
        `accuracy, low, high` (95 % Wilson), `n`.
    """
    largest = max((float(radii.max()) for radii in outcomes.certified_radii.values()), default=0.0)
    points = []
    for cell, names in _done_cells(outcomes):
        radii = outcomes.certified_radii[cell["cell"]].to_numpy()
        for eps in np.unique([0, *radii, largest]):
            points.append(names | {"radius": float(eps), **_share(radii > eps)})
    return pd.DataFrame(points, columns=[*_NAMED, "radius", "accuracy", "low", "high", "n"])


def certified_bounds(outcomes: Outcomes) -> pd.DataFrame:
    """Return certified accuracy and accuracy under attack at each l2 radius that attacks were given.

    On the images that the certificates and all valid attacks of the radius have.

    Returns:
        A row a done cell of certificates and radius: `cell, model, parameters, eps` (float), `eps_text`,
        `n, certified, certified_low, certified_high, attacked, low, high` (95 % Wilson; `attacked` is
        the share whose label no attack changed within eps), `abstained` (share of n that is among
        these although the judge abstained), `attacks` (that count at eps), and
        `flag` (certified above attacked, what the attacks did not see of the noise, and that copies ended at
        other radii, so that more may be certified).
    """
    cells = outcomes.cells
    cells = cells[cells["shows_robust"] & (cells["norm"] == "l2") & (cells["flag"] == "")]
    label_changes = _l2_distances(outcomes.results, cells, abstaining=False)
    all_breaks = _l2_distances(outcomes.results, cells, abstaining=True)
    bounds = []
    for cell, names in _done_cells(outcomes):
        of_model = cells[cells["model"] == cell["model"]]
        changes = side_by_side(label_changes, of_model["cell"])
        breaks = side_by_side(all_breaks, of_model["cell"])
        fixed = of_model[of_model["kind"] == "fixed"]
        fixed = fixed.drop_duplicates("radius").sort_values("radius")
        for eps, text in zip(fixed["radius"], fixed["eps"], strict=True):
            at_eps = of_model[(of_model["radius"] == eps) | (of_model["kind"] == "minimal")]
            attacks = _Attacks(attacked_by_all(changes, at_eps["cell"]), breaks)
            figures = _bounds(outcomes.certified_radii[cell["cell"]], attacks, eps)
            flags = (
                figures.pop("flag"), unseen_noise(set(at_eps["surface"])),
                _other_radii(cell["parameters"], eps),
            )  # fmt: skip
            bounds.append(
                names | {"eps": eps, "eps_text": text, "attacks": len(at_eps)} | figures
                | {"flag": "; ".join(flag for flag in flags if flag)}
            )  # fmt: skip
    return pd.DataFrame(bounds, columns=[
        *_NAMED, "eps", "eps_text", "n", "certified", "certified_low", "certified_high", "attacked",
        "low", "high", "abstained", "attacks", "flag",
    ])  # fmt: skip


class _Attacks(NamedTuple):
    """What the attacks on one model did: l2 distances of images (rows) under cells (columns).

    Attributes:
        label_changes: where the label becomes another, on the images that count.
        breaks: likewise, with an abstention as another label; on all images.
    """

    label_changes: pd.DataFrame
    breaks: pd.DataFrame


def _bounds(radii: pd.Series[float], attacks: _Attacks, eps: float) -> dict[str, Any]:
    """Return the figures of one model at one radius."""
    changes, breaks = attacks
    shared = changes.index.intersection(radii.index)
    changed = broken(changes.loc[shared].to_numpy().min(axis=1), eps)
    lost = broken(breaks.fillna(np.inf).loc[shared].min(axis=1).to_numpy(), eps)
    certified, under = _share(radii.loc[shared].to_numpy() > eps), _share(~changed)
    above = certified["accuracy"] > under["accuracy"]
    return {
        "n": len(shared), "certified": certified["accuracy"], "certified_low": certified["low"],
        "certified_high": certified["high"], "attacked": under["accuracy"], "low": under["low"],
        "high": under["high"], "abstained": float((lost & ~changed).mean()) if len(shared) else 0.0,
        "flag": "certified above attacked" if above else "",
    }  # fmt: skip


def _done_cells(outcomes: Outcomes) -> Iterator[tuple[dict[Any, Any], dict[str, Any]]]:
    """Yield the done cells of certificates, each with the columns that name it."""
    cells = outcomes.results.cells
    for cell in cells[cells["cell"].isin(outcomes.certified_radii)].to_dict("records"):
        given = cell["parameters"]
        shown = [name for name in ("n0", "n", "alpha", "radii") if name in given]
        parameters = ", ".join(f"{name} {given[name]}" for name in shown)
        yield cell, {"cell": cell["cell"], "model": cell["model"], "parameters": parameters}


def _other_radii(parameters: Mapping[str, Any], eps: float) -> str:
    """Return that copies ended at other radii than eps; empty if they did not."""
    asked = amounts(parameters.get("radii", "none"))
    if not asked or any(abs(radius - eps) <= _SAME for radius in asked):
        return ""
    return "not among the radii of the certificates, so more may be certified"


def _l2_distances(
    results: Results, cells: pd.DataFrame, *, abstaining: bool
) -> Mapping[str, pd.Series[float]]:
    """Return the l2 distance at which each image's label becomes another, by cell, indexed by image.

    -1 if it is wrong already on the clean image, infinite if no attack changed it.

    Args:
        results: the cells of a run.
        cells: those that are wanted.
        abstaining: whether an abstention is another label; else it shows nothing.
    """
    read = ["cell", "index", "correct", "clean_label", "success", "abstained", "l2"]
    rows = results.rows.loc[results.rows["cell"].isin(cells["cell"]), read]
    wrong = ~rows["correct"] & (abstaining | (rows["clean_label"] >= 0))
    changed = rows["success"] | (abstaining & rows["correct"] & rows["abstained"])
    return by_cell(
        rows, rows["l2"].astype(float).where(changed, np.inf).mask(wrong, -1.0).to_numpy()
    )


def _least_changes(rows: pd.DataFrame) -> dict[str, pd.Series[float]]:
    """Return the least l2 distance at which an attack of any norm changed each label, by model."""
    changed = rows["success"] & (rows["goal"] != "confidence-reduction")
    rows = rows.loc[changed, ["model", "index", "l2"]]
    return {
        str(model): of_model.groupby("index")["l2"].min()
        for model, of_model in rows.groupby("model", sort=False)
    }


def _flag(inside: int, requested: int, alpha: float) -> str:
    """Return that more certificates are wrong than alpha explains; empty if they are not.

    Args:
        inside: how many labels were changed within their certified radius.
        requested: how many certificates were requested. alpha is a share of these, many of which may be
            refused, and not of those that are given.
        alpha: the share of wrong certificates that the procedure allows.
    """
    if not inside or float(binom.sf(inside - 1, requested, alpha)) >= _UNLIKELY:
        return ""
    return f"labels changed within {inside} radii of {requested} asked for; alpha is {alpha:g}"


def _share(flags: Any) -> dict[str, Any]:
    """Return the share of flags that are set, with its 95 % Wilson interval."""
    hits, n = int(flags.sum()), len(flags)
    low, high = wilson(hits, n)
    return {"accuracy": hits / n if n else float("nan"), "low": low, "high": high, "n": n}
