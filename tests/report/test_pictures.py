from __future__ import annotations

import dataclasses
import io
from typing import Any

import numpy as np
import torch
from PIL import Image
from scenes import stored_run

from bench.report.labels import attack_names
from bench.report.picture_blocks import PictureGrid
from bench.report.pictures import ATTACKS, IMAGES
from bench.report.pictures import picture_grid as made_grid
from bench.store.results import Results


def _pixels(png: bytes) -> Any:
    return np.asarray(Image.open(io.BytesIO(png)))


def picture_grid(results: Results) -> PictureGrid | None:
    return made_grid(results, attack_names(results))


class _Store:
    """Stands in for the store: the pictures of a test."""

    def __init__(self, kept: dict[str, dict[str, torch.Tensor]]) -> None:
        self._kept = kept

    def pictures(self, cell: str) -> dict[str, torch.Tensor]:
        return self._kept.get(cell, {})


def _with(results: Results, kept: dict[str, dict[str, torch.Tensor]]) -> Results:
    return dataclasses.replace(results, store=_Store(kept))  # type: ignore[arg-type]


def test_first_attacked_images_under_different_attacks(results: Results) -> None:
    grid = picture_grid(results)
    assert grid is not None
    assert grid.model == stored_run.MODELS[0]
    assert len(grid.originals) == IMAGES
    assert len(grid.columns) == ATTACKS
    assert [column.attack for column in grid.columns] == ["pgd", "deepfool", "cw"]
    x, y = stored_run.images()
    attacked = [1, 2, 3, 4]  # the model gets image 0 wrong
    for picture, index in zip(grid.originals, attacked, strict=True):
        assert picture.below == f"{int(y[index])} (90 %)"
        assert _pixels(picture.png)[0, 0] == round(255 * float(x[index, 0, 0, 0]))


def test_perturbations_are_amplified_around_grey(results: Results) -> None:
    grid = picture_grid(results)
    assert grid is not None
    pgd = grid.columns[0]
    assert (pgd.threat, pgd.factor) == ("linf 24/255", 5)
    change = _pixels(pgd.pairs[0][0].png)
    assert {int(value) for value in np.unique(change)} == {
        round(255 * (0.5 + 5 * sign * 24 / 255)) for sign in (-1, 1)
    }
    assert pgd.pairs[0][0].below == "0.0941"


def test_what_was_added_in_l0_is_a_count_of_pixels(results: Results) -> None:
    cell = str(results.cells["cell"].iloc[0])
    rows = results.rows[results.rows["cell"] == cell].assign(norm="l0", l0=3.0)
    cells = results.cells[results.cells["cell"] == cell].assign(norm="l0", eps="3")
    grid = picture_grid(dataclasses.replace(results, rows=rows, cells=cells))
    assert grid is not None
    assert {added.below for added, _ in grid.columns[0].pairs} == {"3"}


def test_images_not_attacked_or_spoilt_are_left_out(results: Results) -> None:
    rows = results.rows.copy()
    rows.loc[rows["index"] == 1, "correct"] = False
    rows.loc[(rows["index"] == 2) & (rows["attack"] == "pgd"), "invalid"] = "not finite"
    grid = picture_grid(dataclasses.replace(results, rows=rows))
    assert grid is not None
    x, _ = stored_run.images()
    shown = [_pixels(picture.png)[0, 0] for picture in grid.originals]
    assert shown == [round(255 * float(x[index, 0, 0, 0])) for index in (3, 4, 5, 6)]


def test_colour_images_and_a_model_that_abstains(results: Results) -> None:
    cell = str(results.cells["cell"].iloc[0])
    rows = results.rows[results.rows["cell"] == cell].copy()
    rows["adv_label"] = rows["adv_label"].where(rows["adv_label"].isna(), -1)
    kept = results.pictures(cell)
    colour = {name: kept[name].repeat(1, 3, 1, 1) for name in ("x", "x_adv")}
    grid = picture_grid(
        dataclasses.replace(_with(results, {cell: colour | {"index": kept["index"]}}), rows=rows)
    )
    assert grid is not None
    assert len(grid.columns) == 1
    assert _pixels(grid.originals[0].png).shape == (224, 224, 3)
    assert grid.columns[0].pairs[0][1].below.startswith("abstains")


def test_class_names_are_the_data_set_s(results: Results) -> None:
    def of(data: str) -> Results:
        models = [{**model, "data": data} for model in results.models]
        return dataclasses.replace(results, models=models)

    shirts = of("fashion-mnist")
    grid = picture_grid(shirts)
    assert grid is not None
    _, y = stored_run.images()
    names = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag",
             "boot")  # fmt: skip
    assert grid.originals[0].below == f"{names[int(y[1])]} (90 %)"
    own = of("my-own")
    numbered = picture_grid(own)
    assert numbered is not None
    assert numbered.originals[0].below == f"{int(y[1])} (90 %)"


def test_nothing_kept_and_nothing_run_give_no_grid(results: Results) -> None:
    assert picture_grid(_with(results, {})) is None
    assert picture_grid(dataclasses.replace(results, rows=results.rows.head(0))) is None
