"""The suite that is made where a model is named in place of a suite file: a few strong attacks of one threat."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.attacks.catalogue import resolve
from bench.attacks.needs import unmet
from bench.data.table import DATASETS, Dataset
from bench.errors import SpecError
from bench.runner.suite import read_suite
from bench.spec import Norm, Scalar, Toolkit, number
from bench.store.files import atomic_write
from bench.suite_files import made_suites

#: How many images are attacked if the data set has more.
_IMAGES = 200

#: The longest name of a suite that is made from that of its model; longer ones are cut and told apart by a hash.
_LONGEST = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What is to be measured of a single model.

    Attributes:
        model: its name or address.
        data: the data set that it classifies.
        norm: of the attacks.
        eps: their radii, as text.
        gradient: whether it has a gradient that attacks can follow.
    """

    model: str
    data: str
    norm: Norm
    eps: tuple[str, ...]
    gradient: bool


@dataclass(frozen=True, slots=True)
class MadeSuite:
    """The text of a suite file that was made, and where it is kept; `kept` says whether it is there already."""

    path: Path
    text: str
    kept: bool


@dataclass(frozen=True, slots=True)
class _Attack:
    """An attack of such a suite and what it does; `nearest` of one that takes no radius."""

    name: str
    toolkit: Toolkit
    does: str
    parameters: Mapping[str, Scalar] = field(default_factory=dict)
    nearest: bool = False


_PGD = _Attack("pgd", "foolbox", "PGD, gradient steps from a random start", {"steps": 40})
_AUTO = _Attack(
    "autoattack",
    "torchattacks",
    "AutoAttack (standard), the field's yardstick: APGD-CE, APGD-T, FAB-T and Square, one after the other",
)
_AUTO_OF_FEW_CLASSES = _Attack(
    "autoattack", "torchattacks", "AutoAttack without APGD-T, which needs four classes",
    {"apgd_t": False},
)  # fmt: skip
_SQUARE = _Attack("square", "torchattacks", "Square: random squares, by the scores alone")
_HOPSKIPJUMP = _Attack(
    "hopskipjump",
    "foolbox",
    "HopSkipJump: the nearest image of another label, by labels alone",
    nearest=True,
)
_ONE_PIXEL = _Attack(
    "one-pixel",
    "native",
    "One-pixel: places and colours of eps pixels, by the scores alone",
)

#: The attacks of each norm on a model that has a gradient, and on one that can only be asked.
_FOLLOWING: Mapping[Norm, tuple[_Attack, ...]] = {
    "linf": (_PGD, _AUTO),
    "l2": (_PGD, _AUTO),
    "l1": (
        _Attack("fab-t", "torchattacks", "FAB-T, of AutoAttack: towards the nearest boundary, class by class"),
        _Attack("fmn", "foolbox", "FMN: the nearest image, within a ball that shrinks and grows", nearest=True),
        _Attack("ead", "foolbox", "EAD: the nearest image, by elastic net", nearest=True),
    ),
    "l0": (
        _ONE_PIXEL,
        _Attack("sparsefool", "native", "SparseFool: few pixels, by linearised boundaries", nearest=True),
        _Attack("fmn", "foolbox", "FMN: the nearest image, within a ball that shrinks and grows", nearest=True),
    ),
}  # fmt: skip
_ASKING: Mapping[Norm, tuple[_Attack, ...]] = {
    "linf": (_SQUARE, _HOPSKIPJUMP),
    "l2": (_SQUARE, _HOPSKIPJUMP),
    "l0": (_ONE_PIXEL,),
}


def make_suite(wanted: Evaluation, results: Path, command: str) -> MadeSuite:
    """Return a suite for a single model, and the file of a results folder that it belongs in (`placed`).

    Args:
        wanted: what to measure.
        results: the results folder.
        command: what the user wrote; it stands at the top of the file.

    Raises:
        SpecError: no attack fits, or a radius is no number or too large.
    """
    for radius in wanted.eps:
        number(radius, "--eps")
    return placed(_name(wanted), _text(wanted, command), results)


def placed(name: str, text: str, results: Path) -> MadeSuite:
    """Return a suite with a file of its own in a results folder; writes nothing.

    A file of that name that says something else is never written over: the suite then gets the next free name.

    Args:
        name: of the suite, if it is free.
        text: of its file.
        results: the results folder.

    Raises:
        SpecError: it is no suite.
    """
    path = made_suites(results) / f"{name}.toml"
    turn = 1
    while path.exists() and not _same(path, text):
        turn += 1
        path = path.with_name(f"{name}-{turn}.toml")
    read_suite(path, text)
    return MadeSuite(path, text, kept=path.exists())


def write(made: MadeSuite) -> None:
    """Write the file of a suite that was made, unless it is there.

    Raises:
        StoreError: it cannot be written.
    """
    if not made.kept:
        atomic_write(made.path, made.text.encode(), "--results DIR")


def _same(path: Path, text: str) -> bool:
    """Return whether a file holds a suite's text; the comments above it, such as the command, do not count."""
    try:
        return _uncommented(path.read_text(encoding="utf-8")) == _uncommented(text)
    except (OSError, UnicodeDecodeError):
        return False


def _uncommented(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.startswith("#")]


def _name(wanted: Evaluation) -> str:
    """Return the name of a suite: model, norm and radii, in letters and digits."""
    parts = (wanted.model, wanted.norm, *wanted.eps)
    name = re.sub(r"[^A-Za-z0-9]+", "-", "-".join(parts)).strip("-")
    if len(name) <= _LONGEST:
        return name
    told_apart = hashlib.sha256("-".join(parts).encode()).hexdigest()[:8]
    return f"{name[:_LONGEST].rstrip('-')}-{told_apart}"


def _text(wanted: Evaluation, command: str) -> str:
    data = DATASETS[wanted.data]
    split = "test" if "test" in data.splits else next(reversed(data.splits))
    images = quoted("all") if data.splits[split] < _IMAGES else str(_IMAGES)
    radii = ", ".join(wanted.eps)
    lines = [
        f"# Made by: {command}",
        "# A suite like any other: copy it, change it, and run it with bench run --suite FILE.",
        f"title  = {quoted(f'{wanted.model}, {wanted.norm} {radii}')}",
        f"data   = {quoted(wanted.data)}",
        f"split  = {quoted(split)}",
        f"images = {images}",
        "seed   = 0",
        "",
        "[[models]]",
        f"name = {quoted(wanted.model)}",
    ]
    for attack in _attacks(wanted, data):
        lines += ["", f"# {attack.does}", "[[attacks]]", *_fields(attack, wanted)]
    return "\n".join(lines) + "\n"


def _fields(attack: _Attack, wanted: Evaluation) -> Iterator[str]:
    """Yield the lines of a table; an attack that looks for the nearest image takes no radius."""
    fields = {"name": quoted(attack.name), "norm": quoted(wanted.norm)}
    if not attack.nearest:
        fields["eps"] = f"[{', '.join(map(quoted, wanted.eps))}]"
    fields |= {name: json.dumps(value) for name, value in attack.parameters.items()}
    fields["toolkits"] = f"[{quoted(attack.toolkit)}]"
    for name, value in fields.items():
        yield f"{name:8} = {value}"


def _attacks(wanted: Evaluation, data: Dataset) -> list[_Attack]:
    """Return the attacks that the model, its images and its classes allow.

    Raises:
        SpecError: there are none.
    """
    table = (_FOLLOWING if wanted.gradient else _ASKING).get(wanted.norm, ())
    few = len(data.classes) < 4
    fitting = [_AUTO_OF_FEW_CLASSES if few and attack == _AUTO else attack for attack in table]
    found = [attack for attack in fitting if _runs(attack, wanted, data)]
    if not found:
        kind = "" if wanted.gradient else " that has no gradient"
        raise SpecError(
            f"{wanted.model}: no {wanted.norm} attack is known to be strong on a model{kind} and on such images; "
            f"write a suite file and name some there (bench ls attacks)"
        )
    return found


def _runs(attack: _Attack, wanted: Evaluation, data: Dataset) -> bool:
    """Return whether an attack can run on the images and classes of a data set."""
    eps = None if attack.nearest else wanted.eps[0]
    spec = resolve(attack.name, wanted.norm, eps, dict(attack.parameters))
    return unmet(spec, attack.toolkit, data.input_shape, len(data.classes)) is None


def quoted(text: str) -> str:
    """Return a text as a suite file has it."""
    return json.dumps(text, ensure_ascii=False)
