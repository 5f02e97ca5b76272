from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
import pymupdf
import pytest
from matplotlib.figure import Figure

from bench.report import drawing, legends
from bench.report.measured import Measured
from bench.report.sections import accuracy


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
    assert set(measured.curve["norm"]) == {"l2", "linf"}
    for norm, lines in measured.curve.groupby("norm"):
        axes = Figure().subplots()
        asked = measured.headline.loc[measured.headline["norm"] == norm, ["eps", "eps_text"]]
        accuracy.draw_accuracy(axes, lines, dict(asked.itertuples(index=False)))
        steps = {str(line.get_label()): line for line in axes.get_lines()[::2]}
        points = axes.get_lines()[1::2]
        assert list(steps) == list(lines["model"].unique())
        for (model, line), dots in zip(steps.items(), points, strict=True):
            truth = lines[lines["model"] == model]
            # In l2 minimal-norm attacks measure every radius; in linf only those asked for are known.
            assert line.get_drawstyle() == ("steps-post" if norm == "l2" else "default")
            np.testing.assert_array_equal(line.get_xdata(), truth["eps"])
            np.testing.assert_allclose(line.get_ydata(), 100 * truth["accuracy"])
            assert set(np.asarray(dots.get_xdata())) == {0.0, *asked["eps"]}


def test_ticks_are_the_radii_asked_for_as_people_write_them() -> None:
    axes = Figure().subplots()
    accuracy.draw_accuracy(axes, _lines(), _ASKED)
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["0", "2/255", "8/255"]
    crowded = accuracy.spaced_ticks({0.005: "a", 0.011: "b", 0.1: "c"}, 0.1)
    assert list(crowded.values()) == ["0", "c"]


def test_models_differ_without_colour() -> None:
    axes = Figure().subplots()
    accuracy.draw_accuracy(axes, _lines(9), _ASKED)
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
    accuracy.draw_accuracy(axes, _lines(2, nan=True), _ASKED)
    assert np.isnan(np.asarray(axes.get_lines()[0].get_ydata())[-1])


def test_files_are_reproducible_selectable_and_of_the_right_width(measured: Measured) -> None:
    drawn = accuracy.accuracy_figures(measured.curve, measured.headline)
    again = accuracy.accuracy_figures(measured.curve, measured.headline)
    norms = [figure.caption.split()[3] for figure in drawn]
    assert norms == ["linf", "l2"]
    assert [figure.pdf for figure in drawn] == [figure.pdf for figure in again]
    page = pymupdf.open(stream=drawn[0].pdf, filetype="pdf")[0]
    assert "worst-case accuracy (%)" in page.get_text()
    assert "8/255" in page.get_text()
    assert page.rect.width < 72 * drawing.TEXT_WIDTH / 2
    wide = accuracy.accuracy_figures(_lines(5), measured.headline)[0]
    assert wide.wide
    assert "intervals" not in wide.caption
    width = pymupdf.open(stream=wide.pdf, filetype="pdf")[0].rect.width
    assert abs(width - 72 * drawing.TEXT_WIDTH) < 1


def test_points_are_joined_by_thin_lines_where_nothing_is_known_between_them() -> None:
    axes = Figure().subplots()
    accuracy.draw_accuracy(axes, _lines(2), _ASKED)
    joined, _ = axes.get_lines()[:2]
    assert list(np.asarray(joined.get_xdata())) == [0.0, 2 / 255, 8 / 255]
    assert joined.get_linewidth() < 1
    (bars, _) = axes.collections  # of the first model and of the second
    spans = [path.vertices[:, 1].tolist() for path in bars.get_paths()]
    np.testing.assert_allclose(spans, [[30, 95]] * 3)
    drawn = accuracy.accuracy_figures(_lines(2), pd.DataFrame(_HEADLINE))[0]
    said = drawn.caption
    assert "the lines between them measure nothing" in said
    assert "upper bound" not in said
    assert "Bars: 95 % Wilson intervals" in said


_HEADLINE = [
    {"model": "m0", "norm": "linf", "eps": eps, "eps_text": text, "flag": ""}
    for eps, text in _ASKED.items()
]


@pytest.mark.parametrize("names", [
    ("_ours", "plain", "digits/mlp"),
    ("a_$5_b_$6", "cost $5 and $6"),
    ("{x}^2 \\alpha", "50 % <b>"),
])  # fmt: skip
@pytest.mark.filterwarnings("error")
def test_a_legend_names_models_as_they_are_written(names: tuple[str, ...]) -> None:
    called = dict(zip(("m0", "m1", "m2"), names, strict=False))
    lines = _lines(len(names)).replace({"model": called})
    page = _page(accuracy.accuracy_figures(lines, pd.DataFrame(_HEADLINE))[0].pdf)
    for name in names:
        assert name.replace(" ", "") in page


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("models", [2, 3, 9])
def test_long_names_are_whole_and_told_apart(models: int) -> None:
    stem = "WideResNet-28-10_Gowal2021Improving_ddpm_100m_linf_8_255_seed"
    lines = _lines(models).replace(
        {"model": {f"m{turn}": f"{stem}{turn}" for turn in range(models)}}
    )
    drawn = accuracy.accuracy_figures(lines, pd.DataFrame(_HEADLINE))[0]
    assert drawn.wide
    page = _page(drawn.pdf)
    assert all(f"{stem}{turn}" in page for turn in range(models))
    (sheet,) = pymupdf.open(stream=drawn.pdf, filetype="pdf")
    words = sheet.get_text("words")
    assert all(sheet.rect.contains(pymupdf.Rect(word[:4])) for word in words)  # nothing is cut
    named = [word for word in words if "Wide" in word[4]]
    axis = next(word for word in words if word[4] == "8/255")
    assert (
        min(word[0] for word in named) > 0.5 * sheet.rect.width
    )  # and the axes have the larger part
    assert axis[0] > 0.45 * sheet.rect.width


def test_of_many_models_the_best_and_the_worst_are_named() -> None:
    axes = Figure().subplots()
    accuracy.draw_accuracy(axes, _lines(60), _ASKED)
    legend = axes.get_legend()
    assert legend is not None
    said = [text.get_text() for text in legend.get_texts()]
    assert said == [*(f"m{turn}" for turn in (0, 1, 2, 3, 4, 56, 57, 58, 59)), "51 other models"]
    assert len({line.get_label() for line in axes.get_lines()}) >= 60  # all of them are drawn
    drawn = accuracy.accuracy_figures(_lines(60), pd.DataFrame(_HEADLINE))[0]
    assert "Named: the most and the least robust" in drawn.caption


@pytest.mark.parametrize(("name", "lines"), [
    ("plain", ["plain"]),
    ("a-b_c/d", ["a-b_c/d"]),
    ("aaaa-bbbb-cccc", ["aaaa-bbbb-", "cccc"]),
    ("x" * 25, ["x" * 10, "x" * 10, "x" * 5]),
    ("aaaa bbbb cccc", ["aaaa bbbb", "cccc"]),
])  # fmt: skip
def test_names_are_broken_after_their_signs(name: str, lines: list[str]) -> None:
    assert legends.broken(name, 10) == lines


def _page(pdf: bytes) -> str:
    """Return the words of a figure without spaces and line breaks."""
    return "".join("".join(page.get_text() for page in pymupdf.open(stream=pdf)).split())


def test_captions_name_n_and_the_one_model(measured: Measured) -> None:
    alone = accuracy.accuracy_figures(_lines(), measured.headline)[0]
    assert alone.caption.startswith("Accuracy against the linf radius, m0, n = 200: ")
    small = accuracy.accuracy_figures(_lines().assign(n=50), measured.headline.head(0))[0]
    assert "n = 50 (smoke: n < 100)" in small.caption
    assert "asked" not in small.caption


def test_settings_of_matplotlib_stay_as_they_were(measured: Measured) -> None:
    before = dict(mpl.rcParams)
    accuracy.accuracy_figures(measured.curve, measured.headline)
    assert dict(mpl.rcParams) == before
