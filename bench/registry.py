"""Named things: registered by decorator or as a lazy `module:function`, looked up with good errors."""

from __future__ import annotations

import difflib
import glob
import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import SpecError


def unknown(kind: str, name: str, known: list[str]) -> SpecError:
    """Return the error for a name that is not known, with the nearest ones that are."""
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    # A part typed exactly is a better hint than a similar spelling: `cnn` means `cifar10/cnn`.
    near += [other for other in known if name in other and other not in near][: 3 - len(near)]
    hint = f"did you mean {', '.join(near)}?" if near else f"known: {', '.join(sorted(known))}"
    return SpecError(f"no {kind} named {name!r}; {hint}")


def literal(globs: Iterable[str], names: Iterable[str]) -> tuple[str, ...]:
    """Return globs in which one that is the whole of a name stands for that name alone."""
    known = set(names)
    return tuple(glob.escape(one) if one in known else one for one in globs)


@dataclass(frozen=True, slots=True)
class Entry:
    """A factory, or where to import it from, with what is known of it without importing it."""

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
        """Return where the factory is written."""
        if isinstance(self.target, str):
            return self.target
        return f"{self.target.__module__}:{self.target.__qualname__}"


class Registry:
    """A table from names to factories of one kind of thing.

    Attributes:
        kind: of thing, in words.
        derived: makes an entry of a name that was not registered; None where it cannot.
    """

    def __init__(
        self, kind: str, derived: Callable[[str], Entry | None] = lambda name: None
    ) -> None:
        self.kind = kind
        self.derived = derived
        self._entries: dict[str, Entry] = {}

    def add(self, name: str, target: str | Callable[..., Any], **facts: Any) -> None:
        """Register a factory under a name.

        Raises:
            SpecError: the name is taken by another factory.
        """
        entry = Entry(target, facts)
        held = self._entries.get(name)
        if held is not None and held.origin() != entry.origin():
            raise SpecError(
                f"{self.kind} {name!r} is registered twice: by {held.origin()} and by "
                f"{entry.origin()}; rename one"
            )
        self._entries[name] = entry

    def __getitem__(self, name: str) -> Entry:
        entry = self._entries.get(name) or self.derived(name)
        if entry is None:
            raise unknown(self.kind, name, list(self._entries))
        return entry

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)


def load_plugin(path: str | os.PathLike[str]) -> None:
    """Run a user's Python file, so that what it registers can be used. Only ever called by name.

    Raises:
        SpecError: the file does not exist or fails; the message names file and line.
    """
    path = Path(path).resolve()
    name = f"bench_plugin_{path.stem}_{abs(hash(str(path))):x}"
    if name in sys.modules:
        return
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise SpecError(f"--plugin {path}: no such Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.insert(0, str(path.parent))  # a plug-in may import files beside it, as a script may
    try:
        spec.loader.exec_module(module)
    except SpecError:
        del sys.modules[name]
        raise
    except Exception as error:
        del sys.modules[name]
        frames = traceback.extract_tb(error.__traceback__)
        line = next((f.lineno for f in reversed(frames) if f.filename == str(path)), "?")
        raise SpecError(f"--plugin {path}, line {line}: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(str(path.parent))
