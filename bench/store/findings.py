"""What checks found, kept beside the cells: a file for each check and what it was made on.

    findings/ab/<key>.json      never changed; the log of a run names those that are about it

The key is a hash over all that decides what a check finds: its code, the model, the threat, the images, the
bounds, and the cells that it reads. So a check that was made once is not made again.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.store.files import atomic_write
from bench.store.identity import canonical_json

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What was made of the checks that a report cannot make itself: those of models and of threats.

    Attributes:
        level: `quick` or `full`, which of them were to be made; empty where none were.
        found: a record a check and model or threat; see `bench.runner.trust`.
        not_made: those that were left out for want of time: `check, title, level, model, norm, eps` each.
    """

    level: str = ""
    found: tuple[Mapping[str, Any], ...] = ()
    not_made: tuple[Mapping[str, Any], ...] = ()

    @property
    def seconds(self) -> float:
        """Return how many seconds the checks took, when they were made."""
        return float(sum(record["seconds"] for record in self.found))


def found_key(made_on: Mapping[str, Any]) -> str:
    """Return the 20 hex digits that findings are stored under.

    Args:
        made_on: all that decides what is found, as plain JSON values.
    """
    return hashlib.sha256(canonical_json(made_on).encode()).hexdigest()[:20]


def read_found(root: Path, key: str) -> dict[str, Any] | None:
    """Return the record of a check; None where there is none that can be read."""
    path = _path(root, key)
    try:
        read = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        _log.warning("%s is damaged (%s); the check is made again", path, error)
        return None
    return read if isinstance(read, dict) else None


def write_found(root: Path, key: str, record: Mapping[str, Any]) -> None:
    """Write the record of a check.

    Raises:
        StoreError: the disk is full.
    """
    atomic_write(_path(root, key), (json.dumps(record, indent=1) + "\n").encode())


def checked(root: Path, events: Iterable[Mapping[str, Any]]) -> Checked:
    """Return what the log of a run says of its checks, with what they found.

    Args:
        root: the results folder.
        events: the lines of the log.
    """
    keys: dict[str, None] = {}  # an ordered set
    levels: list[str] = []
    left: list[Mapping[str, Any]] = []
    for event in events:
        if event.get("event") == "checked":
            keys |= dict.fromkeys(event["findings"])
        elif event.get("event") == "trust":
            levels.append(event["level"])
            left += event["not_made"]
    records = [record for key in keys if (record := read_found(root, key)) is not None]
    made = {_of(record) for record in records}
    by_whom = {_of(one): one for one in left if _of(one) not in made}
    level = "full" if "full" in levels else levels[-1] if levels else ""
    return Checked(level=level, found=tuple(records), not_made=tuple(by_whom.values()))


def _of(made: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return which check is meant, of whose figures."""
    return made["check"], made["model"], made["norm"], made["eps"]


def _path(root: Path, key: str) -> Path:
    return root / "findings" / key[:2] / f"{key}.json"
