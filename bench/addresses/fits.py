"""Which data set the models of a scheme classify, where their names say so. Imports no torch until timm is asked."""

from __future__ import annotations

#: The data sets of RobustBench, as we call them.
_OF_ROBUSTBENCH = {"cifar10": "cifar10", "cifar100": "cifar100", "imagenet": "natural"}

#: The data set that has the 1,000 classes of ImageNet.
_IMAGENET = "natural"


def of_torchvision(name: str) -> str:
    """Return the data set of a model of torchvision: all of them classify ImageNet's."""
    return _IMAGENET


def of_robustbench(place: str) -> str:
    """Return the data set with which the name of a model of RobustBench begins; empty for another."""
    return _OF_ROBUSTBENCH.get(place.partition("/")[0], "")


def of_timm(name: str) -> str:
    """Return the data set of a model of timm that has 1,000 classes; empty for others.

    Raises:
        SpecError: timm has no such network, or no weights for it.
        PrerequisiteError: timm is missing.
    """
    from bench.addresses.timm import classes_of

    return _IMAGENET if classes_of(name) == 1000 else ""
