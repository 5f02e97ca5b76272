"""What code says, apart from its comments, docstrings and line numbers; and whose code it is.

Bytecode stands for code, not its source: it is what runs, also where the source was edited since it was
imported, typed into a notebook, or holds two lambdas in one line. Another minor version of Python has
another bytecode, so that there the same code counts as another.
"""

from __future__ import annotations

import dis
import os
import sys
import sysconfig
from collections.abc import Iterator
from functools import cache
from types import CodeType, FunctionType, ModuleType
from typing import Any, NamedTuple

#: What a class body stores of its own text and place.
_OF_THE_TEXT = ("__doc__", "__firstlineno__", "__static_attributes__")
_GLOBALS = ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS")
_ATTRIBUTES = ("LOAD_ATTR", "LOAD_METHOD", "LOAD_SUPER_ATTR", "IMPORT_FROM")


class Said(NamedTuple):
    """What a code object says, those nested in it included.

    Attributes:
        text: its instructions.
        names: the global names it reads.
        attributes: the names it reads off anything.
        imports: the modules it imports.
    """

    text: bytes
    names: frozenset[str]
    attributes: frozenset[str]
    imports: frozenset[str]


@cache
def said(code: CodeType) -> Said:
    """Return what a code object says; equal in every process of one minor version of Python."""
    lines = [
        f"{code.co_argcount} {code.co_posonlyargcount} {code.co_kwonlyargcount} {code.co_flags}",
        repr(code.co_exceptiontable),
    ]
    names, attributes, imports = set(), set(), set()
    steps = list(dis.get_instructions(code))
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        value = step.argval
        stored = following.argval if following and following.opname == "STORE_NAME" else None
        if stored in _OF_THE_TEXT and step.opname.startswith("LOAD_CONST"):
            continue
        lines.append(f"{step.opname} {_constant(value)}")
        if step.opname in _GLOBALS:
            names.add(str(value))
        elif step.opname in _ATTRIBUTES:
            attributes.add(str(value))
        elif step.opname == "IMPORT_NAME":
            imports.add(str(value))
        if isinstance(value, CodeType):
            nested = said(value)
            names |= nested.names
            attributes |= nested.attributes
            imports |= nested.imports
    text = "\n".join(lines).encode("utf-8", "surrogatepass")
    return Said(text, frozenset(names), frozenset(attributes), frozenset(imports))


def _constant(value: Any) -> str:
    if isinstance(value, CodeType):
        return f"code {said(value).text!r}"
    if isinstance(value, tuple):
        return f"({', '.join(map(_constant, value))})"
    if isinstance(value, frozenset):  # whose order differs from process to process
        return f"set {sorted(map(_constant, value))}"
    return f"{type(value).__name__} {value!r}"


@cache
def _libraries() -> tuple[str, ...]:
    """Return the folders of what is installed: Python, its packages, and Crossfire itself."""
    import bench

    paths = sysconfig.get_paths()
    found = [paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    found += [os.path.realpath(os.path.join(bench.__path__[0], room))  # noqa: PTH118
              for room in ("", "adapters", "models")]  # fmt: skip
    return tuple(os.path.join(os.path.realpath(path), "") for path in found)  # noqa: PTH118


@cache
def installed(name: str | None, file: str | None) -> bool:
    """Return whether a module is installed, so that its name and version say what is in it.

    All others are the user's own, whose content counts: scripts, plug-ins, notebooks, and packages
    that are worked on.

    Args:
        name: of the module.
        file: where it lies, None for what has no file.
    """
    if file is None:
        top = (name or "").partition(".")[0]
        return top in sys.stdlib_module_names and top != "__main__"
    if "site-packages" in file or "dist-packages" in file:
        return True
    return os.path.realpath(file).startswith(_libraries())


def is_installed(value: FunctionType | type | ModuleType) -> bool:
    """Return whether a function, a class or a module is of an installed package."""
    if isinstance(value, ModuleType):
        return installed(value.__name__, getattr(value, "__file__", None))
    if isinstance(value, FunctionType):
        # Not `__module__`, which a decorator copies from what it decorates.
        spoken = value.__globals__
        return installed(spoken.get("__name__"), spoken.get("__file__"))
    module = sys.modules.get(value.__module__)
    return installed(value.__module__, getattr(module, "__file__", None))


def imported(value: FunctionType) -> Iterator[ModuleType]:
    """Yield the modules that a function imports within itself, as far as they are there by now."""
    package = value.__globals__.get("__package__")
    for name in sorted(said(value.__code__).imports):
        for full in (name, f"{package}.{name}"):
            if full in sys.modules:
                yield sys.modules[full]
