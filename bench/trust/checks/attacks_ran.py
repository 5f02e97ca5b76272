"""Whether attacks ran, and whether those that did can show that an image is robust."""

from __future__ import annotations

from collections import Counter

from bench.measure.access import DECISIONS, SCORES, SUBSTITUTE, TRANSFER, UNKNOWN
from bench.measure.outcomes import Outcomes
from bench.trust.checks.registry import Check, Finding
from bench.trust.tried import Cells, Tried, in_short, tried

_WITHOUT_GRADIENT = (SUBSTITUTE, TRANSFER, SCORES, DECISIONS, UNKNOWN)


def attacks_ran(outcomes: Outcomes) -> list[Finding]:
    """Find the threats under which no attack counts, or none of those along a gradient that were asked for."""
    compared, findings = 0, []
    for at in tried(outcomes):
        if all(cell.status == "missing" for cell in at.planned):
            continue
        compared += 1
        found = _of_threat(at)
        findings += [] if found is None else [found]
    return in_short(
        findings, compared, "attacks ran and had something to go by", "no attack was made yet"
    )


def _of_threat(at: Tried) -> Finding | None:
    asked = [cell for cell in at.planned if cell.shows_robust]
    wanted = [cell for cell in asked if cell.access not in _WITHOUT_GRADIENT]
    if not asked:
        return at.found(
            "fail", f"none of the {len(at.planned)} attacks wants any other label of any image, so none shows that an "
            "image is robust",
            value=0.0, bound="one attack at least", remedy=f"leave `targeted` and `goal` out of {at.planned[0].attack}",
        )  # fmt: skip
    if not at.untargeted:
        return at.found(
            "fail", f"no attack counts: {_why(asked)}", value=0.0, bound="one attack at least", remedy=_look(asked)
        )  # fmt: skip
    if wanted and not at.gradient:
        return at.found(
            "warn", f"no attack along a gradient counts ({_why(wanted)}), so the figure rests on attacks that know less",
            value=0.0, bound="one attack at least", remedy=_look(wanted),
        )  # fmt: skip
    return None


def _look(cells: Cells) -> str:
    key = next(cell.key for cell in cells if cell.flag)
    return f"see why with `bench show {key[:12]}`, then run the suite again"


def _why(cells: Cells) -> str:
    """Return why some cells do not count, such as `2 of 3 changed no image`."""
    reasons = Counter(
        "did not run" if "did not run" in cell.flag else cell.flag.removeprefix("INVALID: ")
        for cell in cells if cell.flag
    )  # fmt: skip
    return "; ".join(f"{count} of {len(cells)} {reason}" for reason, count in reasons.items())


RAN = Check(
    id="attacks-ran", title="attacks ran and had something to go by", needs="rows", run=attacks_ran,
    masks=True,
)  # fmt: skip
