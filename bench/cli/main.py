"""The command `bench`: its group of commands, and how errors become one line and an exit code."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any

import rich_click as click

import bench
from bench.cli.attack import attack
from bench.cli.claims import claims
from bench.cli.compare import compare
from bench.cli.convert import convert
from bench.cli.doctor import doctor
from bench.cli.export import export
from bench.cli.init import init
from bench.cli.judge import judge
from bench.cli.ls import ls
from bench.cli.parity import parity
from bench.cli.report import report
from bench.cli.run import run
from bench.cli.show import show
from bench.cli.train import train
from bench.cli.trust import trust
from bench.cli.validate import validate
from bench.errors import INTERRUPTED, BenchError
from bench.store.files import NO_SPACE

click.rich_click.TEXT_MARKUP = "rich"
click.rich_click.STYLE_HELPTEXT_FIRST_LINE = ""
click.rich_click.MAX_WIDTH = 100


class Bench(click.RichGroup):
    """The group of commands; what a user got wrong ends in one line, not in a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command and turn its errors into exit codes."""
        try:
            return super().invoke(ctx)
        except BenchError as error:
            click.echo(f"error: {error}", err=True)
            ctx.exit(error.exit_code)
        except OSError as error:  # such as of a full disk that the output goes to
            if error.errno not in NO_SPACE:
                raise
            click.echo(
                f"error: {error.strerror}{_where(error)}; nothing saved before is lost: free some space and run the "
                "same command again", err=True
            )  # fmt: skip
            _silence_stdout()
            ctx.exit(BenchError.exit_code)
        except KeyboardInterrupt:
            click.echo(
                "interrupted; the same command again goes on where this one stopped", err=True
            )
            ctx.exit(INTERRUPTED)


def _where(error: OSError) -> str:
    return f" for {error.filename}" if error.filename else ""


def _silence_stdout() -> None:
    """Let go of what could not be written, which would be tried once more, and told, at the end."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@click.group(cls=Bench, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(bench.__version__, prog_name="bench")
def cli() -> None:
    """Measure how hard an image classifier is to fool.

    Start with `bench run --suite digits`; it needs no download. For a model or an attack of your own,
    start with `bench init`.

    Exit codes: 0 done, 1 some cells failed or a gate is not met, 2 wrong usage, 3 something is
    missing (the message names the command that helps), 130 interrupted.
    """


for command in (
    run, report, trust, claims, parity, compare, convert, attack, judge, export, train, validate,
    init, ls, show, doctor,
):  # fmt: skip
    cli.add_command(command)


def main() -> None:
    """Run the command line."""
    sys.exit(cli(prog_name="bench"))


if __name__ == "__main__":
    main()
