"""The tables of claims: what became of each, and the comparisons it is made of."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from bench.measure.outcomes import Outcomes
from bench.report import formatting
from bench.spec import Claim
from bench.store.results import Results
from bench.trust.claim_measures.registry import claim_measures_by_name
from bench.trust.claims import claims
from bench.trust.comparisons import comparisons
from bench.trust.verdicts import WEAKER

CLAIMS = (
    "What the study says, tested on the same images: under its own attack, and under the strongest, "
    "worst case per image over all attacks of the run that both sides faced. A claim holds where an exact McNemar test, "
    "adjusted by Holm's method over all comparisons, tells the two sides apart at level 0.05 in its "
    "favour under both; equality holds where the 95 % interval of the paired difference lies within "
    "the points named. It holds only against weaker attacks where the strongest turns it round or takes at "
    "least half of the lead. Unequal attacks: a side that was attacked less hard cannot be found ahead. "
    "Critical eps are compared under the study's attack alone, by their errors, "
    "and orders of models by Kendall's tau."
)
COMPARISONS = (
    "The comparisons behind the claims: accuracy of either side in percent, their paired difference in points "
    "with its 95 % interval (Bonett and Price), and the exact McNemar p after Holm's adjustment, "
    "under the study's attack and under the strongest of the run; or critical eps, their difference "
    "with its 95 % interval, and p by the normal distribution. Weaker only: it holds under the "
    "study's attack, not under the strongest."
)


_STRONGEST = "strongest "


def claim_table(results: Results, found: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return a row a claim: what it says, the attack it is tested under, and its verdict."""
    found = claims(results, comparisons(Outcomes(results))) if found is None else found
    return pd.DataFrame({
        "no.": formatting.each(found, lambda row: str(row.claim)),
        "claim": found["says"],
        "study's attack": found["attacks"],
        "threat": formatting.each(found, _threat),
        "verdict": found["verdict"],
        "its comparisons": found["summary"],
    })  # fmt: skip


def comparison_table(results: Results, found: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return a row a comparison, under the study's attack and under the strongest."""
    found = comparisons(Outcomes(results)) if found is None else found
    table = {
        "no.": formatting.each(found, lambda row: str(row.claim)),
        "left": formatting.each(
            found, lambda row: _side(row.left, results.claims[row.claim - 1], 0)
        ),
        "right": formatting.each(
            found, lambda row: _side(row.right, results.claims[row.claim - 1], 1)
        ),
        "threat": formatting.each(found, _threat),
        "n": formatting.each(found, lambda row: formatting.count(row.n)),
    }
    for prefix in ("", "strongest "):
        figures = _figures(found, prefix.replace(" ", "_"))
        table |= {prefix + name: column for name, column in figures.items()}
    if (found["strongest_n"].notna() & (found["strongest_n"] != found["n"])).any():
        table |= {
            "strongest n": formatting.each(found, lambda row: formatting.count(row.strongest_n))
        }
    table |= {"verdict": found["verdict"]}
    table |= {"note": formatting.each(found, lambda row: formatting.text(row.note))}
    return pd.DataFrame(table)


def stacked(table: pd.DataFrame) -> pd.DataFrame:
    """Return two rows a comparison, under the study's attack and under the strongest, in few columns.

    Args:
        table: of `comparison_table`.
    """
    names = [str(name) for name in table if name not in ("no.", "left", "right", "threat")]
    own = [name for name in names if not name.startswith(_STRONGEST)]
    rows = []
    for row in table.to_dict("records"):
        sides = f"{row['no.']}. {row['left']} : {row['right']}"
        strongest = [row.get(_STRONGEST + name, "") for name in own]
        rows.append([sides, row["threat"], "its own attack", *(row[name] for name in own)])
        if set(strongest) - {"", formatting.NONE}:
            rows.append([sides, "", "the strongest", *strongest])
    return pd.DataFrame(rows, columns=["comparison", "threat", "under", *own])


def compact(results: Results, found: pd.DataFrame) -> dict[str, Any] | None:
    """Return the comparisons for the PDF, claim by claim, without what a claim's heading says."""
    if found.empty:
        return None
    marks = formatting.lettered(found["note"])
    study, strongest = _figures(found, ""), _figures(found, "strongest_")
    table = pd.DataFrame({
        "case": found["case"],
        "threat": formatting.each(found, _threat),
        "study": _both(study),
        "study difference": study["difference"],
        "study p": study["Holm p"],
        "strongest": _both(strongest),
        "strongest difference": strongest["difference"],
        "strongest p": strongest["Holm p"],
        "verdict": formatting.each(found, lambda row: _short(row.verdict, marks.get(row.note))),
    })  # fmt: skip
    images = sorted({*found["n"].dropna(), *found["strongest_n"].dropna()})
    counted = " to ".join(dict.fromkeys(str(n) for n in (*images[:1], *images[-1:])))
    return {
        "caption": f"{COMPARISONS} Each on {counted} images." if images else COMPARISONS,
        "groups": [
            {
                "title": f"{turn}. {claim.says}",
                "tests": _tests(claim),
                "rows": table[found["claim"] == turn].to_numpy().tolist(),
            }
            for turn, claim in enumerate(results.claims, 1)
        ],
        "notes": [f"({mark}) {note}." for note, mark in marks.items()],
    }


#: The figures of radii in a narrow column.
_SHORT = {"logistic": "R", "median": "median", "mode": "mode"}


def _short(verdict: str, mark: str | None) -> str:
    """Return a verdict that fits in a narrow column, with the letter of its note."""
    said = "weaker only" if verdict == WEAKER else verdict
    return f"{said} ({mark})" if mark else said


def _threat(row: Any) -> str:
    radii = row.eps_text if hasattr(row, "eps_text") else row.eps
    if formatting.missing(radii) or not radii:  # critical eps are measured
        figure = getattr(row, "figure", None)
        return str(row.norm) if formatting.missing(figure) else f"{row.norm} {_SHORT[str(figure)]}"
    return "clean" if radii == "0" else formatting.threat(row.norm, radii)


def _figures(found: pd.DataFrame, prefix: str) -> dict[str, pd.Series[str]]:
    """Return the columns of one side of a comparison, the study's or the strongest."""
    rows = found.to_dict("records")
    columns = {
        "left (%)": [_figure(row, prefix, 0) for row in rows],
        "right (%)": [_figure(row, prefix, 1) for row in rows],
        "difference": [_difference(row, prefix) for row in rows],
        "Holm p": [formatting.probability(row[f"{prefix}p_holm"]) for row in rows],
    }
    return {name: pd.Series(texts, index=found.index) for name, texts in columns.items()}


def _figure(row: Mapping[Hashable, Any], prefix: str, side: int) -> str:
    """Return the figure of a side, 0 or 1, in the unit of what is compared: percent, or a radius."""
    measure = claim_measures_by_name()[row["measure"]]
    value = row.get(prefix + measure.sides[side]) if measure.sides else None
    return formatting.amount(value) if measure.unit == "radius" else formatting.percent(value)


def _difference(row: Mapping[Hashable, Any], prefix: str) -> str:
    """Return a difference of accuracies in points, or of radii, with its interval, or Kendall's tau."""
    difference, low, high = (row[prefix + name] for name in ("difference", "low", "high"))
    unit = claim_measures_by_name()[row["measure"]].unit
    if formatting.missing(difference) or unit == "percent":
        return formatting.points(difference, low, high)
    return (
        f"τ = {difference:+.2f}" if unit == "tau" else f"{difference:+.4f} [{low:.4f}, {high:.4f}]"
    )


def _both(figures: dict[str, pd.Series[str]]) -> list[str]:
    """Return left and right accuracy in one column."""
    sides = zip(figures["left (%)"], figures["right (%)"], strict=True)
    return [
        formatting.NONE if left == right == formatting.NONE else f"{left} : {right}"
        for left, right in sides
    ]


def _side(title: Any, claim: Claim, at: int) -> str:
    """Return a side of a comparison: the model, and its attack where the claim compares attacks."""
    if formatting.missing(title):
        return formatting.NONE
    if claim.right_attacks is None:
        return str(title)
    return f"{title} under {', '.join((claim.attacks, claim.right_attacks)[at])}"


def _tests(claim: Claim) -> str:
    """Return what a claim's comparisons compare, such as `digits/cnn > digits/mlp`."""
    measure = claim_measures_by_name()[claim.measure]
    if measure.orders:
        return f"{measure.expectation(claim)}, {_pattern(claim.left)}"
    left, right = _side(claim.left, claim, 0), _side(claim.right or claim.left, claim, 1)
    within = "" if claim.within is None else f" within {claim.within:g} points"
    compared = "" if measure.unit == "percent" else f"{measure.noun}, "
    return f"{compared}{_pattern(left)} {claim.expect.split(' ')[1]} {_pattern(right)}{within}"


def _pattern(said: str) -> str:
    """Return a pattern of models as people read it: what may differ is `…`, as the rows below tell."""
    return re.sub(
        r"\{\w+\}|\*", "…", re.sub(r"^\*(?= |$)", "each model", said.replace("{data}/", ""))
    )
