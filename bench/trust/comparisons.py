"""Whether what a study says holds: its sentences tested on the outcomes of the same images.

A comparison has two models (or two attacks on one model), one data set and one radius. An image
counts for a side if that side's model gets it right and no attack broke it; the rule is that of the
headline (`bench.measure.falls`). Both sides are judged on the images they share:

- under the study's attack: the cells of the attacks and surfaces that the claim names, at this very
  radius and of any toolkit, or of minimal norm;
- under the strongest: all valid cells of the model and norm, whatever their attack, surface and
  radius, as in the headline, on the images that all cells of just this radius or of minimal norm
  have.

Both sides face the same attacks: where a claim does not compare attacks, only what both sides faced
counts (`bench.trust.faced`), and what one of them faced beside it is named in the note. Where that
leaves unequal attacks, a side can only be found ahead if it was the one attacked harder.

`left > right` is tested with the exact McNemar test, adjusted by Holm's method for all such
comparisons of the suite, those under the strongest attack by themselves, at level 0.05. `left =
right` is judged by the 95 % interval of the paired difference (Bonett and Price, 2012), which must
lie inside or wholly outside of what counts as equal; it is not adjusted. What the two tests say
together is in `bench.trust.verdicts`.

Where critical eps are compared instead (`bench.trust.critical`), or the order of models
(`bench.trust.order`), there is no strongest attack; their p-values are adjusted together with the others.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bench.measure.falls import (
    broken,
    clean_answers,
    fall_distances,
    label_changing,
    shortfall,
    side_by_side,
    tried_by_all,
    unseen_noise,
)
from bench.measure.radius import critical_eps
from bench.measure.rates import holm, mcnemar, paired_difference
from bench.spec import Claim, number
from bench.store.results import Results
from bench.trust.critical import CRITICAL, compare_critical
from bench.trust.faced import Faced, faced
from bench.trust.order import compare_orders
from bench.trust.pairs import Pair, lonely, matches, pairs, sided
from bench.trust.verdicts import STRONGEST as _STRONGEST
from bench.trust.verdicts import judge

_FIGURES = (
    "left_accuracy", "right_accuracy", "difference", "low", "high", "only_left", "only_right", "p",
    "p_holm", "harder", "outcome",
)  # fmt: skip
_COLUMNS = (
    "claim", "left", "right", "case", "data", "norm", "eps", "eps_text", "n", *_FIGURES,
    f"{_STRONGEST}n", *(_STRONGEST + name for name in _FIGURES), f"{_STRONGEST}study", "measure",
    "figure", *CRITICAL, "verdict", "note",
)  # fmt: skip
_COUNTS = tuple(name for name in _COLUMNS if name in ("n", f"{_STRONGEST}n") or "only_" in name)
_TEXT = (
    "left", "right", "case", "data", "norm", "eps_text", "measure", "figure", "verdict", "note",
    *(before + name for before in ("", _STRONGEST) for name in ("harder", "outcome")),
)  # fmt: skip


class _Run(NamedTuple):
    """What is looked up again and again, computed once.

    Attributes:
        cells: by model and norm, the checked cells of attacks that try to take the right answer
            away.
        clean: by model, whether it gets each image right.
        falls: by model and norm, the distance at which each image falls to each cell.
        surfaces: by model, all those through which the run attacks it.
    """

    cells: dict[tuple[str, str], pd.DataFrame]
    clean: dict[str, pd.Series[bool]]
    falls: dict[tuple[str, str], pd.DataFrame]
    surfaces: dict[str, frozenset[str]]


class _Side(NamedTuple):
    """Which images stand on a side of a comparison; `why` says why that cannot be told.

    Attributes:
        all_stands: those that stand after the attacks, too, that this side alone faced.
        seen: what the attacks may not have seen of the model.
    """

    stands: pd.Series[bool] | None
    why: str = ""
    all_stands: pd.Series[bool] | None = None
    seen: str = ""


def comparisons(results: Results, radii: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return every comparison that the claims of a run are made of.

    Args:
        results: the cells of a suite's last run.
        radii: of `bench.measure.radius.critical_eps`, where it is at hand.

    Returns:
        A row a comparison: `claim` (its number, from 1), `left, right` (model titles, null where
        there is none), `case` (what names and stars of the patterns stand for), `data, norm, eps`
        (float), `eps_text, n` (images of both sides); under the study's attack `left_accuracy,
        right_accuracy, difference` (shares, left minus right) with its 95 % interval `low, high`,
        `only_left, only_right` (images that stand on one side alone), `p` (exact McNemar),
        `p_holm` (adjusted; null where equality is claimed), `outcome` (`for`, `against`,
        `undecided`, or `nothing left` where no image stands on either side); the same under the
        strongest attack as `strongest_...`, null on clean images and where attacks are compared;
        `measure` (`accuracy`, `critical_eps` or `order`); of an order `difference` is Kendall's tau, `p`
        its exact one and `n` the models; of critical eps `left_critical_eps, left_error,
        right_critical_eps, right_error` in place of the accuracies, `difference, low, high` in the
        unit of eps, `p` by the normal distribution, and `n` the images that count on the side that has
        fewer;
        `verdict` (of `VERDICTS`) and `note` (why it is not judged, and what to know).
    """
    data = {str(model["model"]): str(model["data"]) for model in results.models}
    asked = [
        (turn, claim, pair)
        for turn, claim in enumerate(results.claims, 1)
        for pair in pairs(claim, data)
    ]
    sides = {(title, claim.norm) for _, claim, it in asked for title in it[:2] if title}
    run = _measure(results, sides)
    found: list[dict[str, Any]] = [
        {"claim": turn, "data": data.get(str(pair.left or pair.right)), "norm": claim.norm}
        | _compare(run, claim, pair, eps)
        for turn, claim, pair in asked
        for eps in claim.eps
    ]
    if any(claim.measure != "accuracy" for claim in results.claims):
        measured = critical_eps(results) if radii is None else radii
        found += [
            {"claim": turn, "data": data.get(str(pair.left or pair.right)), "norm": claim.norm}
            | compare_critical(measured, results.cells, claim, pair)
            for turn, claim, pair in asked
            if claim.measure == "critical_eps"
        ]
        found += _orders(results, measured, data)
        found.sort(key=lambda row: row["claim"])
    for prefix in ("", _STRONGEST):
        _adjust(found, results.claims, prefix)
    for row in found:
        judge(row, results.claims[row["claim"] - 1])
    table = pd.DataFrame(found, columns=list(_COLUMNS))
    numbers = [name for name in _COLUMNS if name not in (*_TEXT, *_COUNTS, "claim")]
    return table.astype(
        dict.fromkeys(_TEXT, "str")
        | dict.fromkeys(_COUNTS, "Int64")
        | dict.fromkeys(numbers, "float64")
        | {"claim": "int64"}
    )


def _orders(
    results: Results, measured: pd.DataFrame, data: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Return the comparisons of orders, one a claim and data set."""
    accuracy = {model: float(right.mean()) for model, right in clean_answers(results).items()}
    found = []
    for turn, claim in enumerate(results.claims, 1):
        if claim.measure != "order":
            continue
        mine = [title for title in data if matches(claim.left, title)]
        for name in dict.fromkeys(data[title] for title in mine) or (None,):
            titles = [title for title in mine if data[title] == name]
            row = compare_orders(measured, accuracy, claim, titles)
            found.append({"claim": turn, "data": name, "norm": claim.norm} | row)
    return found


def _measure(results: Results, wanted: Collection[tuple[str, str]]) -> _Run:
    """Return what is known of models and norms; of a run without claims nothing is looked up."""
    if not wanted:
        return _Run({}, {}, {}, {})
    named = [
        "cell", "model", "family", "norm", "attack", "toolkit", "surface", "radius", "words", "kind",
        "flag",
    ]  # fmt: skip
    every = label_changing(results)[named]  # texts that nobody reads make each look-up slow
    by_cell = fall_distances(results)
    cells, falls = {}, {}
    for model, norm in wanted:
        mine = every[(every["model"] == model) & (every["norm"] == norm)]
        cells[model, norm] = mine
        falls[model, norm] = side_by_side(by_cell, mine["cell"])
    climbed = {
        str(model): frozenset(mine) for model, mine in results.cells.groupby("model")["surface"]
    }
    return _Run(cells, clean_answers(results), falls, climbed)


def _compare(run: _Run, claim: Claim, pair: Pair, eps: str) -> dict[str, Any]:
    """Return the figures of one comparison, or `note`, why there are none."""
    radius = number(eps, "eps")
    row = {"left": pair.left, "right": pair.right, "case": pair.case, "eps": radius}
    row |= {"eps_text": eps, "measure": "accuracy"}
    if pair.left is None or pair.right is None:
        return row | {"note": lonely(claim, pair)}
    titles = pair.left, pair.right
    met = Faced(left=(), right=())
    if radius == 0:
        left, right = (_clean(run, title) for title in titles)
    else:
        left, right, met = _study(run, claim, titles, radius)
    if left.stands is None or right.stands is None:
        return row | {"note": sided("", left.why, right.why)}
    figures, unequal = _judged(left, right, met)
    row |= figures
    notes = [unequal, sided("", left.seen, right.seen)]
    if radius > 0 and claim.right_attacks is None:
        left_again, right_again, met = _strongest(run, titles, claim.norm, radius)
        again, unequal = _judged(left_again, right_again, met)
        there = _both(left_again, right_again)[0].index
        own = [side.stands.reindex(there).dropna() for side in (left, right)]
        again["study"] = float(own[0].mean() - own[1].mean()) if len(there) else float("nan")
        row |= {_STRONGEST + name: figure for name, figure in again.items()}
        missing = sided("strongest, ", left_again.why, right_again.why)
        notes += [missing, f"strongest, {unequal}" if unequal and unequal != notes[0] else ""]
    return row | {"note": "; ".join(note for note in (*notes, _seen(row)) if note)}


def _clean(run: _Run, title: str) -> _Side:
    if title not in run.clean:
        return _Side(None, "no cell of this model is done")
    return _Side(run.clean[title])


def _study(
    run: _Run, claim: Claim, titles: tuple[str, str], radius: float
) -> tuple[_Side, _Side, Faced]:
    """Return which images stand after the attacks that the study made, and which those are."""
    apart = claim.right_attacks is not None
    named = claim.attacks, claim.right_attacks or claim.attacks
    cells, absent = [], []
    for title, attacks in zip(titles, named, strict=True):
        mine = _aimed(run.cells[title, claim.norm], radius)
        mine = mine[mine["attack"].isin(attacks)]
        if claim.surfaces is not None:
            mine = mine[mine["surface"].isin(claim.surfaces)]
        through = f" through {', '.join(claim.surfaces)}" if claim.surfaces else ""
        missing = [attack for attack in attacks if attack not in set(mine["attack"])]
        absent.append(f"no {', '.join(missing)}{through} in this run" if missing else "")
        cells.append(mine)
    if any(absent):
        return _Side(None, absent[0]), _Side(None, absent[1]), Faced(left=(), right=())
    met = (
        Faced(left=tuple(cells[0]["cell"]), right=tuple(cells[1]["cell"]))
        if apart
        else faced(cells[0], cells[1], _surfaces(run, titles), radius)
    )
    sides = []
    for title, mine, used in zip(titles, cells, (met.left, met.right), strict=True):
        counted = mine[mine["cell"].isin(used)]
        why = shortfall(counted)
        if why:
            sides.append(_Side(None, why))
            continue
        falls = run.falls[title, claim.norm]
        sides.append(
            _Side(
                _standing(falls[list(used)], used, radius),
                all_stands=_standing(falls[[c for c in mine["cell"] if c in falls]], used, radius),
                seen=unseen_noise(set(counted["surface"])),
            )
        )
    return sides[0], sides[1], met


def _strongest(
    run: _Run, titles: tuple[str, str], norm: str, radius: float
) -> tuple[_Side, _Side, Faced]:
    """Return which images stand after every valid attack of the run that both sides faced."""
    every = [run.cells[title, norm] for title in titles]
    valid = [cells[cells["flag"] == ""] for cells in every]
    met = faced(valid[0], valid[1], _surfaces(run, titles), radius)
    sides = []
    for title, cells, mine, used in zip(titles, every, valid, (met.left, met.right), strict=True):
        falls = run.falls[title, norm]
        aimed = set(_aimed(mine, radius)["cell"])
        sides.append(
            _Side(
                _standing(falls[list(used)], aimed.intersection(used), radius),
                shortfall(_aimed(cells, radius)),
                all_stands=_standing(falls, aimed, radius),
            )
        )
    return sides[0], sides[1], met


def _surfaces(run: _Run, titles: tuple[str, str]) -> tuple[frozenset[str], frozenset[str]]:
    return run.surfaces[titles[0]], run.surfaces[titles[1]]


def _aimed(cells: pd.DataFrame, radius: float) -> pd.DataFrame:
    """Return the cells that try a model at a radius: those of just this one and of minimal norm."""
    return cells[np.isclose(cells["radius"], radius, rtol=1e-6, atol=0) | (cells["kind"] == "minimal")]


def _standing(falls: pd.DataFrame, cells: Iterable[str], radius: float) -> pd.Series[bool]:
    """Return which of the images that all of some cells have no cell broke within a radius."""
    falls = tried_by_all(falls, cells)
    return pd.Series(~broken(falls.to_numpy().min(axis=1), radius), index=falls.index)


def _judged(left: _Side, right: _Side, met: Faced) -> tuple[dict[str, Any], str]:
    """Return accuracies and how they differ, and what is to be said of unequal attacks."""
    figures = _figures(*_both(left, right)) | {"harder": met.harder}
    if met.harder or not met.left_out:
        return figures, met.said()
    whole = _figures(*(side.all_stands for side in (left, right)))
    if whole["difference"] * figures["difference"] < 0:
        figures["harder"] = "neither"
        return figures, f"unequal attacks, which turn the sides round: {met.left_out}"
    return figures, met.said()


def _both(left: _Side, right: _Side) -> tuple[pd.Series[bool], pd.Series[bool]]:
    """Return which of the images of both sides stand on either."""
    assert left.stands is not None
    assert right.stands is not None
    there = left.stands.index.intersection(right.stands.index)
    return left.stands.loc[there], right.stands.loc[there]


def _figures(left: pd.Series[bool], right: pd.Series[bool]) -> dict[str, Any]:
    """Return accuracies and how they differ, on the images of both sides."""
    both = left.index.intersection(right.index)
    left, right = left.loc[both], right.loc[both]
    only_left, only_right = int((left & ~right).sum()), int((right & ~left).sum())
    difference, (low, high) = paired_difference(only_left, only_right, len(both))
    return {
        "n": len(both),
        "left_accuracy": float(left.mean()),
        "right_accuracy": float(right.mean()),
        "difference": difference,
        "low": low,
        "high": high,
        "only_left": only_left,
        "only_right": only_right,
        "p": mcnemar(only_left, only_right),
    }


def _adjust(found: list[dict[str, Any]], asked: tuple[Claim, ...], prefix: str) -> None:
    """Adjust the p-values of all comparisons that are tested; equality is not."""
    tested = [
        row
        for row in found
        if f"{prefix}p" in row and asked[row["claim"] - 1].expect != "left = right"
    ]
    for row, p in zip(tested, holm([row[f"{prefix}p"] for row in tested]), strict=True):
        row[f"{prefix}p_holm"] = p


def _seen(row: dict[str, Any]) -> str:
    """Return a warning where no image tells the sides apart."""
    for prefix, under in (("", "the study's"), (_STRONGEST, "the strongest")):
        # Who has nothing left under one attack has nothing left under the strongest.
        if row.get(f"{prefix}left_accuracy") == row.get(f"{prefix}right_accuracy") == 0:
            return f"both at 0 % under {under} attack, which tells nothing of either"
    return "" if row["only_left"] or row["only_right"] else "no image differs"
