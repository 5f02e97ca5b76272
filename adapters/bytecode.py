"""What a function does, apart from its comments, docstrings and line numbers; and who wrote it.

Bytecode is compared, not source: it is what runs, even if the file was edited after the import, the code
was typed into a notebook, or one line holds two lambdas. The price: each minor version of Python has its
own bytecode, so the same code counts as different there.
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

#: What a class body stores about its source text.
_OF_THE_TEXT = ("__doc__", "__firstlineno__", "__static_attributes__")
_GLOBALS = ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS")
_ATTRIBUTES = ("LOAD_ATTR", "LOAD_METHOD", "LOAD_SUPER_ATTR", "IMPORT_FROM")


class CodeContent(NamedTuple):
    """What a code object does, including the code objects nested in it.

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
def code_content(code: CodeType) -> CodeContent:
    """Return what a code object does; equal in every process under one minor version of Python."""
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
            nested = code_content(value)
            names |= nested.names
            attributes |= nested.attributes
            imports |= nested.imports
    text = "\n".join(lines).encode("utf-8", "surrogatepass")
    return CodeContent(text, frozenset(names), frozenset(attributes), frozenset(imports))


def _constant(value: Any) -> str:
    if isinstance(value, CodeType):
        return f"code {code_content(value).text!r}"
    if isinstance(value, tuple):
        return f"({', '.join(map(_constant, value))})"
    if isinstance(value, frozenset):  # whose order differs from process to process
        return f"set {sorted(map(_constant, value))}"
    return f"{type(value).__name__} {value!r}"


@cache
def _libraries() -> tuple[str, ...]:
    """Return the folders of Python, of installed packages and of Crossfire itself."""
    import bench

    paths = sysconfig.get_paths()
    folders = [paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    folders += [os.path.realpath(os.path.join(bench.__path__[0], room))  # noqa: PTH118
              for room in ("", "adapters", "models")]  # fmt: skip
    return tuple(os.path.join(os.path.realpath(path), "") for path in folders)  # noqa: PTH118


@cache
def installed(name: str | None, file: str | None) -> bool:
    """Return whether a module belongs to an installed package, so that its name identifies its content.

    All other modules are the user's own and their content counts: scripts, plug-ins, notebooks, and
    packages under development.

    Args:
        name: of the module.
        file: its path; None for a module without a file.
    """
    if file is None:
        top = (name or "").partition(".")[0]
        return top in sys.stdlib_module_names and top != "__main__"
    if "site-packages" in file or "dist-packages" in file:
        return True
    return os.path.realpath(file).startswith(_libraries())


def is_installed(value: FunctionType | type | ModuleType) -> bool:
    """Return whether a function, a class or a module belongs to an installed package."""
    if isinstance(value, ModuleType):
        return installed(value.__name__, getattr(value, "__file__", None))
    if isinstance(value, FunctionType):
        # Not `__module__`: a decorator copies that from the function it decorates.
        spoken = value.__globals__
        return installed(spoken.get("__name__"), spoken.get("__file__"))
    module = sys.modules.get(value.__module__)
    return installed(value.__module__, getattr(module, "__file__", None))


def imported(value: FunctionType) -> Iterator[ModuleType]:
    """Yield the modules that a function's body imports, if they have been imported already."""
    package = value.__globals__.get("__package__")
    for name in sorted(code_content(value.__code__).imports):
        for full in (name, f"{package}.{name}"):
            if full in sys.modules:
                yield sys.modules[full]
