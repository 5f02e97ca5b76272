"""The figures of perturbations that can be compared, and how each comes from the images of a cell.

Suite files are checked against this table, so nothing here imports pandas.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

#: How a figure comes from what the images add to it: a share of images, a mean, a median; the share of a
#: mean by which another is smaller; a share of the images of a fit; or a fact of the one fit.
Kind = Literal["share", "mean", "median", "reduction", "share of fit", "fact of fit"]
Unit = Literal["share", "size", "ratio", "steps", "seconds", "images"]


@dataclass(frozen=True, slots=True)
class PerturbationFigure:
    """A column of `bench.measure.perturbations.perturbations`.

    Attributes:
        called: what it is called in text.
        unit: figures of one unit can be compared; shares are shown in percent.
        parts: of a reduction, the figures before and after.
    """

    name: str
    kind: Kind
    unit: Unit
    called: str
    parts: tuple[str, str] | None = None


def _sizes(before: str, words: str) -> list[PerturbationFigure]:
    """Return the sizes of perturbations in both norms, or of those before the clip."""
    shapes: tuple[tuple[str, Unit, str], ...] = (
        ("delta", "size", "mean {order} size"),
        ("rho", "ratio", "size relative to the image, in {order}"),
        ("rho_centred", "ratio", "size relative to the image less its channel means, in {order}"),
    )
    return [
        PerturbationFigure(
            f"{before}{shape}_{order}", "mean", unit, called.format(order=order) + words
        )
        for shape, unit, called in shapes
        for order in ("l2", "linf")
    ]


_BEFORE = " before the clip"
_ALL = (
    PerturbationFigure("fooling", "share", "share", "fooling rate"),
    PerturbationFigure("confidence_fooled", "mean", "share", "mean confidence where fooled"),
    PerturbationFigure("confidence_tried", "mean", "share", "mean confidence of all tried"),
    *_sizes("", ""),
    PerturbationFigure("median_pixels", "median", "share", "median share of changed pixels"),
    PerturbationFigure("median_values", "median", "share", "median share of changed values"),
    PerturbationFigure("iterations", "mean", "steps", "mean iterations"),
    PerturbationFigure("seconds", "mean", "seconds", "seconds an image"),
    PerturbationFigure("unclipped_fooling", "share", "share", f"fooling rate{_BEFORE}"),
    *_sizes("unclipped_", _BEFORE),
    PerturbationFigure(
        "fooling_reduction", "reduction", "share", "share of the fooling rate that the clip takes",
        ("unclipped_fooling", "fooling"),
    ),
    *(
        PerturbationFigure(
            f"delta_reduction_{order}", "reduction", "share",
            f"share of the {order} size that the clip takes",
            (f"unclipped_delta_{order}", f"delta_{order}"),
        )
        for order in ("l2", "linf")
    ),
    PerturbationFigure("fit_images", "fact of fit", "images", "images of the fit"),
    PerturbationFigure(
        "fit_fooling", "share of fit", "share", "fooling rate on the images of the fit"
    ),
    PerturbationFigure("fit_passes", "fact of fit", "steps", "passes of the fit"),
    PerturbationFigure("fit_seconds", "fact of fit", "seconds", "seconds of the fit"),
)  # fmt: skip

#: The figures by name, in the order of the columns.
PERTURBATION_FIGURES: Mapping[str, PerturbationFigure] = {figure.name: figure for figure in _ALL}
