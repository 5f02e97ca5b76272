"""The study of fooling: how far four networks are from the boundary, and six ways to fool them."""

from __future__ import annotations

from bench.report.study import Study
from bench.studies.fooling.beside import beside
from bench.studies.fooling.figures import figures
from bench.studies.fooling.names import called, shown, stands_for
from bench.studies.fooling.tables import tables

_HOW = (
    "In each cell the published figure, then ours with its 95 % interval: Wilson of a share, bootstrap of a "
    "mean, order statistics of a median; times of a fit and counts of passes have none. What differs from "
    "the study: our networks are slim, trained here, and attacked on fewer images, as said below each "
    "table; universal perturbations are fitted on training images, where the study took test images, and "
    "their share is of the images first classified right, where it counts changed labels of all; times are "
    "of other hardware. A letter gives the cause of a difference. All figures, with cells and intervals, "
    "are in"
)

STUDY = Study(
    called=called, shown=shown, stands_for=stands_for, brief=True, figures=figures, beside=beside,
    tables=tables, how=_HOW,
)  # fmt: skip
