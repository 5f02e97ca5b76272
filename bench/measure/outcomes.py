"""When an image of a model is broken, and when it can be called robust: the rules under every figure.

An image of a model *falls* to a cell at the distance

    d = -1                            the model gets the clean image wrong
    d = the cell's norm of the change the attack took the right label away, whatever its goal was, or
                                      made the model abstain
    d = infinity                      otherwise

and is broken within eps iff d < 0, or eps > 0 and d <= eps (1 + 1e-5) + 1e-6. The slack is the
judge's own, so that an attack that used its whole budget counts.

An image that does not fall is robust only against attacks that were *valid on it*: the image tried is
finite, in [0, 1] and within the budget, and the attack had something to go by: a gradient, answers that
change, or an image of another class to begin at. Attacks that aim at one label, at less confidence or at the images of which a
model is sure, and noise, can break an image, but do not show that one is robust. Nor does an attack
that lowers the margin of the true class no more often than noise of the same size.

Of a random model, what an attack did to an image is the share of the draws that are still right about
the image tried. The worst of several tried images is chosen by other draws than those that its share is
told from, since the least of several shares would be too low.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass
from math import isclose
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import binom

from bench.attacks.catalogue import is_evidence
from bench.measure.statistics import wilson
from bench.spec import EXPECTED_SURFACE, NOISELESS_SURFACE, ONE_DRAW_SURFACE, number
from bench.store.columns import attacked
from bench.store.results import Results

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

#: A figure is INVALID above this share of the images attacked without a valid attack, and above this
#: share of all images on which scores were not finite.
MOST_UNPROVEN = 0.05

#: Radii that agree to this, relatively, are one.
SAME_RADIUS = 1e-6

#: An attack is no better than noise where margins fall further than under noise no more often than
#: chance would have it at this level, and on fewer images, at the same level, than this share of them: of
#: a handful of images neither can be told.
_LEVEL, _CLEAR = 0.05, 0.75

#: Reasons for which a row is invalid because the model gave no finite scores.
_SCORES = ("scores not finite", "clean scores not finite")

#: Why no attack of a threat shows that an image is robust.
NO_UNTARGETED = "no untargeted attack"
NOISE_ALONE = "noise alone is no attack"


def clean_answers(results: Results) -> dict[str, pd.Series[bool]]:
    """Return whether each model gets each image right, by model, indexed by image."""
    # A certificate is another decision than a prediction, from other noisy copies.
    rows = results.rows.loc[results.rows["kind"] != "certify", ["model", "index", "correct"]]
    rows = rows.drop_duplicates(["model", "index"])
    return {
        str(model): mine.set_index("index")["correct"]
        for model, mine in rows.groupby("model", sort=False)
    }


#: What is said of a random model that was attacked so, and not through the mean of many draws.
ONE_DRAW = "through one noise draw only"
WITHOUT_NOISE = "through the network without noise only"


def unseen_noise(surfaces: Collection[str]) -> str:
    """Return what attacks on these surfaces did not see of a random model's noise; empty where nothing."""
    if EXPECTED_SURFACE in surfaces:
        return ""
    if ONE_DRAW_SURFACE in surfaces:
        return ONE_DRAW
    return WITHOUT_NOISE if NOISELESS_SURFACE in surfaces else ""


def same_radius(radii: pd.Series[float], eps: float) -> pd.Series[bool]:
    """Return which radii are eps, however they were written."""
    return (radii - eps).abs() <= SAME_RADIUS * radii.clip(lower=eps)


def flagged_cells(results: Results) -> pd.DataFrame:
    """Return the planned cells that attack, in the plan's order.

    Returns:
        Rows of `Results.cells` with `flag` (why a cell cannot count, empty where it can) and `shows`
        (bool, whether an image that withstands it can be called robust: not so of attacks with a
        target, at less confidence or on sure images alone, and of noise).
    """
    cells = results.cells[results.cells["kind"] != "certify"]
    rows = results.rows[attacked(results.rows)]
    spoilt, lost, idle = rows["invalid"].notna(), beaten(rows), _unmoved(rows)
    reasons = {
        "gave no valid image": spoilt,
        "changed no image": spoilt | idle,
        "had no gradient or changing scores to go by": (
            spoilt | idle | (_told(rows, "ineffective") & ~lost)
        ),
    }
    of_all = {why: found.groupby(rows["cell"]).all() for why, found in reasons.items()}
    reached, like_noise = set(rows["cell"]), _no_better_than_noise(cells, rows)
    flags = []
    for cell in cells[["cell", "status", "error", "goal"]].to_dict("records"):
        key = cell["cell"]
        why = next((why for why, found in of_all.items() if found.get(key, False)), "")
        if cell["status"] == "failed":
            flags.append(f"INVALID: did not run: {cell['error']}")
        elif cell["status"] == "missing":
            flags.append("INVALID: did not run yet")
        elif why:
            flags.append(f"INVALID: {why}")
        elif cell["goal"] in ("targeted", "source-target") and key not in reached:
            flags.append("INVALID: had no image to attack")
        elif key in like_noise:
            flags.append("INVALID: did no better than noise")
        else:
            flags.append("")
    shows = (cells["goal"] == "misclassification") & ~confidence_filtered(cells)
    shows &= cells["attack"].map(is_evidence).astype(bool)
    return cells.assign(flag=pd.Series(flags, index=cells.index, dtype="str"), shows=shows)


def accuracy_attacks(results: Results) -> pd.DataFrame:
    """Return the cells whose attacks can show that an image is robust, in the plan's order.

    Returns:
        Rows of `flagged_cells` with `shows`.
    """
    cells = flagged_cells(results)
    return cells[cells["shows"]]


def confidence_filtered(cells: pd.DataFrame) -> pd.Series[bool]:
    """Return which cells attack only images of which the model is sure."""
    least = [
        number(parameters.get("least_confidence", 0), "least_confidence")
        for parameters in cells["parameters"]
    ]
    return pd.Series([one > 0 for one in least], index=cells.index, dtype=bool)


def beaten(rows: pd.DataFrame) -> pd.Series[bool]:
    """Return where an attack took the right label away, whatever its goal, or made the model abstain."""
    other = (rows["adv_label"] != rows["label"]).fillna(False).astype(bool) | rows["abstained"]
    return attacked(rows) & other & rows["invalid"].isna()


def _told(rows: pd.DataFrame, column: str) -> pd.Series[bool]:
    """Return where a column that came later says something; nowhere in rows without it."""
    if column not in rows:
        return pd.Series(False, index=rows.index)
    return rows[column].notna()


def _unmoved(rows: pd.DataFrame) -> pd.Series[bool]:
    """Return which rows are of images that came back as they were, where that is all that is known.

    Some attacks give back the clean image where they tried and found nothing; since rows say why an
    attack had nothing to go by, an unmoved image tells nothing by itself.
    """
    return (rows["l0"] == 0) & ~_told(rows, "adv_margin")


def _no_better_than_noise(cells: pd.DataFrame, rows: pd.DataFrame) -> set[str]:
    """Return the cells that lower the margin of the true class no more often than noise of that size.

    By sign tests on the images that both tried. Nothing is said without noise in the run, and of random
    models, whose margins are noise themselves. Many
    attacks give the clean image back where they found no other label: its margin says nothing of how
    near they came, so that such an image counts only where noise took the label away.
    """
    done = cells[(cells["kind"] == "fixed") & (cells["status"] == "done")]
    noise = done[done["attack"] == "noise"]
    if noise.empty or "adv_margin" not in rows:
        return set()
    known = rows[rows["invalid"].isna() & rows["adv_margin"].notna() & ~_told(rows, "draws")]
    of_image = {
        str(cell): mine.set_index("index")[["adv_margin", "l0"]]
        for cell, mine in known.groupby("cell", sort=False)
    }
    found = set()
    tested = done[(done["attack"] != "noise") & (done["goal"] == "misclassification")]
    for cell in tested.to_dict("records"):
        alike = noise[(noise["model"] == cell["model"]) & (noise["norm"] == cell["norm"])]
        for key in alike.loc[same_radius(alike["radius"], cell["radius"]), "cell"]:
            if key in of_image and cell["cell"] in of_image:
                mine, other = of_image[cell["cell"]], of_image[key]["adv_margin"]
                told = (mine["l0"] > 0) | (other.reindex(mine.index) < 0)
                gap = (mine.loc[told, "adv_margin"] - other).dropna()
                lower, higher = int((gap < 0).sum()), int((gap > 0).sum())
                tried = lower + higher
                no_better = binom.sf(lower - 1, tried, 0.5) > _LEVEL
                if no_better and binom.cdf(lower, tried, _CLEAR) < _LEVEL:
                    found.add(str(cell["cell"]))
    return found


def break_distances(results: Results) -> dict[str, pd.Series[float]]:
    """Return the distance at which each image falls, by done cell, indexed by image.

    The rule is at the head of this file.
    """
    rows = results.rows
    fall = np.where(beaten(rows), _own_norm(rows), np.inf)
    fall[~rows["correct"].to_numpy(dtype=bool)] = -1.0
    return _by_cell(rows, fall)


def _own_norm(rows: pd.DataFrame) -> Floats:
    """Return the distance of each row in the norm of its cell."""
    own = np.full(len(rows), np.nan)
    for norm in rows["norm"].unique():
        there = (rows["norm"] == norm).to_numpy()
        own[there] = rows[norm].to_numpy(dtype=float)[there]
    return own


def _by_cell(rows: pd.DataFrame, values: npt.NDArray[Any]) -> dict[str, pd.Series[Any]]:
    images = rows["index"].to_numpy()
    return {
        str(cell): pd.Series(values[at], index=images[at])
        for cell, at in rows.groupby("cell", sort=False).indices.items()
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """What every done cell of a run did to every image, by cell, indexed by image.

    Attributes:
        cells: of `flagged_cells`.
        falls: of `break_distances`.
        proven: whether the cell's attack was valid on the image, or broke it.
        unscored: whether the model's scores were not finite on the image tried, or on the clean one.
        draws: of random models, the columns `of` (how many draws), `at` (distance of the image
            tried), `clean`, `share` and `chosen` (shares of draws that are right); no other cell is in it.
    """

    cells: pd.DataFrame
    falls: Mapping[str, pd.Series[float]]
    proven: Mapping[str, pd.Series[bool]]
    unscored: Mapping[str, pd.Series[bool]]
    draws: Mapping[str, pd.DataFrame]

    def group(self, cells: Iterable[str]) -> Group:
        """Return what some cells of one model and norm did together; those that are not done left out."""
        done = [cell for cell in cells if cell in self.falls]
        falls = side_by_side(self.falls, done)
        images, known = falls.index, falls.to_numpy(float).reshape(len(falls), len(done))
        return Group(
            images=images,
            place={cell: at for at, cell in enumerate(done)},
            falls=known,
            proven=_beside(self.proven, done, images),
            least=np.where(np.isnan(known), np.inf, known).min(axis=1, initial=np.inf),
            unscored=np.asarray(_beside(self.unscored, done, images).any(axis=1), dtype=bool),
            draws=[self.draws[cell].reindex(images) for cell in done if cell in self.draws],
        )


class Group(NamedTuple):
    """What some cells of one model and norm did to its N images, side by side.

    Attributes:
        images: their indices.
        place: the column of each cell.
        falls: float (N, cells), the distance at which an image falls to a cell; NaN where a cell does
            not have an image.
        proven: bool (N, cells), whether the cell was valid on the image, or broke it.
        least: float (N,), the least distance at which an image falls to any of them.
        unscored: bool (N,), whether scores were not finite under some of them.
        draws: of the cells of a random model, by image; see `Outcomes`.
    """

    images: pd.Index[Any]
    place: Mapping[str, int]
    falls: Floats
    proven: Flags
    least: Floats
    unscored: Flags
    draws: list[pd.DataFrame]

    def columns(self, cells: Iterable[str]) -> list[int]:
        """Return the columns of those of some cells that are done."""
        return [self.place[cell] for cell in cells if cell in self.place]

    def at(self, eps: float, shown_by: Iterable[str], needed: Iterable[str] | None = None) -> Worst:
        """Return which images withstand all cells within a radius.

        Args:
            eps: the radius.
            shown_by: the cells that can show that an image is robust at this radius.
            needed: images that one of these cells lacks are left out; None for `shown_by`.
        """
        showing = self.columns(shown_by)
        every = showing if needed is None else self.columns(needed)
        has = np.asarray(~np.isnan(self.falls[:, every]).any(axis=1), dtype=bool)
        least = self.least[has]
        lost = np.asarray(broken(least, eps), dtype=bool)
        share = self._shares(eps)[has] if self.draws else np.where(lost, 0.0, 1.0)
        unscored = self.unscored[has] & (~lost | (least < 0))
        unproven = ~lost & ~np.asarray(self.proven[has][:, showing].any(axis=1)) & (eps > 0)
        return Worst(
            stands=pd.Series(np.where(unscored, 0.0, share), index=self.images[has]),
            unproven=int(unproven.sum()),
            unscored=int(unscored.sum()),
            attacked=int((least >= 0).sum()),
        )

    def _shares(self, eps: float) -> Floats:
        """Return the share of a random model's draws that are right about the worst image within eps.

        An image that it usually gets wrong counts as broken, as for all other models.
        """
        clean = np.stack([frame["clean"].to_numpy(float) for frame in self.draws])
        # A cell that lacks an image knows nothing of it.
        known = best = np.where(np.isnan(clean), 0.0, clean).max(axis=0)
        chosen = np.full(len(self.images), np.inf)
        for frame in self.draws:
            within = broken(frame["at"].fillna(np.inf).to_numpy(float), eps)
            lower = within & (frame["chosen"].fillna(np.inf).to_numpy(float) < chosen)
            chosen = np.where(lower, frame["chosen"].to_numpy(float), chosen)
            best = np.where(lower, frame["share"].to_numpy(float), best)
        worst, without = (np.where(self.least < 0, 0.0, one) for one in (best, known))
        # The clean image lies within every radius.
        return worst if worst.mean() <= without.mean() else without


class Worst(NamedTuple):
    """The worst case of some attacks at a radius.

    Attributes:
        stands: by image 1 or 0, whether it withstands them; of a random model the share of its draws.
        unproven: images that no attack broke and none was valid on.
        unscored: images that no attack broke, on which scores were not finite, clean ones among them;
            they do not stand.
        attacked: images that the model gets right.
    """

    stands: pd.Series[float]
    unproven: int
    unscored: int
    attacked: int

    @property
    def notes(self) -> list[str]:
        """Return what is to be said of images that no attack says anything of."""
        said = []
        if self.unproven:
            said.append(f"no valid attack on {self.unproven} of {self.attacked} images")
        if self.unscored:
            said.append(f"scores not finite on {self.unscored} of {len(self.stands)} images")
        return said

    @property
    def invalid(self) -> bool:
        """Return whether there are too many such images for a figure."""
        return self.unproven > MOST_UNPROVEN * self.attacked or self.unscored > MOST_UNPROVEN * len(
            self.stands
        )

    def figures(self) -> dict[str, float]:
        """Return `accuracy, low, high` (95 % Wilson), `n`; NaN where the figure would be invalid."""
        n = len(self.stands)
        if self.invalid or not n:
            return {**dict.fromkeys(("accuracy", "low", "high"), float("nan")), "n": n}
        low, high = wilson(round(float(self.stands.sum())), n)
        return {"accuracy": float(self.stands.mean()), "low": low, "high": high, "n": n}


def outcomes(results: Results) -> Outcomes:
    """Return what every done cell of a run did to every image."""
    rows = results.rows
    lost, tried = beaten(rows), attacked(rows)
    valid = tried & rows["invalid"].isna() & ~_unmoved(rows) & ~_told(rows, "ineffective")
    reasons = rows["invalid"].fillna("").astype("str")
    draws = rows[_told(rows, "draws")]
    return Outcomes(
        cells=flagged_cells(results),
        falls=break_distances(results),
        proven=_by_cell(rows, (valid | lost | ~rows["correct"]).to_numpy(dtype=bool)),
        unscored=_by_cell(rows, reasons.isin(_SCORES).to_numpy(dtype=bool)),
        draws={
            str(cell): pd.DataFrame({
                "of": mine["draws"].to_numpy(float), "at": _own_norm(mine), "clean": mine["clean_share"].to_numpy(float),
                "share": mine["share"].to_numpy(float),
                "chosen": mine["chosen_share"].to_numpy(float),
            }, index=mine["index"].to_numpy())
            for cell, mine in draws.groupby("cell", sort=False)
        },
    )  # fmt: skip


def side_by_side(falls: Mapping[str, pd.Series[float]], cells: Iterable[str]) -> pd.DataFrame:
    """Return the distances at which each image (rows) falls to each of some cells (columns).

    Cells that are not done are left out. NaN where a cell does not have an image.
    """
    return pd.DataFrame({cell: falls[cell] for cell in cells if cell in falls})


def _beside(
    values: Mapping[str, pd.Series[bool]], cells: list[str], images: pd.Index[Any]
) -> Flags:
    """Return what is said of each image by each of some cells, (images, cells); False where nothing."""
    made: Flags = np.zeros((len(images), len(cells)), dtype=bool)
    for turn, cell in enumerate(cells):
        one = values[cell]
        same = one.index is images or one.index.equals(images)
        made[:, turn] = one.to_numpy() if same else one.reindex(images, fill_value=False).to_numpy()
    return made


def tried_by_all(falls: pd.DataFrame, cells: Iterable[str]) -> pd.DataFrame:
    """Return the images that each of some cells has.

    Args:
        falls: of `side_by_side`.
        cells: those that must have an image; it does not fall to any other that lacks it.
    """
    return falls.dropna(subset=[cell for cell in cells if cell in falls]).fillna(np.inf)


def broken(fall: Floats, eps: float) -> Flags:
    """Return which images are broken within eps, by the distances at which they fall."""
    within: Flags = fall < 0 if eps == 0 else fall <= eps * (1 + 1e-5) + 1e-6
    return within


def shortfall(cells: pd.DataFrame) -> str:
    """Return how many attacks do not count and why, such as `1 of 9 attacks did not run`."""
    reasons = cells.loc[cells["flag"] != "", "flag"].map(
        lambda flag: "did not run" if "did not run" in flag else flag.removeprefix("INVALID: ")
    )
    return "; ".join(
        f"{count} of {len(cells)} attacks {reason}"
        for reason, count in reasons.value_counts().items()
    )


def threats(fixed: pd.DataFrame) -> pd.DataFrame:
    """Return `norm, radius, eps` of what some cells of fixed budget ask about, each radius once.

    Radii that agree to 1e-6 are one threat, called by the shortest of their texts.
    """
    found: list[dict[Hashable, Any]] = []
    for norm in fixed["norm"].unique():
        asked = fixed.loc[fixed["norm"] == norm, ["norm", "radius", "eps"]].drop_duplicates()
        for one in asked.sort_values("radius", kind="stable").to_dict("records"):
            known = found[-1] if found and found[-1]["norm"] == norm else None
            if known and isclose(known["radius"], one["radius"], rel_tol=SAME_RADIUS):
                if (len(one["eps"]), one["eps"]) < (len(known["eps"]), known["eps"]):
                    known |= {"radius": one["radius"], "eps": one["eps"]}
            else:
                found.append(one)
    return pd.DataFrame(found, columns=["norm", "radius", "eps"])
