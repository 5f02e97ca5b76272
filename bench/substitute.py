"""Substitutes in the Python API: `bench.train_substitute`, and what `bench.attack` makes of one."""

from __future__ import annotations

import torch

from bench.attacks.catalogue import access
from bench.batches import as_images
from bench.errors import SpecError
from bench.runner.cache import CleanPredictions
from bench.runner.cell import check_images
from bench.runner.task import Source
from bench.spec import Adapter, SubstituteName
from bench.spec.substitutes import Answers
from bench.train.substitutes import SubstituteImages, TrainedSubstitute
from bench.train.substitutes import train_substitute as train
from bench.trust.behaviour import judged


def train_substitute(
    model: Adapter,
    images: torch.Tensor,
    queries: int,
    *,
    answers: Answers = "labels",
    held_out: torch.Tensor | None = None,
    seed: int = 0,
) -> TrainedSubstitute:
    """Train a small network on a model's answers alone; nothing is stored.

    Give it to `bench.attack` as `surface`. The images asked about are the ones given and others made from
    these (Papernot et al., 2017, algorithm 1).

    Args:
        model: from `load_model`, `wrap` or `wrap_predict`.
        images: some to begin with, float (N, C, H, W) in [0, 1]; not those to be attacked. A suite has 150.
        queries: how many images the model may be asked about; of more images than that the first count.
        answers: whether to ask for `labels` or for `scores`.
        held_out: images on which model and network are compared, as `agreement`; their answers come on top
            of `queries`. None to leave that out.
        seed: of all random draws.

    Raises:
        SpecError: an invalid model, image or number.
        AttackError: the model gives none of the images a class.
    """
    if not isinstance(model, Adapter):
        raise SpecError(
            f"train_substitute: the model is a {type(model).__name__}; make it one of the benchmark's with "
            f"bench.wrap, bench.wrap_predict or bench.load_model"
        )
    if type(queries) is not int or queries < 1:
        raise SpecError(f"queries: {queries!r} is not a whole number from 1")
    if answers not in ("labels", "scores"):
        raise SpecError(f"answers: {answers!r} is not 'labels' or 'scores'")
    seeds = as_images(images)
    others = seeds[:0] if held_out is None else as_images(held_out)
    for x in (seeds, others):
        check_images(model, x, torch.zeros(len(x), dtype=torch.int64))
    model, _ = judged(model, seeds.float())
    pair = SubstituteImages(seeds, others)
    return train(model, SubstituteName(queries, answers), pair, seed)


def source_of(surface: str | TrainedSubstitute, clean: CleanPredictions, name: str) -> Source:
    """Return where `bench.attack` crafts the images of an attack.

    Args:
        surface: of the model, or a network trained on its answers.
        clean: the model's answers to clean images.
        name: of the attack.

    Raises:
        SpecError: the attack asks the model itself, or the network is only named.
    """
    if isinstance(surface, TrainedSubstitute):
        if access(name) == "whole":
            raise SpecError(f"{name} sees the whole model, and takes no substitute in its place")
        if access(name) != "white":
            raise SpecError(f"{name} is a black-box attack: it asks the model, not a substitute")
        return Source(surface=surface.name, clean=clean, substitute=surface.net)
    if SubstituteName.read(surface) is not None:
        raise SpecError(
            f"surface {surface!r}: train one first, and give that: "
            f"surface=bench.train_substitute(model, images, queries=...)"
        )
    return Source(surface=surface, clean=clean)
