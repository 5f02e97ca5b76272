"""The tables and the last line of `bench compare`."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from typing import Any

from bench.cli.junit import Case, Result
from bench.measure.compared_cells import ROBUST
from bench.measure.compared_models import CLEAN
from bench.measure.compared_runs import ALL_SAME, BY_NOISE, Comparison
from bench.measure.paired_runs import (
    BETTER,
    COMPARED,
    NO_RESULT_IN_A,
    NO_RESULT_IN_B,
    SAME,
    WORSE,
)
from bench.report import formatting
from bench.report.labels import attack_names
from bench.spec import ATTACKING, PLAIN_SURFACES
from bench.store.results import Results

Rows = list[dict[str, Any]]
Record = Mapping[Hashable, Any]


def made_rows(compared: Comparison) -> Rows:
    """Return what was not the same when the runs were made."""
    return [
        {"what": row["what"], "of": row["of"], "A": row["a"], "B": row["b"]}
        for row in compared.made.to_dict("records")
    ]


def model_rows(compared: Comparison) -> Rows:
    """Return the accuracies of each model in both runs."""
    return [
        {
            "model": row["model"],
            "accuracy": _accuracy(row).replace(" accuracy", ""),
            "n": formatting.count(row["n"]),
            "A (%)": formatting.percent(row["a"]),
            "B (%)": formatting.percent(row["b"]),
            "B - A (points)": _difference(row),
            **_tested(row),
            "note": row["note"],
        }
        for row in compared.models.to_dict("records")
    ]


def cell_rows(compared: Comparison, names: CellNames) -> Rows:
    """Return the cells that have a result in both runs, and whose rows differ."""
    cells = compared.cells
    differ = cells[cells["change"].isin(COMPARED) & (cells["change"] != SAME)]
    return [
        {
            **names.of(row),
            "n": formatting.count(row["n"]),
            "compared by": row["figure"],
            "A": _figure(row, "a"),
            "B": _figure(row, "b"),
            "successes": f"{row['successes_a']} → {row['successes_b']}",
            "rows differ": formatting.count(row["rows_differ"]),
            **_tested(row),
        }
        for row in differ.to_dict("records")
    ]


def uncompared_rows(compared: Comparison, names: CellNames) -> Rows:
    """Return the cells without a result that counts in both runs, and why that is so."""
    cells = compared.cells
    return [
        {**names.of(row), "change": row["change"], "note": row["note"]}
        for row in cells[~cells["change"].isin(COMPARED)].to_dict("records")
    ]


class CellNames:
    """What cells of two runs are called."""

    def __init__(self, runs: tuple[Results, Results]) -> None:
        self.attacks = attack_names(runs[1]) | attack_names(runs[0])
        surfaces = {surface for run in runs for surface in run.cells["surface"]}
        transfers = any(run.cells["crafted_on"].notna().any() for run in runs)
        self.plain = surfaces <= PLAIN_SURFACES and not transfers

    def of(self, row: Record) -> dict[str, str]:
        """Return what a row of `Comparison.cells` is, a column each."""
        threat = formatting.threat(row["norm"], row["eps"])
        crafted_on = formatting.text(row["crafted_on"])
        surface = f"{row['surface']} of {crafted_on}" if crafted_on else str(row["surface"])
        return {
            "model": str(row["model"]),
            "attack": self.attacks[formatting.text(row["cell_a"]) or row["cell_b"]],
            "threat": threat if row["kind"] in ATTACKING else str(row["norm"]),
            "toolkit": str(row["toolkit"]),
            **({} if self.plain else {"surface": surface}),
        }


def _accuracy(row: Record) -> str:
    """Return which accuracy a row of `Comparison.models` is of."""
    if row["figure"] == CLEAN:
        return CLEAN
    return f"{row['figure']} under {formatting.threat(row['norm'], row['eps'])}"


def _difference(row: Record) -> str:
    """Return the difference of two shares in points, with its interval where that is known."""
    if formatting.missing(row["low"]) and not formatting.missing(row["difference"]):
        return f"{100 * row['difference']:+.1f}"
    return formatting.points(row["difference"], row["low"], row["high"])


def _figure(row: Record, side: str) -> str:
    whole = row["figure"] == ROBUST
    return formatting.count(row[side]) if whole else formatting.amount(row[side])


def _tested(row: Record) -> dict[str, str]:
    """Return on how many images B is worse and better, and what comes of that."""
    return {
        "worse on": formatting.count(row["worse_on"]),
        "better on": formatting.count(row["better_on"]),
        "adjusted p": formatting.probability(row["adjusted_p"]),
        "change": row["change"],
    }


def closing_line(compared: Comparison) -> str:
    """Return in one line whether two runs differ, and for which models B is worse or better."""
    cells = compared.cells
    both = cells[cells["change"].isin(COMPARED)]
    alone = len(cells) - len(both)
    more = f"; {formatting.plural(alone, 'cell')} not compared" if alone else ""
    if compared.verdict == ALL_SAME:
        rows = formatting.plural(int(both["n"].sum()), "row")
        return f"{ALL_SAME}: all {rows} of {formatting.plural(len(both), 'cell')} are equal{more}"
    if compared.verdict == BY_NOISE:
        differ = int((both["change"] != SAME).sum())
        return f"{BY_NOISE}: rows of {differ} of {formatting.plural(len(both), 'cell')} differ, none significantly{more}"
    return f"{compared.verdict}: {'; '.join(_for_whom(compared))}{more}"


def _for_whom(compared: Comparison) -> Iterator[str]:
    said = {WORSE: "worse in B", BETTER: "better in B"}
    for change in (WORSE, BETTER, NO_RESULT_IN_B, NO_RESULT_IN_A):
        models = [
            f"{model} ({', '.join(_what(compared, model, change))})"
            for model in compared.changed(change)
        ]
        if models:
            yield f"{said.get(change, change)}: {', '.join(models)}"


def _what(compared: Comparison, model: str, change: str) -> Iterator[str]:
    """Yield what of a model changed so: its accuracies, and how many of its cells."""
    models, cells = compared.models, compared.cells
    for row in models[(models["model"] == model) & (models["change"] == change)].to_dict("records"):
        yield _accuracy(row)
    count = int(((cells["model"] == model) & (cells["change"] == change)).sum())
    if count:
        yield formatting.plural(count, "cell")


def cases(compared: Comparison, names: CellNames) -> list[Case]:
    """Return a test case for each accuracy and each cell: a failure where B is worse.

    Where only A has a result that counts it is an error, and skipped where there is nothing to compare with.
    """
    found = [
        Case(row["model"], _accuracy(row), *_result(row, _in_percent(row)))
        for row in compared.models.to_dict("records")
    ]
    for row in compared.cells.to_dict("records"):
        model, *what = names.of(row).values()
        figure = f"{row['figure']}: {_figure(row, 'a')} in A, {_figure(row, 'b')} in B"
        found.append(Case(model, " · ".join(what), *_result(row, figure)))
    return found


def _in_percent(row: Record) -> str:
    return f"{formatting.percent(row['a'])} % in A, {formatting.percent(row['b'])} % in B"


def _result(row: Record, figures: str) -> tuple[Result, str]:
    """Return what came of a test case, and why where it did not pass."""
    change = row["change"]
    if change == WORSE:
        images = f"worse on {row['worse_on']} of {row['n']} images, better on {row['better_on']}"
        return (
            "failure",
            f"{figures}; {images}; adjusted p {formatting.probability(row['adjusted_p'])}",
        )
    if change in COMPARED:
        return "passed", ""
    why = formatting.join(change, row["note"])
    return ("error" if change == NO_RESULT_IN_B else "skipped"), why
