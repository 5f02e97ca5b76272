"""The figures of the study, a method after the other."""

from __future__ import annotations

from collections.abc import Sequence

from bench.report.blocks import Figure
from bench.report.findings import Findings
from bench.studies.fooling.accuracy import accuracy_figure
from bench.studies.fooling.galleries import (
    boxes_figure,
    deepfool_gallery,
    fgsm_gallery,
    growing_eps_figure,
    lbfgs_figure,
    norms_figure,
    sparsefool_gallery,
    sparsity_figure,
    visibility_figure,
)
from bench.studies.fooling.photographs import (
    photographs_under_every_attack,
    photographs_under_fgsm,
    photographs_under_one_pixel,
)
from bench.studies.fooling.searches import one_pixel_gallery, search_figure
from bench.studies.fooling.sweeps import box_figure, lambda_figure, universal_figure
from bench.studies.fooling.universal import of_each_network, of_each_radius, on_images

_FIGURES = (
    lbfgs_figure,
    growing_eps_figure,
    accuracy_figure,
    fgsm_gallery,
    deepfool_gallery("l2", "Figures 7.5, 12.5 and 12.8"),
    deepfool_gallery("linf", "Figure 12.9"),
    norms_figure,
    visibility_figure,
    sparsefool_gallery,
    sparsity_figure,
    boxes_figure,
    lambda_figure,
    box_figure,
    one_pixel_gallery,
    search_figure,
    of_each_network,
    of_each_radius,
    on_images,
    universal_figure,
    photographs_under_fgsm,
    photographs_under_one_pixel,
    photographs_under_every_attack,
)


def figures(findings: Findings) -> Sequence[Figure]:
    """Return the figures that a run has the cells for."""
    return [drawn for figure in _FIGURES if (drawn := figure(findings)) is not None]
