"""The table of perturbations stands only where an attack gives its images before the clip."""

from __future__ import annotations

import dataclasses

import build
import numpy as np
import pandas as pd
import pytest
from build import cell

from bench.report.findings import find
from bench.report.measured import measure
from bench.report.sections.perturbations import frames, section


def findings_of(**columns):
    """Return the findings of 20 images under FGSM, 4 of them broken, with more columns in their rows."""
    made = build.results(
        [cell("m", "fgsm", "0.1", range(4), toolkit="native"), cell("m", "fgsm", "0.1", ())],
        images=20,
    )
    first = made.rows["cell"] == "cell-0"
    rows = made.rows.assign(**{
        name: pd.Series(np.where(first, value, np.nan)).astype(made.rows[name].dtype)
        for name, value in columns.items()
    })  # fmt: skip
    made = dataclasses.replace(made, rows=rows)
    return find(made, measure(made))


SIZES = {"clean_l2": 5.0, "clean_linf": 1.0, "changed_pixels": 0.5, "changed_values": 0.25}


def test_without_sizes_there_is_nothing_to_tell() -> None:
    findings = findings_of()
    assert section(findings) is None
    assert frames(findings) == {}


def test_without_images_before_the_clip_there_is_a_file_alone() -> None:
    findings = findings_of(**SIZES)
    assert section(findings) is None
    (raw,) = frames(findings)["perturbations"].to_dict("records")
    assert (raw["fooling"], raw["rho_l2"]) == (0.2, pytest.approx(0.1 / 5))
    assert np.isnan(raw["rho_centred_l2"])


def test_figures_before_the_clip_stand_behind_a_slash() -> None:
    before = {"unclipped_label": 1, "unclipped_l2": 0.4, "unclipped_linf": 0.125}
    made = section(findings_of(**SIZES, **before))
    (row,) = made.blocks[0].frame.to_dict("records")
    assert row["fooled (%)"] == "20.0 / 100.0"
    assert row["size"] == "0.100 / 0.125"
    assert row["relative"] == "0.100 / 0.125"
    assert row["less means"] == "–"
    assert (row["pixels (%)"], row["values (%)"]) == ("50.0", "25.0")
