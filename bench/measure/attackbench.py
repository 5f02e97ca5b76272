"""Results of AttackBench, read from its files: its own score of each attack, and the exact one beside it.

AttackBench (Cina et al., AAAI 2025, https://github.com/attackbench/AttackBench) leaves a folder a run,

    DATASET/NORM/MODEL/batch_size_N/ATTACK/RUN/{config.json, info.json}

with the distance of each image, known by its hash; and publishes a file a model and norm of scores alone,
`compiled/DATASET/MODEL_NORM.json`. Its scripts integrate the curve of accuracy against eps by the
trapezoidal rule, although it is a step function: an attack that breaks no image can score more than
half (`bench.measure.optimality`). Where distances are known, both scores can be given.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.errors import SpecError
from bench.measure.optimality import Floats, local_optimality, trapezoid_optimality

#: Our names for the columns of a compiled file, by theirs.
_COMPILED = {
    "dataset": "dataset", "model": "model", "threat_model": "norm", "attack": "attack",
    "library": "library", "ASR": "success", "optimality": "trapezoid", "n_forwards": "forwards",
    "n_backwards": "backwards", "time": "batch_seconds",
}  # fmt: skip
_NORMS = {"l0": r"\ell_0", "l1": r"\ell_1", "l2": r"\ell_2", "linf": r"\ell_\infty"}

#: What has an entry an image in the record of a run.
_BY_IMAGE = ("hashes", "ori_success", "adv_success", "num_forwards", "num_backwards")

_RUN = ("dataset", "model", "norm", "batch_size")


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class _Run:
    """A run: an attack of one model in one norm.

    Attributes:
        scenario: as `_RUN`; runs that share it are compared.
        distances: by the hash of an image, the distance at which it was broken: 0 where the model gets the
            clean image wrong, infinite where the image that the attack returned is no success.
    """

    scenario: tuple[str, ...]
    attack: str
    distances: pd.Series[float]
    means: Mapping[str, float]


def read_runs(folder: str | Path) -> pd.DataFrame:
    """Return the score of each run of AttackBench below a folder, by its rule and exactly.

    Distances are those of the nearest image that a run tried, and count only where the image that it
    returned is a success, as in its own scripts.

    Args:
        folder: with `info.json` beside `config.json` anywhere below it.

    Returns:
        A row a run: `dataset, model, norm, batch_size, attack` (its folder, such as
        `original_fmn`), `n` (images), `success` (share of them, with those that the model gets wrong), `trapezoid`
        (AttackBench's score; null where some image was broken by no run, which it cannot score), `exact`
        (`local_optimality` on the images of the run) and the means `forwards, backwards,
        batch_seconds`.

    Raises:
        SpecError: there is no run, or a file is broken; the message names it.
    """
    folder = Path(folder)
    runs = [_read_run(path) for path in sorted(folder.rglob("info.json"))]
    if not runs:
        raise SpecError(
            f"{folder}: no info.json below it; give the results folder of AttackBench, which has one a run"
        )
    rows = []
    for scenario in dict.fromkeys(run.scenario for run in runs):
        alike = [run for run in runs if run.scenario == scenario]
        best = pd.concat([run.distances for run in alike], axis=1).min(axis=1)
        for run in alike:
            rows.append({
                **dict(zip(_RUN, scenario, strict=True)), "attack": run.attack, "n": len(run.distances),
                "success": float(np.isfinite(run.distances).mean()),
                "trapezoid": trapezoid_optimality(_floats(run.distances), _floats(best)),
                "exact": _exact(run.distances, best), **run.means,
            })  # fmt: skip
    return pd.DataFrame(rows)


def _exact(distances: pd.Series[float], best: pd.Series[float]) -> float:
    best = best.loc[distances.index]
    right = best > 0
    return local_optimality(_floats(distances[right]), _floats(best[right]))


def _floats(values: pd.Series[float]) -> Floats:
    return np.asarray(values, dtype=np.float64)


def read_compiled(path: str | Path) -> pd.DataFrame:
    """Return the scores that AttackBench publishes of one model and norm.

    Args:
        path: a file of its folder `compiled`.

    Returns:
        A row an attack: `dataset, model, norm, attack, library, success, trapezoid` (its score; there are
        no distances for an exact one), `forwards, backwards, batch_seconds`. The LaTeX in names of
        attacks becomes plain text; where it says linf of an attack in l2, as these files do, l2 is written.

    Raises:
        SpecError: the file is broken; the message names it.
    """
    path = Path(path)
    entries = _read(path)
    if not isinstance(entries, list) or not all(
        isinstance(entry, dict) and set(_COMPILED) <= set(entry) for entry in entries
    ):
        raise SpecError(
            f"{path}: not a list of entries with {', '.join(_COMPILED)}; give a file of AttackBench's "
            "folder compiled"
        )
    table = pd.DataFrame(entries, columns=list(_COMPILED)).rename(columns=_COMPILED)
    table["attack"] = [
        _plain(str(attack), str(norm))
        for attack, norm in zip(table["attack"], table["norm"], strict=True)
    ]
    return table[[*_COMPILED.values()]]


def _plain(attack: str, norm: str) -> str:
    if norm == "l2":
        attack = attack.replace(_NORMS["linf"], _NORMS["l2"])
    for name, latex in _NORMS.items():
        attack = attack.replace(latex, name)
    return attack.replace(r"\sigma", "sigma").replace("$_t$", "-t").replace("$", "")


def _read_run(path: Path) -> _Run:
    info, config = _read(path), _read(path.with_name("config.json"))
    try:
        model, norm = config["model"], str(config["attack"]["threat_model"])
        scenario = (model["dataset"], model["name"], norm, config["dataset"]["batch_size"])
        values = {name: np.asarray(info[name]) for name in _BY_IMAGE}
        distances = np.asarray(info["best_optim_distances"][norm], dtype=float)
        seconds = float(np.mean(info["times"]))
    except (KeyError, TypeError, ValueError) as error:
        raise SpecError(
            f"{path}: not the record of a run of AttackBench, or config.json beside it is none: {error!r}"
        ) from error
    if any(len(entry) != len(distances) for entry in values.values()) or not len(distances):
        raise SpecError(
            f"{path}: its lists differ in length or are empty; each has an entry an image"
        )
    won, wrong = (values[name].astype(bool) for name in ("adv_success", "ori_success"))
    return _Run(
        scenario=tuple(map(str, scenario)),
        attack=path.parent.parent.name,
        distances=_by_hash(values["hashes"], np.where(wrong, 0.0, np.where(won, distances, np.inf))),
        means={
            "forwards": float(values["num_forwards"].mean()),
            "backwards": float(values["num_backwards"].mean()), "batch_seconds": seconds,
        },
    )  # fmt: skip


def _by_hash(hashes: Sequence[Any] | Floats, distances: Floats) -> pd.Series[float]:
    """Return distances by image; an image that comes twice has the smaller one."""
    return pd.Series(distances, index=[str(one) for one in hashes]).groupby(level=0).min()


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SpecError(
            f"{path}: {error.strerror or error}; each run of AttackBench has this file"
        ) from error
    except ValueError as error:
        raise SpecError(f"{path}: broken JSON: {error}; get the file again") from error
