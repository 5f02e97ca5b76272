"""The fingerprint of a user's model: a digest of everything reachable that can change an answer.

The walk covers weights, buffers and plain attributes of any type, and the code of functions and classes
with what it reaches: globals, closures, defaults, helpers in other files of the user. Code of installed
packages counts by name only, since their versions are in no cell's key. Left out is what differs
between processes or machines without changing an answer: addresses, devices, folders, the order of
sets, the states of random generators.

Only what the model reaches counts, not the whole plug-in file, so a change to a second model in the
same file leaves the rows of the first one valid. The factory that made the model is not reached.

What no walk can see (files read while predicting, a remote service) shows in the model's answers
(`bench.runner.answers`).
"""

from __future__ import annotations

import functools
import hashlib
import logging
import os
import random
import re
import types
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from itertools import chain
from pathlib import PurePath
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from bench.adapters.bytecode import code_content, imported, is_installed
from bench.adapters.scripts import script_files, without_mangling
from bench.adapters.tensors import tensor_parts

#: The name of a device.
_DEVICE = re.compile(r"(cpu|cuda|mps|xpu)(:\d+)?")
#: Attributes of a class that Python adds, or that only describe its source text.
_OF_THE_CLASS = frozenset(
    ("__module__", "__qualname__", "__doc__", "__dict__", "__weakref__", "__slots__", "__annotations__",
     "__annotate__", "__annotate_func__", "__annotations_cache__", "__firstlineno__",
     "__static_attributes__", "__orig_bases__", "__parameters__", "__type_params__",
     "__abstractmethods__", "_abc_impl", "__dataclass_fields__", "__dataclass_params__",
     "__match_args__", "_backward_cls")
)  # fmt: skip

_HOOKS = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")
_OF_MODULES = frozenset(vars(nn.Module()))

#: Types whose state changes with every use, or has no influence on an answer.
_OPAQUE = (
    random.Random, np.random.Generator, np.random.RandomState, np.random.BitGenerator,
    torch.Generator, torch.device, logging.Logger, logging.Handler,
)  # fmt: skip

#: Compilers keep caches in a model: these make it faster and change no answer.
_ADDRESS = "_torchdynamo_wrapper_id"
_COMPILERS = ("torch._dynamo", "torch._inductor", "torch._functorch")

_VALUES = (type(None), bool, int, float, complex, type(...), type(NotImplemented), range)
_NUMBERS = frozenset((bool, int, float))
_BUILTIN = (
    types.BuiltinFunctionType, types.MethodWrapperType, types.WrapperDescriptorType,
    types.MethodDescriptorType, types.ClassMethodDescriptorType, types.GetSetDescriptorType,
    types.MemberDescriptorType, np.ufunc,
)  # fmt: skip


class _Parts(NamedTuple):
    """What a thing consists of.

    Attributes:
        head: its type and its own value.
        rest: its parts, in an order that is the same in every process.
    """

    head: str | bytes | memoryview
    rest: Iterable[Any] = ()


class _Used(NamedTuple):
    """The attributes of a module that some code reads."""

    module: types.ModuleType
    names: frozenset[str]


def fingerprint(*things: object) -> str:
    """Return 20 hex digits over everything in some things that can change an answer.

    Raises:
        AdapterError: a weight that has no values, or that cannot be read.
    """
    return _Walk({}).over(things)[:20]


class _Walk:
    """A walk over things and their parts that visits each object once."""

    def __init__(self, met: dict[object, tuple[int, object]]) -> None:
        self.digest = hashlib.sha256()
        # The things are kept alive here; otherwise a new object could get the address of a deleted one.
        self.met = met

    def over(self, thing: object) -> str:
        """Return the digest of a thing; cycles and any depth of nesting are fine."""
        stack: list[Iterator[Any]] = [iter((thing,))]
        while stack:
            item = next(stack[-1], stack)
            if item is stack:
                stack.pop()
                self.digest.update(b")")
                continue
            parts = self._parts(item)
            head = (
                parts.head.encode("utf-8", "surrogatepass")
                if isinstance(parts.head, str)
                else parts.head
            )
            self.digest.update(b"(%d " % len(head))
            self.digest.update(head)
            stack.append(iter(parts.rest))
        return self.digest.hexdigest()

    def _parts(self, thing: Any) -> _Parts:
        kind = type(thing)
        if kind is str:
            return _Parts(f"str {_text(thing)}")
        if kind in (bytes, memoryview):
            return _Parts(thing)
        if isinstance(thing, _VALUES):
            return _Parts(f"{kind.__name__} {thing!r}")
        if kind in (list, tuple) and thing and _NUMBERS.issuperset(map(type, thing)):
            return _Parts(f"{kind.__name__} {thing!r}")
        if (
            kind is tuple
        ):  # the interpreter may share equal tuples or not, so identity means nothing
            return _Parts("tuple", thing)
        if kind is frozenset:
            return self._set(thing)
        mark = (id(thing.module), thing.names) if kind is _Used else id(thing)
        if mark in self.met:
            return _Parts(f"again {self.met[mark][0]}")
        self.met[mark] = len(self.met), thing
        if isinstance(thing, set | frozenset):
            return self._set(thing)
        return _taken_apart(thing)

    def _set(self, thing: Iterable[Any]) -> _Parts:
        members = sorted(_Walk(dict(self.met)).over(member) for member in thing)
        return _Parts(f"set {members}")


def _text(text: str) -> str:
    """Return a text without folders and devices, which differ between machines."""
    if os.path.isabs(text):  # noqa: PTH117
        return f"file {os.path.basename(text)}"  # noqa: PTH119
    return "device" if _DEVICE.fullmatch(text) else text


def _taken_apart(thing: Any) -> _Parts:
    for kinds, take in _TAKERS:
        if isinstance(thing, kinds):
            return take(thing)
    return _object(thing)


def _array(array: np.ndarray[Any, Any]) -> _Parts:
    about = f"array {array.dtype.str} {array.shape}"
    if array.dtype.hasobject:
        return _Parts(about, array.ravel().tolist())
    return _Parts(about, [np.ascontiguousarray(array).tobytes()])


def _module(module: nn.Module) -> _Parts:
    """Take a network apart: its own attributes, weights, buffers, hooks and parts, in their order."""
    held = vars(module)
    own = {name: value for name, value in held.items() if name not in _OF_MODULES}
    weights = [module._parameters, module._buffers, module._modules]
    hooks = [list(held[name].values()) for name in _HOOKS if held.get(name)]
    return _Parts("module", [type(module), *_sorted(own), *weights, hooks])


def _function(function: types.FunctionType) -> _Parts:
    cells = [_content(cell) for cell in function.__closure__ or ()]
    if is_installed(function):
        # Such as a decorator from a library: the user's function lies in its closure.
        name = f"{function.__globals__.get('__name__')}.{function.__code__.co_qualname}"
        return _Parts(f"library {name}", [*cells, *_sorted(vars(function))])
    names_here, code = function.__globals__, code_content(function.__code__)
    reached = (
        _reached(names_here[name], code.attributes)
        for name in sorted(code.names & names_here.keys())
    )
    within = (_reached(module, code.attributes) for module in imported(function))
    own = [function.__defaults__, function.__kwdefaults__, *_sorted(vars(function))]
    return _Parts(code.text, chain(cells, own, reached, within))


def _reached(thing: Any, attributes: frozenset[str]) -> Any:
    """Return the part of a global that is reached by code which reads these attributes."""
    return _Used(thing, attributes) if isinstance(thing, types.ModuleType) else thing


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return None


def _used(used: _Used) -> _Parts:
    if is_installed(used.module):
        return _Parts(f"library {used.module.__name__}")
    held = vars(used.module)
    names = sorted(used.names & held.keys())
    return _Parts(
        "used", chain.from_iterable((name, _reached(held[name], used.names)) for name in names)
    )


def _whole_module(module: types.ModuleType) -> _Parts:
    """Take apart a module that is itself a value, so that any of its attributes may be used."""
    if is_installed(module):
        return _Parts(f"library {module.__name__}")
    held = {name: value for name, value in vars(module).items() if not name.startswith("__")}
    return _Parts("whole", _sorted(held))


def _class(kind: type) -> _Parts:
    if is_installed(kind):
        return _Parts(f"library {kind.__module__}.{kind.__qualname__}")
    held = {name: value for name, value in vars(kind).items() if name not in _OF_THE_CLASS}
    return _Parts(f"class {kind.__qualname__}", [*kind.__bases__, *_sorted(held)])


def _builtin(function: Any) -> _Parts:
    owner = getattr(function, "__self__", None)
    bound = [] if owner is None or isinstance(owner, types.ModuleType) else [owner]
    return _Parts(f"builtin {getattr(function, '__qualname__', function.__name__)}", bound)


def _mapping(mapping: Mapping[Any, Any]) -> _Parts:
    kind = [] if type(mapping) is dict else [type(mapping)]
    return _Parts("dict", chain(kind, chain.from_iterable(mapping.items()), _attributes(mapping)))


def _sequence(items: Iterable[Any]) -> _Parts:
    kind = [] if type(items) is list else [type(items)]
    return _Parts("list", chain(kind, items, _attributes(items)))


def _object(thing: Any) -> _Parts:
    if type(thing).__module__.startswith(_COMPILERS):
        return _Parts("opaque", [type(thing)])
    if type(thing).__module__ == "torch._ops":
        return _Parts(f"operator {thing}")
    return _Parts("object", [type(thing), *_state(thing)])


def _state(thing: Any) -> list[Any]:
    """Return the state of an object of any class, as copying or pickling would."""
    kind: Any = type(thing)
    # Objects that cannot be copied (a lock, an open file, a session) have no readable state.
    if kind.__getstate__ is not object.__getstate__ and is_installed(kind):
        try:
            state = thing.__getstate__()
        except Exception:
            return _attributes(thing)
        if isinstance(state, dict):
            return _sorted(
                {name: value for name, value in state.items() if name != "_sklearn_version"}
            )
        return [state]
    if hasattr(thing, "__dict__") or any("__slots__" in vars(base) for base in kind.__mro__):
        return _attributes(thing)
    try:
        reduced = thing.__reduce_ex__(2)
    except Exception:
        return []
    return list(reduced[1:3]) if isinstance(reduced, tuple) else [reduced]


def _attributes(thing: Any) -> list[Any]:
    held = dict(getattr(thing, "__dict__", {}))
    for kind in type(thing).__mro__:
        slots = vars(kind).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            full = f"_{kind.__name__.lstrip('_')}{name}" if name[:2] == "__" != name[-2:] else name
            if full not in ("__dict__", "__weakref__") and hasattr(thing, full):
                held[full] = getattr(thing, full)
    return _sorted(held)


def _sorted(held: Mapping[Any, Any]) -> list[Any]:
    """Return names and values alternately, sorted by name."""
    names = sorted((name for name in held if name != _ADDRESS), key=str)
    return list(chain.from_iterable((name, held[name]) for name in names))


#: How things are taken apart; the first matching line counts.
_TAKERS: tuple[tuple[Any, Callable[[Any], _Parts]], ...] = (
    (str, lambda text: _Parts(f"str {_text(str(text))}", [type(text)])),
    (torch.Tensor, lambda tensor: _Parts(*tensor_parts(tensor))),
    (torch.jit.ScriptModule, lambda module: _Parts("script", script_files(module))),
    (nn.Module, _module),
    (np.ndarray, _array),
    (np.generic, lambda scalar: _Parts(f"{scalar.dtype} {scalar.item()!r}")),
    ((torch.dtype, torch.layout, torch.memory_format, torch.qscheme, np.dtype),
     lambda value: _Parts(str(value))),
    (_OPAQUE, lambda thing: _Parts("opaque", [type(thing)])),
    (PurePath, lambda path: _Parts(f"path {path.name if path.is_absolute() else path.as_posix()}")),
    (torch.jit.ScriptFunction, lambda function: _Parts(without_mangling(function.code))),
    (torch.ScriptObject, lambda thing: _Parts(thing._type().name(), [thing.__getstate__()])),
    (Enum, lambda member: _Parts(f"enum {member.name}", [type(member), member.value])),
    (types.FunctionType, _function),
    (types.MethodType, lambda method: _Parts("method", [method.__func__, method.__self__])),
    (functools.partial, lambda call: _Parts("partial", [call.func, call.args, call.keywords])),
    (functools._lru_cache_wrapper, lambda cached: _Parts("cached", [cached.__wrapped__])),
    (property, lambda value: _Parts("property", [value.fget])),
    (functools.cached_property, lambda value: _Parts("property", [value.func])),
    ((staticmethod, classmethod), lambda method: _Parts(type(method).__name__, [method.__func__])),
    (type, _class),
    (_Used, _used),
    (types.ModuleType, _whole_module),
    (_BUILTIN, _builtin),
    ((dict, types.MappingProxyType), _mapping),
    ((list, tuple, deque), _sequence),
)  # fmt: skip
