"""Transfer: images crafted on one model are tried on another, of which the attacker knows nothing."""

from __future__ import annotations

#: How the name of the surface of another model begins.
_OF = "of "


def transfer_source(surface: str) -> str | None:
    """Return the title of the other model that images are crafted on; None for a surface of another kind.

    It stands in the name of the surface, as what a substitute may ask does, so that images of two sources
    are told apart wherever surfaces are named: `of digits/mlp`.
    """
    return surface.removeprefix(_OF).strip() if surface.startswith(_OF) else None
