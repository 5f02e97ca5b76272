"""Training under attack: the adversaries of a recipe, run by the code that evaluates models."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from bench.attacks.catalogue import available, is_minimal, resolve
from bench.attacks.job import Batch
from bench.attacks.run_attack import run_attack
from bench.errors import SpecError
from bench.spec import AttackSpec, Scalar, Toolkit
from bench.train.recipe import CROSS_ENTROPY, Adversary, Recipe

#: From images (N, C, H, W) in [0, 1], labels (N,) and the number of the batch to adversarial images.
AdversarialBatch = Callable[[torch.Tensor, torch.Tensor, int], torch.Tensor]


def adversarial_batch(recipe: Recipe, net: nn.Module, classes: int) -> AdversarialBatch | None:
    """Return the function that attacks training batches; None for a recipe without adversaries.

    Args:
        recipe: its adversaries take turns, one batch each.
        net: the network being trained, images in [0, 1] to logits; attacked in evaluation mode.
        classes: number of logits.

    Raises:
        SpecError: an adversary that is not a fixed-budget attack of the catalogue, an alpha outside
            [0, 1), noise in addition to adversaries, or adversaries for a network without logits.
    """
    if not recipe.adversaries:
        return None
    if not 0 <= recipe.alpha < 1:
        raise SpecError(f"recipe: alpha={recipe.alpha:g} is not at least 0 and below 1")
    if recipe.noise:
        raise SpecError("recipe: attacks need images in [0, 1]; leave noise or adversaries out")
    if recipe.loss != CROSS_ENTROPY or recipe.rule is not None:
        raise SpecError(
            "recipe: adversaries need a network whose weights are all trained on cross-entropy"
        )
    attacks = [_attack(adversary) for adversary in recipe.adversaries]

    def attacked(x: torch.Tensor, y: torch.Tensor, turn: int) -> torch.Tensor:
        spec, toolkit = attacks[turn % len(attacks)]
        seed = int(
            torch.randint(2**31, ())
        )  # of the training's own draws, which `run_attack` puts back
        result = run_attack(spec, toolkit, net, Batch(x, y), num_classes=classes, seed=seed)
        return result.x_adv.contiguous(memory_format=torch.channels_last)

    return attacked


def _attack(adversary: Adversary) -> tuple[AttackSpec, Toolkit]:
    """Return an adversary as an attack, and the toolkit that runs it: torchattacks if possible."""
    if is_minimal(adversary.name):
        raise SpecError(f"recipe: {adversary.name} is not a fixed-budget attack")
    parameters: dict[str, Scalar] = {"steps": adversary.steps, "step_size": adversary.step_size}
    spec = resolve(adversary.name, adversary.norm, adversary.eps, parameters)
    toolkits = available(adversary.name, adversary.norm)
    return spec, "torchattacks" if "torchattacks" in toolkits else toolkits[0]
