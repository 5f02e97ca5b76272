from __future__ import annotations

import dataclasses
import io
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scenes import stored_run

from bench.report.sections.gallery import gallery
from bench.spec import eps_text
from bench.store.results import Results


def _pixels(png: bytes) -> Any:
    return np.asarray(Image.open(io.BytesIO(png)))


class _Store:
    """Stands in for the store: the pictures of a test."""

    def __init__(self, results: Results, without: set[str]) -> None:
        self._results, self._without = results, without

    def pictures(self, cell: str) -> dict[str, torch.Tensor]:
        return {} if cell in self._without else self._results.pictures(cell)


def _without_pictures(results: Results, cells: set[str]) -> Results:
    return dataclasses.replace(results, store=_Store(results, cells))  # type: ignore[arg-type]


def test_a_sheet_a_model_and_a_panel_an_attack(results: Results) -> None:
    sheets = gallery(results)
    assert [sheet.model for sheet in sheets] == list(stored_run.MODELS)
    x, y = stored_run.images()
    for sheet in sheets:
        assert [panel.attack for panel in sheet.panels] == ["pgd", "deepfool", "cw", "noise"]
        assert (sheet.index, sheet.without) == (1, ())  # no model gets image 0 right
        assert sheet.original.below == f"{int(y[1])} (90 %)"
        assert _pixels(sheet.original.png)[0, 0] == round(255 * float(x[1, 0, 0, 0]))


def test_of_an_attack_the_smallest_change_that_fooled_the_model_is_shown(results: Results) -> None:
    for sheet in gallery(results):
        wall = float(stored_run.boundary(sheet.model)[1])
        _, y = stored_run.images()
        pgd, deepfool, _, noise = sheet.panels
        enough = [eps for eps in (8 / 255, 24 / 255) if eps > wall]
        assert pgd.size == eps_text(min(enough, default=24 / 255))  # as the run wrote it
        assert pgd.fooled == bool(enough)
        # Foolbox goes least beyond the boundary, and 64 pixels all change alike.
        assert (deepfool.toolkit, deepfool.norm) == ("foolbox", "l2")
        assert float(deepfool.size) == pytest.approx(8 * 1.01 * wall, rel=6e-3)
        assert deepfool.tried.below == f"{(int(y[1]) + 1) % 10} (60 %)"
        assert not noise.fooled
        assert noise.tried.below == f"{int(y[1])} (80 %)"


def test_what_was_added_is_amplified_around_grey(results: Results) -> None:
    noise = gallery(results)[0].panels[3]
    assert (noise.size, noise.factor) == ("24/255", 5)
    assert set(np.unique(_pixels(noise.added)).tolist()) == {
        round(255 * (0.5 + 5 * sign * 24 / 255)) for sign in (-1, 1)
    }


def test_the_first_image_that_most_attacks_changed_is_taken(results: Results) -> None:
    rows = results.rows.copy()
    rows.loc[(rows["index"] == 1) & (rows["attack"] == "cw"), "linf"] = 0.0
    rows.loc[(rows["index"] == 2) & (rows["attack"] == "pgd"), "invalid"] = "not finite"
    assert [sheet.index for sheet in gallery(dataclasses.replace(results, rows=rows))] == [3, 3]
    rows.loc[rows["attack"] == "cw", "linf"] = 0.0
    sheet = gallery(dataclasses.replace(results, rows=rows))[0]
    assert (sheet.index, sheet.without) == (1, ("cw",))


def test_an_attack_without_a_picture_gives_way_to_its_next_cell(results: Results) -> None:
    cells = results.cells
    foolbox = cells[(cells["attack"] == "deepfool") & (cells["toolkit"] == "foolbox")]["cell"]
    sheet = gallery(_without_pictures(results, set(foolbox)))[0]
    assert (sheet.panels[1].attack, sheet.panels[1].toolkit) == ("deepfool", "torchattacks")
    none = set(cells.loc[cells["attack"] == "deepfool", "cell"])
    sheet = gallery(_without_pictures(results, none))[0]
    assert [panel.attack for panel in sheet.panels] == ["pgd", "cw", "noise"]
    assert sheet.without == ("deepfool",)


def test_nothing_kept_and_nothing_run_give_no_sheet(results: Results) -> None:
    assert gallery(_without_pictures(results, set(results.cells["cell"]))) == []
    assert gallery(dataclasses.replace(results, rows=results.rows.head(0))) == []
