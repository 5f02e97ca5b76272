"""How good the attacks of a run are beside one another, and what they spent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from bench.measure.quality import METHOD, quality, success_against_passes
from bench.report import formatting
from bench.report.blocks import Block, Column, Say, Section, Table, tabulate
from bench.report.findings import Findings
from bench.report.labels import ATTACK, NOTE, TOOLKIT, data_name, surface_column
from bench.report.passes import passes_figure
from bench.report.rules import SectionRule
from bench.spec import MINIMAL

_MEAN = ", mean over the models, with the least and the largest in brackets"

_EQUAL = (
    "At equal passes: the same, divided by what those {attacks} reach together that spent as many passes or "
    "fewer (up to a tenth more); 100 means that the others of them add nothing. Passes: forward and "
    "backward, for each image attacked{and_radius}. Points a pass: the score divided by them."
)


def section(findings: Findings) -> Section | None:
    """Return what attacks are worth, of a run in which several attack one model in one norm."""
    found = findings.contests
    if not found:
        return None
    table = quality(found)
    minimal = table[table["kind"] == MINIMAL]
    at_radii = table[table["radii"] != ""]
    blocks: list[Block] = []
    if len(minimal):
        blocks.append(optimality_table(minimal, findings.called))
    if len(at_radii):
        blocks.append(radii_table(at_radii, findings.called))
    points = success_against_passes(found)
    if len(points):
        blocks.append(passes_figure(points))
    return Section(label="quality", title="Attack quality", blocks=tuple(blocks))


def frames(findings: Findings) -> Mapping[str, pd.DataFrame]:
    """Return the scores of each attack on each model, of a run in which some can be compared."""
    found = findings.contests
    return {"quality": quality(found).drop(columns="data")} if found else {}


def optimality_table(found: pd.DataFrame, called: Callable[[str], str]) -> Table:
    """Return a row a minimal-norm attack: its optimality, mean over models where there are several.

    Args:
        found: rows of `bench.measure.quality.quality` of minimal-norm attacks.
        called: what a model is called.
    """
    rows = _over_models(found, "optimality", called)
    which, mean = ("Global", _MEAN) if _several(found) else ("Local", "")
    return _table(
        rows,
        Column("optimality (%)", "rate"),
        f"{which} optimality of minimal-norm attacks{mean}: the area that an attack takes away under the curve of "
        "accuracy against eps, divided by what all attacks of the run take away together, each image broken by "
        "the one that comes nearest. The area ends at the largest of these distances. The curve "
        "has steps and its integral is exact: an attack that never succeeds has 0, one that is the nearest on "
        "every image 100. Broken: share of the images attacked, at any distance. "
        f"{_EQUAL.format(attacks='minimal-norm attacks', and_radius='')}",
        name="optimality",
    )


def radii_table(found: pd.DataFrame, called: Callable[[str], str]) -> Table:
    """Return a row an attack: its successes at the radii of the run, mean over models where there are several.

    Args:
        found: rows of `bench.measure.quality.quality` of attacks that are counted at some radius.
        called: what a model is called.
    """
    rows = _over_models(found, "at_radii", called)
    minimal = (
        " A minimal-norm attack succeeds at every radius from its distance on."
        if (found["kind"] == MINIMAL).any()
        else ""
    )
    return _table(
        rows,
        Column("of the best (%)", "rate"),
        "Attacks at the radii of the run: the successes of an attack, summed over the radii at which it ran, "
        f"divided by the images that any attack of the run breaks there{_MEAN if _several(found) else ''}."
        f"{minimal} An attack of a fixed budget has no optimality, since its distances are the radii that it "
        f"was given. {_EQUAL.format(attacks='attacks', and_radius=' and radius')}",
        name="quality",
    )


def _several(found: pd.DataFrame) -> bool:
    """Return whether some score is a mean over models."""
    return bool(found.duplicated(["data", *METHOD]).any())


def _over_models(
    found: pd.DataFrame, score: str, called: Callable[[str], str]
) -> list[dict[str, Any]]:
    """Return a row a data set and method, with its scores as text; toolkits that agree share a row."""
    rows: dict[tuple[object, ...], dict[str, Any]] = {}
    for (data, *method), part in found.groupby(["data", *METHOD], sort=False):
        norm, attack, toolkit, surface = method
        shown = {
            "data": data_name(str(data)), "norm": norm, "attack": attack, "surface": surface,
            "radii": ", ".join(dict.fromkeys(part["radii"])), "models": str(len(part)),
            "success": formatting.percent(part["success"].mean()),
            "passes": formatting.count(round(part["passes"].mean(), 1)),
            "score": _mean_and_range(part[score]),
            "equal": formatting.percent(part[f"{score}_equal_passes"].mean()),
            "per_pass": _per_pass(part[f"{score}_per_pass"].mean()), "note": _notes(part, called),
        }  # fmt: skip
        toolkits = rows.setdefault(tuple(shown.values()), {**shown, "toolkit": []})["toolkit"]
        toolkits.append(str(toolkit))
    return [{**row, "toolkit": ", ".join(row["toolkit"])} for row in rows.values()]


def _mean_and_range(scores: pd.Series[float]) -> str:
    """Return the mean in percent and, of several, the least and the largest: `64.1 (52.3 to 78.9)`."""
    mean, least, largest = map(formatting.percent, (scores.mean(), scores.min(), scores.max()))
    return mean if len(scores) == 1 or scores.isna().all() else f"{mean} ({least} to {largest})"


def _per_pass(share: float) -> str:
    return formatting.NONE if formatting.missing(share) else formatting.amount(100 * share, 2)


def _notes(part: pd.DataFrame, called: Callable[[str], str]) -> str:
    flags = zip(part["model"].astype(str), part["flag"].astype(str), strict=True)
    alone = len(part) == 1
    return formatting.join(
        *(flag if alone or not flag else f"{flag} on {called(model)}" for model, flag in flags)
    )


def _table(rows: list[dict[str, Any]], score: Column, caption: str, name: str) -> Table:
    found = pd.DataFrame(rows)
    at_radii: dict[Column, Say] = {Column("radii"): "radii"} if name == "quality" else {}
    broken: dict[Column, Say] = {} if at_radii else {Column("broken (%)", "number"): "success"}
    columns: dict[Column, Say] = {
        Column("norm", "norm"): "norm",
        Column("data"): "data",
        ATTACK: "attack",
        TOOLKIT: "toolkit",
        **surface_column(found),
        **at_radii,
        Column("models", "number"): "models",
        Column("passes", "number"): "passes",
        **broken,
        score: "score",
        Column("at equal passes (%)", "number"): "equal",
        Column("points a pass", "number"): "per_pass",
        NOTE: "note",
    }
    return tabulate(found, columns, caption, name=name, group="norm")


SECTION = SectionRule(name="quality", place=152, make=section, frames=frames)
