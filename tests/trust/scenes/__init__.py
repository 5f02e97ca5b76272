"""Broken defences, sound models and broken attacks that the checks and the automatic attacks are tried on."""

from . import cut, purifiers, rounding, saturating
from .scene import IMAGES, Scene, images, withstood

#: By name, in the order of the table.
DEFENCES: dict[str, Scene] = {
    scene.name: scene
    for module in (rounding, saturating, cut, purifiers)
    for scene in module.SCENES
}

__all__ = ["DEFENCES", "IMAGES", "Scene", "images", "withstood"]
