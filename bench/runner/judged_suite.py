"""The suite that is made where images that others made are judged on a model: these images alone."""

from __future__ import annotations

import json
import math
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.attacks.catalogue import resolve
from bench.data.datasets import load
from bench.data.table import DATASETS
from bench.model_names import MODELS, check_options
from bench.runner.cell_inputs import handed_in_for
from bench.runner.loading import Setting
from bench.runner.made_suite import MadeSuite, placed, quoted
from bench.runner.plan import Plan, make_plan
from bench.runner.selection import Selection
from bench.runner.suite import look_up, read_suite
from bench.spec import ImageSet, ModelRequest, Norm


@dataclass(frozen=True, slots=True, kw_only=True)
class ToJudge:
    """Images that others made, and what they are judged by.

    Attributes:
        model: that they should fool, with its options.
        file: of the images, see `bench.data.handed_in_files.read_images`.
        norm: of the budget.
        eps: the budget, as text, in units of [0, 1].
        split: of the model's data set that the images were made from.
    """

    model: ModelRequest
    file: Path
    norm: Norm
    eps: str
    split: str

    @property
    def data(self) -> str:
        """Return the data set of the model."""
        data: str = MODELS[self.model.name].facts["data"]
        return data

    @property
    def values(self) -> int:
        """Return how many values an image has."""
        return math.prod(DATASETS[self.data].input_shape)


def judged_suite(wanted: ToJudge, setting: Setting, results: Path) -> MadeSuite:
    """Return a suite of these images alone, and the file of a results folder that it belongs in; writes nothing.

    Raises:
        SpecError: no such model, option or split, or a file that cannot be read.
        PrerequisiteError: the data set is missing.
    """
    name, options = wanted.model.name, dict(wanted.model.options)
    look_up(MODELS.__getitem__, name)
    check_options(name, options)
    spec = resolve("external", wanted.norm, wanted.eps, {"file": str(wanted.file)})
    shape, split = DATASETS[wanted.data].input_shape, ImageSet(data=wanted.data, split=wanted.split)
    extent = handed_in_for(spec, shape, split, setting.data).extent
    every = extent == len(load(wanted.data, wanted.split, setting.data))
    file = wanted.file
    # Without a dot, after which the name of a suite would end.
    called = re.sub(r"[^\w]+", "-", f"judge-{file.name if file.is_dir() else file.stem}").strip("-")
    return placed(called, _text(wanted, quoted("all") if every else str(extent)), results)


def plan_of(made: MadeSuite, setting: Setting, note: Callable[[str], None]) -> Plan:
    """Return the plan of such a suite, of its own model alone.

    Args:
        made: the suite.
        setting: how and where its cell is computed.
        note: called with each line on how the images were read.

    Raises:
        BenchError: as `bench.runner.plan.make_plan`.
    """
    suite = read_suite(made.path, made.text)
    titles = tuple(request.title() for request in suite.models)
    return make_plan(suite, Selection(models=titles), setting, note=note)


def _text(wanted: ToJudge, images: str) -> str:
    """Return the text of the suite.

    Args:
        wanted: what is judged.
        images: how many images of the split, as the file has it.
    """
    words = ["bench", "judge", wanted.model.name, str(wanted.file), "--norm", wanted.norm, "--eps", wanted.eps]  # fmt: skip
    words += ["--split", wanted.split] if wanted.split != "test" else []
    for name, value in wanted.model.options:
        words += ["--option", f"{name}={json.dumps(value) if isinstance(value, bool) else value}"]
    lines = [
        f"# Made by: {shlex.join(words)}",
        f"title  = {quoted(f'{wanted.file.name} on {wanted.model.title()}')}",
        f"data   = {quoted(wanted.data)}",
        f"split  = {quoted(wanted.split)}",
        f"images = {images}",
        "seed   = 0",
        "",
        "[[models]]",
        f"name = {quoted(wanted.model.name)}",
        *(f"{name} = {json.dumps(value)}" for name, value in wanted.model.options),
        "",
        "# Images that others made, looked for from the folder where the command is run",
        "[[attacks]]",
        'name = "external"',
        f"norm = {quoted(wanted.norm)}",
        f"eps  = {quoted(wanted.eps)}",
        f"file = {quoted(str(wanted.file))}",
    ]
    return "\n".join(lines) + "\n"
