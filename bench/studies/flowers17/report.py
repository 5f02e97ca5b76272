"""The study of ensembles and transfer learning on flowers: what its models are called, its tables and figures."""

from __future__ import annotations

from bench.report.study import Study
from bench.studies.flowers17.beside import beside
from bench.studies.flowers17.figures import figures
from bench.studies.flowers17.names import called, shown, stands_for
from bench.studies.flowers17.tables import tables

_HOW = (
    "Shares are in percent, published and ours. Ours with its 95 % interval: Wilson of an accuracy on test images "
    "(of several trainings that of their mean), Student's over trainings of a loss or of an accuracy on training "
    "images; importances and single trainings have none. What differs from the document: it reports the images by "
    "which it chose the epoch; ours are chosen by 170 validation images and reported on 340 others, and trained on "
    "850 where it has 1,020. Networks are slim, as their names say. EfficientNet-Lite0 and the CNN trained on CIFAR-10 are "
    "no trunks of the document: their figures stand beside no published one, but where a claim is judged in print, "
    "the former takes the place of MobileNet. All figures, with counts and intervals, are in"
)

STUDY = Study(
    called=called, shown=shown, stands_for=stands_for, brief=True, figures=figures, beside=beside,
    tables=tables, how=_HOW,
)  # fmt: skip
