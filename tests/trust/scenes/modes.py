"""Models that are not in the mode they were tested in, and one that has no scores for some images."""

from __future__ import annotations

import copy
import functools

import torch
from torch import nn
from torch.nn import functional as F

import bench
from bench.spec import Adapter

from .ascent import Climb, climb, mean_of, wrong
from .bases import CLASSES, SHAPE, base, trained
from .random_nets import DRAWS, over_draws
from .scene import Scene

EPS = 0.2


class InAList(nn.Module):
    """A network kept in a list, where `eval` does not reach it: it stays in training mode."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.nets = [net.train()]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.nets[0](x)


class NoisyHasNoScore(nn.Module):
    """A network that is less sure of rougher images, by a root that does not exist for the roughest.

    Roughness is the mean square of each pixel's distance from the mean of its neighbourhood.
    """

    def __init__(self, net: nn.Module, most: float) -> None:
        super().__init__()
        self.net, self.most = net, most

    def roughness(self, x: torch.Tensor) -> torch.Tensor:
        around = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
        return (x - around).square().flatten(1).mean(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x) * (1 - self.roughness(x) / self.most).sqrt()[:, None]


def _by_batch() -> nn.Module:
    """Return an untrained network whose batch norm keeps no running statistics."""
    with torch.random.fork_rng():
        torch.manual_seed(11)
        return nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1, stride=2), nn.BatchNorm2d(16, track_running_stats=False),
            nn.ReLU(), nn.Flatten(), nn.Linear(256, 32), nn.BatchNorm1d(32, track_running_stats=False),
            nn.ReLU(), nn.Linear(32, CLASSES),
        )  # fmt: skip


@functools.cache
def train_mode() -> Adapter:
    return bench.wrap(InAList(copy.deepcopy(base())), CLASSES, SHAPE)


@functools.cache
def batch_statistics() -> Adapter:
    return bench.wrap(trained(_by_batch(), epochs=6), CLASSES, SHAPE)


@functools.cache
def no_score() -> Adapter:
    return bench.wrap(NoisyHasNoScore(base(), 0.06), CLASSES, SHAPE)


def alone(net: nn.Module) -> nn.Module:
    """Return a copy of a network that normalises each image by its own statistics, whatever is beside it."""
    twin = copy.deepcopy(net)
    for name, part in list(twin.named_children()):
        if isinstance(part, nn.BatchNorm2d):
            norm = nn.InstanceNorm2d(part.num_features, eps=part.eps, affine=True)
            norm.load_state_dict({"weight": part.weight, "bias": part.bias})
            setattr(twin, name, norm)
    return twin


def attack_train_mode(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Attack the statistics of each image alone, as it is judged, and the mean over the draws of dropout."""
    twin = alone(train_mode().module.nets[0])
    return over_draws(mean_of(twin, DRAWS), train_mode(), x, y)


def attack_batch(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Attack all images of the batch together, since each counts in the statistics of all.

    The sum of the margins is climbed with those that are wrong already held less dear; the step with the
    most wrong labels in the batch is kept. Five starts of 100 steps.
    """
    net = batch_statistics().module
    best, most = x, -1
    for start in range(5):
        draw = torch.Generator().manual_seed(start)
        here = (x + EPS * (2 * torch.rand(x.shape, generator=draw) - 1) * (start > 0)).clamp(0, 1)
        for step in range(100):
            here = here.detach().requires_grad_()
            scores = net(here)
            own = scores.gather(1, y[:, None]).squeeze(1)
            lead = own - scores.scatter(1, y[:, None], -torch.inf).amax(1)
            (slope,) = torch.autograd.grad(F.softplus(lead * 2).sum(), here)
            count = int((lead < 0).sum())
            if count > most:
                best, most = here.detach(), count
            size = EPS * max(0.02, 0.4 * (1 - step / 100))
            here = torch.clamp(here - size * slope.sign(), x - EPS, x + EPS).clamp(0, 1)
    return best


def attack_no_score(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Attack the network without the root, and pay for roughness beyond nine tenths of what has a score.

    Ten starts of 60 steps for each of three prices; only images with finite scores count.
    """
    model = no_score().module
    found = x.clone()
    for price in (20.0, 100.0, 500.0):
        left = ~wrong(model)(found, y)
        if not left.any():
            break

        def smooth(z: torch.Tensor, price: float = price) -> torch.Tensor:
            beyond = F.relu(model.roughness(z) / model.most - 0.9)
            # The true class gains where the image is too rough, so the attack turns back.
            return model.net(z) - price * beyond[:, None] * others(z)

        def others(z: torch.Tensor) -> torch.Tensor:
            return 1 - F.one_hot(model.net(z).detach().argmax(1), CLASSES).float()

        found[left] = climb(smooth, wrong(model), x[left], y[left], Climb(eps=EPS))
    return found


SCENES = (
    Scene(
        name="model in train mode",
        before=2.0,
        left=0.5,
        hides=False,
        build=train_mode,
        handmade=attack_train_mode,
    ),
    Scene(
        name="batch statistics at test time",
        before=2.5,
        left=0.0,
        hides=False,
        build=batch_statistics,
        handmade=attack_batch,
    ),
    Scene(
        name="NaN scores on some inputs",
        before=52.5,
        left=0.5,
        build=no_score,
        handmade=attack_no_score,
    ),
)
