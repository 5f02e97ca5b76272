"""The one trainer: a recipe and images in, a trained network out."""

from __future__ import annotations

import importlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from bench.adapters.network import Normalised
from bench.data.datasets import LabelledImages
from bench.data.table import DATASETS
from bench.errors import SpecError, TrainingFailed
from bench.registry import unknown
from bench.train.adversarial import AdversarialBatch, assault
from bench.train.local_learning.filters import learnt, responses
from bench.train.local_learning.rule import FilterEpoch
from bench.train.objectives import Objective, objective
from bench.train.recipe import Recipe
from bench.train.schedules import rate_share

_BATCH = 500

#: How images and the weights of convolutions lie in memory during a training; it changes no result
#: but by rounding.
MEMORY_FORMAT = torch.channels_last


@dataclass(frozen=True, slots=True)
class Epoch:
    """How training stands after one pass over the images."""

    number: int
    of: int
    loss: float
    accuracy: float
    seconds: float

    def line(self) -> str:
        """Return it in words."""
        return (
            f"epoch {self.number}/{self.of}, loss {self.loss:.4f}, "
            f"training accuracy {self.accuracy:.2%}, {self.seconds:.1f} s"
        )


PRECISIONS = ("float32", "bfloat16")

#: Told of each epoch, with the network as it is then.
Watch = Callable[[Epoch | FilterEpoch, nn.Module], None]


def build(recipe: Recipe) -> nn.Module:
    """Return the untrained network of a recipe, without its normalisation."""
    module, _, function = recipe.network.partition(":")
    make = getattr(importlib.import_module(module), function)
    net: nn.Module
    if recipe.options:
        data = DATASETS[recipe.data]
        net = make(data.input_shape, len(data.classes), **dict(recipe.options))
    else:
        net = make(recipe.embedding) if recipe.embedding else make()
    return net


def train(
    recipe: Recipe,
    data: LabelledImages,
    device: torch.device | str = "cpu",
    watch: Watch = lambda epoch, net: None,
) -> nn.Module:
    """Return a network trained by a recipe, in eval mode, on the CPU.

    Args:
        recipe: what to build and how to train it.
        data: the training images.
        device: where to train.
        watch: called after each epoch, with the network as it is then.

    Raises:
        TrainingFailed: weights that are no numbers any more, or filters that died.
    """
    where = torch.device(device)
    with torch.random.fork_rng(devices=[where] if where.type == "cuda" else []):
        torch.manual_seed(recipe.seed)
        net = build(recipe).to(device).to(memory_format=MEMORY_FORMAT)
        raw, labels = data.raw.to(device), data.labels.to(device)
        if recipe.rule is None:

            def images(rows: torch.Tensor) -> torch.Tensor:
                x = noisy(augmented(raw[rows], recipe).float() / data.top, recipe)
                return x.contiguous(memory_format=MEMORY_FORMAT)

            seen = Normalised(net, recipe.mean, recipe.std).to(device) if recipe.mean else net
            attacked = assault(recipe, seen, len(DATASETS[recipe.data].classes))
            _fit(recipe, seen, images, labels, lambda epoch: watch(epoch, net), attacked)
        else:
            front, head = net.children()
            learnt(recipe, recipe.rule, data, device, net, watch)
            found = responses(front, raw, data.top)
            centred = Centred(head, found)
            _fit(recipe, centred, lambda rows: found[rows].float(), labels,
                 lambda epoch: watch(epoch, net))  # fmt: skip
            centred.settle()
    return net.eval().cpu().to(memory_format=torch.contiguous_format)


class Centred(nn.Module):
    """A linear layer as it is trained on features that are far from zero in the mean.

    The mean moves all logits at once, so that steps along it have to be small and those along all
    else are slow. Here it is taken off while training, and goes into the bias at the end.
    """

    def __init__(self, head: nn.Module, features: torch.Tensor) -> None:
        super().__init__()
        assert isinstance(head, nn.Linear)
        self.head = head
        total = sum(part.float().sum(0) for part in torch.split(features, _BATCH))
        self.mean = torch.as_tensor(total) / len(features)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits of features (N, D) less their mean."""
        logits: torch.Tensor = self.head(x)
        return logits - self.head.weight @ self.mean

    def settle(self) -> None:
        """Give the layer the bias with which it says of features what this says of them."""
        with torch.no_grad():
            self.head.bias.sub_(self.head.weight @ self.mean)


def _fit(
    recipe: Recipe,
    net: nn.Module,
    inputs: Callable[[torch.Tensor], torch.Tensor],
    labels: torch.Tensor,
    watch: Callable[[Epoch], None],
    attacked: AdversarialBatch | None = None,
) -> None:
    """Train a network by back-propagation, on what it is shown for rows of the training images."""
    steps = -(-len(labels) // recipe.batch_size)
    optimiser = _optimiser(recipe, net)
    schedule = _schedule(recipe, optimiser, steps)
    loss_of = objective(recipe)
    net.train()
    for number in range(1, recipe.epochs + 1):
        start = time.perf_counter()
        # Kept on the device and looked at once an epoch: each look waits for all that was asked of it.
        sums = torch.zeros(2, dtype=torch.float64, device=labels.device)
        order = torch.randperm(len(labels)).to(labels.device)
        for turn, rows in enumerate(torch.split(order, recipe.batch_size)):
            x, y = inputs(rows), labels[rows]
            with _precision(recipe, x.device):
                outputs, loss = _taught(
                    recipe, net, loss_of, x, y, attacked, turn + (number - 1) * steps
                )
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            hits = _hits(recipe, outputs.detach(), y)
            sums += torch.stack((loss.detach().double() * len(rows), hits))
        mean_loss, accuracy = (sums / len(labels)).tolist()
        # The last step of all shows in no loss.
        whole = torch.stack([weight.isfinite().all() for weight in net.parameters()]).all()
        if not (whole and math.isfinite(mean_loss)):
            raise _not_finite(recipe, net, number, mean_loss)
        seconds = time.perf_counter() - start
        watch(Epoch(number, recipe.epochs, mean_loss, accuracy, seconds))


def _precision(recipe: Recipe, device: torch.device) -> torch.autocast:
    """Return the context in which a network and its loss are computed.

    Raises:
        SpecError: a precision that is not known.
    """
    if recipe.precision not in PRECISIONS:
        raise unknown("precision", recipe.precision, list(PRECISIONS))
    return torch.autocast(device.type, torch.bfloat16, enabled=recipe.precision == "bfloat16")


def _taught(
    recipe: Recipe,
    net: nn.Module,
    loss_of: Objective,
    x: torch.Tensor,
    y: torch.Tensor,
    attacked: AdversarialBatch | None,
    turn: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what a network says of a batch, and its loss: under attack too where there is one."""
    if attacked is None:
        outputs = net(x).float()
        return outputs, loss_of(outputs, y)
    tried = attacked(x, y, turn)
    under = net(tried).float()
    loss = (1 - recipe.alpha) * loss_of(under, y)
    if not recipe.alpha:
        return under, loss
    outputs = net(x).float()
    return outputs, loss + recipe.alpha * loss_of(outputs, y)


def _not_finite(recipe: Recipe, net: nn.Module, epoch: int, loss: float) -> TrainingFailed:
    broken = [name for name, weight in net.named_parameters() if not weight.isfinite().all()]
    steep = dict(recipe.options)
    return TrainingFailed(
        f"epoch {epoch} of {recipe.epochs}: the loss is {loss:.4g}; "
        + (f"no numbers any more: {', '.join(broken)}; " if broken else "")
        + (f"n={steep['n']} of {steep['activation']} may be too steep, or " if steep else "")
        + f"the rate {recipe.learning_rate:g} too high"
    )


def _schedule(
    recipe: Recipe, optimiser: torch.optim.Optimizer, steps: int
) -> torch.optim.lr_scheduler.LRScheduler:
    """Return what sets the rate after each step; a shape of the study's is the same for an epoch."""
    if recipe.schedule == "one-cycle":
        return torch.optim.lr_scheduler.OneCycleLR(
            optimiser, recipe.learning_rate, total_steps=recipe.epochs * steps, pct_start=0.25
        )
    return torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: rate_share(recipe.schedule, step // steps, recipe.epochs)
    )


def _hits(recipe: Recipe, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return how many of a batch are classified rightly; embeddings, by the nearest of the others."""
    if not recipe.embedding:
        return (outputs.argmax(1) == labels).sum()
    unit = F.normalize(outputs)
    nearest = (unit @ unit.T).fill_diagonal_(-torch.inf).argmax(1)
    return (labels[nearest] == labels).sum()


def _optimiser(recipe: Recipe, net: nn.Module) -> torch.optim.Optimizer:
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(
            net.parameters(),
            recipe.learning_rate,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
            nesterov=True,
        )
    if recipe.optimiser == "adam":
        return torch.optim.Adam(
            net.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay
        )
    raise SpecError(f"recipe: optimiser {recipe.optimiser!r} is not one of sgd, adam")


def normalised(x: torch.Tensor, recipe: Recipe) -> torch.Tensor:
    """Return images (N, C, H, W) in [0, 1] as the network of a recipe wants them."""
    if not recipe.mean:
        return x
    mean = torch.tensor(recipe.mean, device=x.device).view(-1, 1, 1)
    std = torch.tensor(recipe.std, device=x.device).view(-1, 1, 1)
    return (x - mean) / std


def noisy(x: torch.Tensor, recipe: Recipe) -> torch.Tensor:
    """Return images (N, C, H, W) with the Gaussian noise of a recipe; they may leave [0, 1]."""
    return x + recipe.noise * torch.randn_like(x) if recipe.noise else x


def augmented(raw: torch.Tensor, recipe: Recipe) -> torch.Tensor:
    """Return images (N, C, H, W), each flipped and cropped at random as the recipe says."""
    n, _, height, width = raw.shape
    if recipe.flip:
        flips = torch.rand(n, device=raw.device) < 0.5
        raw = torch.where(flips.view(-1, 1, 1, 1), raw.flip(3), raw)
    if recipe.crop:
        pad = recipe.crop
        wide = F.pad(raw, (pad, pad, pad, pad))
        top = torch.randint(0, 2 * pad + 1, (n, 1, 1), device=raw.device)
        left = torch.randint(0, 2 * pad + 1, (n, 1, 1), device=raw.device)
        rows = top + torch.arange(height, device=raw.device).view(1, -1, 1)
        columns = left + torch.arange(width, device=raw.device).view(1, 1, -1)
        batch = torch.arange(n, device=raw.device).view(-1, 1, 1)
        raw = wide.permute(0, 2, 3, 1)[batch, rows, columns].permute(0, 3, 1, 2)
    return raw
