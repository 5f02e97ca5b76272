"""Each attack alone, and what is noted of it."""

from __future__ import annotations

from scenes import stored_run

from bench.report.findings import Findings
from bench.report.measured import Measured
from bench.report.sections.attacks import attack_table


def test_surfaces_are_named_where_they_say_something(
    findings: Findings, measured: Measured
) -> None:
    several = measured.attacks.assign(surface=["vote"] + ["network"] * (len(measured.attacks) - 1))
    assert attack_table(several, findings.attack_names).frame["surface"].iloc[0] == "vote"


def test_a_cell_that_failed_is_invalid(findings: Findings, measured: Measured) -> None:
    attacks = attack_table(measured.attacks, findings.attack_names).frame
    model, attack, toolkit = stored_run.FAILED
    failed = (attacks["attack"] == attack) & (attacks["toolkit"] == toolkit)
    row = attacks[(attacks["model"] == model) & failed].iloc[0]
    assert row["note"] == "INVALID: did not run"
    assert row["success (%)"] == "–"


def test_notes_count_what_went_wrong(findings: Findings, measured: Measured) -> None:
    odd = measured.attacks.head(1).assign(
        invalid=2, reasons="2 over budget", borderline=3, abstained=1, flag="INVALID: gave up"
    )
    note = attack_table(odd, findings.attack_names).frame["note"].iloc[0]
    assert note == "INVALID: gave up; 2 over budget; 3 borderline; 1 abstained"
