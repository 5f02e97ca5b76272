"""The Python API for a single model without a suite file: `bench.run_model` and `bench.judge`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.api import run
from bench.errors import SpecError
from bench.finished_run import Run
from bench.registry import load_installed, load_plugin
from bench.runner.execute import execute
from bench.runner.judged_suite import ToJudge, judged_suite, plan_of
from bench.runner.loading import Setting
from bench.runner.made_suite import write
from bench.runner.single_model import single_model
from bench.spec import ModelRequest, Norm, Scalar
from bench.store.results import load_results
from bench.store.store import open_store

PathLike = str | os.PathLike[str]


def run_model(
    model: str,
    *,
    norm: Norm,
    eps: float | str | Sequence[float | str],
    data: PathLike | None = None,
    plugin: PathLike | None = None,
    **how: Any,
) -> Run:
    """Run a few strong attacks on a single model without a suite file, as `bench run MODEL` does.

    The suite that is made for it is kept in the results folder, as `suites/NAME.toml`; `run.results.suite` is
    its name, by which `bench.run` and the commands find it.

    Args:
        model: a name (`bench ls models`, or one that you registered) or an address.
        norm: l0, l1, l2 or linf.
        eps: the radius in units of [0, 1] (in l0 a number of pixels), as a number or a text such as "8/255";
            or several of them.
        data: the data folder, or the name of the data set that an address lacks.
        plugin: a Python file that registers the model.
        how: all else that `bench.run` takes, such as `images=100`, `results="results"` or `trust="full"`.

    Raises:
        SpecError: no such model or data set, a radius that is none, or no attack fits.
        BenchError: as on the command line; a failed cell is no error but a row of `cells`.
    """
    _load(plugin)
    radii = [eps] if isinstance(eps, str | float | int) else eps
    results = Path(how.get("results", "results"))
    made = single_model(
        _named(model),
        norm,
        [str(radius) for radius in radii],
        None if data is None else os.fspath(data),
        results,
    )
    open_store(results)
    write(made.suite)
    return run(made.suite.path, models=(made.name,), data=made.folder, plugin=plugin, **how)


def judge(
    model: str,
    file: PathLike,
    *,
    norm: Norm,
    eps: float | str,
    split: str = "test",
    options: Mapping[str, Scalar] | None = None,
    plugin: PathLike | None = None,
    data: PathLike | None = None,
    results: PathLike = "results",
    device: str = "auto",
) -> Run:
    """Judge adversarial images that others made, as `bench judge` does; the rows are kept in the results.

    Args:
        model: a name (`bench ls models`, or one that you registered) or an address.
        file: with the images, (N, C, H, W) or (N, H, W, C) in [0, 1] or from 0 to 255: a `.pt`, `.npz` or `.npy`,
            or a folder of PNG with a `manifest.csv`. `torch.save(x_adv, "adv.pt")` writes one.
        norm: of the budget: l0, l1, l2 or linf.
        eps: the budget in units of [0, 1] (in l0 a number of pixels), as a number or a text such as "8/255".
        split: of the model's data set that the images were made from.
        options: of the model, as a suite gives them.
        plugin: a Python file that registers the model.
        data: the data folder.
        results: the store's folder.
        device: auto, cpu or cuda.

    Returns:
        `headline()` has clean and robust accuracy, `fates()` what became of the images.

    Raises:
        SpecError: no such model, option or split, or a file that cannot be read or whose images belong to none.
        PrerequisiteError: the data set or weights are missing.
    """
    _load(plugin)
    if not isinstance(file, str | os.PathLike):
        raise SpecError(
            f'judge: the images are a {type(file).__name__}; save them, torch.save(x_adv, "adv.pt"), and give the '
            f"name of the file"
        )
    request = ModelRequest(name=_named(model), options=tuple(sorted((options or {}).items())))
    wanted = ToJudge(model=request, file=Path(file), norm=norm, eps=str(eps), split=split)
    setting, root = Setting(device=device, data=data), Path(results)
    made = judged_suite(wanted, setting, root)
    plan = plan_of(made, setting, lambda line: None)
    store = open_store(root)
    write(made)
    outcome = execute(plan, store)
    return Run(load_results(root, plan.suite.name, run=outcome.run), outcome)


def _load(plugin: PathLike | None) -> None:
    load_installed()
    if plugin is not None:
        load_plugin(plugin)


def _named(model: object) -> str:
    """Return the name of a model.

    Raises:
        SpecError: it is no name, such as a network.
    """
    if not isinstance(model, str):
        raise SpecError(
            f"the model is a {type(model).__name__}; give it a name with bench.register_model, and that name here"
        )
    return model
