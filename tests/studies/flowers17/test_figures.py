"""The figures of the study of flowers: which of them a run has something for, and what they show."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pymupdf
import pytest
from scenes import flowers17 as scene

from bench.measure.access import access_curves
from bench.measure.outcomes import Outcomes
from bench.studies.flowers17 import classes, curves
from bench.studies.flowers17.bars import features_figure
from bench.studies.flowers17.figures import compared_models, tops_figure


def words(figure):
    return " ".join(pymupdf.open(stream=figure.pdf)[0].get_text().split())


def test_each_top_has_a_panel_with_a_line_for_each_kind_of_access(study):
    figure = tops_figure(study)
    said = words(figure)
    for panel in ("Logistic regression on EfficientNet-Lite0", "k-NN on", "Random forest on", "Bagging",
                  "Stacking, forest"):  # fmt: skip
        assert panel in said, panel
    for kind in ("its own gradient", "gradient of a surrogate", "trained substitute", "its scores alone",
                 "its labels alone", "worst case of all attacks"):  # fmt: skip
        assert said.count(kind) == 1, kind
    assert "n = 100 images a panel" in figure.caption


def test_what_a_run_lacks_is_left_out_of_the_picture(study):
    points = access_curves(Outcomes(scene.results(leave_out=("square", "hopskipjump"))))
    assert set(points["access"]) == {"exact", "surrogate", "substitute", "worst case"}
    assert compared_models(study, points[points["model"] == "nothing"]) == [None] * 5
    forest = scene.features("forest")
    alone = points[points["model"] == forest]
    assert compared_models(study, alone) == [None, None, forest, None, None]


def test_curves_are_of_plain_augmented_and_tuned_networks(study, monkeypatch):
    monkeypatch.setattr(curves, "to_pdf", lambda figure: b"")  # which takes longest
    found = {figure.name: figure for figure in curves.learning_curves(study)}
    assert list(found) == [
        "curves-2", "curves-3", "curves-4", "curves-tuned-efficientnet-lite0", "curves-tuned-cifar10",
    ]  # fmt: skip
    assert "up to 4 further trainings" in found["curves-2"].caption
    assert "Pale" not in found["curves-3"].caption


def test_of_a_few_trainings_a_panel_each_is_drawn(study):
    few = [one for one in study.results.trainings
           if "mk-2-aug" in one["name"] or one["name"].endswith("lite0-adam-bn-dropout")]  # fmt: skip
    results = dataclasses.replace(study.results, trainings=tuple(few))
    augmented, tuned = curves.learning_curves(dataclasses.replace(study, results=results))
    for panel in (
        "Mk-2, slim, zoom",
        "Mk-2, slim, flips",
        "Mk-2, slim, all augmentations",
        "epoch kept",
    ):
        assert words(augmented).count(panel) == 1, panel
    assert "Adam, batch norm, dropout" in words(tuned)


def test_a_run_without_trainings_has_no_curves():
    assert curves.learning_curves(SimpleNamespace(results=SimpleNamespace(trainings=()))) == []


def test_bars_are_of_published_and_of_our_trunks(study):
    figure = features_figure(study)
    said = words(figure)
    for key in ("Xception, published", "ours: EfficientNet-Lite0, ImageNet", "ours: CIFAR-10 CNN"):
        assert said.count(key) == 1, key
    bare = dataclasses.replace(study, beside=study.beside.assign(ours=np.nan))
    assert features_figure(bare) is None


@pytest.fixture
def with_pictures(study):
    """Return the study with four pictures kept, the last of class 2 again."""
    kept = {"index": np.arange(4), "x": np.full((4, 3, 8, 8), 0.5, dtype=np.float32)}
    rows = study.results.rows.assign(label=study.results.rows["index"] % 3)
    store = SimpleNamespace(pictures=lambda cell: kept)
    results = dataclasses.replace(study.results, rows=rows, store=store)
    return dataclasses.replace(study, results=results)


def test_one_image_of_each_class_comes_from_the_kept_pictures(with_pictures, monkeypatch):
    monkeypatch.setattr(classes, "flowers_present", lambda root: False)
    found = classes.images_by_class(with_pictures.results)
    assert {label: len(images) for label, images in found.items()} == {0: 2, 1: 1, 2: 1}
    figure = classes.classes_figure(with_pictures)
    assert words(figure) == "daffodil snowdrop lily of the valley"
    assert "It kept none of bluebell, crocus" in figure.caption


def test_classes_without_a_kept_picture_come_from_the_data_folder(with_pictures, monkeypatch):
    asked = []
    image = SimpleNamespace(numpy=lambda: np.zeros((3, 8, 8), dtype=np.float32))
    monkeypatch.setattr(classes, "flowers_present", lambda root: True)
    monkeypatch.setattr(
        classes, "flower", lambda split, index, root: asked.append((split, index)) or image
    )
    figure = classes.classes_figure(with_pictures)
    assert asked == [("test", label) for label in range(3, 17)]
    assert "pansy is from the data folder" in figure.caption
    assert words(figure).endswith("windflower pansy")


def test_without_pictures_there_is_no_figure_of_classes(study):
    assert classes.classes_figure(study) is None
