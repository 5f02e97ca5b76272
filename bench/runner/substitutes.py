"""The substitutes of a run: the images that models are asked about, and the cache of what is trained."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

from bench.data.datasets import load, load_set
from bench.data.labelled import LabelledImages
from bench.data.table import DATASETS
from bench.paths import cache_dir
from bench.spec import Adapter, Cell, ImageSet, Substitute, SubstituteName
from bench.store.files import check_folder
from bench.store.identity import canonical_json, identity
from bench.train.substitutes import (
    METHOD,
    SubstituteImages,
    TrainedSubstitute,
    read_substitute,
    train_substitute,
    write_substitute,
)

#: The most images that models are asked about first, as many as Papernot et al. (2017) had of MNIST: an
#: attacker has few of its own. And the most on which model and substitute are compared.
_SEEDS, _HELD_OUT = 150, 500


def other_split(attacked: ImageSet) -> str | None:
    """Return the split that the first images are drawn from, `train` if that is not attacked; None of one split."""
    splits = [split for split in DATASETS[attacked.data].splits if split != attacked.split]
    return "train" if "train" in splits else next(iter(splits), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class SubstituteSource:
    """What a substitute is trained on.

    Attributes:
        name: how many images the model may be asked about, and for what.
        seeds: the images that it is asked about first.
        held_out: some of the split under attack, on which model and substitute are compared.
    """

    name: SubstituteName
    seeds: LabelledImages
    held_out: LabelledImages

    def named(self) -> Substitute:
        """Return the source as a cell records it."""
        return Substitute(
            queries=self.name.queries, answers=self.name.answers, method=METHOD,
            checksum=self.seeds.checksum(),
        )  # fmt: skip


@cache
def substitute_source(
    name: SubstituteName, attacked: ImageSet, seed: int, root: Path
) -> SubstituteSource:
    """Return what the substitutes of a name are trained on; the images are drawn from `other_split`.

    Args:
        name: how many images the model may be asked about, and for what.
        attacked: images under attack.
        seed: of the draw.
        root: the data folder.

    Raises:
        PrerequisiteError: the data set is missing.
    """
    split = other_split(attacked)
    assert split is not None
    pool = load(attacked.data, split, root)
    drawn = torch.randperm(len(pool), generator=torch.Generator().manual_seed(seed))
    few = drawn[: min(name.queries, _SEEDS)]
    return SubstituteSource(
        name=name,
        seeds=LabelledImages(pool.pixels(few), pool.labels[few], pool.top),
        held_out=load_set(attacked, root).first(_HELD_OUT),
    )


def substitute_of(
    cell: Cell,
    adapter: Adapter,
    source: SubstituteSource,
    trained: dict[str, TrainedSubstitute],
) -> TrainedSubstitute:
    """Return the substitute of a cell: one of this run, or of the cache, or one trained now.

    Args:
        cell: attacked through a substitute.
        adapter: its model.
        source: what the substitute is trained on.
        trained: the substitutes of this run, to which this one is added.

    Raises:
        AttackError: the model's answers name no class.
        PrerequisiteError: the cache cannot be written to.
    """
    name = f"{cell.images.data}-{substitute_key(cell)}"
    if name not in trained:
        path = cache_dir() / "substitutes" / f"{name}.safetensors"
        held = read_substitute(path, adapter)
        if held is None:
            check_folder(path.parent, "substitutes", "BENCH_CACHE")
            answers = path.with_name(f"{name}-answers.safetensors")
            images = SubstituteImages(source.seeds.images, source.held_out.images)
            held = train_substitute(adapter, source.name, images, cell.seed, answers)
            write_substitute(path, held)
            answers.unlink(missing_ok=True)
        trained[name] = held
    return trained[name]


def substitute_key(cell: Cell) -> str:
    """Return 20 hex digits over what decides the substitute of a cell; other cells may have the same."""
    named = identity(cell)
    parts = {
        "model": cell.fingerprint,
        "split": cell.images.split,
        **{part: named[part] for part in ("version", "substitute", "seed")},
    }
    return hashlib.sha256(canonical_json(parts).encode()).hexdigest()[:20]
