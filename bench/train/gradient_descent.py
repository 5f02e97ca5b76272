"""Gradient descent over all weights of a network, as a recipe says."""

from __future__ import annotations

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
from bench.train.adversarial import AdversarialBatch, adversarial_batch
from bench.train.epochs import Epoch, Watch
from bench.train.objectives import Objective, correct, objective
from bench.train.recipe import Recipe
from bench.train.schedules import rate_share

#: How images and the weights of convolutions lie in memory during a training; it changes no result
#: but by rounding.
MEMORY_FORMAT = torch.channels_last

PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingLoss:
    """The loss that a network is trained to lessen, under attack too where there is one.

    Attributes:
        recipe: of the network.
        net: what it is shown to outputs.
        of: outputs and labels to the loss.
        attacked: makes the images of a batch adversarial; None where it is not trained so.
    """

    recipe: Recipe
    net: nn.Module
    of: Objective
    attacked: AdversarialBatch | None = None

    def __call__(
        self, x: torch.Tensor, y: torch.Tensor, turn: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the outputs for a batch, and its loss.

        Args:
            x: what the network is shown.
            y: labels (N,).
            turn: the number of the batch, by which adversaries take turns.
        """
        if self.attacked is None:
            outputs = self.net(x).float()
            return outputs, self.of(outputs, y)
        under = self.net(self.attacked(x, y, turn)).float()
        alpha = self.recipe.alpha
        loss = (1 - alpha) * self.of(under, y)
        if not alpha:
            return under, loss
        outputs = self.net(x).float()
        return outputs, loss + alpha * self.of(outputs, y)


def fit_whole(
    recipe: Recipe,
    net: nn.Module,
    data: LabelledImages,
    watch: Watch,
    too_steep: str = "",
) -> None:
    """Train all weights of a network, where it lies.

    Args:
        recipe: how.
        net: images, normalised as the recipe says, to outputs.
        data: the training images.
        watch: told of each epoch.
        too_steep: what else than the learning rate may be wrong where weights stop being numbers.

    Raises:
        TrainingFailed: weights that are no numbers any more.
    """
    device = next(net.parameters()).device
    raw, labels = data.raw.to(device), data.labels.to(device)

    def images(rows: torch.Tensor) -> torch.Tensor:
        x = noisy(augmented(raw[rows], recipe).float() / data.top, recipe)
        return x.contiguous(memory_format=MEMORY_FORMAT)

    seen = Normalised(net, recipe.mean, recipe.std).to(device) if recipe.mean else net
    loss = TrainingLoss(
        recipe=recipe,
        net=seen,
        of=objective(recipe),
        attacked=adversarial_batch(recipe, seen, len(DATASETS[recipe.data].classes)),
    )
    descend(loss, images, labels, lambda epoch: watch(epoch, net), too_steep)


def descend(
    loss: TrainingLoss,
    inputs: Callable[[torch.Tensor], torch.Tensor],
    labels: torch.Tensor,
    watch: Callable[[Epoch], None],
    too_steep: str = "",
) -> None:
    """Lessen a loss over all training images, epoch by epoch.

    Args:
        loss: of the network whose weights are trained.
        inputs: rows of the training images to what the network is shown of them.
        labels: of all training images (N,).
        watch: told of each epoch.
        too_steep: as `fit_whole`.

    Raises:
        TrainingFailed: weights that are no numbers any more.
    """
    recipe, net = loss.recipe, loss.net
    steps = -(-len(labels) // recipe.batch_size)
    optimiser = _optimiser(recipe, net)
    schedule = _schedule(recipe, optimiser, steps)
    net.train()
    for number in range(1, recipe.epochs + 1):
        start = time.perf_counter()
        # Kept on the device and looked at once an epoch: each look waits for all that was asked of it.
        sums = torch.zeros(2, dtype=torch.float64, device=labels.device)
        order = torch.randperm(len(labels)).to(labels.device)
        for turn, rows in enumerate(torch.split(order, recipe.batch_size)):
            x, y = inputs(rows), labels[rows]
            with _precision(recipe, x.device):
                outputs, found = loss(x, y, turn + (number - 1) * steps)
            optimiser.zero_grad(set_to_none=True)
            found.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            hits = correct(recipe, outputs.detach(), y)
            sums += torch.stack((found.detach().double() * len(rows), hits))
        mean_loss, accuracy = (sums / len(labels)).tolist()
        # The last step of all shows in no loss.
        finite = torch.stack([weight.isfinite().all() for weight in net.parameters()]).all()
        if not (finite and math.isfinite(mean_loss)):
            raise _not_finite(loss, number, mean_loss, too_steep)
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


def _not_finite(loss: TrainingLoss, epoch: int, mean: float, too_steep: str) -> TrainingFailed:
    recipe = loss.recipe
    broken = [name for name, weight in loss.net.named_parameters() if not weight.isfinite().all()]
    return TrainingFailed(
        f"epoch {epoch} of {recipe.epochs}: the loss is {mean:.4g}; "
        + (f"no numbers any more: {', '.join(broken)}; " if broken else "")
        + (f"{too_steep} may be too steep, or " if too_steep else "")
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
