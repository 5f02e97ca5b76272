"""A single model in place of a suite file: its name, its data set, and the suite that is made for it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from bench.addresses.address import Address, is_address
from bench.data.table import DATASETS
from bench.errors import SpecError
from bench.model_names import MODELS
from bench.registry import unknown
from bench.runner.made_suite import Evaluation, MadeSuite, make_suite
from bench.runner.sketch import sketched
from bench.runner.suite import look_up
from bench.spec import ModelRequest, Norm
from bench.suite_files import known_suites


class SingleModel(NamedTuple):
    """A model to be evaluated without a suite file.

    Attributes:
        name: with the data set that an address lacked.
        suite: that was made for it.
        folder: of data sets; None for the usual one.
    """

    name: str
    suite: MadeSuite
    folder: Path | None


def single_model(
    model: str, norm: Norm, eps: Sequence[str], data: str | None, results: Path
) -> SingleModel:
    """Return a model with the suite that is made for it; writes nothing.

    Args:
        model: a name or an address.
        norm: of the attacks.
        eps: their radii, as text.
        data: the folder of data sets, or the data set that an address lacks; None for neither.
        results: the results folder, in which the suite belongs.

    Raises:
        SpecError: no such model or data set, one that does not fit, a radius that is none, or no attack fits.
        PrerequisiteError: weights or data are missing.
    """
    named, folder = _data_or_folder(data)
    name, data_set = _with_data(model, named)
    adapter = sketched(ModelRequest(name=name), device="cpu", data=folder)
    evaluation = Evaluation(
        model=name, data=data_set, norm=norm, eps=tuple(eps), gradient=bool(adapter.surfaces())
    )
    words = ["bench", "run", name, "--norm", norm]
    for radius in eps:
        words += ["--eps", radius]
    return SingleModel(name, make_suite(evaluation, results, shlex.join(words)), folder)


def _with_data(model: str, data: str) -> tuple[str, str]:
    """Return the name of a model, with the data set that an address lacks, and that data set.

    Raises:
        SpecError: no such model, or one of another data set.
    """
    if model.endswith(".toml") or model in known_suites():
        raise SpecError(f"{model} is a suite, no model; run: bench run --suite {model}")
    if data and is_address(model) and not Address.read(model).data:
        model = f"{model}{'&' if '?' in model else '?'}data={data}"
    look_up(MODELS.__getitem__, model)
    own: str = MODELS[model].facts["data"]
    if data and data != own:
        raise SpecError(f"--data {data}: {model} classifies {own}; leave --data out")
    return model, own


def _data_or_folder(text: str | None) -> tuple[str, Path | None]:
    """Return a data set or the folder of data sets, whichever a text names.

    Raises:
        SpecError: it looks like the name of a data set, but there is none.
    """
    if text is None:
        return "", None
    if text in DATASETS:
        return text, None
    if not Path(text).is_dir() and (":" in text or Path(text).name == text):
        reason = unknown("data set", text, list(DATASETS))
        raise SpecError(f"--data: {reason}; a folder that is still to be made is written ./{text}")
    return "", Path(text)
