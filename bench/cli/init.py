"""`bench init`: a suite and a plug-in to start from."""

from __future__ import annotations

import shlex
from importlib.resources import files
from pathlib import Path

import rich_click as click

from bench.errors import SpecError

_PACKAGE = "bench.starter"
_SUITE, _PLUGIN = "my_suite.toml", "my_plugin.py"


@click.command()
@click.argument(
    "folder", type=click.Path(path_type=Path, file_okay=False), default=Path(), metavar="[DIR]"
)
def init(folder: Path) -> None:
    """Write a suite and a plug-in to start from into DIR, which is this folder if none is named.

    my_plugin.py has a small model and an attack, my_suite.toml attacks the model. Both run as they are, in
    seconds, and say in comments what to change. No file is overwritten.
    """
    from bench.store.files import atomic_write, check_folder

    paths = {name: folder / name for name in (_SUITE, _PLUGIN)}
    for path in paths.values():
        if path.exists():
            raise SpecError(f"{path} is there already; name another folder: bench init DIR")
    check_folder(folder, "the files", "DIR")
    for name, path in paths.items():
        atomic_write(path, files(_PACKAGE).joinpath(name).read_bytes(), "DIR")
        click.echo(path)
    named = ["--plugin", str(paths[_PLUGIN])]
    run = ["bench", "run", "--suite", str(paths[_SUITE]), *named]
    click.echo(f"run them: {shlex.join(run)}", err=True)
    click.echo(
        f"check the model: {shlex.join(['bench', 'validate', 'my-model', *named])}", err=True
    )
