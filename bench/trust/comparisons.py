"""Whether what a study says holds: its sentences tested on the outcomes of the same images.

A comparison has two models (or two attacks on one model), one data set and one radius. An image
counts for a side if that side's model gets it right and no attack broke it; the rule is that of the
headline (`bench.measure.falls`). Both sides are judged on the images they share:

- under the study's attack: the cells of the attacks and surfaces that the claim names, at this very
  radius and of any toolkit, or of minimal norm;
- under the strongest: all valid cells of the model and norm, whatever their attack, surface and
  radius, as in the headline, on the images that all cells of just this radius or of minimal norm
  have.

`left > right` is tested with the exact McNemar test, adjusted by Holm's method for all such
comparisons of the suite, those under the strongest attack by themselves, at level 0.05. `left =
right` is judged by the 95 % interval of the paired difference (Bonett and Price, 2012), which must
lie inside or wholly outside of what counts as equal; it is not adjusted.

Where critical eps are compared instead (`bench.trust.critical`), or the order of models
(`bench.trust.order`), there is no strongest attack; their p-values are adjusted together with the others.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

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
from bench.spec import TOOLKITS, Claim, number
from bench.store.results import Results
from bench.trust.critical import CRITICAL, compare_critical
from bench.trust.order import compare_orders
from bench.trust.pairs import Pair, lonely, matches, pairs, sided

LEVEL = 0.05

#: Verdicts of a comparison, the best first.
HOLDS = "holds"
WEAKER = "holds only against weaker attacks"
FAILS = "fails"
UNDECIDED = "undecided"
UNJUDGED = "not judged"
VERDICTS = (HOLDS, WEAKER, FAILS, UNDECIDED, UNJUDGED)

_STRONGEST = "strongest_"
_FIGURES = (
    "left_accuracy", "right_accuracy", "difference", "low", "high", "only_left", "only_right", "p",
    "p_holm", "outcome",
)  # fmt: skip
_COLUMNS = (
    "claim", "left", "right", "case", "data", "norm", "eps", "eps_text", "n", *_FIGURES,
    f"{_STRONGEST}n", *(_STRONGEST + name for name in _FIGURES), "measure", *CRITICAL, "verdict",
    "note",
)  # fmt: skip
_COUNTS = tuple(name for name in _COLUMNS if name in ("n", f"{_STRONGEST}n") or "only_" in name)
_TEXT = ("left", "right", "case", "data", "norm", "eps_text", "measure", "verdict", "note")


class _Run(NamedTuple):
    """What is looked up again and again, computed once.

    Attributes:
        cells: by model and norm, the checked cells of attacks that try to take the right answer
            away.
        clean: by model, whether it gets each image right.
        falls: by model and norm, the distance at which each image falls to each cell.
    """

    cells: dict[tuple[str, str], pd.DataFrame]
    clean: dict[str, pd.Series[bool]]
    falls: dict[tuple[str, str], pd.DataFrame]


class _Side(NamedTuple):
    """Which images stand on a side of a comparison; `why` says why that cannot be told.

    Attributes:
        seen: what the attacks may not have seen of the model.
    """

    stands: pd.Series[bool] | None
    why: str = ""
    toolkits: tuple[str, ...] = ()
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
            | compare_critical(measured, claim, pair)
            for turn, claim, pair in asked
            if claim.measure == "critical_eps"
        ]
        found += _orders(results, measured, data)
        found.sort(key=lambda row: row["claim"])
    for prefix in ("", _STRONGEST):
        _adjust(found, results.claims, prefix)
    for row in found:
        _judge(row, results.claims[row["claim"] - 1])
    table = pd.DataFrame(found, columns=list(_COLUMNS))
    words = [*_TEXT, "outcome", f"{_STRONGEST}outcome"]
    numbers = [name for name in _COLUMNS if name not in (*words, *_COUNTS, "claim")]
    return table.astype(
        dict.fromkeys(words, "str")
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
        return _Run({}, {}, {})
    named = ["cell", "model", "norm", "attack", "toolkit", "surface", "radius", "kind", "flag"]
    every = label_changing(results)[named]  # texts that nobody reads make each look-up slow
    by_cell = fall_distances(results)
    cells, falls = {}, {}
    for model, norm in wanted:
        mine = every[(every["model"] == model) & (every["norm"] == norm)]
        cells[model, norm] = mine
        falls[model, norm] = side_by_side(by_cell, mine["cell"])
    return _Run(cells, clean_answers(results), falls)


def _compare(run: _Run, claim: Claim, pair: Pair, eps: str) -> dict[str, Any]:
    """Return the figures of one comparison, or `note`, why there are none."""
    radius = number(eps, "eps")
    row = {"left": pair.left, "right": pair.right, "case": pair.case, "eps": radius}
    row |= {"eps_text": eps, "measure": "accuracy"}
    if pair.left is None or pair.right is None:
        return row | {"note": lonely(claim, pair)}
    if radius == 0:
        sides = [_clean(run, title) for title in (pair.left, pair.right)]
    else:
        both = (
            claim.attacks,
            claim.attacks if claim.right_attacks is None else claim.right_attacks,
        )
        sides = [
            _study(run, claim, title, attacks, radius)
            for title, attacks in zip((pair.left, pair.right), both, strict=True)
        ]
    left, right = sides
    if left.stands is None or right.stands is None:
        return row | {"note": sided("", left.why, right.why)}
    row |= _figures(left.stands, right.stands)
    notes = [_differing(left, right), sided("", left.seen, right.seen)]
    if radius > 0 and claim.right_attacks is None:
        again, missing = _strongest(run, (pair.left, pair.right), claim.norm, radius)
        row |= {_STRONGEST + name: figure for name, figure in again.items()}
        notes.append(missing)
    return row | {"note": "; ".join(note for note in (*notes, _seen(row)) if note)}


def _clean(run: _Run, title: str) -> _Side:
    if title not in run.clean:
        return _Side(None, "no cell of this model is done")
    return _Side(run.clean[title])


def _study(run: _Run, claim: Claim, title: str, attacks: tuple[str, ...], radius: float) -> _Side:
    """Return which images stand after the attacks that the study made."""
    cells = _aimed(run, title, claim.norm, radius)
    cells = cells[cells["attack"].isin(attacks)]
    through = ""
    if claim.surfaces is not None:
        cells = cells[cells["surface"].isin(claim.surfaces)]
        through = f" through {', '.join(claim.surfaces)}"
    absent = [attack for attack in attacks if attack not in set(cells["attack"])]
    if absent:
        return _Side(None, f"no {', '.join(absent)}{through} in this run")
    why = shortfall(cells)
    if why:
        return _Side(None, why)
    return _Side(
        _standing(run.falls[title, claim.norm][list(cells["cell"])], cells["cell"], radius),
        toolkits=tuple(name for name in TOOLKITS if name in set(cells["toolkit"])),
        seen=unseen_noise(set(cells["surface"])),
    )


def _strongest(
    run: _Run, titles: tuple[str, str], norm: str, radius: float
) -> tuple[dict[str, Any], str]:
    """Return the figures after every valid attack of the run, and which of them are missing."""
    aimed = [_aimed(run, title, norm, radius) for title in titles]
    left, right = (
        _standing(run.falls[title, norm], cells.loc[cells["flag"] == "", "cell"], radius)
        for title, cells in zip(titles, aimed, strict=True)
    )
    return _figures(left, right), sided("strongest, ", *map(shortfall, aimed))


def _aimed(run: _Run, title: str, norm: str, radius: float) -> pd.DataFrame:
    """Return the cells that try a model at a radius: those of just this one and of minimal norm."""
    cells = run.cells[title, norm]
    return cells[(cells["radius"] == radius) | (cells["kind"] == "minimal")]


def _standing(falls: pd.DataFrame, cells: Iterable[str], radius: float) -> pd.Series[bool]:
    """Return which of the images that all of some cells have no cell broke within a radius."""
    falls = tried_by_all(falls, cells)
    return pd.Series(~broken(falls.to_numpy().min(axis=1), radius), index=falls.index)


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


def _judge(row: dict[str, Any], claim: Claim) -> None:
    """Add the outcomes of a comparison and its verdict."""
    for prefix in ("", _STRONGEST):
        if f"{prefix}p" in row:
            row[f"{prefix}outcome"] = _outcome(row, claim, prefix)
    row["verdict"] = _verdict(
        row.get("outcome"), row.get(f"{_STRONGEST}outcome"), equal=claim.within is not None
    )


def _outcome(row: dict[str, Any], claim: Claim, prefix: str) -> str:
    """Return what the figures say of a claim under one attack."""
    if row.get(f"{prefix}left_accuracy") == row.get(f"{prefix}right_accuracy") == 0:
        return "nothing left"
    if claim.within is not None:
        low, high, within = row[f"{prefix}low"], row[f"{prefix}high"], claim.within / 100
        if -within <= low and high <= within:
            return "for"
        return "against" if low > within or high < -within else "undecided"
    if row[f"{prefix}p_holm"] >= LEVEL:
        return "undecided"
    ahead = row[f"{prefix}difference"] > 0
    return "for" if ahead == (claim.expect in ("left > right", "same order")) else "against"


def _verdict(study: str | None, strongest: str | None, *, equal: bool) -> str:
    """Return the verdict of a comparison; `strongest` is None where there is no such side."""
    if study is None:
        return UNJUDGED
    if study == "against":
        return FAILS
    if study == "for":
        # Where the strongest attack leaves nothing on either side, nothing speaks against equality.
        kept = strongest in (None, "for") or (equal and strongest == "nothing left")
        return HOLDS if kept else WEAKER
    return FAILS if strongest == "against" else UNDECIDED


def _seen(row: dict[str, Any]) -> str:
    """Return a warning where no image tells the sides apart."""
    for prefix, under in (("", "the study's"), (_STRONGEST, "the strongest")):
        # Who has nothing left under one attack has nothing left under the strongest.
        if row.get(f"{prefix}left_accuracy") == row.get(f"{prefix}right_accuracy") == 0:
            return f"both at 0 % under {under} attack, which tells nothing of either"
    return "" if row["only_left"] or row["only_right"] else "no image differs"


def _differing(left: _Side, right: _Side) -> str:
    """Return a warning where one side was attacked by more toolkits than the other."""
    if left.toolkits == right.toolkits:
        return ""
    return f"left attacked by {', '.join(left.toolkits)}, right by {', '.join(right.toolkits)}"
