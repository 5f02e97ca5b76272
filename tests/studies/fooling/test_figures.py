"""The figures of the fooling study: which images they show, and which of them a run has the cells for."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pymupdf
import pytest
from scenes import fooling_pictures as scene

from bench.studies.fooling import (
    accuracy,
    galleries,
    photographs,
    searches,
    sweeps,
    tiles,
    universal,
)
from bench.studies.fooling.attempts import attempts_of, varied
from bench.studies.fooling.figures import figures
from bench.studies.fooling.selection import find_cells

NUMBERS = {*(f"12.{turn}" for turn in range(1, 27)), "6.1", "6.2", "7.5", "7.8", "8.1", "9.2"}


def numbers(figure):
    """Return the figures of the document that a caption names, all in its last sentence."""
    named = re.search(r"Figures? ([\d., and]+) of the study\.$", figure.caption)
    assert named, figure.caption
    return set(re.findall(r"\d+\.\d+", named[1]))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return scene.findings(tmp_path_factory.mktemp("whole"), scene.cells())


@pytest.fixture(scope="module")
def drawn(whole):
    return figures(whole)


@pytest.fixture
def unsaved(monkeypatch):
    """Save no drawing, which takes longest."""
    for module in (accuracy, searches, sweeps, tiles):
        monkeypatch.setattr(module, "to_pdf", lambda figure: b"")


def test_every_figure_of_the_document_is_there_once_and_says_of_how_many_images(drawn):
    named = [number for figure in drawn for number in numbers(figure)]
    assert sorted(named) == sorted(NUMBERS)
    assert len({figure.name for figure in drawn}) == len(drawn)
    for figure in drawn:
        assert re.search(r"n = \d", figure.caption)
        assert not re.search(r"\bnan\b|None", figure.caption)


def test_words_are_text_and_pages_are_as_wide_as_the_column(drawn):
    for figure in drawn:
        page = pymupdf.open(stream=figure.pdf)[0]
        assert len(page.get_text()) > 20
        assert page.rect.width == pytest.approx(
            72 * 16.4 / 2.54 / (1 if figure.wide else 2.06), rel=0.01
        )
        assert page.rect.height < 72 * 7


@pytest.mark.slow
@pytest.mark.parametrize(
    "attack",
    ["fgsm", "universal", "fgsm-radius", "deepfool", "sparsefool", "one-pixel", "l-bfgs"],
)
def test_what_a_run_lacks_is_left_out_and_the_rest_is_drawn(tmp_path, unsaved, attack):
    cells = [one for one in scene.cells() if one.attack != attack]
    found = figures(scene.findings(tmp_path, cells))
    lost = NUMBERS - {number for figure in found for number in numbers(figure)}
    own = {
        "fgsm": {"12.1", "12.4"}, "fgsm-radius": {"6.2", "12.3"},
        "deepfool": {"7.5", *(f"12.{turn}" for turn in range(5, 10))},
        "sparsefool": {"7.8", *(f"12.{turn}" for turn in range(10, 16))},
        "one-pixel": {"8.1", *(f"12.{turn}" for turn in range(16, 20))},
        "universal": {"9.2", *(f"12.{turn}" for turn in range(20, 26))}, "l-bfgs": {"6.1"},
    }  # fmt: skip
    assert lost == own[attack]


def test_without_pictures_the_curves_are_left(tmp_path, unsaved):
    cells = scene.cells()
    found = figures(scene.findings(tmp_path, cells, without={one.attack for one in cells}))
    left = {number for figure in found for number in numbers(figure)}
    # Perturbations that fit all images are stored apart.
    assert left == {"12.2", "12.10", "12.12", "12.20", "12.23", "12.24", "12.25"}


def test_failed_cells_give_no_figure(tmp_path):
    failed = [replace(one, status="failed", error="no memory") for one in scene.cells()]
    assert figures(scene.findings(tmp_path, failed)) == []


# ---- what is shown ----


def test_an_attempt_is_the_kept_picture_with_its_row(whole):
    cells = find_cells(whole.results, "deepfool", {"norm": "l2", "clip": "end"})
    cell = cells.to_dict("records")[0]
    attempts = attempts_of(whole.results, cell)
    assert sorted(attempts) == [index for index in range(scene.KEPT) if index not in scene.WRONG]
    one = attempts[1]
    assert np.allclose(one.x, 0.02)
    assert one.fooled
    assert not attempts[scene.HELD[0]].fooled
    assert one.label("clean") == "airplane\n90 %"
    assert one.label("adv") == "automobile\n80 %"
    added, tried, held = one.added("l0", "l2"), one.tried("never"), attempts[5].tried()
    # The largest change is 0.25, which two times over still lies within half of the range.
    assert added.below == "× 2\n1 pixel\n$\\ell_2$ 0.10"
    assert np.allclose(added.image[:, 0, 0], 1.0)
    assert np.allclose(added.image[:, 1:], 0.5)
    assert tried.below == "automobile\n80 %\nnever"
    assert not tried.failed
    assert held.failed


def test_images_that_more_cells_fooled_are_shown_first(whole):
    cells = find_cells(whole.results, "deepfool", {"norm": "l2", "clip": "end"})
    attempts = [attempts_of(whole.results, cell) for cell in cells.to_dict("records")]
    assert varied(attempts, 4) == [1, 2, 4, 6]
    assert varied(attempts, 99) == sorted(attempts[0])
    assert varied([], 4) == []


def test_one_image_is_right_at_the_smallest_eps_and_fooled_at_the_largest(tmp_path):
    cells = [
        scene.planted("cifar10/inceptionv3-slim", "fgsm", "linf", eps, {}, broken=broken)
        for eps, broken in (("0.1", {0, 2, 4}), ("0.01", {0}))
    ]
    figure = galleries.growing_eps_figure(scene.findings(tmp_path, cells))
    assert figure.caption.startswith("Image 2 of the split")
    assert galleries.growing_eps_figure(scene.findings(tmp_path, cells[:1])) is None


def test_the_smallest_eps_that_fools_is_shown_and_else_the_largest(whole):
    ((model, attempts),) = photographs.smallest_eps(whole).items()
    assert model == scene.PHOTOGRAPHER
    assert attempts[1].row["eps"] == 0.005
    assert attempts[0].row["eps"] == 0.05
    assert not attempts[0].fooled


def test_searches_have_the_traces_of_their_images(whole):
    several = searches.several_images(whole)
    assert [search.named for search in several.searches] == ["image 0", "image 1", "image 2"]
    assert several.stop == 0.1
    assert several.searches[2].trace["value"].tolist() == pytest.approx([0.9, 0.7, 0.5, 0.3])
    assert "population 400" in several.says
    classes = searches.several_classes(whole)
    assert [search.named for search in classes.searches] == ["to cat", "to deer", "to dog"]
    assert classes.stop == 0.5
    pixels = searches.several_pixels(whole)
    assert [search.named for search in pixels.searches] == ["1 pixel", "3 pixels", "5 pixels"]
    assert all(search.attempt.fooled for search in pixels.searches)


def test_curves_of_searches_are_those_of_the_traces(whole, monkeypatch):
    kept = []
    monkeypatch.setattr(searches, "to_pdf", lambda figure: kept.append(figure) or b"")
    searches.search_figure(whole)
    first = kept[0].axes[1].get_lines()
    assert first[0].get_ydata() == pytest.approx([90, 70])
    assert first[2].get_xdata().tolist() == [0, 1, 2, 3]
    assert first[3].get_ydata() == [10, 10]


def test_perturbations_stand_with_their_factor_and_the_share_they_fool(whole):
    figure = universal.of_each_network(whole)
    text = pymupdf.open(stream=figure.pdf)[0].get_text()
    # Of 20 test images one is wrong; of the others three are held. 3 / 20 and 0.1 / 20 are amplified.
    assert text.count("84.2 %") == 8
    assert text.count("× 3") == 4
    assert text.count("× 100") == 4
