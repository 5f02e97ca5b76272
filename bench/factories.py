"""Calling the function that makes a user's model: an error in it becomes one clear line."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

from bench.errors import BenchError, FactoryError, PrerequisiteError
from bench.registry import first_line, users_code, where
from bench.spec import Adapter, Scalar


def made(name: str, factory: Callable[..., Any], options: Mapping[str, Scalar]) -> Adapter:
    """Return the model that a factory makes.

    Args:
        name: that it is registered under.
        factory: as it is registered.
        options: of the model.

    Raises:
        FactoryError: it needs other options, fails, or returns something that is not a model.
        PrerequisiteError: it asks for a model or data that are not there.
    """
    _check_options(name, factory, options)
    try:
        with users_code():
            adapter: object = factory(**options)
    except PrerequisiteError:
        raise
    except BenchError as error:
        raise FactoryError(f"{name}: {error} ({where(error)})") from error
    except (Exception, SystemExit) as error:
        raise FactoryError(
            f"{name}: its factory failed: {where(error)}: {in_short(error)}"
        ) from error
    if not isinstance(adapter, Adapter):
        raise FactoryError(
            f"{name}: its factory returned {type(adapter).__name__}, not a model; "
            f"return bench.wrap(net, ...) or bench.wrap_predict(function, ...)"
        )
    return adapter


def _check_options(name: str, factory: Callable[..., Any], options: Mapping[str, Scalar]) -> None:
    try:
        rules = inspect.signature(factory)
    except (TypeError, ValueError):  # some built-in functions do not say what they take
        return
    takes = [
        rule for rule in rules.parameters.values() if rule.kind not in (rule.VAR_POSITIONAL, rule.VAR_KEYWORD)
    ]  # fmt: skip
    lacking = [
        rule.name for rule in takes if rule.default is rule.empty and rule.name not in options
    ]
    if lacking:
        raise FactoryError(
            f"{name}: its factory needs {', '.join(lacking)}; list the model in the suite's [[models]] "
            f"with {' and '.join(f'{option} = ...' for option in lacking)}"
        )


def in_short(error: BaseException) -> str:
    """Return what an error says in a line, and what helps against it where that is known."""
    more = hint(error)
    # What torch says of these is about a switch that is none of the user's business.
    bare = isinstance(error, EOFError) or type(error).__name__ == "UnpicklingError"
    what = type(error).__name__ if bare else first_line(error).rstrip(":")
    return f"{what}{'; ' + more if more else ''}"


def hint(error: BaseException) -> str:
    """Return what helps against the errors that loading weights ends in most often."""
    message = str(error)
    if isinstance(error, SystemExit):
        return "it ends the program (sys.exit); let it return a model"
    if isinstance(error, EOFError):
        return "the file is empty or cut off; copy or download it again"
    if type(error).__name__ == "UnpicklingError":
        return (
            "the file is not a state dict: of a model saved whole, load it once with weights_only=False "
            "where you trust it and save its state_dict(); of a Git LFS pointer, run: git lfs pull"
        )
    if "loading state_dict" in message:
        return _misfit(message)
    if isinstance(error, KeyError):
        return "look at what the file holds: list(torch.load(FILE, weights_only=True))"
    if isinstance(error, ImportError):
        return "install it in this environment"
    return ""


def _misfit(message: str) -> str:
    """Return what does not fit of a state dict, as torch lists it."""
    unexpected = re.findall(
        r'"([^"]+)"', message.partition("Unexpected key(s)")[2].partition("\n")[0]
    )
    missing = re.findall(r'"([^"]+)"', message.partition("Missing key(s)")[2].partition("\n")[0])
    for prefix in ("module.", "_orig_mod.", "model."):
        if unexpected and all(name.startswith(prefix) for name in unexpected):
            return (
                f"all its names begin with {prefix!r}, as of a wrapped network; strip that: "
                f"{{k.removeprefix({prefix!r}): v for k, v in weights.items()}}"
            )
    wrong = [
        f"{what} {', '.join(names[:3])}{f' and {len(names) - 3} more' if len(names) > 3 else ''}"
        for what, names in (("missing", missing), ("unexpected", unexpected))
        if names
    ]
    shapes = re.search(r"size mismatch for .*", message)
    wrong += [shapes[0].strip().rstrip(".")] if shapes else []
    return "; ".join(wrong)
