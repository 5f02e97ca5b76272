"""Names of the local-learning study's models, `DATA/ll-K20-w4-m5-p4-n16-pool9-elu`, and their recipes.

A name contains everything that a training depends on, except the schedule, which the data set decides.
There are no defaults and only one spelling, checked before anything is trained. Suites may write a name
as `DATA/ll` or `DATA/bp` with its parts as options, whose lists are multiplied out.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.data.table import DATASETS
from bench.errors import SpecError
from bench.spec import ModelName, Scalar
from bench.train.recipe import LocalRule, Recipe

_ACTIVATIONS = ("relu", "elu", "gelu", "rexp")

#: The parts of a name in order, the prefix of each, and the rules that have it.
_PARTS = {
    "K": ("K", "both"), "w": ("w", "both"), "m": ("m", "ll"), "p": ("p", "ll"),
    "delta": ("delta", "ll"), "n": ("n", "both"), "pool": ("pool", "both"),
    "activation": ("", "both"), "seed": ("seed", "both"),
}  # fmt: skip
#: With higher powers the norm of a dark patch underflows.
_LARGEST_P = 6
_LARGE = 10
_DEFAULTS: dict[str, Scalar] = {"delta": 0.1, "seed": 0}
_NAME = re.compile(
    r"(?P<data>[a-z0-9-]+)/(?P<rule>ll|bp)-K(?P<K>\d+)-w(?P<w>\d+)"
    r"(?:-m(?P<m>\d+)-p(?P<p>\d+))?(?:-delta(?P<delta>\d+(?:\.\d+)?))?"
    rf"-n(?P<n>\d+)-pool(?P<pool>\d+)-(?P<activation>{'|'.join(_ACTIVATIONS)})"
    r"(?:-seed(?P<seed>\d+))?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How models of a data set are trained.

    Attributes:
        rule: for the filters; m and delta come from the name.
        head: for the linear layer on learnt filters.
        twin: for the back-propagated network.
        large: epochs of a twin with more than 10 x 10 filters, whose epochs take longer.
    """

    rule: LocalRule
    head: Recipe
    twin: Recipe
    large: int


def _schedule(data: str, rule: LocalRule, head: dict[str, Any], twin: int, large: int) -> Schedule:
    whole = Recipe(
        family="local-learning", network="bench.models.local:two_layers", data=data, optimiser="adam", learning_rate=2e-3,
        weight_decay=0.0, epochs=twin, batch_size=128,
    )  # fmt: skip
    return Schedule(rule=rule, head=dataclasses.replace(whole, **head), twin=whole, large=large)


_COSINE = {"schedule": "cosine", "batch_size": 1000}

#: All patches of the digits fit into one step, so filters converge without a decaying rate. Unit norm to
#: within 1e-6 needs that many patches, since the noise of a batch moves the norm.
SCHEDULES = {
    "digits": _schedule(
        "digits", LocalRule(m=2, rate=1.0, shape="constant", epochs=80, batch_size=2000),
        {"learning_rate": 0.1, "epochs": 30, "batch_size": 100}, twin=20, large=20,
    ),
    "mnist": _schedule(
        "mnist", LocalRule(m=2, rate=0.2, epochs=20, patches=100), {"epochs": 10, **_COSINE},
        twin=4, large=3,
    ),
    "cifar10": _schedule(
        "cifar10", LocalRule(m=2, rate=0.2, epochs=30, patches=100), {"epochs": 6, **_COSINE},
        twin=6, large=4,
    ),
}  # fmt: skip


def is_base(name: str) -> bool:
    """Return whether a name needs options to be complete, such as `digits/ll`."""
    data, rule = ModelName.read(name)
    return rule in ("ll", "bp") and data in SCHEDULES


def written_out(base: str, options: Mapping[str, Scalar]) -> str:
    """Return the full name of a model from `DATA/ll` or `DATA/bp` and its parts.

    Raises:
        SpecError: a part is missing, does not belong to the rule, or has an impossible value.
    """
    parts = _parts(ModelName.read(base).model)
    wrong = set(options) - set(parts)
    missing = [part for part in parts if part not in {**_DEFAULTS, **options}]
    if wrong or missing:
        what = f"has no {', '.join(sorted(wrong))}" if wrong else f"lacks {', '.join(missing)}"
        raise SpecError(f"{base} {what}; its options are {', '.join(parts)}")
    whole = {part: options.get(part, _DEFAULTS.get(part, "")) for part in parts}
    _check(base, whole)
    return _spelt(base, whole)


def local_options(name: str) -> dict[str, Scalar] | None:
    """Return the rule of a model of the study (`rule`: ll or bp) and its parts; None for other names.

    Raises:
        SpecError: parts are missing, do not belong to the rule, are impossible or are spelt wrongly.
    """
    match = _NAME.fullmatch(name)
    if match is None or match["data"] not in SCHEDULES:
        return None
    written = match.groupdict()
    rule = written["rule"]
    parts = _parts(rule)
    if rule == "ll" and written["m"] is None:
        raise SpecError(f"{name}: local learning needs -m and -p, such as ll-K10-w4-m3-p2-...")
    if rule == "bp" and (written["m"] or written["delta"]):
        raise SpecError(f"{name}: a back-propagated twin has no m, p or delta")
    options = {part: _read(part, written[part]) for part in parts}
    base = f"{written['data']}/{rule}"
    _check(name, options)
    if _spelt(base, options) != name:
        raise SpecError(f"{name}: write it as {_spelt(base, options)}")
    return {"rule": rule, **options}


def local_recipe(name: str) -> Recipe | None:
    """Return the recipe of a model of the study by its name; None for any other name.

    Raises:
        SpecError: as in `local_options`.
    """
    options = local_options(name)
    if options is None:
        return None
    schedule = SCHEDULES[ModelName.read(name).data]
    seed, delta, m = options.pop("seed"), options.pop("delta", None), options.pop("m", None)
    rule = None
    if m is not None and delta is not None:
        # The more filters share a batch, the fewer patches move each of them.
        rate = min(1.0, schedule.rule.rate * max(1.0, int(options["K"]) / 10))
        rule = dataclasses.replace(schedule.rule, m=int(m), delta=float(delta), rate=rate)
    return dataclasses.replace(
        _twin(schedule, options) if rule is None else _head(schedule, int(options["n"])),
        options=tuple(sorted(options.items())),
        rule=rule,
        seed=int(seed),
        shipped=False,
    )


def _twin(schedule: Schedule, options: Mapping[str, Scalar]) -> Recipe:
    """Return the recipe of a twin, with a learning rate reduced for wide filters and high powers.

    A step of Adam moves an activation by the rate times its number of inputs, and the power n multiplies
    that by n. At the rate for width 4 and n = 4, wider and steeper networks diverge.
    """
    K, width, n = (int(options[part]) for part in ("K", "w", "n"))  # noqa: N806
    share = min(1.0, (4 / width) ** 2) * min(1.0, 4 / n)
    epochs = schedule.large if K > _LARGE else schedule.twin.epochs
    return _paced(dataclasses.replace(schedule.twin, epochs=epochs), share)


def _head(schedule: Schedule, n: int) -> Recipe:
    """Return the recipe of a head: the larger n, the smaller the features and the larger the steps."""
    return _paced(schedule.head, max(1.0, n / 4))


def _paced(recipe: Recipe, share: float) -> Recipe:
    return dataclasses.replace(recipe, learning_rate=float(f"{recipe.learning_rate * share:.2g}"))


def _parts(rule: str) -> dict[str, str]:
    """Return the parts in a rule's names, with the prefix of each."""
    return {part: before for part, (before, who) in _PARTS.items() if who in ("both", rule)}


def _read(part: str, text: str | None) -> Scalar:
    if text is None:
        return _DEFAULTS[part]
    if part == "activation":
        return text
    return float(text) if part == "delta" else int(text)


def _spelt(base: str, options: Mapping[str, Scalar]) -> str:
    name = base
    for part, before in _parts(ModelName.read(base).model).items():
        value = options[part]
        if value != _DEFAULTS.get(part):
            name += f"-{before}{f'{value:g}' if part == 'delta' else value}"
    return name


def _check(name: str, options: Mapping[str, Scalar]) -> None:
    """Raise unless a model with these parts is possible."""
    for part, value in options.items():
        if part == "activation":
            if value not in _ACTIVATIONS:
                raise SpecError(
                    f"{name}: activation {value!r} is not one of {', '.join(_ACTIVATIONS)}"
                )
        elif part == "delta":
            if isinstance(value, bool | str) or not 0.001 <= value <= 10:
                raise SpecError(f"{name}: delta {value!r} is not a number from 0.001 to 10")
        elif not isinstance(value, int) or isinstance(value, bool) or value < _least(part):
            raise SpecError(f"{name}: {part} {value!r} is not a whole number from {_least(part)}")
    numbers = {
        part: int(value) for part, value in options.items() if part not in ("activation", "delta")
    }
    if "m" in numbers and not 2 <= numbers["m"] <= numbers["K"] ** 2:
        raise SpecError(
            f"{name}: m={numbers['m']} is no rank of {numbers['K'] ** 2} filters from 2"
        )
    if not 2 <= numbers.get("p", 2) <= _LARGEST_P:
        raise SpecError(f"{name}: p={numbers['p']} is not one of 2 to {_LARGEST_P}")
    shape = DATASETS[ModelName.read(name).data].input_shape[1:]
    side = min(shape) - numbers["w"] + 1
    if side < numbers["pool"]:
        raise SpecError(
            f"{name}: filters of width {numbers['w']} leave {max(side, 0)} places a side of images "
            f"{shape}, too few for pooling of width {numbers['pool']}; take a smaller w or pool"
        )


def _least(part: str) -> int:
    return 0 if part == "seed" else 1
