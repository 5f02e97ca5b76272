"""Blocks of pictures: a grid of a few images, and a sheet of one image under every attack."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One image as PNG, and the words under it."""

    png: bytes
    below: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackColumn:
    """One attack over the images of a grid.

    Attributes:
        factor: what the perturbations are multiplied with before they are shown around grey.
        pairs: perturbation and adversarial image, one pair an image.
    """

    attack: str
    threat: str
    toolkit: str
    factor: int
    pairs: tuple[tuple[Picture, Picture], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureGrid:
    """A few images of one model under a few attacks."""

    model: str
    originals: tuple[Picture, ...]
    columns: tuple[AttackColumn, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """What one attack made of the image of a sheet.

    Attributes:
        size: the norm of what was added.
        factor: what it is multiplied with before it is shown around grey.
        fooled: whether the attack succeeded.
        tried: the image tried; below it the model's decision.
        added: what was added, as PNG.
    """

    attack: str
    toolkit: str
    norm: str
    size: str
    factor: int
    fooled: bool
    tried: Picture
    added: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """One image of one model under every attack that has a picture of it.

    Attributes:
        index: of the image in its split.
        without: the attacks of the run that tried nothing for this image, or kept no picture.
        explained: whether a sheet before it says how to read it.
    """

    model: str
    index: int
    original: Picture
    panels: tuple[Panel, ...]
    without: tuple[str, ...]
    explained: bool = False
