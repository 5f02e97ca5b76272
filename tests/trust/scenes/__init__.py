"""Broken defences, sound models and broken attacks that the checks and the automatic attacks are tried on."""

from . import cut, modes, photographs, purifiers, random_nets, rough, rounding, saturating
from .broken_attacks import BROKEN_ATTACKS, BrokenAttack
from .scene import IMAGES, Scene, images, withstood
from .sound import SOUND, Sound

#: By name, in the order of the table.
DEFENCES: dict[str, Scene] = {
    scene.name: scene
    for module in (rounding, rough, saturating, cut, purifiers, random_nets, modes, photographs)
    for scene in module.SCENES
}

__all__ = [
    "BROKEN_ATTACKS",
    "DEFENCES",
    "IMAGES",
    "SOUND",
    "BrokenAttack",
    "Scene",
    "Sound",
    "images",
    "withstood",
]
