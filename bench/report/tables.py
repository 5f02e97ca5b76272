"""The tables of a run for people: one frame each, used by the PDF, LaTeX and the terminal alike.

Every column is text, headed as it is printed; raw numbers are what `bench.measure` and
`bench.trust` return, and what the CSV files hold. A table function takes such a frame as `found`
where it is at hand, and computes it otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from bench.measure.attack_rates import attack_rates
from bench.measure.certified import certificates, certified_bounds, certified_curve
from bench.measure.curves import curve
from bench.measure.headline import headline
from bench.measure.outcomes import Outcomes
from bench.measure.radius import critical_eps
from bench.measure.statistics import wilson
from bench.measure.transfer import transfer
from bench.measure.validity import ONE_DRAW
from bench.report import formatting
from bench.report.sections.certified import (
    CERTIFICATES,
    SANDWICH,
    certificate_table,
    sandwich_table,
)
from bench.report.sections.claims import CLAIMS, COMPARISONS, claim_table, comparison_table
from bench.report.sections.goals import CAPTION as GOALS_CAPTION
from bench.report.sections.goals import goal_table
from bench.report.sections.radius import RADII, radius_table
from bench.report.sections.transfer import TRANSFER, transfer_table
from bench.spec import GOALS, ONE_DRAW_SURFACE
from bench.store.results import Results
from bench.studies.local_learning.configurations import grid
from bench.studies.local_learning.configurations_table import CAPTION as GRID
from bench.studies.local_learning.configurations_table import grid_table
from bench.trust.checks.parity import parity
from bench.trust.claims import claims
from bench.trust.comparisons import comparisons

#: Columns of numbers; they are set to the right, all others to the left.
NUMERIC = frozenset({
    "clean accuracy (%)", "robust accuracy (%)", "n", "attacks", "success (%)", "accuracy (%)",
    "median distance", "equal (%)", "differ", "McNemar p", "max. difference", "norm ratio",
    "forwards", "backwards", "ms", "passes", "s", "comparisons", "as expected", "FAIL",
    "not judged", "images that differ", "cells", "images", "minutes", "difference", "Holm p",
    "strongest difference", "strongest Holm p", "strongest n", "never flipped", "median radius", "mode",
    "average radius", "largest", "changed inside", "critical eps", "R²", "f-score", "K", "w", "m",
    "p", "delta", "pool", "seed",
})  # fmt: skip


def numeric(column: str) -> bool:
    """Return whether a column holds numbers; a share has its unit in its name."""
    return column in NUMERIC or column.endswith("(%)")


#: Words that go without saying where they are 1.
_ONCE = ("eot", "restarts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A display frame with what is printed above it.

    Attributes:
        name: part of a file name, such as `headline`.
        caption: one or two sentences.
    """

    name: str
    caption: str
    frame: pd.DataFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The figures of a run as `bench.measure` and `bench.trust` return them, each computed once.

    Attributes:
        outcomes: what the others are computed from.
    """

    outcomes: Outcomes
    headline: pd.DataFrame
    grid: pd.DataFrame
    curve: pd.DataFrame
    attacks: pd.DataFrame
    parity: pd.DataFrame
    transfer: pd.DataFrame
    claims: pd.DataFrame
    comparisons: pd.DataFrame
    radii: pd.DataFrame
    certificates: pd.DataFrame
    certified: pd.DataFrame
    sandwich: pd.DataFrame


def measure(results: Results) -> Measured:
    """Return the figures of a run; with hundreds of cells this takes seconds."""
    outcomes = Outcomes(results)
    rates, radii = attack_rates(outcomes), critical_eps(results)
    compared, worst = comparisons(outcomes, radii), headline(outcomes)
    return Measured(
        outcomes=outcomes,
        headline=worst,
        grid=grid(results, worst),
        curve=curve(outcomes),
        attacks=rates,
        parity=parity(results),
        transfer=transfer(results, rates),
        claims=claims(results, compared),
        comparisons=compared,
        radii=radii,
        certificates=certificates(outcomes),
        certified=certified_curve(outcomes),
        sandwich=certified_bounds(outcomes),
    )


def names(results: Results) -> dict[str, str]:
    """Return what each cell's attack is called: its name, and what tells it from its variants.

    A suite may have an attack twice at one threat, as PGD with and without a random start; the
    words that then differ are part of the name: `pgd, no random start`.
    """
    cells = results.cells
    called: dict[str, str] = {}
    for (attack, _), group in cells.groupby(["attack", "norm"], sort=False):
        differing: set[str] = set()
        for _, variants in group.groupby("eps", dropna=False):
            given = [
                {parameter: str(said) for parameter, said in one.items()}
                for one in variants["parameters"]
            ]
            every = {parameter for one in given for parameter in one}
            differing |= {
                parameter for parameter in every if len({one.get(parameter) for one in given}) > 1
            }
        for cell, words_of_it in zip(group["cell"], group["parameters"], strict=True):
            telling = (differing | _aims(words_of_it)) & set(words_of_it)
            telling -= {parameter for parameter in _ONCE if words_of_it.get(parameter) == 1}
            told = [_told(parameter, words_of_it[parameter]) for parameter in sorted(telling)]
            called[str(cell)] = ", ".join([str(attack), *told])
    return called


def _aims(given: Mapping[str, object]) -> set[str]:
    """Return the words that say that an attack wants more, or less, than any other label."""
    return {
        parameter
        for parameter in ("goal", "source", "targeted")
        if given.get(parameter, "none") != "none"
    }


def headline_table(results: Results, found: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return a row a model and threat: clean and worst-case accuracy, and what to know of them."""
    found = headline(Outcomes(results)) if found is None else found
    return pd.DataFrame({
        "model": found["model"],
        "threat": formatting.each(found, lambda row: formatting.threat(row.norm, row.eps_text)),
        "clean accuracy (%)": formatting.each(found, _clean),
        "robust accuracy (%)": formatting.each(found, _robust),
        "n": formatting.each(found, lambda row: formatting.count(row.n)),
        "attacks": formatting.each(found, lambda row: f"{row.attacks} of {row.planned}"),
        "strongest": formatting.each(found, lambda row: formatting.text(row.worst) or formatting.NONE),
        "note": formatting.each(found, lambda row: _headline_note(row)),
    })  # fmt: skip


def attack_table(results: Results, found: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return a row a cell: how often the attack took the right label away on the images it was given.

    Attacks with a goal of their own have their own table, `bench.report.sections.goals`.
    """
    found = attack_rates(Outcomes(results)) if found is None else found
    found = found[found["goal"] == GOALS[0]]
    table = pd.DataFrame({
        "model": found["model"],
        "attack": found["cell"].map(names(results)),
        "threat": formatting.each(found, lambda row: formatting.threat(row.norm, row.eps_text)),
        "toolkit": found["toolkit"],
        "surface": found["surface"],
        "n": formatting.each(found, lambda row: formatting.count(row.attacked)),
        "success (%)": formatting.each(found, lambda row: formatting.rate(row.success_rate, row.low, row.high)),
        "accuracy (%)": formatting.each(found, lambda row: formatting.percent(row.accuracy)),
        "median distance": formatting.each(found, lambda row: formatting.amount(row.median_distance)),
        "note": formatting.each(found, _attack_note),
    })  # fmt: skip
    return formatting.without_plain_surface(table)


def cost_table(results: Results, found: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return a row a cell that ran: passes through the model and time, per attacked image."""
    found = attack_rates(Outcomes(results)) if found is None else found
    found = found[found["status"] == "done"]
    table = pd.DataFrame({
        "model": found["model"],
        "attack": found["cell"].map(names(results)),
        "threat": formatting.each(found, lambda row: formatting.threat(row.norm, row.eps_text)),
        "toolkit": found["toolkit"],
        "surface": found["surface"],
        "forwards": formatting.each(found, lambda row: formatting.count(row.forwards)),
        "backwards": formatting.each(found, lambda row: formatting.count(row.backwards)),
        "ms": formatting.each(found, lambda row: formatting.milliseconds(row.seconds)),
    })  # fmt: skip
    return formatting.without_plain_surface(table)


def parity_table(results: Results, found: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return a row a pair of toolkits: whether they agree as closely as they should."""
    found = parity(results) if found is None else found
    table = pd.DataFrame({
        "model": found["model"],
        "surface": found["surface"],
        "attack": found["left_cell"].map(names(results)),
        "threat": formatting.each(found, lambda row: formatting.threat(row.norm, row.eps_text)),
        "toolkits": formatting.each(found, lambda row: f"{row.left} – {row.right}"),
        "n": formatting.each(found, lambda row: formatting.count(row.n)),
        "expected": formatting.each(found, lambda row: formatting.text(row.expected) or formatting.NONE),
        "bound": formatting.each(found, lambda row: formatting.text(row.bound) or formatting.NONE),
        "equal (%)": formatting.each(found, lambda row: formatting.percent(row.equal_verdicts)),
        "differ": formatting.each(found, lambda row: formatting.count(row.discordant)),
        "McNemar p": formatting.each(found, lambda row: formatting.probability(row.mcnemar_p)),
        "max. difference": formatting.each(found, lambda row: formatting.amount(row.max_difference, 3)),
        "norm ratio": formatting.each(found, lambda row: formatting.amount(row.norm_ratio)),
        "result": formatting.each(found, _verdict),
        "cause": formatting.each(found, lambda row: formatting.text(row.cause)),
    })  # fmt: skip
    return formatting.without_plain_surface(table)


def identical(table: pd.DataFrame) -> pd.Series[bool]:
    """Return which rows of a parity table came out as expected, with equal verdicts on all images."""
    return (table["result"] == "pass") & (table["differ"] == "0")


def failure_table(results: Results) -> pd.DataFrame:
    """Return a row a cell that failed or was never run, with the error's first line."""
    cells = results.cells
    found = cells[cells["status"] != "done"]
    return pd.DataFrame({
        "model": found["model"],
        "attack": found["cell"].map(names(results)),
        "threat": formatting.each(found, lambda row: formatting.threat(row.norm, row.eps)),
        "toolkit": found["toolkit"],
        "status": found["status"],
        "error": formatting.each(found, lambda row: formatting.text(row.error).partition("\n")[0]),
    })  # fmt: skip


def parameter_table(results: Results) -> pd.DataFrame:
    """Return a row an attack: every parameter it ran with, and the radii it was given."""
    cells = results.cells
    called = names(results)
    rows: dict[tuple[str, str, str], list[str]] = {}
    for cell in cells.to_dict("records"):
        given = formatting.parameters(cell["parameters"])
        radii = rows.setdefault((called[cell["cell"]], cell["norm"], given), [])
        radius = formatting.threat("", cell["eps"]).strip()
        if radius not in radii:
            radii.append(radius)
    return pd.DataFrame(
        [(attack, norm, ", ".join(eps), given) for (attack, norm, given), eps in rows.items()],
        columns=["attack", "norm", "eps", "parameters"],
    )


def all_tables(results: Results, measured: Measured) -> list[Table]:
    """Return the tables of the report, in its order; those of nothing are empty frames.

    Those of a grid, of claims, radii, certificates and universal perturbations are there only where
    a run has some.
    """
    fitted = _transfer(results, measured)
    elsewhere = " Fitting a universal perturbation is counted in its own table." if fitted else ""
    images = (
        f"the first {formatting.plural(results.protocol['images'], 'image')} of {_split(results)}"
    )
    return [
        Table(
            name="headline",
            caption="Clean and robust accuracy with 95 % Wilson intervals, on "
            f"{images}. An image counts as robust only if it withstood every valid attack of the "
            "threat (worst case per image).",
            frame=headline_table(results, measured.headline),
        ),
        *(
            []
            if measured.grid.empty
            else [Table(name="grid", caption=GRID, frame=grid_table(measured.grid))]
        ),
        *_goals(results, measured),
        *_radii(results, measured),
        *certified_tables(measured),
        *_claims(results, measured),
        Table(
            name="parity",
            caption="Agreement of the toolkits, attack by attack: the class that is expected, and the "
            "bound that it sets here (on verdicts that differ, ± on how many images more fall to the "
            "first toolkit, on the ratio of the median norms); share of images with equal "
            "verdicts, number of images where they differ, exact McNemar p, largest difference of two "
            "adversarial images (pixel units), ratio of the median norms.",
            frame=parity_table(results, measured.parity),
        ),
        Table(
            name="attacks",
            caption="Each attack alone: success over the n images attacked, "
            "with 95 % Wilson interval; accuracy over all images; median distance of the successes "
            "of minimal-norm attacks, in the norm of the threat.",
            frame=attack_table(results, measured.attacks),
        ),
        Table(
            name="cost",
            caption="Cost per attacked image: passes through the model, counted the same way for "
            f"every toolkit, and milliseconds.{elsewhere}",
            frame=cost_table(results, measured.attacks),
        ),
        *fitted,
    ]


def _goals(results: Results, measured: Measured) -> list[Table]:
    """Return the table of attacks with a goal of their own, of a run that has some."""
    frame = goal_table(measured.attacks, names(results))
    return [Table(name="goals", caption=GOALS_CAPTION, frame=frame)] if len(frame) else []


def _radii(results: Results, measured: Measured) -> list[Table]:
    """Return the table of critical eps, of a run that measured radii."""
    if measured.radii.empty:
        return []
    return [Table(name="radius", caption=RADII, frame=radius_table(measured.radii, names(results)))]


def certified_tables(measured: Measured) -> list[Table]:
    """Return the tables of certificates, of a run that has some, and of l2 attacks beside them."""
    made = [
        Table(
            name="certificates",
            caption=CERTIFICATES,
            frame=certificate_table(measured.certificates),
        ),
        Table(name="sandwich", caption=SANDWICH, frame=sandwich_table(measured.sandwich)),
    ]
    return [table for table in made if len(table.frame)]


def _claims(results: Results, measured: Measured) -> list[Table]:
    """Return the tables of what a study says, of a suite that has claims."""
    if not results.claims:
        return []
    compared = comparison_table(results, measured.comparisons)
    return [
        Table(name="claims", caption=CLAIMS, frame=claim_table(results, measured.claims)),
        Table(name="comparisons", caption=COMPARISONS, frame=compared),
    ]


def _transfer(results: Results, measured: Measured) -> list[Table]:
    """Return the table of universal perturbations, of a run that has some."""
    if measured.transfer.empty:
        return []
    return [
        Table(
            name="transfer",
            caption=TRANSFER,
            frame=transfer_table(measured.transfer, names(results)),
        ),
    ]


def _split(results: Results) -> str:
    return f"{formatting.data(results.protocol)} ({results.protocol['split']})"


def _clean(row: pd.Series[float]) -> str:
    if formatting.missing(row.clean_accuracy):
        return formatting.NONE
    low, high = wilson(round(row.clean_accuracy * row.n), int(row.n))
    return formatting.rate(row.clean_accuracy, low, high)


def _robust(row: pd.Series[float]) -> str:
    if formatting.missing(row.robust_accuracy):
        return "INVALID"
    return formatting.rate(row.robust_accuracy, row.low, row.high)


def _verdict(row: pd.Series[float]) -> str:
    if formatting.missing(row.passed):
        return "not judged"
    return "pass" if row.passed else "FAIL"


def _headline_note(row: pd.Series[float]) -> str:
    smoke = f"smoke: n < {formatting.SMOKE}" if row.n < formatting.SMOKE else ""
    return formatting.join(formatting.text(row.flag).removeprefix("INVALID: "), smoke)


def _attack_note(row: pd.Series[float]) -> str:
    if formatting.missing(row.n):
        return "INVALID: did not run"  # the error itself is in the table of failures
    return formatting.join(
        formatting.text(row.flag),
        formatting.text(row.reasons),
        f"{row.borderline} borderline" if row.borderline else "",
        f"{row.abstained} abstained" if row.abstained else "",
        ONE_DRAW if formatting.text(row.surface) == ONE_DRAW_SURFACE else "",
    )


def _told(parameter: str, value: object) -> str:
    if parameter == "goal":
        return str(value).replace("-", " ")
    said = parameter.replace("_", " ")
    if parameter == "targeted" and value == "none":
        return "untargeted"
    if value is False or value == "none":
        return f"no {said}"
    if value is True:
        return said
    return f"{said} {value}"
