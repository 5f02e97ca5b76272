"""The Python API: load a model, load data, attack a batch, run a suite."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch

from bench.adapters.generators import device_of
from bench.attacked import Attacked
from bench.attacks.catalogue import (
    access,
    is_external,
    is_fitted,
    refusal,
    resolve,
    row_kind,
    row_of,
    unnamed,
)
from bench.attacks.job import Batch
from bench.attacks.run_attack import fit as fit_perturbation
from bench.batches import as_images, as_labels
from bench.data.datasets import load_set
from bench.data.orders import drawn_order
from bench.data.table import class_names
from bench.errors import SpecError, UnsupportedAttack
from bench.finished_run import Run
from bench.registry import load_installed, load_plugin, unknown
from bench.report.labels import attack_asked
from bench.runner.cache import CleanPredictions
from bench.runner.cell import check_images, compute_chunk
from bench.runner.examine import Effort, examine
from bench.runner.execute import execute
from bench.runner.loading import Setting
from bench.runner.plan import make_plan
from bench.runner.scope import Overwrite, Scope
from bench.runner.selection import Selection
from bench.runner.suite import load_suite
from bench.runner.task import Part, Task, whole_surface
from bench.runner.trust import TrustLevel
from bench.runner.worker import Order
from bench.runner.workers import workers_for
from bench.spec import (
    BLACK_BOX_SURFACE,
    EVERY_TOOLKIT,
    ITSELF,
    Adapter,
    AttackSpec,
    ImageSet,
    Norm,
    Scalar,
    Toolkit,
)
from bench.store.results import load_results
from bench.store.store import open_store
from bench.store.traces import trace_table
from bench.substitute import source_of
from bench.suite_files import published_file, suite_in
from bench.train.substitutes import TrainedSubstitute
from bench.trust.behaviour import judged

#: Torch takes no larger seeds.
_MOST = 2**63


def load_data(
    name: str,
    split: str = "test",
    images: int | None = None,
    root: str | os.PathLike[str] | None = None,
    order: str = "",
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return images, float32 (N, C, H, W) in [0, 1], and labels, int64 (N,).

    Args:
        name: a data set or an address of one, such as `folder:PATH`; `bench ls datasets` lists both.
        split: `train`, `test`, or another that the data set has (`validation`).
        images: how many, from the first on; None for all.
        root: the data folder; None for `BENCH_DATA`, else the cache.
        order: which come first: `random 3` or `balanced 3`, drawn with a seed; empty for the order of the file.

    Raises:
        SpecError: no such data set, split or order.
        PrerequisiteError: the data set is missing and cannot be downloaded.
    """
    wanted = ImageSet(data=name, split=split, order=drawn_order(order) if order else "")
    part = load_set(wanted, root).first(images)
    return part.images, part.labels


def attack(
    model: Adapter,
    x: torch.Tensor,
    y: torch.Tensor,
    name: str,
    *,
    norm: Norm,
    toolkit: Toolkit | None = None,
    eps: float | str | None = None,
    surface: str | TrainedSubstitute | None = None,
    seed: int = 0,
    batch_size: int | None = None,
    fit: tuple[torch.Tensor, torch.Tensor] | None = None,
    perturbation: torch.Tensor | None = None,
    **parameters: Scalar,
) -> Attacked:
    """Attack a batch, judge the result, and return images and rows; nothing is stored.

    Args:
        model: from `load_model`, `wrap` or `wrap_predict`; a model whose answers vary from call to call is
            judged by 32 draws and, unless `surface` says otherwise, attacked through their mean
            (`surface="expected"`).
        x: images, float (N, C, H, W) in [0, 1], as a tensor, an array or a list.
        y: true labels, integers (N,), likewise.
        name: an attack; `bench ls attacks` lists them.
        norm: l0, l1, l2 or linf.
        toolkit: art, foolbox, torchattacks, adv-lib, native, or plugin for an attack of your own; None for the
            only one that has the attack and need not be asked for by name (`bench ls attacks NAME`).
        eps: the radius, as a number or a text such as "8/255"; None for minimal-norm attacks.
        surface: which of the model's surfaces to attack; None for the first. Or a network trained on the
            model's answers, from `bench.train_substitute`.
        seed: of all random draws.
        batch_size: images attacked together; None for 100, fewer of large images.
        fit: images and labels, different from `x` and `y`, to fit a universal perturbation on.
        perturbation: (C, H, W), fitted earlier on this model or another, to apply instead.
        parameters: the attack's parameters; `bench ls attacks NAME` describes them.

    Raises:
        SpecError: an invalid model, image, label, name, parameter or number; neither or both of `fit` and
            `perturbation` for a universal attack, or one of them for any other attack.
        UnsupportedAttack: the toolkit does not have the attack or does not support a parameter.
        AttackError: the toolkit failed.
    """
    toolkit = _only_toolkit(name, norm) if toolkit is None else toolkit
    if toolkit not in EVERY_TOOLKIT:
        raise unknown("toolkit", toolkit, list(EVERY_TOOLKIT))
    if not isinstance(model, Adapter):
        raise SpecError(
            f"attack: the model is a {type(model).__name__}; make it one of the benchmark's with "
            f"bench.wrap(net, num_classes=..., input_shape=(C, H, W)) or bench.load_model(name)"
        )
    x, y = as_images(x), as_labels(y)
    fit = None if fit is None else _pair(fit)
    perturbation = None if perturbation is None else as_images(perturbation)
    batch_size = None if batch_size is None else _whole("batch_size", batch_size, 1)
    seed = _whole("seed", seed, 0)
    plain = {parameter: _plain(value) for parameter, value in parameters.items()}
    spec = resolve(name, norm, _plain(eps), plain)
    if not row_kind(name).attacks:
        raise SpecError(f"{name} is no attack; {row_of(name).instead}")
    if is_external(name):
        raise SpecError(f"{name} is no attack to be made; {row_of(name).instead}")
    why = refusal(spec, toolkit)
    if why is not None:
        raise UnsupportedAttack(why)
    check_images(model, x, y)
    model, _ = judged(model, x.float())
    _check_fit(spec, x, fit, perturbation)
    if surface is None:
        surface = _first_surface(model, name) if perturbation is None else BLACK_BOX_SURFACE
    clean = CleanPredictions(model)
    source = source_of(surface, clean, name)
    if fit is not None:
        check_images(model, *fit)
        perturbation = fit_perturbation(
            spec, toolkit, source.module(spec), Batch(*_on_device(model, *fit)),
            num_classes=model.spec.num_classes, seed=seed,
        ).v  # fmt: skip
    source = dataclasses.replace(source, perturbation=perturbation)
    task = Task(spec=spec, toolkit=toolkit, clean=clean, source=source, named={})
    chunks = []
    together = Setting(batch_size=batch_size).together(x.shape[1:])
    for start in range(0, len(x), together):
        rows, chunk_seed = slice(start, start + together), seed + start
        part = Part(*_on_device(model, x[rows], y[rows]), start, chunk_seed, chunk_seed)
        chunks.append(compute_chunk(task, part))
    if not chunks:
        raise SpecError("there are no images to attack")
    classes = class_names(model.spec.data, model.spec.num_classes)
    return Attacked(
        torch.cat([chunk.x_adv for chunk in chunks]).to(x.device),
        pd.concat([chunk.rows for chunk in chunks], ignore_index=True),
        None if perturbation is None else perturbation.detach().to(x.device),
        trace_table([chunk.trace for chunk in chunks if chunk.trace is not None]),
        x,
        attack_asked(name, plain, classes),
        classes,
    )


def _only_toolkit(name: str, norm: str) -> Toolkit:
    """Return the toolkit that runs an attack for a norm where none is named, if it is a single one."""
    having = unnamed(name, norm)
    if len(having) > 1:
        raise SpecError(f"{name} {norm} is in {', '.join(having)}; name one of them as toolkit")
    return having[0]


def _first_surface(model: Adapter, name: str) -> str:
    """Return the surface that an attack on a model uses if none is named."""
    if access(name) == "whole":
        return whole_surface(model)
    if access(name) != "white":
        return BLACK_BOX_SURFACE
    surface = next(iter(model.surfaces()), None)
    if surface is None:
        raise SpecError(f"{model.spec.name} has no gradient; {name} is a white-box attack")
    return surface


def _on_device(
    model: Adapter, x: torch.Tensor, y: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    device = device_of(model)
    return x.to(device).float(), y.to(device).long()


def _plain(value: Any) -> Any:
    """Return a numpy or torch number as a Python number; anything else unchanged."""
    single = isinstance(value, np.generic) or (isinstance(value, torch.Tensor) and value.ndim == 0)
    return value.item() if single else value


def _whole(parameter: str, value: Any, least: int) -> int:
    value = _plain(value)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value < _MOST:
        raise SpecError(f"{parameter}: {value!r} is not a whole number from {least} to {_MOST - 1}")
    return value


def _pair(fit: Any) -> tuple[torch.Tensor, torch.Tensor]:
    if not isinstance(fit, tuple | list) or len(fit) != 2:
        raise SpecError("fit is a pair of images and labels, (x, y)")
    return as_images(fit[0]), as_labels(fit[1])


def _check_fit(
    spec: AttackSpec,
    x: torch.Tensor,
    fit: tuple[torch.Tensor, torch.Tensor] | None,
    perturbation: torch.Tensor | None,
) -> None:
    name = spec.name
    either = [fit is not None, perturbation is not None]
    if not is_fitted(name):
        if any(either):
            raise SpecError(f"{name} is not fitted; leave `fit` and `perturbation` out")
        return
    if sum(either) != 1:
        raise SpecError(
            f"{name} needs fit=(x, y), images and labels to fit on, or perturbation=v, fitted earlier"
        )
    if spec.parameter("fitted_on") != ITSELF:
        raise SpecError(
            f"{name}: `fitted_on` cannot name a model here: fit on one model and give "
            f"perturbation=out.perturbation to attack another"
        )
    if perturbation is not None and perturbation.shape != x.shape[1:]:
        raise SpecError(
            f"{name}: a perturbation of shape {tuple(perturbation.shape)} does not fit images of "
            f"shape {tuple(x.shape[1:])}"
        )


def run(
    suite: str | os.PathLike[str],
    *,
    images: int | Literal["all"] | None = None,
    models: tuple[str, ...] = (),
    attacks: tuple[str, ...] = (),
    toolkits: tuple[str, ...] = (),
    batch_size: int | None = None,
    device: str = "auto",
    data: str | os.PathLike[str] | None = None,
    results: str | os.PathLike[str] = "results",
    overwrite: Overwrite = "missing",
    plugin: str | os.PathLike[str] | None = None,
    trust: TrustLevel = "quick",
    trust_budget: int | None = None,
    workers: int | None = None,
) -> Run:
    """Run a suite as `bench run` does; finished cells are kept.

    Args:
        suite: a shipped suite's name, that of one that was made for a single model, or a path to a suite file.
        images: number of images in place of the suite's own; `all` for all images.
        models: globs over model names; empty for all models of the suite.
        attacks: globs over attack names; empty for all.
        toolkits: names of toolkits; empty for all.
        batch_size: images attacked together; None for 100, fewer of large images.
        device: auto, cpu or cuda.
        data: the data folder.
        results: the store's folder.
        overwrite: never, missing, failed or always.
        plugin: a Python file that registers models, attacks and so on.
        trust: which checks of models and threats are made: `quick`, `full` or `off`.
        trust_budget: passes for each image of the attack that is added where checks call for it; None for as
            many as it takes by itself.
        workers: how many processes compute; None for one a core, or one a GPU, where the run takes more than a
            minute, else one. A model that only this process knows is attacked in it.

    Raises:
        BenchError: as on the command line; a failed cell is no error but a row of `cells`.
    """
    load_installed()
    if plugin is not None:
        load_plugin(plugin)
    named = suite_in(Path(results), os.fspath(suite))
    wanted, published = load_suite(named), published_file(named)
    if published is not None:
        from bench.report.study import check_study

        check_study(published)
    selection = Selection(models=models, attacks=attacks, toolkits=toolkits, images=images)
    setting = Setting(batch_size=batch_size, device=device, data=data)
    plan = make_plan(wanted, selection, setting)
    store, scope = open_store(Path(results)), Scope(overwrite=overwrite)
    order = Order(
        suite=wanted, selection=selection, setting=setting,
        plugins=(Path(plugin).resolve(),) if plugin is not None else (),
        results=store.root.resolve(), scope=scope,
    )  # fmt: skip
    compute = workers_for(order, workers)
    outcome = execute(plan, store, scope, compute=compute)
    effort = Effort(level=trust, passes=trust_budget)
    examined = examine(plan, store, outcome.run, effort, scope, compute=compute)
    stored = load_results(Path(results), plan.suite.name, run=examined.run)
    return Run(stored, outcome, published)
