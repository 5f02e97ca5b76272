"""What an adapter may be able to do beside its interface, asked for by isinstance.

Each docstring says what holds of an adapter without it. Imports no torch.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from bench.spec import Adapter, ImageSet


@runtime_checkable
class Registrable(Adapter, Protocol):
    """A model that takes the name it is registered under; others keep theirs."""

    def registered(self, name: str, data: str, ours: bool) -> Adapter:
        """Return it under a name, for a data set; `ours` where a recipe of Crossfire's made it."""
        ...


@runtime_checkable
class TellsFacts(Adapter, Protocol):
    """A model with facts that belong in the log of a run; others have none."""

    def facts(self) -> dict[str, Any]:
        """Return them as plain JSON values by name."""
        ...


@runtime_checkable
class Remembers(Adapter, Protocol):
    """A model that answers by training images it remembers, which no suite may attack; others have none."""

    @property
    def remembered(self) -> ImageSet: ...


@runtime_checkable
class Judged(Adapter, Protocol):
    """A model that is judged by several of its answers; others are by the first."""

    def judging(self, fingerprint: str) -> str:
        """Return the fingerprint of the model as it is judged, from that of the model as it answers."""
        ...


@runtime_checkable
class SeedsDraws(Adapter, Protocol):
    """A model that seeds its own draws by the image, so that its answers repeat; others are observed first."""

    @property
    def per_call(self) -> bool:
        """Return whether one call draws once for all of its images."""
        ...


@runtime_checkable
class MayWait(Adapter, Protocol):
    """A model that may wait for something else as it answers; others keep the processor busy meanwhile."""

    @property
    def may_wait(self) -> bool:
        """Return whether it may, so that only the clock tells how long an answer takes."""
        ...


@runtime_checkable
class KnownAs(Adapter, Protocol):
    """A model for whose content a text of its user may stand in its fingerprint; others have none."""

    @property
    def known_as(self) -> str | None: ...
