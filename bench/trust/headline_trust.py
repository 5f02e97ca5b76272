"""Whether the robust accuracies of a run can be believed: one verdict a row of the headline, with its reasons.

- *invalid*: there is no figure, or a check about it failed;
- *doubtful*: a check about it warned, and its warnings make figures doubtful; or gradients lie, and the figure
  contains an attack that needs none (`adaptive`): then it is an upper bound, however loose;
- *not checked*: nothing was found against it, but checks of the model and the threat were not made, or not
  all of them;
- *believable*: everything was made, and nothing found.

A robust accuracy near 0 cannot be overstated, so that nothing speaks against it that only says that it may be
too high.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import pandas as pd

from bench.measure.outcomes import Outcomes
from bench.measure.threats import same_radius
from bench.store.results import Results
from bench.trust.bounds import Bounds
from bench.trust.checks.registry import ITSELF_FAILED

Trust = Literal["believable", "doubtful", "invalid", "not checked"]

#: The attack that is tried where checks find that others may have been misled.
REMEDY = "adaptive"

_UPPER = f"an upper bound, since other attacks were misled or none counts; attacked by {REMEDY}, which needs no gradient"

#: So many reasons are told of a figure; the table of findings has all.
_TOLD = 3


def with_trust(headline: pd.DataFrame, outcomes: Outcomes, findings: pd.DataFrame) -> pd.DataFrame:
    """Return the headline with the verdict on each figure.

    Args:
        headline: of `bench.measure.headline.headline`.
        outcomes: of the run.
        findings: of `bench.trust.run_findings.run_findings`.

    Returns:
        The headline with `trust` (believable, doubtful, invalid or not checked) and `reasons` (short, the
        gravest first, joined by `; `; empty where there are none).
    """
    results = outcomes.results
    located = _located(findings, results)
    bound = Bounds(results.bounds)["verdict.near-zero"]
    judged = [
        _judged(row, about(located, row), _remedied(outcomes, row), results, bound)
        for row in headline.to_dict("records")
    ]
    return headline.assign(
        trust=pd.Series([trust for trust, _ in judged], index=headline.index, dtype="str"),
        reasons=pd.Series([reasons for _, reasons in judged], index=headline.index, dtype="str"),
    )


def about(findings: pd.DataFrame, row: Mapping[Any, Any]) -> pd.DataFrame:
    """Return the findings that are about a figure: about its model, its threat, or the whole run.

    Args:
        findings: rows of findings.
        row: with `model, norm, eps`.
    """
    of_model = findings["model"].isin(["", row["model"]])
    of_norm = findings["norm"].isin(["", row["norm"]])
    at_eps = findings["eps"].isna() | same_radius(findings["eps"], float(row["eps"]))
    return findings[of_model & of_norm & at_eps]


def rates_with_trust(rates: pd.DataFrame, headline: pd.DataFrame) -> pd.DataFrame:
    """Return the rates of attacks with `trust`: the verdict on the figure that each belongs to.

    Empty where there is none, as for an attack that looks for the nearest image.

    Args:
        rates: of `bench.measure.attack_rates.attack_rates`.
        headline: with verdicts.
    """
    trust = pd.Series("", index=rates.index, dtype="str")
    for row in headline.to_dict("records"):
        of_model = (rates["model"] == row["model"]) & (rates["norm"] == row["norm"])
        meant = of_model & same_radius(rates["eps"], float(row["eps"]))
        trust = trust.mask(meant, str(row["trust"]))
    return rates.assign(trust=trust)


def compared_with_trust(compared: pd.DataFrame, headline: pd.DataFrame) -> pd.DataFrame:
    """Return comparisons of accuracies whose notes say which side's figure checks speak against.

    Args:
        compared: of `bench.trust.comparisons.comparisons`.
        headline: with verdicts.
    """
    against = headline[headline["trust"].isin(["doubtful", "invalid"])]
    if against.empty or compared.empty:
        return compared
    notes = compared["note"].fillna("").astype("str")
    for row in against.to_dict("records"):
        at = (compared["norm"] == row["norm"]) & (compared["measure"] == "accuracy")
        at &= same_radius(compared["eps"], float(row["eps"]))
        for side in ("left", "right"):
            concerned = at & (compared[side] == row["model"])
            said = f"the figure on the {side} is {row['trust']}"
            notes = notes.mask(concerned, notes.where(notes == "", notes + "; ") + said)
    return compared.assign(note=notes)


def telling(findings: pd.DataFrame, headline: pd.DataFrame, results: Results) -> pd.DataFrame:
    """Return the failures of checks that tell against a figure, or that are about no figure at all.

    Those about figures alone that are believable all the same, or only doubtful since they were answered,
    are left out.

    Args:
        findings: of `bench.trust.run_findings.run_findings`.
        headline: with verdicts, of `with_trust`.
        results: of the run.
    """
    failed = _located(findings[findings["status"] == "fail"], results)
    against, concerned = set(), set()
    for row in headline.to_dict("records"):
        places = about(failed, row).index
        concerned |= {*places}
        against |= {*places} if row["trust"] == "invalid" else set()
    broken = failed["sentence"].str.startswith(ITSELF_FAILED)
    return failed[broken | failed.index.isin(against) | ~failed.index.isin(concerned)]


def _located(findings: pd.DataFrame, results: Results) -> pd.DataFrame:
    """Return findings with model, norm and eps of the one cell that they are about."""
    cells = results.cells.set_index("cell")
    found = findings["cell"].isin(cells.index)
    if not found.any():
        return findings
    of_cell = cells.loc[findings.loc[found, "cell"]]
    located = findings.copy()
    for name, values in (("model", of_cell["model"]), ("norm", of_cell["norm"])):
        located.loc[found, name] = values.to_numpy()
    located.loc[found, "eps"] = of_cell["radius"].to_numpy()
    return located


def _remedied(outcomes: Outcomes, row: Mapping[Any, Any]) -> bool:
    """Return whether a figure contains the attack that needs no gradient of the model."""
    cells = outcomes.cells
    tried = cells[(cells["attack"] == REMEDY) & (cells["model"] == row["model"])]
    tried = tried[(tried["norm"] == row["norm"]) & (tried["flag"] == "")]
    return bool(same_radius(tried["radius"], float(row["eps"])).any())


def _judged(
    row: Mapping[Any, Any],
    found: pd.DataFrame,
    remedied: bool,
    results: Results,
    near_zero: float,
) -> tuple[Trust, str]:
    """Return the verdict on a figure and its reasons."""
    if pd.isna(row["robust_accuracy"]):
        return "invalid", str(row["flag"]).removeprefix("INVALID: ")
    broken = found["sentence"].str.startswith(ITSELF_FAILED)
    fails, warns = found[(found["status"] == "fail") & ~broken], found[found["status"] == "warn"]
    warns = warns[warns["doubts"]]
    if cannot_be_overstated(row, near_zero):
        fails, warns = fails[~fails["overstates"]], warns[~warns["overstates"]]
        unmade = None if _checked(row, results) else ""
    else:
        unmade = _unmade(row, found[broken], results)
    answered = fails.iloc[:0]
    if remedied:
        answered, fails = fails[fails["masks"]], fails[~fails["masks"]]
    if len(fails):
        return "invalid", _told([*_reasons(fails), *_reasons(answered), *_reasons(warns)])
    upper = [_UPPER] * bool(len(answered))
    if len(answered) or len(warns):
        return "doubtful", _told([*upper, *_reasons(answered), *_reasons(warns)])
    if unmade is not None:
        return "not checked", unmade
    return "believable", ""


def cannot_be_overstated(row: Mapping[Any, Any], near_zero: float) -> bool:
    """Return whether a robust accuracy is so near 0 that no attack could lower it by much.

    Args:
        row: of the headline.
        near_zero: up to which the end of its interval counts as 0.
    """
    return bool(row["robust_accuracy"] == 0 or row["high"] <= near_zero)


def _checked(row: Mapping[Any, Any], results: Results) -> bool:
    """Return whether checks of the model of a figure were made."""
    return any(record["model"] == row["model"] for record in results.checked.found)


def _unmade(row: Mapping[Any, Any], broken: pd.DataFrame, results: Results) -> str | None:
    """Return which checks of a figure were not made, empty where none of them was; None where all were."""
    checked = results.checked
    if not _checked(row, results):
        return ""
    left = [
        named(str(one["check"]))
        for one in checked.not_made
        # What goes beyond the usual checks makes no figure worse for want of time.
        if one.get("level") != "full"
        and len(about(pd.DataFrame([{**one, "cell": ""}]).astype({"eps": "float64"}), row))
    ]
    left += [named(str(check)) for check in broken["check"]]
    if not left:
        return None
    return f"checks not made: {_told(list(dict.fromkeys(left)), ', ')}"


def _reasons(findings: pd.DataFrame) -> list[str]:
    """Return what was found in short, without what follows from it: `gradient of network: zero everywhere`."""
    reasons = []
    for found in findings.to_dict("records"):
        subject = f" of {found['subject']}" if found["subject"] else ""
        said, _, _ = found["sentence"].partition(": ")
        reasons.append(f"{named(found['check'])}{subject}: {said}")
    return reasons


def named(check: str) -> str:
    """Return the name of a check as tables have it, such as `eight bits`."""
    return check.replace("-", " ")


def _told(reasons: list[str], between: str = "; ") -> str:
    """Return the first reasons, and how many more there are."""
    distinct = list(dict.fromkeys(reasons))
    shown = distinct[:_TOLD]
    more = len(distinct) - len(shown)
    return between.join([*shown, *([f"and {more} more"] if more else [])])
