"""What the models of this study are called, and which published model each of ours repeats."""

from __future__ import annotations

import re
from typing import NamedTuple

from bench.spec import configuration

DATA = "flowers17"
#: The networks of the document.
NETWORKS = ("baseline", *(f"mk-{number}" for number in range(1, 7)))
#: The published trunks, each with what ours are called that have it, and what it is called in print.
TRUNKS = {
    "vgg16": ("vgg16", "VGG16"),
    "inception-v3": ("inceptionv3", "InceptionV3"),
    "mobilenet": ("mobilenetv1", "MobileNet"),
    "xception": ("xception", "Xception"),
}
#: Trunks of ours in the place of the published ones; a head is tuned on the second under another name.
OTHER_TRUNKS = {
    "efficientnet-lite0": "EfficientNet-Lite0",
    "cifar10-cnn": "CIFAR-10 CNN",
    "mobilenetv2": "MobileNetV2",
    "mobilenetv3": "MobileNetV3",
}
#: The trunk whose place EfficientNet-Lite0 takes where a claim is judged on the printed figures.
_NEAREST = {"efficientnet-lite0": "mobilenet"}
#: The classifiers on features: in print, ours, and in words.
CLASSIFIERS = {
    "naive-bayes": ("naive-bayes", "Naive Bayes"),
    "knn": ("knn", "k-NN"),
    "svm": ("rbf-svm", "Support vector machine"),
    "logistic-regression": ("logistic", "Logistic regression"),
    "random-forest": ("forest", "Random forest"),
}
#: A classifier of ours that the document has no name for: it does not say which kernel its machine has.
LINEAR_SVM = ("linear-svm", "Support vector machine, linear")

_SLIM = "-slim"
_AUGMENTED = {"zoom": "zoom", "flips": "flips", "all": "all augmentations"}
_PARTS = {"adam": "Adam", "sgd": "SGD", "bn": "batch norm", "dropout": "dropout"}


class OnFeatures(NamedTuple):
    """A classifier on the features of a trunk, both as ours are called."""

    trunk: str
    top: str


class Tuned(NamedTuple):
    """A new head on a trunk: `setting` is `adam`, `sgd+bn` and so on, as published."""

    trunk: str
    setting: str


def on_features(model: str) -> OnFeatures | None:
    """Return what `features-TRUNK-TOP` is made of; None for a model that is none."""
    name = model.removeprefix("features-")
    tops = (*(ours for ours, _ in CLASSIFIERS.values()), LINEAR_SVM[0])
    top = next((one for one in tops if name.endswith(f"-{one}")), None)
    if name == model or top is None:
        return None
    return OnFeatures(name.removesuffix(f"-{top}"), top)


def tuned(model: str) -> Tuned | None:
    """Return what `tuned-TRUNK-adam-bn` is made of; None for a model that is none."""
    found = re.fullmatch(r"tuned-(.+)-((?:adam|sgd)(?:-bn)?(?:-dropout)?)", configuration(model))
    return Tuned(found[1], found[2].replace("-", "+")) if found else None


def stands_for(model: str) -> str:
    """Return the published model that one of ours repeats, both with the data set; itself if there is none.

    Models on EfficientNet-Lite0 take the place of those on MobileNet.
    """
    data, _, name = model.partition("/")
    return f"{data}/{_published(configuration(name))}"


def _published(name: str) -> str:
    if name.startswith("ensemble-"):
        how = name.split("-")[1]
        return {"stacking": "stacking-random-forest"}.get(how, how)
    made, new = on_features(name), tuned(name)
    ours = {own: printed for printed, (own, _) in TRUNKS.items()} | _NEAREST
    if made is not None and made.trunk in ours:
        tops = {own: printed for printed, (own, _) in CLASSIFIERS.items()} | {LINEAR_SVM[0]: "svm"}
        return f"{ours[made.trunk]}+{tops[made.top]}"
    if new is not None and new.trunk in ours:
        return f"finetune-{ours[new.trunk]}-phase-b-{new.setting}"
    return name.removesuffix(_SLIM)


def called(model: str) -> str:
    """Return what a model is called, ours or a published one, from its name without the data set."""
    name = configuration(model)
    seed = model.removeprefix(name).replace("-seed", ", seed ")
    return _called(name) + seed


def _called(name: str) -> str:
    if name.startswith("ensemble-"):
        return _ensemble(name)
    made, new = on_features(name), tuned(name)
    if made is not None:
        return f"{classifier_name(made.top)} on {trunk_name(made.trunk)}"
    if new is not None:
        return f"{trunk_name(new.trunk)} tuned, {setting_name(new.setting)}"
    trunk, plus, top = name.partition("+")
    if plus and trunk in TRUNKS:
        return f"{CLASSIFIERS[top][1]} on {TRUNKS[trunk][1]}"
    printed = re.fullmatch(r"finetune-(.+)-phase-([ab])-(.+)", name)
    if printed:
        setting = setting_name(printed[3])
        return f"{TRUNKS[printed[1]][1]} tuned, phase {printed[2].upper()}, {setting}"
    return _network(name)


def _network(name: str) -> str:
    plain = name.removesuffix(_SLIM)
    network, _, augmented = plain.partition("-aug-")
    if network not in NETWORKS:
        return {"bagging": "Bagging", "stacking-random-forest": "Stacking, forest"}.get(name, name)
    parts = [network.capitalize(), "" if plain == name else "slim", _AUGMENTED.get(augmented, "")]
    return ", ".join(part for part in parts if part)


def _ensemble(name: str) -> str:
    """Return `Bagging`, or `Stacking, forest, leak`: how the members are combined, not which they are."""
    how = name.split("-")[1]
    meta = re.search(r"-meta=(\w+)", name)
    folds = re.search(r"-folds=(\d+)", name)
    parts = [
        {"majority": "Majority vote"}.get(how, how.capitalize()),
        "" if how != "stacking" else meta[1] if meta else "forest",
        "leak" if "-leak=True" in name else "",
        f"{folds[1]} folds" if folds else "",
    ]
    return ", ".join(part for part in parts if part)


def trunk_name(trunk: str) -> str:
    """Return what a trunk of ours is called in words; `cifar10` is the name of the tuned one."""
    return {**dict(TRUNKS.values()), **OTHER_TRUNKS, "cifar10": OTHER_TRUNKS["cifar10-cnn"]}.get(
        trunk, trunk
    )


def trunk_with_data(trunk: str) -> str:
    """Return what a trunk of ours is called, with the data set that it was trained on."""
    return trunk_name(trunk) + ("" if trunk.startswith("cifar10") else ", ImageNet")


def classifier_name(top: str) -> str:
    """Return what a classifier of ours is called in words."""
    ours = dict([*CLASSIFIERS.values(), LINEAR_SVM])
    return {**ours, "rbf-svm": "Support vector machine, RBF"}[top]


def setting_name(setting: str) -> str:
    """Return `Adam, batch norm` for `adam+bn`."""
    return ", ".join(_PARTS[part] for part in setting.split("+"))


def shown(model: str) -> bool:
    """Return whether a model, by its name without the data set, is no repeated training."""
    return configuration(model) == model
