from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
import pymupdf
from matplotlib.figure import Figure

from bench.report import figures
from bench.report.tables import Measured


def _lines(models: int = 1, nan: bool = False) -> pd.DataFrame:
    eps = [0.0, 2 / 255, 8 / 255]
    rows = [
        {"model": f"m{turn}", "norm": "linf", "eps": at, "accuracy": 0.9 - 0.1 * step - 0.01 * turn,
         "low": 0.3, "high": 0.95, "n": 200}
        for turn in range(models)
        for step, at in enumerate(eps)
    ]  # fmt: skip
    frame = pd.DataFrame(rows)
    if nan:
        frame.loc[frame["eps"] == 8 / 255, ["accuracy", "low", "high"]] = np.nan
    return frame


_ASKED = {2 / 255: "2/255", 8 / 255: "8/255"}


def test_what_is_drawn_is_the_curve(measured: Measured) -> None:
    for norm, lines in measured.curve.groupby("norm"):
        axes = Figure().subplots()
        asked = measured.headline.loc[measured.headline["norm"] == norm, ["eps", "eps_text"]]
        figures.draw_accuracy(axes, lines, dict(asked.itertuples(index=False)))
        steps = {str(line.get_label()): line for line in axes.get_lines()[::2]}
        points = axes.get_lines()[1::2]
        assert list(steps) == list(lines["model"].unique())
        for (model, line), dots in zip(steps.items(), points, strict=True):
            truth = lines[lines["model"] == model]
            assert line.get_drawstyle() == "steps-post"
            np.testing.assert_array_equal(line.get_xdata(), truth["eps"])
            np.testing.assert_allclose(line.get_ydata(), 100 * truth["accuracy"])
            assert set(np.asarray(dots.get_xdata())) == {0.0, *asked["eps"]}


def test_ticks_are_the_radii_asked_for_as_people_write_them() -> None:
    axes = Figure().subplots()
    figures.draw_accuracy(axes, _lines(), _ASKED)
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["0", "2/255", "8/255"]
    crowded = figures._spaced({0.005: "a", 0.011: "b", 0.1: "c"}, 0.1)
    assert list(crowded.values()) == ["0", "c"]


def test_models_differ_without_colour() -> None:
    axes = Figure().subplots()
    figures.draw_accuracy(axes, _lines(9), _ASKED)
    looks = {
        (str(line.get_linestyle()), str(dots.get_marker()))
        for line, dots in zip(axes.get_lines()[::2], axes.get_lines()[1::2], strict=True)
    }
    assert len(looks) == 9
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == [f"m{turn}" for turn in range(9)]


def test_a_radius_that_only_failed_attacks_aimed_at_is_not_drawn() -> None:
    axes = Figure().subplots()
    figures.draw_accuracy(axes, _lines(2, nan=True), _ASKED)
    assert np.isnan(np.asarray(axes.get_lines()[0].get_ydata())[-1])


def test_files_are_reproducible_selectable_and_of_the_right_width(measured: Measured) -> None:
    drawn = figures.accuracy_figures(measured.curve, measured.headline)
    again = figures.accuracy_figures(measured.curve, measured.headline)
    assert [figure.norm for figure in drawn] == ["linf", "l2"]
    assert [figure.pdf for figure in drawn] == [figure.pdf for figure in again]
    page = pymupdf.open(stream=drawn[0].pdf, filetype="pdf")[0]
    assert "worst-case accuracy (%)" in page.get_text()
    assert "8/255" in page.get_text()
    assert page.rect.width < 72 * figures.TEXT_WIDTH / 2
    wide = figures.accuracy_figures(_lines(5), measured.headline)[0]
    assert wide.wide
    assert not wide.bands
    width = pymupdf.open(stream=wide.pdf, filetype="pdf")[0].rect.width
    assert abs(width - 72 * figures.TEXT_WIDTH) < 1


def test_captions_name_n_and_the_one_model(measured: Measured) -> None:
    alone = figures.accuracy_figures(_lines(), measured.headline)[0]
    assert figures.caption(alone).startswith("m0, n = 200: ")
    small = figures.accuracy_figures(_lines().assign(n=50), measured.headline.head(0))[0]
    assert "n = 50 (smoke: n < 100)" in figures.caption(small)
    assert "asked" not in figures.caption(small)


def test_settings_of_matplotlib_stay_as_they_were(measured: Measured) -> None:
    before = dict(mpl.rcParams)
    figures.accuracy_figures(measured.curve, measured.headline)
    assert dict(mpl.rcParams) == before
