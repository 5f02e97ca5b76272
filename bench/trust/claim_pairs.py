"""Which models a claim compares: two patterns of titles, and the names they share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from bench.spec import Claim

_WILD = re.compile(r"\*|\{([A-Za-z_]\w*)\}")


class Pair(NamedTuple):
    """Two models to compare; None on a side where there is nothing to compare with.

    Attributes:
        case: what the names and stars of the patterns stand for here, such as `mnist, triplet`;
            empty where the patterns are plain titles.
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
        The pairs in the order of the left models, then the right; then a model that matches a side
        and has no partner, alone, so that it is not passed over. A single pair of nothing where no
        model matches either side.
    """
    if claim.right is None:
        own = [(title, re.fullmatch(_expression(claim.left, set()), title)) for title in data]
        return [Pair(title, title, _case(it)) for title, it in own if it] or [Pair(None, None, "")]
    lefts = [title for title in data if matches(claim.left, title)]
    rights = [title for title in data if matches(claim.right, title)]
    named: set[str] = set()
    # One expression over both titles, so that a name takes the same text on either side.
    both = re.compile(f"{_expression(claim.left, named)}\n{_expression(claim.right, named)}")
    found = []
    for left in lefts:
        for right in rights:
            # Attacked in two ways, a model may well be compared with itself.
            twins = left == right and claim.right_attacks is None
            if data[left] == data[right] and not twins:
                it = both.fullmatch(f"{left}\n{right}")
                found += [Pair(left, right, _case(it))] if it else []
    paired = {title for pair in found for title in pair[:2]}
    found += [Pair(left, None, left) for left in lefts if left not in paired]
    found += [Pair(None, right, right) for right in rights if right not in paired]
    return found or [Pair(None, None, "")]


def lonely(claim: Claim, pair: Pair) -> str:
    """Return why a model has nothing to be compared with."""
    absent = [
        side
        for side, title in (("left", pair.left), ("right", pair.right))
        if title is None and not (side == "right" and claim.right is None)
    ]
    return f"no model of this run for the {' and the '.join(absent)}"


def sided(before: str, left: str, right: str) -> str:
    """Return what is said of both sides, once where it is the same."""
    if left and left == right:
        return f"{before}both: {left}"
    said = [f"{before}{side}: {why}" for side, why in (("left", left), ("right", right)) if why]
    return "; ".join(said)


def _expression(pattern: str, named: set[str]) -> str:
    """Return a pattern as a regular expression; names in `named` refer back, new ones join it."""
    made, at = "", 0
    for wild in _WILD.finditer(pattern):
        made += re.escape(pattern[at : wild.start()])
        name = wild[1]
        if name is None:
            made += "(.*)"
        elif name in named:
            made += f"(?P={name})"
        else:
            named.add(name)
            made += f"(?P<{name}>.*)"
        at = wild.end()
    return made + re.escape(pattern[at:])


def _case(found: re.Match[str]) -> str:
    return ", ".join(found.groups())
