"""The figure of success against passes: where its markers stand, and which attacks it names."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from bench.report.passes import caption, draw_passes, outstanding_attacks


def points(*rows, norm="linf", **more):
    """Return points of attacks, each its name, passes and success; every one stands on the grey line."""
    table = pd.DataFrame(rows, columns=["attack", "passes", "success"])
    return table.assign(
        data="digits", norm=norm, eps="0.1", together=table["success"].cummax(),
        **{"models": 1, "asked": True, **more},
    )  # fmt: skip


def test_markers_stand_at_passes_and_success_and_grey_at_what_as_cheap_ones_do() -> None:
    axes = Figure().subplots()
    draw_passes(axes, points(("fgsm", 4, 0.1), ("pgd", 20, 0.3), ("cw", 42, 0.1)), ["fgsm", "pgd"])
    together, *markers = axes.lines
    places = np.concatenate([line.get_xydata() for line in markers])
    assert places[places[:, 0].argsort()] == pytest.approx(np.array([[4, 10], [20, 30], [42, 10]]))
    assert np.asarray(together.get_ydata()) == pytest.approx([10, 30, 30])
    assert len({line.get_markeredgecolor() for line in markers}) == 3
    assert axes.get_xscale() == "log"
    assert axes.get_ylim() == (0, 102)


def test_an_attack_without_passes_can_be_drawn() -> None:
    axes = Figure().subplots()
    draw_passes(axes, points(("fgsm", 0, 0.7), ("pgd", 20, 0.9)), ["fgsm", "pgd"])
    assert axes.get_xscale() == "linear"
    assert axes.get_ylim() == (60, 102)


def test_of_many_attacks_those_are_named_that_none_as_cheap_outdoes_and_the_weakest() -> None:
    many = [(f"a{turn}", 10 + turn, 0.5 - turn / 100) for turn in range(10)]
    table = points(*many, ("best", 50, 0.9), ("late", 60, 0.9), ("cheap", 10, 0.4))
    assert outstanding_attacks(table) == ["a0", "best", "cheap"]
    elsewhere = points(("late", 5, 0.2), ("best", 50, 0.3), norm="l2")
    both = pd.concat([table, elsewhere], ignore_index=True)
    assert outstanding_attacks(both) == ["a0", "best", "cheap", "late"]
    assert outstanding_attacks(elsewhere) == ["late", "best"]


def test_the_caption_says_which_radius_is_shown() -> None:
    asked = points(("fgsm", 4, 0.1), ("pgd", 20, 0.3))
    median = points(("cw", 4, 0.1), ("ddn", 20, 0.3), norm="l2", asked=False, models=2)
    both = pd.concat([asked, median], ignore_index=True)
    assert "differ most" in caption(asked, named=True)
    assert "median" not in caption(asked, named=True)
    assert "In l2, which has none: the median" in caption(both, named=True)
    assert "differ most" not in caption(median, named=True)
    assert "mean over the models" in caption(median, named=True)
    assert "Named:" in caption(asked, named=False)
