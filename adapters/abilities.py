"""Optional abilities of adapters: callers test for them with isinstance.

Each docstring also says what callers assume of an adapter without the ability. Imports no torch.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from bench.spec import Adapter, ImageSet


@runtime_checkable
class Registrable(Adapter, Protocol):
    """A model that takes the name it is registered under; others keep theirs."""

    def registered(self, name: str, data: str, ours: bool) -> Adapter:
        """Return the model under this name and data set; `ours` if it is one of Crossfire's own."""
        ...


@runtime_checkable
class TellsFacts(Adapter, Protocol):
    """A model with facts for the log of a run, such as the noise it was trained for; others have none."""

    def facts(self) -> dict[str, Any]:
        """Return the facts as plain JSON values by name."""
        ...


@runtime_checkable
class Remembers(Adapter, Protocol):
    """A model that stores training images and answers by them; no suite may attack those images.

    Others store none.
    """

    @property
    def remembered(self) -> ImageSet: ...


@runtime_checkable
class KeepsApart(Adapter, Protocol):
    """A model part of which was fitted on some images of a split, of which a suite may attack the others.

    Others were fitted on no images that a suite attacks.
    """

    @property
    def attackable(self) -> ImageSet | None:
        """Return the images of that split that may be attacked; None for all images."""
        ...


@runtime_checkable
class WeighsMembers(Adapter, Protocol):
    """A model made of members that says how much each class of each counts; others are made of none."""

    def importances(self) -> dict[str, list[float]] | None:
        """Return the importance of each class by member, which sum to 1; None where it weighs none."""
        ...


@runtime_checkable
class Judged(Adapter, Protocol):
    """A model that is judged by several of its answers; others are judged by one."""

    def judging(self, fingerprint: str) -> str:
        """Return the fingerprint of the judged model, given that of the model itself."""
        ...


@runtime_checkable
class SeedsDraws(Adapter, Protocol):
    """A model that seeds its own random draws by the image, so that its answers repeat.

    Whether the answers of other models repeat is observed before the first attack.
    """

    @property
    def per_call(self) -> bool:
        """Return whether the images of one call share a draw."""
        ...


@runtime_checkable
class MayWait(Adapter, Protocol):
    """A model that may wait for something else, such as a service; others only compute."""

    @property
    def may_wait(self) -> bool:
        """Return whether it may wait, so that only wall time says how long an answer takes."""
        ...


@runtime_checkable
class KnownAs(Adapter, Protocol):
    """A model whose user may give a text that stands for its content in the fingerprint."""

    @property
    def known_as(self) -> str | None: ...
