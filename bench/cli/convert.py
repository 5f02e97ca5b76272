"""`bench convert`: the figures of a run as leaderboards take them."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from bench.cli.options import (
    complete_models,
    plugin_option,
    results_option,
    run_option,
    suite_option,
)
from bench.cli.stored import stored
from bench.errors import SpecError

if TYPE_CHECKING:
    from bench.report.leaderboard import Entry

FORMATS = ("robustbench", "markdown", "latex")


@click.command()
@suite_option
@results_option
@click.option(
    "--to", type=click.Choice(FORMATS), required=True,
    help="A model_info file of RobustBench for each model and threat, or a table of Markdown or rows of "
    "LaTeX for all.",
)  # fmt: skip
@click.option(
    "--model", "models", multiple=True, metavar="GLOB", shell_complete=complete_models,
    help="Only models whose name matches; may be given more than once.",
)  # fmt: skip
@click.option("--norm", help="Only threats of this norm.")
@click.option("--eps", metavar="EPS", help="Only threats of this radius, such as 8/255.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
    help="With robustbench: write DIR/model_info/DATA/THREAT/MODEL.json instead of printing one.",
)  # fmt: skip
@run_option
@plugin_option
@click.pass_context
def convert(
    ctx: click.Context, /, suite: str, results: Path, to: str, models: tuple[str, ...],
    norm: str | None, eps: str | None, out: Path | None, run: str | None,
) -> None:  # fmt: skip
    """Convert the headline of a run for a leaderboard; computes nothing.

    The JSON for RobustBench has the fields of its model_info files. What a run does not know (link, name, authors,
    architecture, ...) is null there and yours to fill in. Clean and AutoAttack accuracy are null where the
    run is not of the whole test set or has no `autoattack` with its published settings. Where a run is not what
    RobustBench asks for, that is said and the exit code is 1. Rows of Markdown and LaTeX have all figures, with
    letters that say what speaks against them.
    """
    from bench.cli.display import say
    from bench.measure.attack_rates import attack_rates
    from bench.measure.headline import headline
    from bench.measure.outcomes import Outcomes
    from bench.report.leaderboard import entries, latex_rows, markdown, unlike_robustbench
    from bench.trust.headline_trust import with_trust
    from bench.trust.run_findings import run_findings

    if out is not None and to != "robustbench":
        raise SpecError(
            f"--out goes with --to robustbench; {to} is printed, so send it into a file"
        )
    found = stored(suite, results, run)
    outcomes = Outcomes(found.as_asked())
    judged = with_trust(headline(outcomes), outcomes, run_findings(outcomes))
    listed = _chosen(entries(found, judged, attack_rates(outcomes)), models, norm, eps)
    if to != "robustbench":
        click.echo((markdown if to == "markdown" else latex_rows)(listed), nl=False)
        return
    _robustbench(listed, out)
    against = [
        f"{entry.title}: {reason}" for entry in listed for reason in unlike_robustbench(entry)
    ]
    for line in against:
        say(line)
    if against:
        ctx.exit(1)


def _chosen(
    listed: Sequence[Entry], models: Sequence[str], norm: str | None, eps: str | None
) -> list[Entry]:
    """Return the entries of these models and threats.

    Raises:
        SpecError: there are none.
    """
    from math import isclose

    from bench.registry import literal
    from bench.spec import number

    if not listed:
        raise SpecError("the run has no robust accuracy: no attack of its suite has an eps")
    globs = literal(models, [entry.row.model for entry in listed]) or ("*",)
    radius = None if eps is None else number(eps, "--eps")
    chosen = [
        entry
        for entry in listed
        if any(fnmatch.fnmatchcase(entry.row.model, glob) for glob in globs)
        and norm in (None, entry.row.norm)
        and (radius is None or isclose(radius, entry.row.eps, rel_tol=1e-6))
    ]
    if not chosen:
        raise SpecError(
            f"no such model and threat in the run; it has {', '.join(entry.title for entry in listed)}"
        )
    return chosen


def _check_a_file_each(listed: Sequence[Entry]) -> None:
    """Raise where two entries would go into one file, whose name has no radius."""
    from bench.report.leaderboard import model_info_path

    radii: dict[Path, list[str]] = {}
    for entry in listed:
        radii.setdefault(Path(model_info_path(entry)), []).append(entry.row.eps_text)
    for path, found in radii.items():
        if len(found) > 1:
            raise SpecError(
                f"{path.name}: a model has one file for each norm, and the run has it at {', '.join(found)}; name one "
                f"with --eps"
            )


def _robustbench(listed: Sequence[Entry], out: Path | None) -> None:
    """Print or write the files for RobustBench, and say what is left to fill in."""
    from bench import __version__
    from bench.cli.display import say
    from bench.report.leaderboard import TO_FILL_IN, model_info, model_info_path, model_info_text
    from bench.store.files import atomic_write

    if out is None and len(listed) > 1:
        raise SpecError(
            f"{len(listed)} models and threats, and a file holds one: name it with --model, --norm and --eps, or "
            f"write a file each with --out DIR"
        )
    if out is not None:
        _check_a_file_each(listed)
    for entry in listed:
        text = model_info_text(model_info(entry, __version__))
        if out is None:
            click.echo(text, nl=False)
            continue
        path = out / model_info_path(entry)
        if path.exists():
            say(
                f"{path} is there already and is left, since you may have filled it in; delete it first"
            )
            continue
        atomic_write(path, text.encode(), "--out DIR")
        click.echo(path)
    say(f"null is what a run does not know: fill in {', '.join(TO_FILL_IN)}")
