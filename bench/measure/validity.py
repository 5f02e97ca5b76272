"""Which attacks count: on which images an attack was valid, and why a whole cell cannot count.

An attack was *valid* on an image if the image it tried is finite, in [0, 1] and within the budget, and
the attack had something to guide it: a gradient, scores that change, or an image of another class to
start from. If a valid attack did not break an image, that is evidence that the image is robust. Which
attacks can be evidence at all is stated in the attack table.

Some attacks can break an image but are never evidence that it is robust: those that aim at one label
or at less confidence, those that attack only the images the model is sure of, and noise. A cell that
lowers the margin of the true class no more often than noise of the same size does not count either.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pandas as pd
from scipy.stats import binom

from bench.attacks.catalogue import is_evidence
from bench.measure.threats import same_radius
from bench.spec import (
    ATTACKING,
    BLACK_BOX_SURFACE,
    EXPECTED_SURFACE,
    HANDED_IN_SURFACE,
    NOISELESS_SURFACE,
    ONE_DRAW_SURFACE,
    PLUGIN,
    WHOLE_MODEL_SURFACE,
    SubstituteName,
    number,
    transfer_source,
)
from bench.store.columns import attacked, cell_of, places
from bench.store.results import Results

#: Level of the two tests by which a cell is no better than noise. The first: its margins are lower than
#: under noise no more often than chance explains. The second: the images where they are lower are fewer
#: than the share `_CLEAR` explains. On a handful of images neither test can decide.
_LEVEL, _CLEAR = 0.05, 0.75

#: Reasons of invalid rows that mean that the model gave scores that are not finite.
_SCORES = ("scores not finite", "clean scores not finite")

#: What is wrong with a cell whose attack was guided on no image.
_UNGUIDED = "had no gradient or changing scores to go by"

#: Why no attack of a threat shows that an image is robust.
NO_UNTARGETED = "no untargeted attack"
NOISE_ALONE = "noise alone is no attack"

#: Notes on a random model that was attacked without the mean over many draws of its noise.
ONE_DRAW = "through one noise draw only"
WITHOUT_NOISE = "through the network without noise only"


def unseen_noise(surfaces: Collection[str]) -> str:
    """Return how attacks on these surfaces missed a random model's noise; empty if they did not.

    Decided only here: headlines, curves, certified bounds, claims and published tables mark figures by it.
    """
    if EXPECTED_SURFACE in surfaces or WHOLE_MODEL_SURFACE in surfaces:
        return ""
    if ONE_DRAW_SURFACE in surfaces:
        return ONE_DRAW
    return WITHOUT_NOISE if NOISELESS_SURFACE in surfaces else ""


def black_box(surfaces: Collection[str]) -> str:
    """Return what of a model's answers alone attacks on these surfaces went by; empty if others went by more.

    An attack through a substitute is evidence as any black-box attack is, and so are images crafted on another
    model: they are made without the gradient of the model, which decides about the images that come of it. By
    what images that others handed in were made is not known.
    """
    if set(surfaces) == {HANDED_IN_SURFACE}:
        return "images handed in only"
    substitutes = [name for name in surfaces if SubstituteName.read(name) is not None]
    others = [name for name in surfaces if transfer_source(name) is not None]
    if set(surfaces) - {BLACK_BOX_SURFACE, HANDED_IN_SURFACE, *substitutes, *others}:
        return ""
    if BLACK_BOX_SURFACE in surfaces or (substitutes and others):
        return "black-box attacks only"
    if others:
        return "images of other models only"
    return "through a substitute only" if substitutes else ""


def label_lost(rows: pd.DataFrame) -> pd.Series[bool]:
    """Return where an attack, whatever its goal, took the right label away or made the model abstain."""
    changed = (rows["adv_label"] != rows["label"]).fillna(False).astype(bool) | rows["abstained"]
    return attacked(rows) & changed & rows["invalid"].isna()


def valid_rows(rows: pd.DataFrame) -> pd.Series[bool]:
    """Return where an attack was valid on the image, as the head of this file has it."""
    valid = attacked(rows) & rows["invalid"].isna() & ~_unchanged(rows)
    return valid & ~recorded(rows, "ineffective")


def scores_not_finite(rows: pd.DataFrame) -> pd.Series[bool]:
    """Return where the model's scores were not finite, on the image tried or on the clean one."""
    return rows["invalid"].fillna("").astype("str").isin(_SCORES)


def recorded(rows: pd.DataFrame, column: str) -> pd.Series[bool]:
    """Return where a column has a value; nowhere in rows of an older version, which lack the column."""
    if column not in rows:
        return pd.Series(False, index=rows.index)
    return rows[column].notna()


def _unchanged(rows: pd.DataFrame) -> pd.Series[bool]:
    """Return which images came back as they were, in rows of a version that did not record why.

    Newer rows say why an attack had nothing to go by. In these an unchanged image is no fault: some
    attacks return the clean image where they tried and found nothing.
    """
    return (rows["l0"] == 0) & ~recorded(rows, "adv_margin")


def confidence_filtered(cells: pd.DataFrame) -> pd.Series[bool]:
    """Return which cells attack only the images that the model is sure of."""
    least = [
        number(parameters.get("least_confidence", 0), "least_confidence")
        for parameters in cells["parameters"]
    ]
    return pd.Series([confidence > 0 for confidence in least], index=cells.index, dtype=bool)


def asked_less(attack: str, access: str, *, forwards: bool, backwards: bool) -> str:
    """Return what to do about a user's attack that took less of a model than it says it needs; empty if it did not.

    Args:
        attack: its name.
        access: as it was registered.
        forwards: whether it made any forward pass.
        backwards: whether it made any backward pass.
    """
    if access == "white" and forwards and not backwards:
        lacking, enough = "took no gradient", 'access="score" (or "decision", if labels are enough)'
    elif access in ("white", "score") and not forwards:
        lacking, enough = "asked the model nothing", 'access="decision"'
    else:
        return ""
    return f"{attack} {lacking}: if it needs none, register it with {enough}"


def _hints(cells: pd.DataFrame, rows: pd.DataFrame) -> dict[str, str]:
    """Return by cell what `asked_less` says of the attacks that users registered.

    Args:
        cells: of a run.
        rows: of the run.
    """
    own = cells[cells["toolkit"] == PLUGIN].set_index("cell")
    if own.empty:
        return {}
    hints = {}
    tried = rows.loc[
        rows["cell"].isin(own.index) & attacked(rows), ["cell", "forwards", "backwards"]
    ]
    for key, of_cell in tried.groupby("cell"):
        name, access = own.loc[key, ["attack", "access"]]
        made = {part: bool(of_cell[part].any()) for part in ("forwards", "backwards")}
        hints[str(key)] = asked_less(str(name), str(access), **made)
    return hints


def flagged_cells(results: Results) -> pd.DataFrame:
    """Return the planned cells that attack, in the plan's order, with what is wrong with each.

    Returns:
        Rows of `Results.cells` with `flag` (why a cell cannot count, empty where it can), `shows_robust`
        (bool, whether an image that withstands the cell can be called robust) and `hint` (what to do about a
        user's attack that took less of the model than it says it needs, else empty).
    """
    cells = results.cells[results.cells["kind"].isin(ATTACKING)]
    rows = results.rows
    faults, tried = _faults_on_all_images(rows)
    like_noise, hints = _no_better_than_noise(cells, rows), _hints(cells, rows)
    flags = []
    for cell in cells[["cell", "status", "error", "goal"]].to_dict("records"):
        key = cell["cell"]
        if cell["status"] == "failed":
            fault = f"did not run: {cell['error']}"
        elif cell["status"] == "missing":
            fault = "did not run yet"
        elif key in faults:
            hint = hints.get(key) if faults[key] == _UNGUIDED else ""
            fault = f"{faults[key]} ({hint})" if hint else faults[key]
        elif cell["goal"] in ("targeted", "source-target") and key not in tried:
            fault = "had no image to attack"
        else:
            fault = "did no better than noise" if key in like_noise else ""
        flags.append(f"INVALID: {fault}" if fault else "")
    shows = (cells["goal"] == "misclassification") & ~confidence_filtered(cells)
    shows &= cells["attack"].map(is_evidence).astype(bool)
    told = {"flag": flags, "hint": [hints.get(cell, "") for cell in cells["cell"]]}
    texts = {name: pd.Series(said, index=cells.index, dtype="str") for name, said in told.items()}
    return cells.assign(shows_robust=shows, **texts)


def _faults_on_all_images(rows: pd.DataFrame) -> tuple[dict[str, str], set[str]]:
    """Return what is wrong on every image that a cell attacked, by cell, and the cells that attacked some."""
    of_cell, tried = cell_of(rows), attacked(rows)
    counts = tried.groupby(of_cell).sum()
    some = {str(cell) for cell in counts.index[counts > 0]}
    invalid, unchanged = rows["invalid"].notna(), rows["invalid"].notna() | _unchanged(rows)
    lost = label_lost(rows)
    faults = {
        "gave no valid image": invalid,
        "changed no image": unchanged,
        _UNGUIDED: unchanged | (recorded(rows, "ineffective") & ~lost),
    }
    by_cell: dict[str, str] = {}
    for fault, there in faults.items():
        if not there.any():
            continue
        everywhere = (there | ~tried).groupby(of_cell).all()
        for cell in everywhere.index[everywhere]:
            if str(cell) in some:
                by_cell.setdefault(str(cell), fault)
    return by_cell, some


def _no_better_than_noise(cells: pd.DataFrame, rows: pd.DataFrame) -> set[str]:
    """Return the cells that lower the margin of the true class no more often than noise of that size.

    By sign tests on the images that both attacked; none where the run has no noise. Random models are
    left out, since their margins are noisy themselves.
    """
    done = cells[(cells["kind"] == "fixed") & (cells["status"] == "done")]
    noise = done[done["attack"] == "noise"]
    if noise.empty or "adv_margin" not in rows:
        return set()
    known = rows["invalid"].isna() & rows["adv_margin"].notna() & ~recorded(rows, "draws")
    comparable = rows.loc[attacked(rows) & known, ["cell", "index", "adv_margin", "l0"]]
    measured = comparable.set_index("index")[["adv_margin", "l0"]]
    by_cell = {cell: measured.iloc[at] for cell, at in places(comparable["cell"]).items()}
    like_noise = set()
    tested = done[(done["attack"] != "noise") & (done["goal"] == "misclassification")]
    for cell in tested.to_dict("records"):
        alike = noise[(noise["model"] == cell["model"]) & (noise["norm"] == cell["norm"])]
        for key in alike.loc[same_radius(alike["radius"], cell["radius"]), "cell"]:
            both_known = key in by_cell and cell["cell"] in by_cell
            if both_known and _like_noise(by_cell[cell["cell"]], by_cell[key]["adv_margin"]):
                like_noise.add(str(cell["cell"]))
    return like_noise


def _like_noise(attack: pd.DataFrame, noise_margins: pd.Series[float]) -> bool:
    """Return whether an attack is no better than noise on the images that both attacked.

    Many attacks return the clean image where they found no other label. Its margin does not show how
    near they came, so such an image counts only where noise took the label away.
    """
    counts = (attack["l0"] > 0) | (noise_margins.reindex(attack.index) < 0)
    difference = (attack.loc[counts, "adv_margin"] - noise_margins).dropna()
    lower, higher = int((difference < 0).sum()), int((difference > 0).sum())
    no_better = binom.sf(lower - 1, lower + higher, 0.5) > _LEVEL
    return bool(no_better and binom.cdf(lower, lower + higher, _CLEAR) < _LEVEL)


def shortfall(cells: pd.DataFrame) -> str:
    """Return how many attacks do not count and why, such as `1 of 9 attacks did not run`.

    Args:
        cells: of `flagged_cells`.
    """
    reasons = cells.loc[cells["flag"] != "", "flag"].map(
        lambda flag: "did not run" if "did not run" in flag else flag.removeprefix("INVALID: ")
    )
    counts: dict[Any, int] = reasons.value_counts().to_dict()
    return "; ".join(
        f"{count} of {len(cells)} attacks {reason}" for reason, count in counts.items()
    )
