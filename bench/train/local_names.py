"""Names of the local-learning study's models, `DATA/ll-K20-w4-m5-p4-n16-pool9-elu`, and their recipes.

A name says everything that a training depends on but the schedule, which is the data set's. Suites may
write a name as `DATA/ll` or `DATA/bp` with its parts as options, lists of which multiply.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass

from bench.errors import SpecError
from bench.spec import Scalar
from bench.train.recipe import LocalRule, Recipe

_ACTIVATIONS = ("relu", "elu", "gelu", "rexp")

#: Parts in the order of a name, what is written before each, and which rule has it.
_PARTS = {
    "K": ("K", "both"), "w": ("w", "both"), "m": ("m", "ll"), "p": ("p", "ll"),
    "delta": ("delta", "ll"), "n": ("n", "both"), "pool": ("pool", "both"),
    "activation": ("", "both"), "seed": ("seed", "both"),
}  # fmt: skip
_DEFAULTS: dict[str, Scalar] = {"delta": 0.1, "seed": 0}
_NAME = re.compile(
    r"(?P<data>[a-z0-9-]+)/(?P<rule>ll|bp)-K(?P<K>\d+)-w(?P<w>\d+)"
    r"(?:-m(?P<m>\d+)-p(?P<p>\d+))?(?:-delta(?P<delta>[\d.]+))?"
    rf"-n(?P<n>\d+)-pool(?P<pool>\d+)-(?P<activation>{'|'.join(_ACTIVATIONS)})"
    r"(?:-seed(?P<seed>\d+))?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How models of a data set are trained.

    Attributes:
        rule: of the filters; m and delta are the name's.
        head: of the linear layer on learnt filters.
        twin: of the back-propagated network.
    """

    rule: LocalRule
    head: Recipe
    twin: Recipe


def _schedule(data: str, rule: LocalRule, batch_size: int, head: int, twin: int) -> Schedule:
    whole = Recipe(
        network="bench.models.local:two_layers", data=data, optimiser="adam", learning_rate=2e-3,
        weight_decay=0.0, schedule="cosine", epochs=head, batch_size=batch_size,
    )  # fmt: skip
    shorter = dataclasses.replace(whole, schedule="one-cycle", epochs=twin, batch_size=128)
    return Schedule(rule=rule, head=whole, twin=shorter)


SCHEDULES = {
    "digits": _schedule(
        "digits", LocalRule(m=2, rate=0.3, epochs=100, batch_size=100), 100, head=60, twin=20
    ),
    "mnist": _schedule(
        "mnist", LocalRule(m=2, rate=0.2, epochs=20, patches=100), 1000, head=50, twin=4
    ),
    "cifar10": _schedule(
        "cifar10", LocalRule(m=2, rate=0.2, epochs=30, patches=100), 1000, head=100, twin=10
    ),
}


def is_base(name: str) -> bool:
    """Return whether a name is one that options have to be added to, such as `digits/ll`."""
    data, _, rule = name.partition("/")
    return rule in ("ll", "bp") and data in SCHEDULES


def written_out(base: str, options: Mapping[str, Scalar]) -> str:
    """Return the whole name of a model of `DATA/ll` or `DATA/bp` and its parts.

    Raises:
        SpecError: a part is missing, or not one of this rule.
    """
    rule = base.partition("/")[2]
    parts = {part: before for part, (before, who) in _PARTS.items() if who in ("both", rule)}
    wrong = set(options) - set(parts)
    missing = set(parts) - set(options) - set(_DEFAULTS)
    if wrong or missing:
        what = f"has no {', '.join(sorted(wrong))}" if wrong else f"lacks {', '.join(missing)}"
        raise SpecError(f"{base} {what}; its options are {', '.join(parts)}")
    name = base
    for part, before in parts.items():
        value = options.get(part, _DEFAULTS.get(part))
        if value != _DEFAULTS.get(part):
            name += f"-{before}{value}"
    if local_recipe(name) is None:
        raise SpecError(f"{base}: {name} is not a model; activation is {', '.join(_ACTIVATIONS)}")
    return name


def local_recipe(name: str) -> Recipe | None:
    """Return the recipe of a model of the study by its name; None for any other name.

    Raises:
        SpecError: parts that local learning needs are missing, or its twin does not have.
    """
    found = _NAME.fullmatch(name)
    if found is None or found["data"] not in SCHEDULES:
        return None
    said = found.groupdict()
    schedule = SCHEDULES[said["data"]]
    options: dict[str, Scalar] = {part: int(said[part]) for part in ("K", "w", "n", "pool")}
    options |= {"rule": said["rule"], "activation": said["activation"]}
    rule, plan = None, schedule.twin
    if said["rule"] == "ll":
        if said["m"] is None:
            raise SpecError(f"{name}: local learning needs -m and -p, such as ll-K10-w4-m3-p2-...")
        options["p"] = int(said["p"])
        delta = float(said["delta"] or _DEFAULTS["delta"])
        rule = dataclasses.replace(schedule.rule, m=int(said["m"]), delta=delta)
        plan = schedule.head
    elif said["m"] or said["delta"]:
        raise SpecError(f"{name}: a back-propagated twin has no m, p or delta")
    return dataclasses.replace(
        plan,
        options=tuple(sorted(options.items())),
        rule=rule,
        seed=int(said["seed"] or 0),
        shipped=False,
    )
