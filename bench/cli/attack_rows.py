"""How a trial of `bench attack` is told: as a row of a table, as JSON, and in a sentence where it needs one."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from bench.attacks.catalogue import access
from bench.cli.attack_trials import Trial
from bench.errors import BenchError
from bench.measure.validity import asked_less
from bench.registry import first_line, where
from bench.report import formatting
from bench.report.labels import class_name, label_of
from bench.report.one_image import not_reached
from bench.spec import PLUGIN


def result_of(trial: Trial, classes: Sequence[str]) -> str:
    """Return in a few words what came of a trial."""
    if trial.error is not None:
        return "failed"
    if trial.x_adv is None and not _spoilt(trial):
        return "not attacked"
    if trial.row["success"]:
        return "fooled" if trial.row["goal"] == "misclassification" else "goal reached"
    return not_reached(trial.row, classes)


def reason_of(trial: Trial, classes: Sequence[str]) -> str | None:
    """Return why an image was not attacked, or why the attack failed, in a sentence; None if not known."""
    if trial.error is not None:
        if isinstance(trial.error, BenchError):
            return str(trial.error)
        return f"{first_line(trial.error)} ({where(trial.error)})"
    if trial.image.label is None:
        return "not attacked: the model decides for no class; give one with --label"
    if trial.x_adv is not None and not trial.row["success"]:
        return _unguided(trial)
    if trial.x_adv is not None or _spoilt(trial):
        return None
    if not formatting.missing(trial.row["invalid"]):
        return f"not attacked: {trial.row['invalid']}"
    label = class_name(trial.image.label, classes)
    if not trial.row["correct"]:
        said = label_of(trial.row, "clean", classes)
        return f"not attacked: the model is wrong already; it says {said}, and the label is {label}"
    source = dict(trial.asked.spec.parameters).get("source")
    if source is not None and int(source) != trial.image.label:
        wanted = class_name(int(source), classes)
        return (
            f"not attacked: it is of class {label}, and the attack is for images of {wanted} alone"
        )
    return f"not attacked: it is of class {label}, which the attack would make of it"


def _unguided(trial: Trial) -> str | None:
    """Return that a failed attack had nothing to go by, if so."""
    why = trial.row["ineffective"]
    if formatting.missing(why):
        return None
    name = trial.asked.spec.name
    passes = {part: trial.row[part] > 0 for part in ("forwards", "backwards")}
    hint = asked_less(name, access(name), **passes) if trial.toolkit == PLUGIN else ""
    more = f"; {hint}" if hint else ""
    return (
        f"the attack had nothing to go by ({why}), so its failure says nothing of the model{more}"
    )


def _spoilt(trial: Trial) -> bool:
    """Return whether an attack returned what is no image, such as one that is not finite."""
    row = trial.row
    return bool(row) and bool(row["correct"]) and not formatting.missing(row["invalid"])


def table(trials: Sequence[Trial], classes: Sequence[str]) -> list[dict[str, str]]:
    """Return trials as rows for people, without columns that are empty in all of them."""
    rows = [_table_row(trial, classes) for trial in trials]
    return [{name: row[name] for name in row if any(one[name] for one in rows)} for row in rows]


def written(trial: Trial) -> str:
    """Return a sentence on the files of a trial; an empty one where there are none."""
    first, *others = trial.files or (None,)
    return (
        "" if first is None else " and ".join([f"wrote {first}", *(one.suffix for one in others)])
    )


def _table_row(trial: Trial, classes: Sequence[str]) -> dict[str, str]:
    """Return a trial as a row for people; what is not known is empty."""
    row, spec = trial.row, trial.asked.spec
    about = {
        "image": trial.image.called,
        "attack": trial.attack,
        "threat": formatting.threat(spec.norm, spec.eps or "minimal"),
        "toolkit": trial.toolkit,
        "before": label_of(row, "clean", classes) if row else "",
    }
    result = {"result": result_of(trial, classes)}
    resized = {"resized from": trial.image.image.made_from or ""}
    if trial.x_adv is None:
        return about | dict.fromkeys(_MEASURED, "") | result | resized
    found = (
        label_of(row, "adv", classes), result["result"], _after_saving(trial), formatting.count(row["l0"]),
        formatting.amount(row["l1"]) if spec.norm == "l1" else "", formatting.amount(row["l2"]),
        formatting.amount(row["linf"]), formatting.text(row["iterations"]),
        f"{row['seconds']:.3f}",
    )  # fmt: skip
    return about | dict(zip(_MEASURED, found, strict=True)) | resized


#: Columns on what came of an attack.
_MEASURED = (
    "after", "result", "after saving as PNG", "l0", "l1", "l2", "linf", "iterations", "seconds",
)  # fmt: skip


def _after_saving(trial: Trial) -> str:
    if trial.rounded is None or not trial.row["success"]:
        return ""
    reached = "fooled" if trial.row["goal"] == "misclassification" else "reached"
    return f"still {reached}" if trial.rounded.success else f"no longer {reached}"


#: Columns of a row that say something only of a stored cell.
_STORED = ("cell", "kind", "split", "index")


def json_event(trial: Trial, classes: Sequence[str]) -> dict[str, Any]:
    """Return a trial as plain JSON values, with the columns of a row."""
    single = trial.image
    event = "failed" if trial.error else "not attacked" if trial.x_adv is None else "attacked"
    # JSON has no words for NaN and infinity.
    known = {
        name: None if formatting.missing(value) or value == math.inf else value
        for name, value in trial.row.items()
        if name not in _STORED
    }
    names = {
        f"{which}_name": class_name(int(trial.row[f"{which}_label"]), classes)
        for which in ("clean", "adv")
        if trial.row and not formatting.missing(trial.row[f"{which}_label"])
    }
    rounded = None if trial.rounded is None else dataclasses.asdict(trial.rounded)
    return {
        "event": event, "image": single.image.name, "resized_from": single.image.made_from,
        "attack": trial.asked.spec.name, "toolkit": trial.toolkit, "norm": trial.asked.spec.norm,
        **known, "eps": trial.asked.spec.eps, "parameters": dict(trial.asked.spec.parameters),
        "label": single.label, "label_from": single.label_from, **names,
        "saved_as_png": rounded, "why": reason_of(trial, classes),
        "files": [str(path) for path in trial.files],
    }  # fmt: skip
