"""What the networks of the study are called."""

from __future__ import annotations

from bench.studies.fooling.beside import DATA, NETWORKS

_CALLED = {
    "resnet50": "ResNet-50", "densenet169": "DenseNet-169", "mobilenetv2": "MobileNetV2",
    "inceptionv3": "InceptionV3",
}  # fmt: skip


def called(model: str) -> str:
    """Return what a model is called: `ResNet-50, slim`, and that of the published width `ResNet-50`.

    Args:
        model: ours or published, without the data set.
    """
    name, slim, _ = model.replace("-v", "v").partition("-slim")
    if name not in _CALLED:
        return model
    return _CALLED[name] + (", slim" if slim else "")


def stands_for(model: str) -> str:
    """Return the published model that one of ours repeats, both with the data set."""
    for published, ours in NETWORKS.items():
        if model in (f"{DATA}/{name}" for name in ours):
            return f"{DATA}/{published}"
    return model


def shown(model: str) -> bool:
    """Return whether a model, by its name without the data set, is one of those on CIFAR-10."""
    return model == "cnn" or any(model in ours for ours in NETWORKS.values())
