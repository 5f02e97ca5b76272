"""How near an attack comes to the best of all attacks: one number for all radii.

Let d_a(x) be the distance at which attack a breaks image x (infinite where it does not), d*(x) the least
over all attacks, and rho_a(eps) the share of the N images that attack a leaves right within eps. With eps0 the
largest finite d*, the local optimality of Cina et al., 'AttackBench', AAAI 2025, eq. 5, is

    LO_a = 1 - (A_a - A_*) / (rho(0) eps0 - A_*)        A_a = integral of rho_a from 0 to eps0

Its mean over models is the global optimality. Since rho_a is a step function,

    N A_a = sum min(d_a, eps0),    so    LO_a = sum max(0, eps0 - d_a) / sum max(0, eps0 - d*)

over the images that the model gets right: no curve has to be integrated. An attack that never succeeds
has 0, and one that is the best on every image 1.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def local_optimality(distances: Floats, best: Floats) -> float:
    """Return the local optimality of an attack, from 0 to 1, as at the head of this file.

    Args:
        distances: float (N,), at which the attack breaks the images that the model gets right; infinite
            where it does not.
        best: float (N,), the least distance at which any attack breaks each; at most `distances`.

    Returns:
        NaN where no attack breaks an image, or all break all images at one distance: nothing is compared.
    """
    finite = best[np.isfinite(best)]
    farthest = float(finite.max(initial=0.0))
    return share(gain_below(distances, farthest), gain_below(best, farthest))


def gain_below(distances: Floats, farthest: float) -> float:
    """Return how much of the area below the clean accuracy an attack takes away up to a distance, times N."""
    return float(np.maximum(0.0, farthest - distances).sum())


def share(gain: float, best: float) -> float:
    """Return a gain divided by the best one; NaN where that is 0."""
    return gain / best if best > 0 else float("nan")


def trapezoid_optimality(distances: Floats, best: Floats) -> float:
    """Return the score that AttackBench's own scripts give: the same areas by the trapezoidal rule.

    The rule joins the steps of rho by slanting lines, so an attack that breaks nothing gets about half
    of the area below the clean accuracy. For comparison with published figures; use `local_optimality`.

    Args:
        distances: float (N,), of all images: 0 where the model gets the clean one wrong.
        best: float (N,), likewise.

    Returns:
        NaN where some image was broken by no attack, or nothing is compared.
    """
    farthest = float(best.max(initial=0.0))
    if not 0 < farthest < np.inf:
        return float("nan")
    clean_area = np.count_nonzero(best) / len(best) * farthest
    best_area = _trapezoid(best)
    taken = clean_area - _trapezoid(np.minimum(distances, farthest))
    return share(taken, clean_area - best_area)


def _trapezoid(distances: Floats) -> float:
    eps, counts = np.unique(distances, return_counts=True)
    return float(np.trapezoid(1 - counts.cumsum() / len(distances), eps))
