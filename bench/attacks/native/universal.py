"""Universal perturbations: one v that takes most images to another class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from bench.attacks.instrument import Probe
from bench.attacks.job import Perturbation
from bench.attacks.native.deepfool import DeepFool, deepfool

#: The smallest batch in which the images fooled by v are counted.
_LOOK = 100
_TINY = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Universal:
    """The parameters of a universal perturbation.

    Attributes:
        norm: of the ball that v stays in.
        xi: its radius.
        delta: 1 minus the share of images to be fooled.
        passes: the largest number of passes over all images, each in a new order.
        batch: how many images improve v at a time; 1 is the published algorithm.
        deepfool: parameters of the minimal steps.
        clip: whether x + v is clipped to [0, 1] during the fit.
        keep: which v is returned: that of the last pass, or that of the pass that fools most images.
    """

    norm: Literal["l2", "linf"]
    xi: float
    delta: float
    passes: int
    batch: int
    deepfool: DeepFool
    clip: bool = True
    keep: Literal["last", "best"] = "last"


def universal(
    f: Probe, x: torch.Tensor, y: torch.Tensor, parameters: Universal, seed: int
) -> Perturbation:
    """Fit one perturbation on a set of images.

    Moosavi-Dezfooli et al., 'Universal adversarial perturbations', CVPR 2017, algorithm 1:

        while Err(X + v) < 1 - delta:
            for each x_i with f(x_i + v) = f(x_i):
                dv_i = argmin_r ||r||_2  such that  f(x_i + v + r) != f(x_i)
                v    = P_{p,xi}(v + dv_i)

    The minimal r comes from DeepFool, in l2 or in the norm of the ball; as in the authors' code it is not
    used if DeepFool ran out of steps. x_i + v is clipped to [0, 1], also when Err is counted, unless
    `clip` is false. With `batch` above 1 the dv_i of a mini-batch are found together, all from the same
    v, and `together` is added.

    Args:
        f: images in [0, 1] to logits.
        x: float32 (N, C, H, W) in [0, 1], all of class y.
        y: int64 (N,).
        parameters: of the attack.
        seed: of the image orders, drawn on the CPU so that devices agree.
    """
    generator = torch.Generator().manual_seed(seed)
    v, err, done = torch.zeros_like(x[0]), 0.0, 0
    best, batch = (v, err), parameters.batch
    while err < 1 - parameters.delta and done < parameters.passes:
        for rows in torch.split(torch.randperm(len(x), generator=generator), batch):
            at = rows[held(f, _moved(x[rows], v, parameters.clip), y[rows], rows)]
            if not len(at):
                continue
            start = _moved(x[at], v, parameters.clip)
            crossed = deepfool(f, start, y[at], parameters.deepfool, at)
            found = crossed.x_adv if crossed.unclipped is None else crossed.unclipped
            dv = (found - start)[crossed.iterations < parameters.deepfool.steps]
            if len(dv):
                v = project(v + together(dv), parameters.norm, parameters.xi)
        done += 1
        err = fooling(f, x, y, v, parameters)
        if parameters.keep == "last" or err > best[1]:
            best = v, err
    return Perturbation(best[0], done, best[1])


def _moved(x: torch.Tensor, v: torch.Tensor, clip: bool) -> torch.Tensor:
    return (x + v).clamp(0, 1) if clip else x + v


def together(dv: torch.Tensor) -> torch.Tensor:
    """Return one step (C, H, W) for the dv_i (N, C, H, W), N > 0, of a mini-batch; dv_1 for N = 1.

    sum_i dv_i / ||dv_i||_2 times the mean ||dv_i||_2: every image has the same weight, where a plain sum
    would follow the images that are hardest to fool.
    """
    # dv_i may be 0: an image at the boundary may seem to be across if rounded differently in this batch.
    length = dv.flatten(1).norm(dim=1).clamp(min=_TINY)
    step: torch.Tensor = (dv / length.view(-1, 1, 1, 1)).sum(0) * length.mean()
    return step


def held(f: Probe, x: torch.Tensor, y: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Return which images (n, C, H, W) of some rows (n,) are of their class y: bool (n,), on the CPU."""
    with torch.no_grad(), f.playing(rows):
        logits: torch.Tensor = f(x)
    return (logits.argmax(1) == y).cpu()


def fooling(
    f: Probe, x: torch.Tensor, y: torch.Tensor, v: torch.Tensor, parameters: Universal
) -> float:
    """Return the share of images that v takes out of their class y."""
    parts = torch.split(torch.arange(len(x)), max(parameters.batch, _LOOK))
    stays = (held(f, _moved(x[rows], v, parameters.clip), y[rows], rows) for rows in parts)
    return 1 - sum(int(kept.sum()) for kept in stays) / len(x)


def project(v: torch.Tensor, norm: Literal["l2", "linf"], xi: float) -> torch.Tensor:
    """Return the point nearest to v in the ball of radius xi around 0."""
    if norm == "linf":
        return v.clamp(-xi, xi)
    length: torch.Tensor = v.norm().clamp(min=xi)
    return v * (xi / length)
