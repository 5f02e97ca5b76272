"""Training of all weights of a network by gradient descent, following a recipe."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from bench.adapters.network import Normalised
from bench.data.labelled import LabelledImages
from bench.data.table import DATASETS
from bench.errors import SpecError, TrainingFailed
from bench.registry import unknown
from bench.train.adversarial import AdversarialBatch, adversarial_batch
from bench.train.augmentation import augmented
from bench.train.epochs import Epoch, Watch
from bench.train.objectives import Objective, correct, objective
from bench.train.phases import Inputs, behind_frozen, frozen, phases_of, repeats_images
from bench.train.recipe import Recipe
from bench.train.schedules import rate_share

#: The memory layout of images and convolution weights during training; it changes results only by
#: rounding.
MEMORY_FORMAT = torch.channels_last

PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingLoss:
    """The training loss of a network, on adversarial images too if the recipe has adversaries.

    Attributes:
        recipe: of the network.
        net: the network, from inputs to outputs.
        of: from outputs and labels to the loss.
        attacked: makes the images of a batch adversarial; None without adversarial training.
        frozen: parts of the network that stay as they are, in eval mode.
    """

    recipe: Recipe
    net: nn.Module
    of: Objective
    attacked: AdversarialBatch | None = None
    frozen: tuple[nn.Module, ...] = ()

    def __call__(
        self, x: torch.Tensor, y: torch.Tensor, turn: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the outputs for a batch, and its loss.

        Args:
            x: inputs of the network.
            y: labels (N,).
            turn: the number of the batch, which decides whose turn it is among the adversaries.
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
    """Train all weights of a network in place.

    Args:
        recipe: of the training.
        net: from images, normalised as the recipe says, to outputs.
        data: the training images.
        watch: called after each epoch.
        too_steep: what besides the learning rate may be too large, for the error message.

    Raises:
        TrainingFailed: weights or loss are no longer finite.
    """
    device = next(net.parameters()).device
    held = data.on(device)

    def images(rows: torch.Tensor) -> torch.Tensor:
        x = noisy(augmented(held.pixels(rows), recipe).float() / held.top, recipe)
        return x.contiguous(memory_format=MEMORY_FORMAT)

    def normal(rows: torch.Tensor) -> torch.Tensor:
        return normalised(images(rows), recipe)

    seen = Normalised(net, recipe.mean, recipe.std).to(device) if recipe.mean else net
    loss = TrainingLoss(
        recipe=recipe,
        net=seen,
        of=objective(recipe),
        attacked=adversarial_batch(recipe, seen, len(DATASETS[recipe.data].classes)),
    )
    for phase, before in phases_of(recipe):

        def numbered(epoch: Epoch, before: int = before) -> None:
            watch(dataclasses.replace(epoch, number=before + epoch.number, of=recipe.epochs), net)

        with frozen(net, phase.frozen) as parts:
            rates = dataclasses.replace(
                recipe, epochs=phase.epochs, learning_rate=phase.learning_rate
            )
            part_of_training = dataclasses.replace(loss, recipe=rates, frozen=parts)
            inputs: Inputs = images
            if parts and repeats_images(recipe):
                places = torch.arange(len(data), device=device)
                with _precision(recipe, device):
                    rest, inputs = behind_frozen(net, parts, normal, places)
                part_of_training = dataclasses.replace(part_of_training, net=rest)
            descend(part_of_training, inputs, held.labels, numbered, too_steep)


def descend(
    loss: TrainingLoss,
    inputs: Inputs,
    labels: torch.Tensor,
    watch: Callable[[Epoch], None],
    too_steep: str = "",
) -> None:
    """Minimise a loss over all training images, epoch by epoch.

    Args:
        loss: of the network to train.
        inputs: from rows of the training images to the network's inputs.
        labels: of all training images (N,).
        watch: called after each epoch.
        too_steep: as in `fit_whole`.

    Raises:
        TrainingFailed: weights or loss are no longer finite.
    """
    recipe, net = loss.recipe, loss.net
    steps = -(-len(labels) // recipe.batch_size)
    optimiser = _optimiser(recipe, net)
    schedule = _schedule(recipe, optimiser, steps)
    net.train()
    for part in loss.frozen:
        part.eval()
    for number in range(1, recipe.epochs + 1):
        start = time.perf_counter()
        # Summed on the device and read once an epoch: on a GPU each read waits for all work queued so far.
        sums = torch.zeros(2, dtype=torch.float64, device=labels.device)
        order = torch.randperm(len(labels)).to(labels.device)
        for turn, rows in enumerate(torch.split(order, recipe.batch_size)):
            x, y = inputs(rows), labels[rows]
            with _precision(recipe, x.device):
                outputs, batch_loss = loss(x, y, turn + (number - 1) * steps)
            optimiser.zero_grad(set_to_none=True)
            batch_loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            hits = correct(recipe, outputs.detach(), y)
            sums += torch.stack((batch_loss.detach().double() * len(rows), hits))
        mean_loss, accuracy = (sums / len(labels)).tolist()
        # The loss does not yet show the effect of the very last step.
        finite = torch.stack([weight.isfinite().all() for weight in net.parameters()]).all()
        if not (finite and math.isfinite(mean_loss)):
            raise _not_finite(loss, number, mean_loss, too_steep)
        seconds = time.perf_counter() - start
        watch(Epoch(number, recipe.epochs, mean_loss, accuracy, seconds))


def _precision(recipe: Recipe, device: torch.device) -> torch.autocast:
    """Return the context in which a network and its loss are computed.

    Raises:
        SpecError: an unknown precision.
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
    """Return the scheduler, called after each step; the study's schedules change only once an epoch."""
    if recipe.schedule == "one-cycle":
        return torch.optim.lr_scheduler.OneCycleLR(
            optimiser, recipe.learning_rate, total_steps=recipe.epochs * steps, pct_start=0.25
        )
    return torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: rate_share(recipe.schedule, step // steps, recipe.epochs)
    )


def _optimiser(recipe: Recipe, net: nn.Module) -> torch.optim.Optimizer:
    learning = [weight for weight in net.parameters() if weight.requires_grad]
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(
            learning,
            recipe.learning_rate,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
            nesterov=recipe.momentum > 0,
        )
    if recipe.optimiser == "adam":
        return torch.optim.Adam(learning, recipe.learning_rate, weight_decay=recipe.weight_decay)
    raise SpecError(f"recipe: optimiser {recipe.optimiser!r} is not one of sgd, adam")


def normalised(x: torch.Tensor, recipe: Recipe) -> torch.Tensor:
    """Return images (N, C, H, W) in [0, 1], normalised for the network of a recipe."""
    if not recipe.mean:
        return x
    mean = torch.tensor(recipe.mean, device=x.device).view(-1, 1, 1)
    std = torch.tensor(recipe.std, device=x.device).view(-1, 1, 1)
    return (x - mean) / std


def noisy(x: torch.Tensor, recipe: Recipe) -> torch.Tensor:
    """Return images (N, C, H, W) with the Gaussian noise of a recipe; they may leave [0, 1]."""
    return x + recipe.noise * torch.randn_like(x) if recipe.noise else x
