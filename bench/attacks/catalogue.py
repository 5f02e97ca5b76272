"""What attacks there are and what each toolkit makes of them, checked against `bench.attacks.rows`.

Nothing here imports torch or a toolkit.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from bench.attacks.row import QUARTER_OF_EPS, Attack, Parameter, Parity
from bench.attacks.rows import ATTACKS, CERTIFY
from bench.errors import SpecError
from bench.registry import unknown
from bench.spec import (
    GOALS,
    ITSELF,
    TOOLKITS,
    AttackSpec,
    Goal,
    ImageSet,
    Norm,
    RowKind,
    Scalar,
    Toolkit,
    number,
    whole,
)

#: What to import and what to give to `pip install` for each toolkit; tests run with these versions.
_PACKAGES: dict[Toolkit, tuple[str, str]] = {
    "art": ("art", "adversarial-robustness-toolbox==1.20.1"),
    "foolbox": ("foolbox", "foolbox==3.3.4"),
    # It asks for requests of 2020, which it never imports; the rest of what it needs is ours, too.
    "torchattacks": ("torchattacks", "--no-deps torchattacks==3.5.1"),
}
_FIT = re.compile(r"(\S+) +([1-9][0-9]*)", re.ASCII)
#: The largest count of anything that an attack may be asked for.
_MOST = 10**9
_TARGET_RULES = ("none", "next", "least-likely", "random")

#: Words that every attack understands or refuses: what they are where it has none, and why it refuses.
_COMMON: Mapping[str, tuple[Scalar, str]] = {
    "targeted": ("none", "cannot be targeted"),
    "random_start": (False, "has no random start"),
    "restarts": (1, "has no restarts, since they would repeat one another"),
    "eot": (1, "takes one gradient a step"),
}


def row_of(name: str) -> Attack:
    """Return the row of an attack.

    Raises:
        SpecError: no such attack.
    """
    if name == CERTIFY.name:
        return CERTIFY
    if name not in ATTACKS:
        raise unknown("attack", name, [*ATTACKS, CERTIFY.name])
    return ATTACKS[name]


def _norm(attack: Attack, norm: str) -> Norm:
    for known in attack.norms:
        if known == norm:
            return known
    raise SpecError(f"{attack.name} has no norm {norm!r}; it has {', '.join(attack.norms)}")


def _amount_text(value: Scalar, what: str) -> str:
    """Return an amount as exact text in one spelling: `8/255` stays, `1.0` and `"1"` are `1`."""
    if isinstance(value, str) and "/" in value:
        number(value, what)
        return value.replace(" ", "")
    amount = number(value, what)
    if amount in (float("inf"), float("-inf")):
        raise SpecError(f"{what}: {value!r} is not a finite number")
    return str(int(amount)) if amount == int(amount) else repr(amount)


def _radius(attack: Attack, norm: Norm, eps: float | str | None) -> str | None:
    if attack.minimal:
        if eps is not None:
            raise SpecError(
                f"{attack.name} looks for the smallest perturbation and takes no eps; leave it out"
            )
        return None
    if eps is None:
        raise SpecError(f"{attack.name} needs eps, the radius in {norm}, such as '8/255'")
    text = _amount_text(eps, f"{attack.name}: eps")
    value = number(text)
    if value <= 0 or (norm == "linf" and value > 1):
        bounds = "above 0 and at most 1" if norm == "linf" else "above 0"
        raise SpecError(f"{attack.name}: eps={text} is out of range; in {norm} it must be {bounds}")
    if norm == "l0" and value != int(value):
        raise SpecError(f"{attack.name}: eps={text} is no number of pixels; in l0 it must be whole")
    return text


def _target(value: Scalar, what: str) -> str:
    text = str(value)
    if isinstance(value, bool) or not (text in _TARGET_RULES or whole(text) is not None):
        raise SpecError(
            f"{what}: {value!r} is neither one of {', '.join(_TARGET_RULES)} nor a class"
        )
    return text if text in _TARGET_RULES else str(int(text))


def _fit(value: Scalar, what: str) -> str:
    found = _FIT.fullmatch(str(value).strip())
    if found is None:
        raise SpecError(
            f"{what}: {value!r} is not a split and a number of images like 'train 1000'"
        )
    return f"{found[1]} {found[2]}"


def _model(value: Scalar, what: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise SpecError(f"{what}: {value!r} is neither the name of a model nor {ITSELF!r}")
    return value.strip()


def _value(what: str, rule: Parameter, value: Scalar, radius: str | None) -> Scalar:
    text_of = {"target": _target, "fit": _fit, "model": _model}.get(rule.kind)
    if text_of is not None:
        return text_of(value, what)
    if rule.kind == "flag":
        if not isinstance(value, bool):
            raise SpecError(f"{what}: {value!r} is neither true nor false")
        return value
    if rule.kind == "count":
        if isinstance(value, bool) or not isinstance(value, int):
            raise SpecError(f"{what}: {value!r} is not a whole number")
        if rule.least is not None and value < rule.least:
            raise SpecError(f"{what}: {value} is too small; it must be at least {rule.least:g}")
        if value > _MOST:
            raise SpecError(f"{what}: {value} is too large; it must be at most {_MOST}")
        return value
    if value == QUARTER_OF_EPS and radius is not None:
        return str(Fraction(radius) / 4)
    text = _amount_text(value, what)
    if rule.least is None and number(text) <= 0:
        raise SpecError(f"{what}: {text} is too small; it must be above 0")
    if rule.least is not None and number(text) < rule.least:
        raise SpecError(f"{what}: {text} is too small; it must be at least {rule.least:g}")
    if rule.below is not None and number(text) >= rule.below:
        raise SpecError(f"{what}: {text} is too large; it must be below {rule.below:g}")
    if rule.most is not None and number(text) > rule.most:
        raise SpecError(f"{what}: {text} is too large; it must be at most {rule.most:g}")
    return text


def resolve(
    name: str,
    norm: str,
    eps: float | str | None = None,
    parameters: Mapping[str, Scalar] | None = None,
) -> AttackSpec:
    """Return the attack in canonical words, checked, with every default written out.

    Amounts are kept as exact text (`8/255`, `0.5`), so that equal requests are equal specs.

    Args:
        name: an attack of the catalogue.
        norm: the norm of its threat.
        eps: the radius in pixel units of [0, 1]; None for a minimal-norm attack.
        parameters: the parameters that are not to have their defaults.

    Raises:
        SpecError: an unknown attack, norm or word, with the nearest that exist, or a value that is
            out of range.
    """
    attack = row_of(name)
    known_norm = _norm(attack, norm)
    radius = _radius(attack, known_norm, eps)
    given = dict(parameters or {})
    for parameter, (default, reason) in _COMMON.items():
        # Saying of an attack that knows no targets that it has none is true, so it is allowed.
        if parameter not in attack.parameters and given.pop(parameter, default) != default:
            raise SpecError(f"{name} {reason}; leave `{parameter}` out")
    goal, source = given.pop("goal", None), given.pop("source", None)
    for parameter in given:
        if parameter not in attack.parameters:
            raise unknown(f"parameter of {name}", parameter, [*attack.parameters, "goal", "source"])
    values = {
        parameter: _value(f"{name}: {parameter}", rule, given.get(parameter, rule.default), radius)
        for parameter, rule in attack.parameters.items()
    }
    if values.get("restarts", 1) != 1 and values.get("random_start") is False:
        raise SpecError(
            f"{name}: restarts without a random start repeat one another; leave one out"
        )
    if attack is CERTIFY:
        _check_certify(values)
    values |= _goal_words(attack, goal, source, str(values.get("targeted", "none")))
    return AttackSpec(
        name=name, norm=known_norm, eps=radius, parameters=tuple(sorted(values.items()))
    )


def _check_certify(values: Mapping[str, Scalar]) -> None:
    """Raise where so few copies vote that nothing can be certified, whatever the model."""
    from bench.adapters.certificates import check_enough, least_copies  # of scipy

    alpha, n = number(values["alpha"]), int(values["n"])
    check_enough(CERTIFY.name, n, alpha, least_copies(alpha), "certified")


def _goal_words(
    attack: Attack, goal: Scalar | None, source: Scalar | None, targeted: str
) -> dict[str, Scalar]:
    """Return the words of a goal that the target alone does not tell, checked against it."""
    if goal is not None and goal not in GOALS:
        raise unknown("goal", str(goal), list(GOALS))
    if source is not None and (isinstance(source, bool) or whole(str(source)) is None):
        raise SpecError(f"{attack.name}: source: {source!r} is not a class")
    if source is not None and targeted == "none":
        raise SpecError(
            f"{attack.name}: source={source} needs a target; set `targeted` to next, least-likely, "
            "random or a class"
        )
    if goal == "confidence-reduction":
        if targeted != "none":
            raise SpecError(f"{attack.name}: confidence reduction has no target; leave it out")
        if attack.irreducible:
            raise SpecError(f"{attack.name} cannot aim at less confidence: {attack.irreducible}")
        return {"goal": goal}
    told = "misclassification" if targeted == "none" else "targeted"
    told = told if source is None else "source-target"
    if goal not in (None, told):
        raise SpecError(
            f"{attack.name}: goal={goal}, but targeted={targeted} and source="
            f"{'any' if source is None else source} say {told}"
        )
    return {} if source is None else {"source": int(str(source))}


def available(name: str, norm: str) -> tuple[Toolkit, ...]:
    """Return the toolkits that have an attack for a norm.

    Raises:
        SpecError: no such attack, or it has no such norm.
    """
    attack = row_of(name)
    return attack.norms[_norm(attack, norm)]


def refusal(spec: AttackSpec, toolkit: Toolkit) -> str | None:
    """Return why a toolkit cannot run an attack as asked, naming both; None if it can.

    What depends on the model (DeepFool with fewer candidates than classes) `bench.attacks.needs` tells.
    """
    attack = row_of(spec.name)
    if toolkit not in TOOLKITS:
        return str(unknown("toolkit", toolkit, list(TOOLKITS)))
    if toolkit not in attack.norms.get(spec.norm, ()):
        reason = attack.absent.get(toolkit)
        return f"{toolkit} has no {spec.name} for {spec.norm}" + (f": {reason}" if reason else "")
    for entry in attack.refusals:
        if entry.toolkit != toolkit or entry.norm not in (None, spec.norm):
            continue
        if spec.parameter(entry.parameter) != entry.only:
            asked = spec.parameter(entry.parameter)
            return (
                f"{toolkit}'s {spec.name} {entry.reason} ({entry.parameter}={asked} was asked for)"
            )
    return None


def is_minimal(name: str) -> bool:
    """Return whether an attack looks for the nearest adversarial image instead of taking a radius."""
    return row_of(name).minimal


def is_fitted(name: str) -> bool:
    """Return whether an attack is fitted on other images before it is applied to those attacked."""
    return "fit" in row_of(name).parameters


def is_evidence(name: str) -> bool:
    """Return whether an image that withstands an attack shows anything of its threat."""
    return name not in ATTACKS or ATTACKS[name].evidence


def fit_images(spec: AttackSpec, data: str) -> ImageSet:
    """Return the images of a data set that an attack asks to be fitted on."""
    split, count = str(spec.parameter("fit")).split()
    return ImageSet(data=data, split=split, count=int(count))


def access(name: str) -> str:
    """Return what an attack needs of a model: `white` (gradients), `score` or `decision`."""
    return row_of(name).access


def row_kind(name: str) -> RowKind:
    """Return what the rows of an attack are: `attack`, or what it measures instead."""
    return row_of(name).rows


def listing() -> list[dict[str, Any]]:
    """Return one dictionary an attack, for tables and `--json`.

    `where` holds the norms of each toolkit that has the attack, `absent` why one that seems to have
    it does not (wholly or in a norm), `unavailable` the command without which one cannot run it.
    """
    return [
        {
            "name": attack.name,
            "norms": list(attack.norms),
            "toolkits": [kit for kit in TOOLKITS if any(kit in k for k in attack.norms.values())],
            "kind": "minimal" if attack.minimal else "fixed",
            "access": attack.access,
            "targeted": "targeted" in attack.parameters,
            "goals": _goals(attack),
            "note": attack.note,
            "where": {kit: norms for kit in TOOLKITS if (norms := _norms_of(attack, kit))},
            "absent": dict(attack.absent),
            "unavailable": {
                kit: command
                for kit in TOOLKITS
                if _norms_of(attack, kit) and (command := remedy(attack.name, kit))
            },
        }
        for attack in ATTACKS.values()
    ]


def _goals(attack: Attack) -> list[Goal]:
    aimed: tuple[Goal, ...] = (
        ("targeted", "source-target") if "targeted" in attack.parameters else ()
    )
    reduced: tuple[Goal, ...] = () if attack.irreducible else ("confidence-reduction",)
    return ["misclassification", *aimed, *reduced]


def _norms_of(attack: Attack, toolkit: Toolkit) -> list[str]:
    return [norm for norm, toolkits in attack.norms.items() if toolkit in toolkits]


def optional() -> dict[str, list[tuple[str, Toolkit]]]:
    """Return the packages that some attacks need beside their toolkit, and which attacks do."""
    found: dict[str, list[tuple[str, Toolkit]]] = {}
    for attack in ATTACKS.values():
        for toolkit, package in attack.packages.items():
            found.setdefault(package, []).append((attack.name, toolkit))
    return found


def installed(toolkit: Toolkit) -> bool:
    """Return whether a toolkit can be imported, without importing it."""
    return toolkit == "native" or here(_PACKAGES[toolkit][0])


def here(package: str) -> bool:
    """Return whether a package can be imported, without importing it."""
    return importlib.util.find_spec(package) is not None


def remedy(name: str, toolkit: Toolkit) -> str | None:
    """Return the command that installs what a toolkit lacks to run an attack; None if it can."""
    if not installed(toolkit):
        return install_command(toolkit)
    needed = row_of(name).packages.get(toolkit)
    return None if needed is None or here(needed) else f"pip install {needed}"


def shortfall(name: str, toolkit: Toolkit) -> str | None:
    """Return what must be installed before a toolkit can run an attack, with the command; else None."""
    command = remedy(name, toolkit)
    if command is None:
        return None
    if not installed(toolkit):
        return f"{toolkit} is not installed; run: {command}"
    needed = row_of(name).packages[toolkit]
    return f"{toolkit}'s {name} needs {needed}, which is not installed; run: {command}"


def install_command(toolkit: Toolkit) -> str:
    """Return the command that installs a toolkit."""
    return f"pip install {'crossfire-bench' if toolkit == 'native' else _PACKAGES[toolkit][1]}"


def expected_parity(spec: AttackSpec, left: Toolkit, right: Toolkit) -> Parity:
    """Return how far two toolkits must agree on an attack, and why no further.

    For the class `norm`, `low` and `high` bound the ratio of left's median norm to right's.

    Raises:
        SpecError: the catalogue knows nothing of this pair.
    """
    for entry in row_of(spec.name).parity:
        if entry.norm not in (None, spec.norm):
            continue
        if entry.pair in (None, (left, right)):
            return entry.parity
        if entry.pair == (right, left):
            return entry.parity.swapped()
    raise SpecError(f"nothing is known of the parity of {left} and {right} on {spec.title()}")
