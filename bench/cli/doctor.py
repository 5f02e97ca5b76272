"""`bench doctor`: is everything here that a run needs?"""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import Any

import rich_click as click

from bench.cli.options import data_option


@click.command()
@data_option
@click.pass_context
def doctor(ctx: click.Context, data: Path | None) -> None:
    """Check the installation, the data sets and the shipped weights; exit 3 if a part is missing."""
    from bench.cli.display import print_table

    findings = [*_packages(), *_toolkits(), *_devices(), *_datasets(data), *_weights()]
    findings += _pretrained()
    print_table(findings)
    if any(finding["state"] == "missing" for finding in findings):
        ctx.exit(3)


def _finding(part: str, state: str, words: str) -> dict[str, Any]:
    return {"part": part, "state": state, "what was found": words}


def _packages() -> list[dict[str, Any]]:
    import bench
    from bench.runner.manifest import versions
    from bench.spec import TOOLKITS

    found = [_finding("bench", "ok", f"{bench.__version__} in {Path(bench.__file__).parent}")]
    if not hasattr(bench, "load_model"):
        found = [_finding("bench", "missing", "another package of this name hides Crossfire's")]
    told = ("crossfire", *TOOLKITS)  # by other lines
    found += [
        _finding(name, "ok", version) for name, version in versions().items() if name not in told
    ]
    return [*found, *_extras()]


def _extras() -> list[dict[str, Any]]:
    """Return what models and data sets by address, trackers and clusters need, and whether it is here."""
    from bench.addresses.address import EXTRAS, SCHEMES
    from bench.data.address import DATA_SCHEMES
    from bench.trackers.table import TRACKERS

    found = []
    for extra, packages in EXTRAS.items():
        schemes = " and ".join(
            f"{name}:" for name, scheme in SCHEMES.items() if scheme.extra == extra
        )
        found.append(_extra(extra, list(packages.values()), f"models at {schemes}"))
    for name, data in DATA_SCHEMES.items():
        if data.package:
            found.append(_extra(name, [data.package], f"data sets at {name}:"))
    for tracker, package in TRACKERS.items():
        found.append(_extra(tracker, [package], f"bench run --tracker {tracker}"))
    found.append(_extra("ray", ["ray"], "bench run --executor ray"))
    return found


def _extra(name: str, packages: list[str], of: str) -> dict[str, Any]:
    if all(map(_installed, packages)):
        return _finding(name, "ok", f"installed, for {of}")
    return _finding(name, "note", f"for {of} run: pip install 'crossfire-bench[{name}]'")


def _installed(distribution: str) -> bool:
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


def _toolkits() -> list[dict[str, Any]]:
    from bench.attacks.catalogue import optional
    from bench.attacks.toolkits import ADDED, here, install_command, installed
    from bench.runner.manifest import versions
    from bench.spec import TOOLKITS

    known = versions()
    found = [
        _finding(toolkit, "ok", known.get(toolkit, "its attacks are our own"))
        if installed(toolkit)
        else _finding(toolkit, "note", f"for more attacks run: {install_command(toolkit)}")
        if toolkit in ADDED
        else _finding(toolkit, "missing", f"run: {install_command(toolkit)}")
        for toolkit in TOOLKITS
    ]
    for package, attacks in optional().items():
        named = ", ".join(f"{toolkit}'s {attack}" for attack, toolkit in attacks)
        found.append(
            _finding(package, "ok", f"installed, for {named}")
            if here(package)
            else _finding(package, "note", f"for {named}; to have them run: pip install {package}")
        )
    return found


def _devices() -> list[dict[str, Any]]:
    import torch

    threads = f"CPU threads: {torch.get_num_threads()}"
    cuda = torch.cuda.get_device_name() if torch.cuda.is_available() else "no CUDA device"
    return [_finding("device", "ok", f"{threads}, {cuda}")]


def _datasets(root: Path | None) -> list[dict[str, Any]]:
    from bench.data.datasets import present
    from bench.data.table import DATASETS
    from bench.errors import BenchError
    from bench.paths import data_dir

    folder, found = data_dir(root), []
    for name in DATASETS:
        try:
            here = present(name, folder)
        except BenchError as error:
            found.append(_finding(name, "missing", str(error)))
            continue
        words = "here" if here else f"not in {folder}; downloaded at first use"
        found.append(_finding(name, "ok" if here else "note", words))
    return found


def _weights() -> list[dict[str, Any]]:
    from bench.errors import PrerequisiteError
    from bench.paths import cache_dir
    from bench.train.cards import weights_folder
    from bench.train.recipes import RECIPES
    from bench.train.weights import check_weights

    cache = cache_dir()
    found = [_finding("cache", "ok" if cache.is_dir() else "note", str(cache))]
    for name, rules in RECIPES.items():
        folder = weights_folder(name)
        if folder is None:
            when = "at first use" if rules.first_use else "when asked for"
            words = f"run: bench train {name}" if rules.shipped else f"trained {when}"
            found.append(_finding(name, "missing" if rules.shipped else "ok", words))
            continue
        try:
            check_weights(folder, name)
        except PrerequisiteError as error:
            found.append(_finding(name, "missing", str(error)))
        else:
            kept = "cache" if folder.is_relative_to(cache) else "package"
            found.append(_finding(name, "ok", f"weights in the {kept}"))
    return found


def _pretrained() -> list[dict[str, Any]]:
    """Return whether the weights that others published are here; only runs of these models need them."""
    from bench.train.pretrained import PRETRAINED

    found = []
    for name, net in PRETRAINED.items():
        lacking = net.lacking()
        found.append(_finding(name, "note" if lacking else "ok", lacking or "weights are here"))
    return found
