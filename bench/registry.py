"""Named things: registered by decorator or as a lazy `module:function`, looked up with good errors."""

from __future__ import annotations

import difflib
import glob
import importlib
import importlib.util
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from bench.errors import BenchError, SpecError, UnknownName


@contextmanager
def users_code() -> Iterator[None]:
    """Send what a user's code prints to stderr, since stdout is for data. Wraps every call of such code."""
    with redirect_stdout(sys.stderr):
        yield


def where(error: BaseException) -> str:
    """Return the file and line of the user's code where an error arose, else where it was raised."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{Path(error.filename).name}, line {error.lineno}"
    frame = (users_frames(error) or list(traceback.extract_tb(error.__traceback__)))[-1]
    return f"{Path(frame.filename).name}, line {frame.lineno}"


def users_frames(error: BaseException) -> list[traceback.FrameSummary]:
    """Return the frames of an error that are in a user's code, outermost first."""
    ours = Path(__file__).parent.resolve()
    rooms = (ours, (ours / "adapters").resolve(), (ours / "models").resolve())
    return [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<")
        and not any(Path(frame.filename).resolve().is_relative_to(room) for room in rooms)
        and not {"site-packages", "dist-packages"} & set(Path(frame.filename).parts)
        and not Path(frame.filename).is_relative_to(Path(os.__file__).parent)
    ]


def first_line(error: BaseException) -> str:
    """Return an error's type and message in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else 'no message'}"


#: An error lists so many names at most.
_MANY = 30


def unknown(kind: str, name: str, known: list[str]) -> SpecError:
    """Return the error for an unknown name, with the most similar known ones."""
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    # Names that contain the given one are hints too: `cnn` may mean `cifar10/cnn`.
    near += [longer for longer in known if name in longer and longer not in near][: 3 - len(near)]
    hint = f"did you mean {', '.join(near)}?" if near else f"known: {_listed(sorted(known))}"
    return UnknownName(f"no {kind} named {name!r}; {hint}")


def _listed(names: list[str]) -> str:
    """Return names in a line; of very many the first and how many more there are."""
    if len(names) <= _MANY:
        return ", ".join(names)
    return f"{', '.join(names[:_MANY])} and {len(names) - _MANY} more; see `bench ls`"


def literal(globs: Iterable[str], names: Iterable[str]) -> tuple[str, ...]:
    """Return globs, where one that equals a name is escaped, so that it matches only that name."""
    exact_names = set(names)
    return tuple(glob.escape(text) if text in exact_names else text for text in globs)


@dataclass(frozen=True, slots=True)
class Entry:
    """A factory, or where to import it from, with facts that are known without importing it."""

    target: str | Callable[..., Any]
    facts: dict[str, Any]

    def load(self) -> Callable[..., Any]:
        """Return the factory, importing its module at first use."""
        if not isinstance(self.target, str):
            return self.target
        module, _, attribute = self.target.partition(":")
        factory: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
        return factory

    def origin(self) -> str:
        """Return where the factory is defined: file and line for a user's function, since names repeat."""
        if isinstance(self.target, str):
            return self.target
        function: Any = inspect.unwrap(getattr(self.target, "func", self.target))  # of a partial
        if not hasattr(function, "__qualname__"):
            function = type(function)
        code = getattr(function, "__code__", None)
        # In a notebook the same function is defined repeatedly, and the last definition counts.
        if code is None or "__file__" not in getattr(function, "__globals__", {}):
            return f"{function.__module__}:{function.__qualname__}"
        return f"{code.co_filename}, line {code.co_firstlineno}"


def origin_of(*functions: Callable[..., Any] | None) -> str:
    """Return where the thing that these functions belong to is defined.

    That is where the first of them that is not Crossfire's is defined, else where Crossfire was called.
    """
    users = [
        function
        for function in functions
        if function is not None and not is_ours(getattr(function, "__module__", None))
    ]
    if users:
        return Entry(users[0], {}).origin()
    frame = inspect.currentframe()
    while frame is not None and is_ours(frame.f_globals.get("__name__")):
        frame = frame.f_back
    if frame is None or "__file__" not in frame.f_globals:  # in a notebook
        return "__main__"
    return f"{frame.f_code.co_filename}, line {frame.f_lineno}"


def is_ours(module: str | None) -> bool:
    """Return whether a module of this name is one of Crossfire's."""
    return module is not None and module.partition(".")[0] == __name__.partition(".")[0]


def check_origin(kind: str, name: str, held: str | None, origin: str) -> None:
    """Check that a name is free or held by the same thing, so that a file may be run again.

    Args:
        kind: what is registered, for the message.
        name: of the thing.
        held: the origin of what has the name already; None if nothing has.
        origin: of the thing, see `Entry.origin` and `origin_of`.

    Raises:
        SpecError: the name is taken by a thing of another origin.
    """
    if held is not None and held != origin:
        raise SpecError(
            f"{kind} {name!r} is registered twice: by {held} and by {origin}; rename one"
        )


def check_type(seam: str, value: object, wanted: type) -> None:
    """Check that a function that registers something was given what it takes.

    Raises:
        SpecError: it was given something else.
    """
    if not isinstance(value, wanted):
        raise SpecError(
            f"bench.{seam} was given {type(value).__name__}; give it bench.{wanted.__name__}(...)"
        )


class Registry:
    """A table from names to factories of one kind of thing.

    Attributes:
        kind: what is registered, for messages.
        derived: returns the entry for a name that was not registered; None if there is none.
        unknown: returns the error for an unknown name.
    """

    def __init__(
        self,
        kind: str,
        derived: Callable[[str], Entry | None] = lambda name: None,
        unknown: Callable[[str, str, list[str]], SpecError] = unknown,
    ) -> None:
        self.kind = kind
        self.derived = derived
        self.unknown = unknown
        self._entries: dict[str, Entry] = {}

    def add(self, name: str, target: str | Callable[..., Any], **facts: Any) -> None:
        """Register a factory under a name.

        Raises:
            SpecError: the name is taken by another factory.
        """
        entry = Entry(target, facts)
        held = self._entries.get(name)
        check_origin(self.kind, name, None if held is None else held.origin(), entry.origin())
        self._entries[name] = entry

    def __getitem__(self, name: str) -> Entry:
        entry = self._entries.get(name) or self.derived(name)
        if entry is None and load_installed():
            entry = self._entries.get(name) or self.derived(name)
        if entry is None:
            raise self.unknown(self.kind, name, list(self._entries))
        return entry

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)


#: By this entry point an installed package names a module, or a function of one, that registers things.
ENTRY_POINT = "crossfire.plugins"

_LOADED: set[EntryPoint] = set()

#: The plug-ins that were named, in their order.
_GIVEN: dict[str, None] = {}


@cache
def _installed() -> tuple[EntryPoint, ...]:
    return tuple(entry_points(group=ENTRY_POINT))


def load_installed() -> bool:
    """Load the plug-ins of installed packages that are not loaded yet; return whether there were any.

    Raises:
        SpecError: one of them fails; the message names its package.
    """
    new = [entry for entry in _installed() if entry not in _LOADED]
    _LOADED.update(new)  # before they are loaded, since they may look names up themselves
    for entry in new:
        try:
            with users_code():
                loaded = entry.load()
                if not isinstance(loaded, ModuleType):
                    loaded()
        except (Exception, SystemExit) as error:  # anybody's code
            package = entry.dist.name if entry.dist else entry.value
            what = str(error) if isinstance(error, BenchError) else first_line(error)
            raise SpecError(
                f"the plug-in {entry.name} of the installed package {package} failed: {where(error)}: {what}; "
                f"repair it, or run: pip uninstall {package}"
            ) from error
    return bool(new)


def load_plugin(path: str | os.PathLike[str]) -> None:
    """Run a user's Python file, so that what it registers can be used. Only files a user names are run.

    Raises:
        BenchError: the file does not exist or fails; the message names file and line.
    """
    load_file(path, "--plugin ")
    _GIVEN[os.fspath(path)] = None


def given_plugins() -> tuple[str, ...]:
    """Return the files that were loaded as plug-ins, as they were named."""
    return tuple(_GIVEN)


def load_file(path: str | os.PathLike[str], given: str = "") -> ModuleType:
    """Run a user's Python file once and return it as a module.

    Args:
        path: the file.
        given: how the user named it, for messages.

    Raises:
        BenchError: the file does not exist or fails; the message names file and line.
    """
    path = Path(path).resolve()
    name = f"bench_plugin_{path.stem}_{abs(hash(str(path))):x}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None or not path.is_file():
            raise SpecError(f"{given}{path}: no such Python file")
        _execute(importlib.util.module_from_spec(spec), spec.loader, path, given)
    return sys.modules[name]


def _execute(module: ModuleType, loader: Any, path: Path, given: str) -> None:
    sys.modules[module.__name__] = module
    sys.path.insert(0, str(path.parent))  # like a script, a plug-in may import files beside it
    try:
        with users_code():
            loader.exec_module(module)
    except KeyboardInterrupt:
        del sys.modules[module.__name__]
        raise
    except BaseException as error:
        del sys.modules[module.__name__]
        place = f"{given}{path.parent / where(error)}"
        if isinstance(error, BenchError):
            raise type(error)(f"{place}: {error}") from error
        if isinstance(error, SystemExit):
            raise SpecError(
                f"{place}: it ends the program (sys.exit); a plug-in only registers things: put what a "
                f'script does under if __name__ == "__main__":'
            ) from error
        raise SpecError(f"{place}: {first_line(error)}") from error
    finally:
        sys.path.remove(str(path.parent))
