"""`bench validate`: does a model keep the contract that attacks rely on?"""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from bench.cli.options import complete_models, data_option, plugin_option


@click.command()
@click.argument("model", shell_complete=complete_models)
@plugin_option
@data_option
@click.pass_context
def validate(ctx: click.Context, model: str, plugin: Path | None, data: Path | None) -> None:
    """Check MODEL and say in words what is wrong with it; exit 1 where something is."""
    from bench.cli.display import print_table
    from bench.trust.checks.model import validate_model
    from bench.zoo import MODELS, load_model

    adapter = load_model(model, plugin=plugin, data=data)
    findings = validate_model(adapter, MODELS[model].facts["data"], data)
    print_table(
        [
            {"check": finding.check, "verdict": finding.verdict, "what was found": finding.words}
            for finding in findings
        ]
    )
    if any(finding.verdict == "fail" for finding in findings):
        ctx.exit(1)
