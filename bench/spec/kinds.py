"""What the rows of a cell are: an attack's, or a measurement of the model.

Here is what a reader of rows has to know; how they are computed is in `bench.runner.kinds`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Measurement(NamedTuple):
    """A number that the rows of a kind have for each image.

    Attributes:
        column: of the rows; infinite or 0 where nothing was found, null where nothing was measured.
        name: what the number is called where a cell is shown.
        found: what an image is called for which a number was found.
    """

    column: str
    name: str
    found: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RowKind:
    """What rows are.

    Attributes:
        name: as in the column `kind`.
        attacks: whether images are attacked, so that its cells count in the headline.
        predicts: whether `clean_label` and `correct` are the model's prediction of the clean image.
        measures: the number that is measured of each image; None for none.
    """

    name: str
    attacks: bool
    predicts: bool
    measures: Measurement | None = None


ATTACK = RowKind(name="attack", attacks=True, predicts=True)
RADIUS = RowKind(
    name="radius", attacks=True, predicts=True,
    measures=Measurement("adversarial_radius", "radius", "labels that change"),
)  # fmt: skip
#: A certificate is another decision than a prediction, from other noisy copies.
CERTIFY = RowKind(
    name="certify", attacks=False, predicts=False,
    measures=Measurement("certified_radius", "radius", "certified"),
)  # fmt: skip

ROW_KINDS: dict[str, RowKind] = {kind.name: kind for kind in (ATTACK, RADIUS, CERTIFY)}

#: What cells that attack are called in the column `kind` of `Results.cells`, by whether they take a
#: radius; others are called by their kind of rows.
FIXED, MINIMAL = "fixed", "minimal"
ATTACKING = (FIXED, MINIMAL)


def row_kind_named(name: str) -> RowKind:
    """Return what is known of a kind of rows.

    Of a kind that nobody registered, as when results are read without the plug-in that made them,
    rows count for nothing.
    """
    return ROW_KINDS.get(name, RowKind(name=name, attacks=False, predicts=False))


def measuring(column: str) -> tuple[str, ...]:
    """Return the kinds of rows that measure what a column holds."""
    return tuple(
        name for name, kind in ROW_KINDS.items() if kind.measures and kind.measures.column == column
    )


def predicting() -> tuple[str, ...]:
    """Return the kinds of rows whose `correct` is said of the model's prediction."""
    return tuple(name for name, kind in ROW_KINDS.items() if kind.predicts)
