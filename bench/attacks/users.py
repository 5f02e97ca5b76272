"""Attacks of users: a registered function becomes a row of the attack table and is judged like all others.

Nothing here imports torch, except the digest of the function's code.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_args, get_origin

from bench.attacks.row import QUARTER_OF_EPS, Attack, Parameter
from bench.attacks.rows import ATTACKS, EXTERNAL, MEASUREMENTS
from bench.attacks.rows.common import TARGETED
from bench.errors import AttackError, SpecError
from bench.registry import Entry, check_origin, unknown
from bench.spec import FIXED, MINIMAL, NORMS, PLUGIN, Norm, number
from bench.users_functions import Owner

Access = Literal["white", "score", "decision"]
Function = TypeVar("Function", bound=Callable[..., Any])

#: What a function may take besides its own parameters: it gets these of the attack.
_HANDED = ("norm", "target")
#: Words with a meaning of their own in a suite's `[[attacks]]` table, in `bench.attack` or in `--set`.
_TAKEN = frozenset(
    [
        "name",
        "eps",
        "toolkit",
        "toolkits",
        "surface",
        "surfaces",
        "models",
        "images",
        "batch_size",
        "seed",
        "fit",
        "fitted_on",
        "perturbation",
        "goal",
        "source",
        "targeted",
        "least_confidence",
        "label",
        "model",
        "x",
        "y",
    ]
)
#: Parameters by which the number of passes grows, as in the attacks of the toolkits.
_COSTLY = frozenset({"steps", "restarts", "queries", "iterations", "eot"})
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class UsersAttack:
    """An attack that a user registered.

    Attributes:
        function: `(model, x, y, eps, **parameters) -> x_adv`; without `eps` if it looks for the nearest image.
        owner: to whom its errors are put down.
        handed: what of the attack's norm and target it takes.
    """

    function: Callable[..., Any]
    owner: Owner
    handed: tuple[str, ...]


#: The attacks that users registered, by name; each has a row in `ATTACKS`.
USERS: dict[str, UsersAttack] = {}


def register_attack(
    name: str,
    *,
    norms: Iterable[Norm],
    access: Access = "white",
    kind: Literal["fixed", "minimal"] = "fixed",
) -> Callable[[Function], Function]:
    """Return a decorator that registers a function as an attack.

    The function is called as `function(model, x, y, eps, **parameters)` for the images of a batch that the
    model gets right, and returns the images that it tried, a float tensor of the shape of `x`:

    * `model` is called with images (M, C, H, W) in [0, 1]. Under `white` access it returns float32 logits
      (M, classes) through which gradients flow, under `score` scores without a gradient (with a column more
      for models that may abstain), under `decision` labels, int64 (M,), -1 where the model abstains. Its forward
      and backward passes are counted for each image. It decides in eval mode; its modules cannot be reached.
    * `x`, float32 (N, C, H, W) in [0, 1], and `y`, int64 (N,), are copies, on the model's device.
    * `eps` is the radius, a float in units of [0, 1]. A minimal-norm attack is called without it.
    * Its own parameters have a default each, which says what they take: true or false, a whole number, a number
      (also as a text such as "2/255" or, for a quarter of eps, "eps/4"), or one of the texts of a
      `Literal[...]`. Numbers arrive as floats.
    * A parameter `norm` gets the norm; an attack of several norms needs it. A parameter `target` gets the wanted
      labels, int64 (N,), or None; an attack that has it can be targeted.

    The images tried are returned where they fool nothing, too. Withstanding an attack shows something of an image
    only where the attack had something to go by: under `white` access a gradient, under `score` scores that
    change, under `decision` a changed image.

    The random generators of torch, numpy and `random` are seeded before each call. Whether an image fools the
    model within the radius is judged afterwards. The code of the function, with all that it reaches, is part of
    its cells, so that a changed attack is computed anew.

    Args:
        name: of the attack in suites and on the command line: letters, digits, `-`, `_` and `.`.
        norms: that it exists for, some of l0, l1, l2 and linf.
        access: what it uses of a model: `white` its gradient, `score` its scores, `decision` its labels.
        kind: `fixed` for an attack within a radius, `minimal` for one that looks for the nearest image.

    Raises:
        SpecError: a name that is taken, an unknown norm, access or kind, or a function that takes something else.
    """
    found = _checked_norms(name, norms)
    for what, word, known in (
        ("access", access, get_args(Access)),
        ("kind", kind, (FIXED, MINIMAL)),
    ):
        if word not in known:
            raise SpecError(f"attack {name!r}: {unknown(what, str(word), list(known))}")

    def register(function: Function) -> Function:
        origin = Entry(function, {}).origin()
        _check_name(name, origin)
        own = _own_parameters(name, function, 3 if kind == MINIMAL else 4)
        handed = tuple(word for word in _HANDED if word in own)
        if len(found) > 1 and "norm" not in handed:
            raise SpecError(
                f"attack {name!r} has the norms {', '.join(found)}, so its function must take `norm`, which "
                f"says for which one it is called"
            )
        parameters = {
            word: _rule(name, rule, origin, minimal=kind == MINIMAL)
            for word, rule in own.items()
            if word not in _HANDED
        }
        if "target" in handed:
            parameters["targeted"] = TARGETED
        ATTACKS[name] = Attack(
            name=name,
            norms=dict.fromkeys(found, (PLUGIN,)),
            minimal=kind == MINIMAL,
            access=access,
            parameters=parameters,
            note=_note(function, origin),
        )
        owner = Owner(title=f"attack {name!r}", origin=origin, error=AttackError)
        USERS[name] = UsersAttack(function=function, owner=owner, handed=handed)
        return function

    return register


def attack_code(name: str) -> str | None:
    """Return 20 hex digits over a user's attack: its function and all code and values that this reaches.

    None for Crossfire's own attacks, whose code is in no cell's key.
    """
    from bench.adapters.fingerprint import fingerprint  # imports torch

    own = USERS.get(name)
    return None if own is None else fingerprint(own.function)


def _checked_norms(name: str, norms: Iterable[Norm]) -> tuple[Norm, ...]:
    wanted: tuple[Any, ...] = (norms,) if isinstance(norms, str) else tuple(norms)
    for norm in wanted:
        if norm not in NORMS:
            raise SpecError(f"attack {name!r}: {unknown('norm', str(norm), list(NORMS))}")
    if not wanted:
        raise SpecError(f'attack {name!r} has no norm; write norms=["linf"]')
    return tuple(dict.fromkeys(wanted))


def _check_name(name: Any, origin: str) -> None:
    if not isinstance(name, str) or _NAME.fullmatch(name) is None or name in NORMS:
        raise SpecError(
            f"attack {name!r}: a name is of letters, digits, '-', '_' and '.', and is no norm"
        )
    if name == EXTERNAL.name or name in MEASUREMENTS or (name in ATTACKS and name not in USERS):
        raise SpecError(f"there is an attack {name!r} already; choose another name for yours")
    check_origin("attack", name, USERS[name].owner.origin if name in USERS else None, origin)


def _own_parameters(
    name: str, function: Callable[..., Any], count: int
) -> Mapping[str, inspect.Parameter]:
    """Return the parameters of a function after the model, the images and so on, by name.

    Args:
        name: of the attack.
        function: the user's.
        count: how many it is called with in their order.
    """
    call = "(model, x, y, eps)" if count == 4 else "(model, x, y)"
    rules = list(_signature(name, function).parameters.values())
    first, own = rules[:count], rules[count:]
    unfit = [rule for rule in first if rule.default is not rule.empty or not _positional(rule)]
    if len(first) < count or unfit or first[-1].name in _HANDED:
        raise SpecError(
            f"attack {name!r}: its function takes ({', '.join(rule.name for rule in rules)}); it is called with "
            f"{call}, without defaults, and then with its own parameters by name"
        )
    for rule in own:
        if rule.kind in (rule.VAR_POSITIONAL, rule.VAR_KEYWORD, rule.POSITIONAL_ONLY):
            raise SpecError(
                f"attack {name!r}: its function takes {rule}; let it take its parameters one by one, by name"
            )
        if rule.name in _TAKEN:
            raise SpecError(
                f"attack {name!r}: {rule.name!r} means something else for all attacks; rename the parameter"
            )
    return {rule.name: rule for rule in own}


def _positional(rule: inspect.Parameter) -> bool:
    return rule.kind in (rule.POSITIONAL_ONLY, rule.POSITIONAL_OR_KEYWORD)


def _signature(name: str, function: Callable[..., Any]) -> inspect.Signature:
    try:
        return inspect.signature(function, eval_str=True)
    except NameError:  # an annotation that only type checkers can read
        return inspect.signature(function)
    except (TypeError, ValueError) as error:
        raise SpecError(f"attack {name!r}: give it a function ({error})") from error


def _rule(name: str, rule: inspect.Parameter, origin: str, *, minimal: bool) -> Parameter:
    """Return what a parameter of a user's function may be, by its default."""
    default, meaning = rule.default, f"see {origin}"
    if get_origin(rule.annotation) is Literal:
        choices = get_args(rule.annotation)
        if all(isinstance(choice, str) for choice in choices) and default in choices:
            return Parameter("choice", default, choices=choices, meaning=meaning)
    if isinstance(default, bool):
        return Parameter("flag", default, meaning=meaning)
    if isinstance(default, int):
        # A count that may be 0 makes no attack cost nothing in an estimate.
        least = (1 if rule.name in _COSTLY else 0) if default >= 0 else None
        return Parameter(
            "count", default, least=least, constant_cost=rule.name not in _COSTLY, meaning=meaning
        )
    quarter = default == QUARTER_OF_EPS and not minimal
    if quarter or isinstance(default, float) or _is_number(default):
        negative = not quarter and number(default) < 0
        return Parameter("amount", default, least=-math.inf if negative else 0, meaning=meaning)
    lacking = default is rule.empty
    raise SpecError(
        f"attack {name!r}: its parameter {rule.name!r} has {'no default' if lacking else f'the default {default!r}'}; "
        f"give it one that is a number, true or false, or one of the texts of a Literal[...]"
    )


def _is_number(text: object) -> bool:
    if not isinstance(text, str):
        return False
    try:
        return math.isfinite(number(text))
    except SpecError:
        return False


def _note(function: Callable[..., Any], origin: str) -> str:
    """Return a line on an attack: the first of its function's description, else where it is defined."""
    lines = (inspect.getdoc(function) or "").strip().splitlines()
    return lines[0] if lines else f"see {origin}"
