"""The unit of work and storage, and what its images come from."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from bench.spec.attacks import AttackSpec
from bench.spec.substitutes import Substitute
from bench.spec.suites import ImageSet, ModelRequest
from bench.spec.words import PLAIN_SURFACES, Toolkit


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedOn:
    """What a perturbation is fitted on.

    Attributes:
        fingerprint: of the model's adapter.
        surface: of that model, whose gradients are followed.
        checksum: of the images and labels.
    """

    fingerprint: str
    surface: str
    checksum: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CraftedOn:
    """The model on whose surface images are crafted, for several that judge the same images.

    Attributes:
        fingerprint: of its adapter.
    """

    model: ModelRequest
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One model, one attack, one toolkit, one surface, one image set: the unit of work and storage.

    Attributes:
        fingerprint: the adapter's, so that retrained weights are another cell.
        checksum: of the images and labels themselves.
        batch_size: images a chunk; part of the identity, since some toolkits depend on it.
        kind: what its rows are, see `RowKind`.
        fit: of an attack that is fitted before it is applied; None for all others.
        crafted_on: whose surface it is, where several models judge the same images, this one's or
            another's; None where the model is attacked by itself.
        substitute: the network whose surface it is, where one is trained on the model's answers; else None.
        handed_in: of images that others made, the hash of their content; else None.
        code: of a user's attack, a digest of its code; None for Crossfire's own.
    """

    model: ModelRequest
    fingerprint: str
    attack: AttackSpec
    toolkit: Toolkit
    surface: str
    images: ImageSet
    checksum: str
    seed: int
    batch_size: int
    kind: str = "attack"
    fit: FittedOn | None = None
    crafted_on: CraftedOn | None = None
    substitute: Substitute | None = None
    handed_in: str | None = None
    code: str | None = None

    def source(self) -> Cell:
        """Return the cell in which the images tried are crafted: this one, or the other model's."""
        if self.crafted_on is None:
            return self
        return dataclasses.replace(
            self, model=self.crafted_on.model, fingerprint=self.crafted_on.fingerprint
        )

    def title(self) -> str:
        """Return a one-line human name, with the surface where that is not the model itself."""
        through = "" if self.surface in PLAIN_SURFACES else f" · {self.surface}"
        return f"{self.model.title()} · {self.attack.title()} · {self.toolkit}{through}"
