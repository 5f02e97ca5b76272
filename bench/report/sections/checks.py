"""Whether the figures of a run can be believed: verdicts, what the checks found, and what no check can say."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import pandas as pd

from bench.report import formatting
from bench.report.blocks import Block, Column, Say, Section, Table, Text, tabulate
from bench.report.findings import Findings
from bench.report.labels import MODEL, THREAT, TRUST, robust_accuracy, threat_of
from bench.report.rules import SectionRule
from bench.store.results import Results
from bench.trust.headline_trust import named
from bench.trust.run_findings import TOLD

#: Of more findings than this, those of one check share a row.
_MANY = 40
#: So many models are named of those that share a finding.
_NAMED = 3

#: The verdicts, the gravest first.
_GRAVE = ("invalid", "doubtful", "not checked", "believable")

_BY_HAND = (
    "(1) the threat is the one that matters: what an attacker may change and how much, and what they know of "
    "the model; (2) somebody who knows how the defence works has tried to break it, with a loss and a surface "
    "made for it; (3) nothing was chosen by these images: neither the model, nor its settings, nor when "
    "its training ended; (4) model and code are there for others to attack."
)


def section(findings: Findings) -> Section:
    """Return the verdicts and their reasons, what was found, what it took, and what is left to people."""
    measured, results = findings.measured, findings.results
    found, verdicts = (
        found_table(measured.checks),
        verdict_table(measured.headline, findings.called),
    )
    blocks: list[Block] = [Text(text=summary(measured.headline))]
    blocks += [verdicts] if len(verdicts.frame) else []
    blocks += [added_table(measured.added)] if len(measured.added) else []
    blocks += [found] if len(found.frame) else []
    blocks += [Text(text=effort(measured.checks, results))]
    blocks += [
        Text(
            lead="What no program can check",
            text=f"(Carlini et al., 2019; Tramèr et al., 2020): {_BY_HAND}",
        )
    ]
    return Section(
        label="checks", title="Whether the figures can be believed", blocks=tuple(blocks)
    )


def frames(findings: Findings) -> Mapping[str, pd.DataFrame]:
    """Return all findings, and the attacks that were added, where there are some."""
    checks, added = findings.measured.checks, findings.measured.added
    found = {} if checks.empty else {"checks": checks[[*TOLD]]}
    return found if added.empty else {**found, "added": added}


def summary(headline: pd.DataFrame) -> str:
    """Return in a sentence how many figures are believed.

    Args:
        headline: with verdicts.
    """
    if headline.empty:
        return "There is no robust accuracy to believe or not."
    counts = headline["trust"].value_counts()
    parts = [f"{counts[trust]} {trust}" for trust in reversed(_GRAVE) if trust in counts]
    figures = "robust accuracies" if len(headline) > 1 else "robust accuracy"
    return (
        f"Of {len(headline)} {figures}: {formatting.joined(parts)}. A figure is invalid if a check about it "
        "failed or there is none; doubtful if a check warns, or if gradients lie and only an attack that needs "
        "none is left; not checked if not all checks were made. One near 0 cannot be too high."
    )


def verdict_table(headline: pd.DataFrame, called: Callable[[str], str] = str) -> Table:
    """Return a row for what is said of a model's figures, the threats that it is said of side by side.

    Those of which nothing is said are left out.

    Args:
        headline: with verdicts.
        called: what each model is called.
    """
    rows = []
    for (model, trust, reasons), group in headline.groupby(
        ["model", "trust", "reasons"], sort=False
    ):
        rows.append({
            "model": called(str(model)), "trust": trust, "reasons": reasons,
            "threats": _threats(zip(group["norm"], group["eps_text"], strict=True)),
        })  # fmt: skip
    said = pd.DataFrame(rows, columns=["model", "trust", "threats", "reasons"])
    said = said[said["reasons"] != ""]
    order = said["trust"].map({trust: turn for turn, trust in enumerate(_GRAVE)})
    said = said.loc[order.sort_values(kind="stable").index]
    return tabulate(
        said,
        {MODEL: "model", TRUST: "trust", Column("threats", "threat"): "threats",
         Column("why", share=1): "reasons"},
        "The figures that are not believable without further words.",
        group="",
    )  # fmt: skip


def _threats(pairs: Any) -> str:
    """Return threats with each norm once: `linf 0.1, 0.2; l2 1`."""
    by_norm: dict[str, list[str]] = {}
    for norm, eps in pairs:
        by_norm.setdefault(str(norm), []).append(str(eps))
    return "; ".join(f"{norm} {', '.join(radii)}" for norm, radii in by_norm.items())


def added_table(added: pd.DataFrame) -> Table:
    """Return a row for each attack that checks called for: the robust accuracy without it and with it.

    Args:
        added: of `bench.trust.added_attacks.added_attacks`.
    """
    return tabulate(
        added,
        {
            MODEL: "model",
            THREAT: threat_of,
            Column("attack"): "attack",
            Column("without (%)", "rate"): _before,
            Column("with it (%)", "rate"): lambda row: formatting.percent(row.after),
            Column("passes allowed", "number"): lambda row: formatting.count(row.allowed),
            Column("passes used", "number"): lambda row: formatting.count(row.spent),
        },
        "Where checks find that the attacks of the suite may have been misled, an attack is added that needs no "
        "gradient of the model (auto): the robust accuracy without it (INVALID where no attack of the suite counted) "
        "and with it, and forward and backward "
        "passes for each image, on average over the images attacked.",
    )


def _before(row: Any) -> str:
    """Return the robust accuracy under the attacks of the suite; INVALID where none of them counted."""
    return "INVALID" if formatting.missing(row.before) else formatting.percent(row.before)


def added_lines(added: pd.DataFrame) -> list[str]:
    """Return what came of each attack that was added, in a line.

    Args:
        added: of `bench.trust.added_attacks.added_attacks`.
    """
    lines = []
    for row in added.to_dict("records"):
        how = f"{row['attack']} (auto, {formatting.count(row['allowed'])} passes an image)"
        before = (
            "no attack of the suite counts"
            if formatting.missing(row["before"])
            else f"{formatting.percent(row['before'])} % said the suite's attacks"
        )
        after = (
            f"{how} has no result"
            if formatting.missing(row["spent"]) or formatting.missing(row["after"])
            else f"{formatting.percent(row['after'])} % after {how}"
        )
        where = formatting.threat(str(row["norm"]), str(row["eps_text"]))
        lines.append(f"{row['model']} at {where}: {before}, {after}")
    return lines


def trust_table(headline: pd.DataFrame) -> Table:
    """Return a row a model and threat: its robust accuracy, the verdict on it, and why.

    Args:
        headline: with verdicts.
    """
    columns: dict[Column, Say] = {
        MODEL: "model",
        THREAT: threat_of,
        Column("robust accuracy (%)", "rate"): robust_accuracy,
        TRUST: "trust",
        Column("why", share=1): "reasons",
    }
    return tabulate(headline, columns, "Whether the robust accuracies can be believed.")


def found_table(checks: pd.DataFrame, statuses: Collection[str] = ("fail", "warn")) -> Table:
    """Return a row for what a check failed or warned of, with whose figures it is about.

    Args:
        checks: of `bench.trust.run_findings.run_findings`.
        statuses: which findings, the gravest first.
    """
    told = checks[checks["status"].isin(statuses)]
    alike = ["status", "check", "title", "subject", "sentence", "remedy"]
    if len(told.drop_duplicates(alike)) > _MANY:
        alike = ["status", "check", "title"]
    rows = [
        {**group.iloc[0].to_dict(), "of": _whose(group)}
        for _, group in told.groupby(alike, sort=False)
    ]
    rows.sort(key=lambda row: [*statuses].index(row["status"]))
    return tabulate(
        pd.DataFrame(rows, columns=[*checks.columns, "of"]),
        {
            Column("result", "verdict"): "status",
            Column("check"): lambda row: row.check.replace("-", " "),
            Column("of", share=1): "of",
            Column("what was found", share=2): "sentence",
            Column("what to do", share=1): "remedy",
        },
        "What the checks found against the figures of this run, or a reader has to know of them.",
        name="checks",
        group="",
    )


def _whose(group: pd.DataFrame) -> str:
    """Return whose figures a finding is about: models with their threats, some of many by name."""
    subjects = [subject for subject in dict.fromkeys(group["subject"]) if subject]
    parts = []
    for model, of_model in group[group["model"] != ""].groupby("model", sort=False):
        known = of_model[of_model["eps"].notna()]
        threats = _threats(zip(known["norm"], known["eps_text"], strict=True))
        parts.append(f"{model} {threats}".strip())
    if len(parts) > _NAMED:
        parts = [*parts[:_NAMED], f"{len(parts) - _NAMED} more"]
    models = ", ".join(parts)
    whose = ", ".join(subjects[:_NAMED])
    return f"{whose} of {models}" if whose and models else whose or models


def effort(checks: pd.DataFrame, results: Results) -> str:
    """Return in words how many checks passed, what they took, and what was left out."""
    counts = checks["status"].value_counts()
    passed, not_there = int(counts.get("pass", 0)), int(counts.get("not applicable", 0))
    words = [f"{formatting.plural(passed, 'finding')} passed, {not_there} had nothing to check."]
    checked = results.checked
    if not checked.level:
        return f"{words[0]} Checks of models and threats were not made (--trust quick makes them)."
    seconds = float(results.without_added().rows["seconds"].fillna(0).sum())
    share = (
        f" ({100 * checked.seconds / seconds:.0f} % of the time of the suite's attacks)"
        if seconds
        else ""
    )
    words.append(
        f"The checks of models and threats ({checked.level}) took {checked.seconds:.1f} s{share}."
    )
    if checked.not_made:
        names = dict.fromkeys(named(str(one["check"])) for one in checked.not_made)
        words.append(
            f"For want of time {len(checked.not_made)} were not made ({', '.join(names)}); "
            f"bench trust --full has more."
        )
    return " ".join(words)


SECTION = SectionRule(name="checks", place=35, make=section, frames=frames)
