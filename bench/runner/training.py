"""Models that a run has to train first: announced before, and left out if their training fails.

A failed training is treated as everything else that cannot be run: the model is left out of the plan, and
the exit code stays the same.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from bench.errors import FamilyError, TrainingFailed
from bench.paths import data_dir
from bench.store.files import check_folder
from bench.train.cards import retrained_dir
from bench.zoo import has_to_be_trained, train_model


@dataclass(frozen=True, slots=True)
class Absent:
    """Models that cannot be attacked, or not yet.

    Attributes:
        untrained: names of the models that a run would train first.
        died: by name, why the training failed.
        broken: the names in `died` of models whose family is a user's and failed.
    """

    untrained: tuple[str, ...] = ()
    died: dict[str, str] = field(default_factory=dict)
    broken: tuple[str, ...] = ()

    def why(self, names: Iterable[str]) -> str | None:
        """Return why the first of some models that cannot be attacked cannot; None if all can."""
        return next((self.died[name] for name in names if name in self.died), None)


def train_first(
    names: Iterable[str],
    *,
    train: bool,
    data: str | os.PathLike[str] | None,
    note: Callable[[str], None],
) -> Absent:
    """Train the models whose recipes have no weights yet, and return those that are still missing.

    Weights are saved to the cache after each training, so a killed run goes on with the next model.

    Args:
        names: of models, repeats allowed.
        train: whether to train; else the models to be trained are only returned.
        data: the data folder.
        note: called with a line on how many there are, and on each result.

    Raises:
        PrerequisiteError: the cache cannot be written to.
    """
    waiting = tuple(name for name in dict.fromkeys(names) if has_to_be_trained(name))
    if not train:
        return Absent(untrained=waiting)
    if waiting:
        check_folder(retrained_dir(), "weights", "BENCH_CACHE")
        note(f"training {counted(waiting)} first")
    died, broken = {}, []
    for turn, name in enumerate(waiting, 1):
        try:
            card = train_model(name, data_dir(data))
        except (TrainingFailed, FamilyError) as error:
            died[name] = str(error)
            broken += [name] if isinstance(error, FamilyError) else []
            note(f"[{turn}/{len(waiting)}] {name}: training FAILED: {error}")
            continue
        note(f"[{turn}/{len(waiting)}] {name}: clean accuracy {card['clean_accuracy']:.1%}")
    return Absent(died=died, broken=tuple(broken))


def counted(names: tuple[str, ...]) -> str:
    """Return how many models there are, in words."""
    return f"{len(names)} model{'' if len(names) == 1 else 's'}"
