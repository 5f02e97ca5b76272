"""What a run has found, at its end: its headline and other tables, its report, and what checks say against it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from bench.cli.options import same_run
from bench.cli.stored import about
from bench.cli.track import track
from bench.errors import StoreError

if TYPE_CHECKING:
    import pandas as pd

    from bench.report.findings import Findings
    from bench.store.results import Results


def against(headline: pd.DataFrame, findings: pd.DataFrame, results: Results) -> bool:
    """Say which checks of a run failed and tell against its figures, and return whether any did.

    Args:
        headline: with verdicts.
        findings: of all checks.
        results: of the run.
    """
    from bench.cli.display import say
    from bench.trust.headline_trust import telling

    failed = telling(findings, headline, results).to_dict("records")
    lines = (
        f"check failed: {found['title']}{_whose(found)}: {found['sentence']}" for found in failed
    )
    for line in dict.fromkeys(lines):
        say(line)
    return bool(failed)


def _whose(found: Mapping[Any, Any]) -> str:
    """Return what part of which model a finding is about."""
    whose = [str(found[name]) for name in ("subject", "model") if found[name]]
    return f" of {', '.join(whose)}" if whose else ""


def finish(findings: Findings, options: Mapping[str, Any]) -> bool:
    """Print what a run that ended has found, write its report and log it; return False where either fails."""
    from bench.cli.display import say
    from bench.report.sections.claims import what_is_left

    results, measured = findings.results, findings.measured
    for line in results.notes:
        say(line)
    if not options["as_json"]:
        say(about(results))
        if measured.headline.empty and (results.cells["kind"] == "minimal").any():
            say(
                "no robust accuracy: all attacks look for the nearest image, and the suite names no eps; "
                "how far they went is in the report and in its attacks.csv"
            )
    _print_found(findings, same_run(options["suite"], options["results"]), options["as_json"])
    undecided = what_is_left(results, findings.comparisons)
    if undecided:
        say(undecided)
    paths: dict[str, list[Path]] = {}
    try:
        paths, left = _report(findings, options)
    except StoreError as error:
        say(f"error: {error}")
        written = False
    else:
        _say_written(paths, left, results, options["as_json"])
        written = True
    return track(results, measured, paths, options) and written


def _say_written(
    paths: Mapping[str, list[Path]], left: str | None, results: Results, as_json: bool
) -> None:
    """Say which files a report has, or why another one was left in its place."""
    from bench.cli.display import say

    if left is not None:
        say(f"{left} and was left; write with --force, or elsewhere with --out DIR")
    if as_json:
        named = {kind: [str(path) for path in made] for kind, made in paths.items()}
        event = {"event": "report", "run": results.run, "asked": results.asked, **named}
        click.echo(json.dumps(event | ({} if left is None else {"left": left})))
    for made in paths.values():
        for path in made:
            say(f"wrote {path}")


def _report(
    findings: Findings, options: Mapping[str, Any]
) -> tuple[dict[str, list[Path]], str | None]:
    """Write the report of a run, and return its files and why another was left in its place."""
    from bench.cli.display import say
    from bench.report.kept import fuller, replaced
    from bench.report.write import write_findings

    formats = ("csv", "pdf")
    left = None if options["force"] else fuller(findings.results, options["out"], formats)
    if left is not None:
        return {}, left
    other = replaced(findings.results, options["out"], formats)
    written = write_findings(findings, options["out"], formats)
    if other is not None:
        say(other)
    return written, None


def _print_found(findings: Findings, run: str, as_json: bool) -> None:
    """Print headline, goals, critical eps, claims, certificates and what checks found."""
    from bench.cli.display import print_events, print_table, say
    from bench.report.labels import attack_names
    from bench.report.sections.certified import bounds_table, certificate_table
    from bench.report.sections.checks import added_lines, found_table, verdict_table
    from bench.report.sections.claims import claim_table
    from bench.report.sections.goals import goal_table
    from bench.report.sections.headline import headline_table
    from bench.report.sections.radius import radius_table
    from bench.trust.headline_trust import telling
    from bench.trust.run_findings import TOLD

    results, measured = findings.results, findings.measured
    if as_json:
        for event, table in (
            ("headline", measured.headline), ("radius", measured.radii), ("claim", findings.claims),
            ("certificates", measured.certificates),
            ("certified-bounds", measured.certified_bounds), ("check", measured.checks[[*TOLD]]),
            ("added", measured.added),
        ):  # fmt: skip
            print_events(event, table)
        return
    for line in added_lines(measured.added):
        say(line)
    called = attack_names(results)
    print_table(headline_table(results, measured.headline).frame.to_dict("records"))
    for shown in (
        verdict_table(measured.headline), goal_table(measured.attacks, called), radius_table(measured.radii, called),
        claim_table(findings.claims), certificate_table(measured.certificates),
        bounds_table(measured.certified_bounds),
        found_table(telling(measured.checks, measured.headline, results)),
    ):  # fmt: skip
        if len(shown.frame):
            click.echo()
        print_table(shown.frame.to_dict("records"))
    say(_counted(measured.checks, run))


def _counted(checks: pd.DataFrame, run: str) -> str:
    """Return in a line how much checks found, and where it is told."""
    counts = checks["status"].value_counts()
    shares = ", ".join(
        f"{counts.get(status, 0)} {word}" for status, word in (("fail", "failed"), ("warn", "warn"))
    )
    return f"{len(checks)} findings of checks, {shares}: bench trust {run} shows them"
