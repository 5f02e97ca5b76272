"""The nearest point of a plane inside [0, 1], in linf or l2, without sorting."""

from __future__ import annotations

from typing import Literal

import torch

#: Each turn lets at least one more value reach its bound; a few turns do for images.
_TURNS = 40


def to_plane(
    points: torch.Tensor, normal: torch.Tensor, gap: torch.Tensor, norm: Literal["linf", "l2"]
) -> torch.Tensor:
    """Return the shortest change (n, D) after which `normal . change` is `gap` and points stay in [0, 1].

    Where no point of the box is on the plane, every value goes to its bound. The change of each value is its
    share of a common length, in linf the length itself and in l2 its part of the normal times that, but never
    beyond its bound; `normal . change` is concave in the length, so Newton's steps from below end at the
    solution after finitely many. (Croce and Hein, 'Minimally distorted adversarial examples with a fast adaptive
    boundary attack', ICML 2020, section 3.1, sort the values instead.)

    Args:
        points: float32 (n, D) in [0, 1].
        normal: (n, D).
        gap: (n,).
        norm: what is short.
    """
    toward = normal * gap.sign()[:, None]
    room = torch.where(toward > 0, 1 - points, points)
    weight = toward.abs()
    # Values without a weight would move for nothing.
    room = room * (weight > 0)
    wanted = gap.abs()
    share = torch.ones_like(weight) if norm == "linf" else weight
    reach = torch.where(weight > 0, room / share, 0)
    gain = weight * share
    length = wanted / gain.sum(1).clamp(min=1e-30)
    for _ in range(_TURNS):
        reached = (gain * torch.minimum(reach, length[:, None])).sum(1)
        free = (gain * (reach > length[:, None])).sum(1)
        longer = length + (wanted - reached).clamp(min=0) / free
        # Nothing is free where all values are at their bounds.
        longer = torch.where(free > 0, longer, length)
        done = longer <= length * (1 + 1e-6)
        length = longer
        if done.all():
            break
    return toward.sign() * share * torch.minimum(reach, length[:, None])
