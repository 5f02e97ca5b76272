"""The comparisons that claims are made of, one at a time."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from bench.measure.training_figures import TRAINING_FIGURES
from bench.report import formatting
from bench.report.blocks import ClaimRows, Column, Comparisons, Section, Table, tabulate
from bench.report.comparison_figures import (
    at_any_time,
    both_sides,
    figures,
    unit_of,
    with_units,
)
from bench.report.findings import Findings
from bench.report.labels import COUNT, NOTE, THREAT
from bench.report.rules import SectionRule
from bench.report.sections.claims import IN_PRINT, threat
from bench.spec import Claim
from bench.trust.claim_measures.perturbation import called, in_its_unit, near
from bench.trust.claim_measures.registry import claim_measures_by_name
from bench.trust.claim_measures.training import in_its_unit as of_trainings
from bench.trust.verdicts import WEAKER

_CAPTION = (
    "The comparisons behind the claims: accuracy of either side in percent, their paired difference in points "
    "with its 95 % interval (Bonett and Price), and the exact McNemar p after Holm's adjustment, "
    "under the study's attack and under the strongest of the run; or critical eps, their difference "
    "with its 95 % interval, and p by the normal distribution. Weaker only: it holds under the "
    "study's attack, not under the strongest."
)
_AT_ANY_TIME = (
    "The comparisons behind the claims: accuracy of either side in percent, their paired difference in points "
    "with an interval that holds at all times, n, the images used, and e, the largest e-value so far: under the "
    "study's attack and under the strongest of the run. Images were added until the comparisons were decided, so "
    "they are tested by e-values, whose inverses are p-values whenever one stops; all are adjusted together by Holm's "
    "method, with the exact tests of all images where all were used. What is not about accuracy is judged on the "
    "images that were fixed beforehand. Weaker only: it holds under the study's attack, and the strongest leaves at "
    "most half of the lead."
)
_OF_PERTURBATIONS = (
    " Figures of perturbations are of the images that both sides attacked: shares are compared by the exact "
    "McNemar test, means by Student's t on the images, medians by the sign test with a bootstrap interval; "
    "against a bound by the binomial, t and sign tests."
)
_OF_TRAININGS = (
    " Figures of trainings are means over trainings that differ in their seeds; n is how many the side has that has "
    "fewer. They are compared by the exact permutation test, with Welch's interval, against a bound by Student's t, "
    "and p is adjusted within the claim."
)
_OF_MEMBERS = " Importances of members are compared as they are: a meta-learner is fitted once, so they have no error."
_IN_PRINT = " In print: what the figures printed in the study say, as they stand."
_STRONGEST = "strongest "
_VERDICT = Column("verdict", "verdict")
#: The figures of one attack.
_FIGURES = (
    Column("left (%)", "rate"), Column("right (%)", "rate"), Column("difference", "number"),
    Column("Holm p", "number"),
)  # fmt: skip
_E = Column("e", "number")
#: What a case shares with the others of its claim is left out where it is longer than this.
_LONG = 30
#: Heads of figures where not all are in percent, so that each says what it is.
_OF_A_UNIT = {"left (%)": "left figure", "right (%)": "right figure"}


def section(findings: Findings) -> Section | None:
    """Return the comparisons of a suite that has claims."""
    found, claims = findings.comparisons, findings.results.claims
    if found.empty:
        return None
    in_file = stacked(comparison_table(found, claims))
    return Section(
        label="comparisons",
        title="Claims, one comparison at a time",
        blocks=(compact(found, claims), in_file),
    )


def frames(findings: Findings) -> Mapping[str, pd.DataFrame]:
    """Return the raw comparisons, of a suite that has claims."""
    return {"comparisons": findings.comparisons} if findings.results.claims else {}


def comparison_table(found: pd.DataFrame, claims: Sequence[Claim]) -> Table:
    """Return a row a comparison, under the study's attack and under the strongest.

    Args:
        found: of `bench.trust.comparisons.comparisons`, or of `bench.trust.in_print.printed_comparisons`.
        claims: of the suite.
    """
    columns: dict[Column, Any] = {
        Column("no."): lambda row: str(row.claim),
        Column("left", "subject"): lambda row: _side(
            row.left, claims[row.claim - 1], 0, row.left_attack
        ),
        Column("right", "subject"): lambda row: _side(
            _right(row, claims[row.claim - 1]), claims[row.claim - 1], 1, row.right_attack
        ),
        THREAT: threat,
        COUNT: lambda row: formatting.count(row.n),
    }
    tested_anew = at_any_time(found)
    units = [unit_of(row) for row in found.to_dict("records")]
    mixed = not set(units) <= {"percent", "small share", "tau"}
    for prefix in ("", _STRONGEST):
        shown = figures(found, prefix.replace(" ", "_"))
        for column in (*_FIGURES[:-1], *([_E] if tested_anew else []), _FIGURES[-1]):
            said, title = shown[column.title], prefix + column.title
            if mixed and column.title in _OF_A_UNIT:
                said, title = with_units(said, units), prefix + _OF_A_UNIT[column.title]
            columns[Column(title, column.kind)] = title
            found = found.assign(**{title: said})
    if (found["strongest_n"].notna() & (found["strongest_n"] != found["n"])).any():
        columns[Column(f"{_STRONGEST}n", "number")] = lambda row: formatting.count(row.strongest_n)
    columns |= {_VERDICT: "verdict"}
    if "in_print" in found:
        columns[IN_PRINT] = "in_print"
    columns[NOTE] = lambda row: formatting.text(row.note)
    return tabulate(found, columns, _caption(found), name="comparisons", group="")


def _caption(found: pd.DataFrame) -> str:
    about = set(_about(found))
    return "".join([
        _AT_ANY_TIME if at_any_time(found) else _CAPTION,
        _OF_PERTURBATIONS if found["left_attack"].notna().any() else "",
        _OF_TRAININGS if "trainings" in about else "",
        _OF_MEMBERS if "members" in about else "",
        _IN_PRINT if "in_print" in found else "",
    ])  # fmt: skip


def _about(found: pd.DataFrame) -> list[str]:
    """Return what each comparison is about: models, trainings or members."""
    return [claim_measures_by_name()[measure].about for measure in found["measure"]]


def stacked(table: Table) -> Table:
    """Return two rows a comparison, under the study's attack and under the strongest, in few columns.

    Args:
        table: of `comparison_table`.
    """
    sides = ("no.", "left", "right", THREAT.title)
    own = [
        column for column in table.columns
        if column.title not in sides and not column.title.startswith(_STRONGEST)
    ]  # fmt: skip
    rows = []
    for row in table.frame.to_dict("records"):
        compared = f"{row['no.']}. {row['left']} : {row['right']}"
        strongest = [row.get(_STRONGEST + column.title, "") for column in own]
        rows.append(
            [compared, row[THREAT.title], "its own attack", *(row[column.title] for column in own)]
        )
        if set(strongest) - {"", formatting.NONE}:
            rows.append([compared, "", "the strongest", *strongest])
    columns = (Column("comparison"), THREAT, Column("under"), *own)
    return Table(
        name=table.name,
        caption=table.caption,
        columns=columns,
        frame=pd.DataFrame(rows, columns=[column.title for column in columns]),
        group="comparison",
        inline=False,
    )


def compact(found: pd.DataFrame, claims: Sequence[Claim]) -> Comparisons:
    """Return the comparisons claim by claim, without what a claim's heading says."""
    letters, tested_anew = formatting.lettered(found["note"]), at_any_time(found)
    own, strongest = figures(found, ""), figures(found, "strongest_")
    table = pd.DataFrame({
        "case": _telling_cases(found),
        "threat": [threat(row) for row in found.itertuples()],
        **{f"own {name}": said for name, said in _narrow(own, tested_anew).items()},
        **{f"strongest {name}": said for name, said in _narrow(strongest, tested_anew).items()},
        **({"in print": found["in_print"]} if "in_print" in found else {}),
        "verdict": [
            _short(verdict, letters.get(note))
            for verdict, note in zip(found["verdict"], found["note"], strict=True)
        ],
    })  # fmt: skip
    alone = (table["strongest sides"] == formatting.NONE).all()
    if alone:
        table = table.drop(
            columns=[f"strongest {name}" for name in _narrow(strongest, tested_anew)]
        )
    of_models = found[[about == "models" for about in _about(found)]]
    images = sorted({*of_models["n"].dropna(), *of_models["strongest_n"].dropna()})
    counted = " to ".join(dict.fromkeys(str(n) for n in (*images[:1], *images[-1:])))
    return Comparisons(
        caption=f"{_caption(found)} Each on {counted} images." if images else _caption(found),
        strongest=not alone,
        at_any_time=tested_anew,
        printed="in_print" in found,
        groups=tuple(
            ClaimRows(
                title=f"{turn}. {claim.says}",
                tests=_tests(claim),
                rows=tuple(map(tuple, table[found["claim"] == turn].to_numpy().tolist())),
            )
            for turn, claim in enumerate(claims, 1)
        ),
        notes=formatting.in_letters(letters),
    )


def _narrow(shown: Mapping[str, list[str]], tested_anew: bool) -> dict[str, list[str]]:
    """Return the figures of one attack in few columns."""
    last = ("n", "e") if tested_anew else ("Holm p",)
    return {"sides": both_sides(shown), **{name: shown[name] for name in ("difference", *last)}}


def _telling_cases(found: pd.DataFrame) -> list[str]:
    """Return the case of each comparison, without long parts that all comparisons of its claim share.

    A star may stand for the names of all members of an ensemble.
    """
    said: list[str] = []
    for _, cases in found.groupby("claim", sort=False)["case"]:
        parts = [str(case).split(", ") for case in cases]
        shared = set.intersection(*map(set, parts))
        said += [
            ", ".join(part for part in own if part not in shared or len(part) <= _LONG)
            for own in parts
        ]
    return said


def _short(verdict: str, mark: str | None) -> str:
    """Return a verdict that fits in a narrow column, with the letter of its note."""
    words = "weaker only" if verdict == WEAKER else verdict
    return f"{words} ({mark})" if mark else words


def _right(row: Any, claim: Claim) -> Any:
    """Return the models on the right: of two orders the same as on the left."""
    twice = claim_measures_by_name()[claim.measure].orders and claim.apart
    return row.left if twice else row.right


def _side(title: Any, claim: Claim, at: int, attack: Any = None) -> str:
    """Return a side of a comparison: the model, and its attack where the claim compares attacks."""
    if formatting.missing(title):
        return formatting.NONE
    if not claim.apart:
        return str(title)
    if not formatting.missing(attack):
        return f"{title} under {attack}"
    return f"{title} under {', '.join((claim.attacks, claim.right_attacks or ())[at])}"


def _tests(claim: Claim) -> str:
    """Return what a claim's comparisons compare, such as `digits/cnn > digits/mlp`."""
    measure = claim_measures_by_name()[claim.measure]
    if measure.orders:
        return f"{measure.expectation(claim)}, {_pattern(claim.left)}"
    if claim.settings:
        return f"{called(claim)}, {_of_perturbations(claim)}"
    if measure.about != "models":
        return _without_attacks(claim, measure.noun)
    left, right = _side(claim.left, claim, 0), _side(claim.right or claim.left, claim, 1)
    within = "" if claim.within is None else f" within {claim.within:g} points"
    compared = "" if measure.unit == "percent" else f"{measure.noun}, "
    return f"{compared}{_pattern(left)} {_sign(claim)} {_pattern(right)}{within}"


def _of_perturbations(claim: Claim) -> str:
    """Return which models, and which sides of one model, a claim about perturbations compares."""
    left, sign = _pattern(claim.left), _sign(claim)
    if claim.bound is not None:
        return f"{left} {sign} {in_its_unit(claim, claim.bound)}"
    if claim.right is None:
        return f"{left}: left {sign} right{near(claim)}"
    return f"{left} {sign} {_pattern(claim.right)}{near(claim)}"


def _without_attacks(claim: Claim, noun: str) -> str:
    """Return what a claim about trainings or members compares: `test accuracy, … > …`."""
    figure = TRAINING_FIGURES[claim.column].called if claim.column else noun
    right = _pattern(claim.right or "") if claim.bound is None else of_trainings(claim, claim.bound)
    return f"{figure}, {_pattern(claim.left)} {_sign(claim)} {right}"


def _sign(claim: Claim) -> str:
    return claim.expect.split(" ")[1]


def _pattern(models: str) -> str:
    """Return a pattern of models as people read it: what may differ is `…`, as the rows below tell."""
    return re.sub(
        r"\{\w+\}|\*", "…", re.sub(r"^\*(?= |$)", "each model", models.replace("{data}/", ""))
    )


SECTION = SectionRule(name="comparisons", place=140, make=section, frames=frames)
