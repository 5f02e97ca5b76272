"""A small network fitted to the model's answers, attacked in its place."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from bench.attacks.native.adaptive.losses import Aim, as_logits, loss_of
from bench.attacks.native.adaptive.survivors import Answer, Survivors
from bench.attacks.native.ball import column

#: How often the substitute is fitted, attacked, and told what the model says of its adversarial images.
_ROUNDS = 3
_EPOCHS, _TOGETHER, _RATE = 6, 128, 2e-3
#: The most points that are learnt from, so that the fit takes seconds.
_POINTS = 4_000
_STEPS = 30


class _Network(nn.Module):
    """Two convolutions and two layers, for images of any size."""

    def __init__(self, shape: torch.Size, classes: int) -> None:
        super().__init__()
        channels, height, width = shape
        self.seen = nn.Conv2d(channels, 16, 3, padding=1)
        self.joined = nn.Conv2d(16, 32, 3, padding=1, stride=2)
        size = (height + 1) // 2, (width + 1) // 2
        small = min(8, size[0]), min(8, size[1])
        self.pool = nn.Identity() if small == size else nn.AdaptiveAvgPool2d(small)
        self.hidden = nn.Linear(32 * small[0] * small[1], 96)
        self.out = nn.Linear(96, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.silu(self.seen(2 * x - 1))
        x = self.pool(F.silu(self.joined(x)))
        logits: torch.Tensor = self.out(F.silu(self.hidden(x.flatten(1))))
        return logits


def transfer(survivors: Survivors, rows: torch.Tensor, queries: int) -> None:
    """Fit a network to the model's answers, and try on the model what breaks it.

    Papernot et al., 'Practical black-box attacks against machine learning', 2017: the model is asked about the
    images, about points around and between them, and about the adversarial images of the substitute, from
    which that is fitted again. Passes through the substitute are none through the model and are not counted.

    Args:
        survivors: of the cascade.
        rows: the images attacked, int64 (n,) on the CPU.
        queries: passes an image.
    """
    device = survivors.x.device
    around = max(1, min(queries - _ROUNDS, _POINTS // len(rows)))
    points = _points(survivors, rows, around)
    answers = _learnt(survivors.ask(rows.repeat(around), points))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**31, (1,), generator=survivors.generator)))
        net = _Network(survivors.x.shape[1:], answers.shape[1]).to(device)
    for turn in range(_ROUNDS):
        _fit(net, points, answers, survivors.generator)
        rows = rows[~survivors.settled[rows.to(device)].cpu()]
        rows = rows[survivors.budget.affords(rows, 1)]
        if not len(rows):
            return
        crafted = _crafted(survivors, rows, net, Aim("margin" if turn % 2 == 0 else "ce"))
        points = torch.cat([points, crafted])
        answers = torch.cat([answers, _learnt(survivors.ask(rows, crafted))])


def _points(survivors: Survivors, rows: torch.Tensor, around: int) -> torch.Tensor:
    """Return the points (around * n, C, H, W) that the model is asked about."""
    at = rows.to(survivors.x.device)
    centre, generator = survivors.x[at], survivors.generator
    drawn = []
    for turn in range(around):
        noise = torch.randn(centre.shape, generator=generator).to(centre)
        edge = centre + survivors.ball.eps * survivors.ball.direction(noise)
        if turn % 4 == 3:
            other = centre[torch.randperm(len(centre), generator=generator).to(at.device)]
            share = column(torch.rand(len(centre), generator=generator).to(centre))
            edge = share * centre + (1 - share) * other
        elif turn % 4 == 2:
            edge = survivors.nearest[at] + 0.5 * (edge - centre)
        elif turn % 4 == 1:
            edge = survivors.ball.draw(centre, generator)
        drawn.append(edge.clamp(0, 1))
    return torch.cat(drawn)


def _learnt(answer: Answer) -> torch.Tensor:
    """Return what is learnt of answers (n, C): the decisions, and the scores with mean 0 and size 1."""
    logits = torch.nan_to_num(as_logits(answer.scores), nan=0.0, posinf=0.0, neginf=0.0)
    hard = F.one_hot(answer.labels.clamp(min=0), logits.shape[1]).float() * 2 - 1
    logits = logits - logits.mean(1, keepdim=True)
    return hard + logits / logits.std(1, keepdim=True).clamp(min=1e-12)


def _fit(
    net: nn.Module, points: torch.Tensor, answers: torch.Tensor, generator: torch.Generator
) -> None:
    weights = list(net.parameters())
    means = [torch.zeros_like(weight) for weight in weights]
    squares = [torch.zeros_like(weight) for weight in weights]
    turns = [
        some for _ in range(_EPOCHS)
        for some in torch.split(torch.randperm(len(points), generator=generator), _TOGETHER)
    ]  # fmt: skip
    for turn, some in enumerate(turns, 1):
        at = some.to(points.device)
        slopes = torch.autograd.grad(F.mse_loss(net(points[at]), answers[at]), weights)
        rate = _RATE * (1 - turn / (len(turns) + 1))
        # Adam, Kingma and Ba, ICLR 2015; torch's own takes seconds to import what it does not need here.
        for weight, slope, mean, square in zip(weights, slopes, means, squares, strict=True):
            mean.lerp_(slope, 0.1)
            square.lerp_(slope.square(), 0.001)
            size = (square / (1 - 0.999**turn)).sqrt() + 1e-8
            weight.data -= rate / (1 - 0.9**turn) * mean / size


def _crafted(survivors: Survivors, rows: torch.Tensor, net: nn.Module, aim: Aim) -> torch.Tensor:
    """Return images (n, C, H, W) of the balls of some rows that break the substitute."""
    at, ball = rows.to(survivors.x.device), survivors.ball
    centre, y = survivors.x[at], survivors.y[at]
    image = ball.draw(centre, survivors.generator)
    for turn in range(_STEPS):
        point = image.clone().requires_grad_()
        (slope,) = torch.autograd.grad(loss_of(net(point), y, None, aim).sum(), point)
        step = ball.eps * (1 - turn / _STEPS)
        image = ball.project(centre, image + step * ball.direction(slope))
    return image
