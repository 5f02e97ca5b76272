"""Which models a claim compares: two patterns of titles, and the names they share."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from typing import NamedTuple

from bench.spec import Claim

_WILD = re.compile(r"\*|\{([A-Za-z_]\w*)\}")


class Pair(NamedTuple):
    """Two models to compare; None on a side that no model of the run matches.

    Attributes:
        case: what the names and stars in the patterns match here, such as `mnist, triplet`; empty if
            the patterns are plain titles.
    """

    left: str | None
    right: str | None
    case: str


def matches(pattern: str, title: str) -> bool:
    """Return whether a pattern, as `bench.spec.Claim` describes it, matches a model's title."""
    return re.fullmatch(_expression(pattern, set()), title) is not None


def pairs(claim: Claim, data: Mapping[str, str]) -> list[Pair]:
    """Return the models that a claim compares, those of one data set with each other.

    Args:
        claim: whose patterns to match.
        data: model titles, in order, with the data set of each.

    Returns:
        The pairs in the order of the left models, then the right; then the models that match a side
        but have no partner, alone, so that they are reported. A single pair of None and None if no model
        matches either side.
    """
    if claim.right is None:
        whole = [(title, re.fullmatch(_expression(claim.left, set()), title)) for title in data]
        alone = [Pair(title, title, _case(match)) for title, match in whole if match]
        return alone or [Pair(None, None, "")]
    lefts = [title for title in data if matches(claim.left, title)]
    rights = [title for title in data if matches(claim.right, title)]
    names: set[str] = set()
    # One expression over both titles, so that a name takes the same text on either side.
    both = re.compile(f"{_expression(claim.left, names)}\n{_expression(claim.right, names)}")
    paired_models = []
    for left, right in itertools.product(lefts, rights):
        # If two attacks are compared, a model may be compared with itself.
        twins = left == right and not claim.apart
        match = both.fullmatch(f"{left}\n{right}")
        if match and data[left] == data[right] and not twins:
            paired_models.append(Pair(left, right, _case(match)))
    paired = {title for pair in paired_models for title in pair[:2]}
    paired_models += [Pair(left, None, left) for left in lefts if left not in paired]
    paired_models += [Pair(None, right, right) for right in rights if right not in paired]
    return paired_models or [Pair(None, None, "")]


def partnered(claim: Claim, data: Mapping[str, str]) -> list[Pair]:
    """Return what a claim compares, as `pairs` does, but what has no partner only where nothing has one."""
    found = pairs(claim, data)
    return [pair for pair in found if None not in pair[:2]] or found


def unpaired(claim: Claim, left: str | None, right: str | None, of: str = "model") -> str:
    """Return why a model, or what else is compared, has nothing to be compared with."""
    absent = [
        side
        for side, title in (("left", left), ("right", right))
        if title is None and not (side == "right" and claim.right is None)
    ]
    return f"no {of} of this run for the {' and the '.join(absent)}"


def both_sides(prefix: str, left: str, right: str) -> str:
    """Return the notes on both sides as one, written once where they are the same; empty without notes."""
    if left and left == right:
        return f"{prefix}both: {left}"
    sides = (("left", left), ("right", right))
    return "; ".join(f"{prefix}{side}: {note}" for side, note in sides if note)


def _expression(pattern: str, names: set[str]) -> str:
    """Return a pattern as a regular expression; names in `names` refer back, new ones join it."""
    expression, at = "", 0
    for wild in _WILD.finditer(pattern):
        expression += re.escape(pattern[at : wild.start()])
        name = wild[1]
        if name is None:
            expression += "(.*)"
        elif name in names:
            expression += f"(?P={name})"
        else:
            names.add(name)
            expression += f"(?P<{name}>.*)"
        at = wild.end()
    return expression + re.escape(pattern[at:])


def _case(match: re.Match[str]) -> str:
    return ", ".join(match.groups())
