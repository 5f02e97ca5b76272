"""What the models of the study of flowers are called, and which published models they repeat."""

import pytest
from scenes import flowers17 as scene

from bench.measure.published import read_published
from bench.studies.flowers17.names import called, shown, stands_for


@pytest.mark.parametrize(
    ("model", "published"),
    [
        ("baseline-slim", "baseline"),
        ("mk-2-aug-all-slim-seed3", "mk-2-aug-all"),
        ("features-efficientnet-lite0-logistic", "mobilenet+logistic-regression"),
        ("features-mobilenetv1-knn", "mobilenet+knn"),
        ("features-vgg16-linear-svm", "vgg16+svm"),
        ("tuned-efficientnet-lite0-adam-bn-dropout", "finetune-mobilenet-phase-b-adam+bn+dropout"),
        ("tuned-vgg16-sgd-seed1", "finetune-vgg16-phase-b-sgd"),
        (scene.BAGGING.partition("/")[2], "bagging"),
        (scene.LEAKY.partition("/")[2], "stacking-random-forest"),
    ],
)
def test_ours_stand_for_models_that_are_printed(model, published):
    assert stands_for(f"flowers17/{model}") == f"flowers17/{published}"
    assert published in set(read_published(scene.PUBLISHED)["model"])


def test_a_trunk_trained_on_cifar10_stands_for_nothing_printed():
    printed = set(read_published(scene.PUBLISHED)["model"])
    for model in ("features-cifar10-cnn-forest", "tuned-cifar10-adam"):
        assert stands_for(f"flowers17/{model}").partition("/")[2] not in printed


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("mk-3-aug-flips-slim-seed2", "Mk-3, slim, flips, seed 2"),
        ("baseline", "Baseline"),
        (scene.MAJORITY.partition("/")[2], "Majority vote"),
        (scene.LEAKY.partition("/")[2], "Stacking, forest, leak"),
        ("ensemble-stacking-a+b-meta=LogisticRegression-folds=5", "Stacking, LogisticRegression, 5 folds"),
        ("features-cifar10-cnn-naive-bayes", "Naive Bayes on CIFAR-10 CNN"),
        ("tuned-cifar10-sgd-bn", "CIFAR-10 CNN tuned, SGD, batch norm"),
        ("finetune-vgg16-phase-a-adam+dropout", "VGG16 tuned, phase A, Adam, dropout"),
        ("inception-v3+svm", "Support vector machine on InceptionV3"),
    ],
)  # fmt: skip
def test_names_in_words(model, words):
    assert called(model) == words


def test_repeated_trainings_are_not_in_the_headline():
    assert shown("mk-2-slim")
    assert not shown("mk-2-slim-seed1")
