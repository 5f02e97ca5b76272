"""The columns of a result row; one row is one image of one cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from bench.spec.words import Scalar

ColumnType = Literal["text", "bool", "int", "float"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a result row.

    Attributes:
        type: of its values.
        required: whether every row has a value; otherwise it may be null.
        default: the value in rows that were written before the column was there; None for null,
            which a required column cannot have, so that it has to be in every file.
    """

    type: ColumnType
    required: bool = False
    default: Scalar | None = None


_TEXT, _FLAG, _COUNT = Column("text", True), Column("bool", True), Column("int", True)

#: The size of the clean image, and its size after the channel means of its data set are subtracted.
SIZES = ("clean_l2", "clean_linf", "centred_l2", "centred_linf")

#: Column by name, in order. A new one needs a default (None if it may be null), so that results written
#: before stay readable; the schema number of the store increases only when a meaning changes.
#: `goal` is a column since less confidence in an unchanged label is a success that breaks no image;
#: `adv_margin` is the score of the true class minus the largest other one, `ineffective` why an attack had
#: nothing to guide it; `draws` to `chosen_share` are about the draws of random models, `changed_*` are the
#: shares of pixels and of channel values that differ from the clean image, and `unclipped_*` are about the
#: image before a last clip to [0, 1], which is judged nowhere. `broken_by` names the attack that broke an image, of
#: several that are made in turn.
ROW: Mapping[str, Column] = MappingProxyType({
    "cell": _TEXT, "kind": _TEXT, "dataset": _TEXT, "split": _TEXT, "index": _COUNT,
    "model": _TEXT, "family": _TEXT, "attack": _TEXT, "toolkit": _TEXT, "surface": _TEXT,
    "norm": _TEXT, "eps": Column("float"), "goal": _TEXT, "targeted": _TEXT,
    "target": Column("int"), "label": _COUNT, "clean_label": _COUNT, "adv_label": Column("int"),
    "clean_confidence": Column("float"), "adv_confidence": Column("float"), "correct": _FLAG,
    "success": _FLAG, "invalid": Column("text"), "borderline": _FLAG, "abstained": _FLAG,
    "l0": Column("float"), "l1": Column("float"), "l2": Column("float"), "linf": Column("float"),
    "iterations": Column("int"), "forwards": Column("int"), "backwards": Column("int"),
    "seconds": Column("float"), "seed": _COUNT, "certified_radius": Column("float"),
    "adversarial_radius": Column("float"), "adv_margin": Column("float"),
    "ineffective": Column("text"), "draws": Column("int"), "clean_share": Column("float"),
    "share": Column("float"), "chosen_share": Column("float"),
    **dict.fromkeys(SIZES, Column("float")), "changed_pixels": Column("float"),
    "changed_values": Column("float"), "unclipped_label": Column("int"),
    "unclipped_l2": Column("float"), "unclipped_linf": Column("float"),
    "broken_by": Column("text"),
})  # fmt: skip

COLUMNS: tuple[str, ...] = tuple(ROW)
