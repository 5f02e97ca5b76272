"""The critical eps in a report: its table, its figure, its place in the PDF and beside it."""

from __future__ import annotations

from pathlib import Path

import build
import numpy as np
import pandas as pd
import pymupdf
import pytest
from build import cell
from matplotlib.figure import Figure

from bench.measure.radius import critical_eps, measured_radii
from bench.report.document import document
from bench.report.drawing import TEXT_WIDTH
from bench.report.findings import Findings
from bench.report.labels import attack_names as names
from bench.report.measured import measure
from bench.report.sections.radius import draw_radii, radius_figures, radius_table
from bench.report.write import write_report
from bench.store.results import Results

N = 600
SHARES = (np.arange(N) + 0.5) / N
RADII = {
    "a": 0.02 - np.log(1 / SHARES - 1) / 600,  # the ordinary logistic, steepest at 0.02
    "b": np.where(SHARES < 0.8, 0.05 - np.log(1 / SHARES - 1) / 300, np.inf),
    "c": np.where(SHARES < 0.3, 0.04, np.inf),
}


@pytest.fixture(scope="module")
def run() -> Results:
    cells = [cell(model, "fgsm-radius", None, range(N), radii=RADII[model]) for model in RADII]
    return build.results(cells, images=N)


@pytest.fixture(scope="module")
def found(run: Results) -> pd.DataFrame:
    return critical_eps(run)


def _drawn(run: Results, found: pd.DataFrame):
    axes = Figure().subplots()
    draw_radii(axes, found.assign(title=found["model"]), measured_radii(run))
    return axes


def test_the_table_has_the_figure_its_error_or_the_refusal(run, found) -> None:
    table = radius_table(found, names(run)).frame.set_index("model")
    assert table.map(lambda value: isinstance(value, str)).all(axis=None)
    assert table.loc["a", "critical eps"].startswith("0.020")
    assert " ± 0.000" in table.loc["a", "critical eps"]
    assert table.loc["a", "R²"] == "1.000"
    assert table["not broken (censored)"].tolist() == ["0", "120", "420"]
    assert table.loc["c", "critical eps"] == table.loc["c", "R²"] == "–"
    assert table["note"].tolist() == ["", "", "420 of 600 images never flipped"]
    assert "surface" not in table
    several = found.assign(surface=["network", "soft-knn", "nearest-other"])
    assert "surface" in radius_table(several, names(run)).frame


def test_what_is_drawn_is_measured_and_fitted(run, found) -> None:
    axes = _drawn(run, found)
    pale = [line for line in axes.get_lines() if line.get_drawstyle() == "steps-post"]
    assert len(pale) == 3
    for line, radii in zip(pale, RADII.values(), strict=True):
        eps = np.asarray(line.get_xdata())
        truth = [100 * np.mean(radii > at) for at in eps]
        np.testing.assert_allclose(line.get_ydata(), truth, atol=1e-9)
    spots = [line for line in axes.get_lines() if line.get_marker() in ("o", "s", "D")]
    assert [line.get_xdata()[0] for line in spots] == pytest.approx([0.02, 0.05], rel=1e-3)
    assert [line.get_ydata()[0] for line in spots] == pytest.approx([50, 50], abs=0.5)
    legend = axes.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["a", "b", "c"]
    assert axes.get_xlim()[1] < 0.1


def test_figures_are_reproducible_and_say_whose_they_are(run, found) -> None:
    called, radii = names(run), measured_radii(run)
    (one,), (again,) = (radius_figures(found, radii, called) for _ in range(2))
    assert one.pdf == again.pdf
    assert one.caption.startswith("fgsm-radius: share of the images")
    assert one.caption.endswith("The table says why a model has none.")
    (alone,) = radius_figures(found.head(1), radii, called)
    assert alone.caption.startswith("a, fgsm-radius: ")
    assert "none" not in alone.caption
    text = pymupdf.open(stream=one.pdf, filetype="pdf")[0].get_text()
    assert "accuracy (%)" in text
    wide = pd.concat([found.assign(model=f"m{turn}") for turn in range(2)])
    (large,) = radius_figures(wide, radii, called)
    assert large.wide
    width = pymupdf.open(stream=large.pdf, filetype="pdf")[0].rect.width
    assert abs(width - 72 * TEXT_WIDTH) < 1


def test_a_model_of_several_surfaces_has_a_line_for_each(run, found) -> None:
    two = found.head(2).assign(model="vote", surface=["soft-knn", "nearest-other"])
    (one,) = radius_figures(two, measured_radii(run), names(run))
    text = pymupdf.open(stream=one.pdf, filetype="pdf")[0].get_text()
    assert "vote, soft-knn" in text
    assert "vote, nearest-other" in text


def test_where_no_image_counts_there_is_a_row_and_no_figure(run) -> None:
    none = critical_eps(run, confidence=0.95)
    assert none["n"].tolist() == [0, 0, 0]
    assert radius_figures(none, measured_radii(run, 0.95), names(run)) == []
    assert radius_table(none, names(run)).frame["note"].tolist() == ["0 images, 500 are needed"] * 3


def test_a_run_without_radii_says_nothing_of_them(results, measured, tmp_path: Path) -> None:
    made = document(Findings(results=results, measured=measured))
    assert "radius" not in [section.label for section in made.sections]
    made = write_report(results, tmp_path, ("csv",), measured=measured)
    assert not [path for path in made["csv"] if "radius" in path.name]


@pytest.fixture(scope="module")
def measuring_run(tmp_path_factory) -> Results:
    """Return a real run of both attacks on a small network."""
    import bench

    folder = tmp_path_factory.mktemp("radii")
    (folder / "radii.toml").write_text(SUITE)
    done = bench.run(str(folder / "radii.toml"), results=str(folder / "results"))
    return done.results


SUITE = """\
title  = "Radii"
data   = "digits"
images = 500

[[models]]
name = "digits/mlp"

[[attacks]]
name = "fgsm-radius"
norm = "linf"

[[attacks]]
name      = "ifgsm-radius"
norm      = "linf"
step_size = 0.01
steps     = 60
project   = [0.05, 1]

[[attacks]]
name     = "fgsm"
norm     = "linf"
eps      = "0.1"
toolkits = ["torchattacks"]
"""


def test_a_run_that_measures_radii_reports_them(measuring_run, tmp_path: Path) -> None:
    measured = measure(measuring_run)
    assert len(measured.radii) == 3
    assert (measured.radii["n"] < 500).all()  # some are wrong, or not sure
    made = write_report(measuring_run, tmp_path, ("pdf", "csv", "latex"), measured=measured)
    read = pd.read_csv(tmp_path / "radii-radius.csv", keep_default_na=False)
    named = ["parameters" if name == "words" else name for name in measured.radii.columns]
    assert list(read.columns)[: len(named)] == named
    assert read["attack"].tolist() == ["fgsm-radius", "ifgsm-radius", "ifgsm-radius"]
    assert (tmp_path / "radii-radius.tex") in made["latex"]
    text = " ".join(" ".join(page.get_text() for page in pymupdf.open(made["pdf"][0])).split())
    assert "Critical eps" in text
    assert "images, 500 are needed" in text
    assert "ifgsm-radius, project 0.05: share of the images" in text


def test_radii_count_in_the_headline_as_other_minimal_attacks(measuring_run) -> None:
    rows, cells = measuring_run.rows, measuring_run.cells
    by_cell = dict(zip(cells["cell"], cells["attack"], strict=True))
    attack = rows["cell"].map(by_cell)
    assert set(rows.loc[attack == "fgsm-radius", "kind"]) == {"radius"}
    assert set(rows.loc[attack == "fgsm", "kind"]) == {"attack"}
    (line,) = measure(measuring_run).headline.to_dict("records")
    assert (line["planned"], line["attacks"]) == (4, 4)
    near = rows["success"] & (rows["linf"] <= 0.1 + 2e-6)
    fallen = rows[near | ~rows["correct"]].groupby("index").size()
    assert line["robust_accuracy"] == pytest.approx(1 - len(fallen) / 500)
    # FGSM at 0.1 breaks no image that flips beyond 0.1 along its direction.
    radii = rows[attack == "fgsm-radius"].set_index("index")["adversarial_radius"]
    fgsm = rows[attack == "fgsm"].set_index("index")
    broken = fgsm.index[fgsm["success"]]
    assert (radii[broken] <= 0.1 + 2e-6).all()


def test_a_figure_of_crowded_curves_has_a_logarithmic_axis(run, found) -> None:
    assert _drawn(run, found).get_xscale() == "linear"
    shifts = {"a": 0.02, "b": 0.018, "c": 1.0}
    radii = {
        cell: shifts[model] * (0.5 + SHARES)
        for cell, model in zip(found["cell"], found["model"], strict=True)
    }
    axes = Figure().subplots()
    draw_radii(axes, found.assign(title=found["model"], refused="planted"), radii)
    assert axes.get_xscale() == "log"
    left, right = axes.get_xlim()
    assert left == pytest.approx(0.018 * (0.5 + SHARES[0]))
    pale = axes.get_lines()[0]
    eps = np.asarray(pale.get_xdata())
    assert eps[0] == pytest.approx(left)
    assert eps[-1] == pytest.approx(right)
    truth = [100 * np.mean(radii[found["cell"].iloc[0]] > at) for at in eps]
    np.testing.assert_allclose(pale.get_ydata(), truth, atol=1e-9)
