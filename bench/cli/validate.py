"""`bench validate`: does a model keep the contract that attacks rely on?"""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from bench.cli.options import complete_models, data_option, model_option_option, plugin_option
from bench.spec import Scalar


@click.command()
@click.argument("model", shell_complete=complete_models)
@model_option_option
@plugin_option
@data_option
@click.pass_context
def validate(
    ctx: click.Context, model: str, model_options: dict[str, Scalar], data: Path | None
) -> None:
    """Check MODEL and say in words what is wrong with it; exit 1 where something is.

    Runs every check that needs a model (`bench ls checks`), those that the plug-in registers too.
    """
    from bench.cli.display import print_table
    from bench.model_names import MODELS
    from bench.trust.checked_model import CheckedModel
    from bench.trust.checks.registry import run_checks
    from bench.zoo import load_model

    adapter = load_model(model, model_options, data=data)
    checked = CheckedModel(adapter, MODELS[model].facts["data"], data)
    results = run_checks("model", checked)
    print_table([
        {"check": check.label(finding), "verdict": finding.status, "what was found": finding.line()}
        for check, finding in results
    ])  # fmt: skip
    if any(finding.status == "fail" for _, finding in results):
        ctx.exit(1)
