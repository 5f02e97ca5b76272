"""Substitutes: small networks trained on a model's answers alone, to attack the model through them.

Papernot et al., Practical black-box attacks against machine learning (2017), algorithm 1: the model is asked
about a few images, a network is trained on its answers, and each round adds to every image x asked about so
far one more,

    x + (-1)^r lambda sign(d F_O(x) / d x),

a step along the gradient of the network's logit of the class O(x) that the model gave it; with the sign that
changes from round to round as in Papernot et al., Transferability in machine learning (2016), section 4.1.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import nn
from torch.nn import functional as F

from bench.adapters.generators import device_of, seeded
from bench.errors import AttackError
from bench.models.substitutes import small_convs
from bench.spec import Adapter, SubstituteName
from bench.spec.substitutes import Answers
from bench.store.files import atomic_write

#: lambda; the batches of each round and those after the last one; images in a batch; Adam's learning rate.
_STEP, _BATCHES, _LAST, _TOGETHER, _RATE = 0.1, 50, 150, 64, 3e-3

#: What the substitutes are and how they are trained; part of a cell's identity.
METHOD = (
    f"small_convs, Adam {_RATE}, {_BATCHES} batches of {_TOGETHER} a round, {_LAST} at the end, "
    f"Jacobian steps of {_STEP} with a changing sign"
)


class SubstituteImages(NamedTuple):
    """The images that a model is asked about.

    Attributes:
        seeds: those asked about first, float32 (N, C, H, W) in [0, 1].
        held_out: those on which model and substitute are compared, likewise; none to leave that out.
    """

    seeds: torch.Tensor
    held_out: torch.Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedSubstitute:
    """A network trained on a model's answers, to give to `bench.attack` as its `surface`.

    Attributes:
        net: images (N, C, H, W) in [0, 1] to logits; frozen, in eval mode.
        name: what it is called in rows, such as `substitute-500`.
        queries: how many images the model was asked about to train it, each once.
        seeds: how many of them were given; the others are made from these.
        rounds: of Jacobian-based augmentation.
        agreement: the share of the held-out images with a decision on which both decide alike; None
            without such images. The model's answers to these come on top of its `queries`.
        decided: the number of held-out images for which the model names a class.
        held_out: the number of held-out images.
        seconds: what it took.
    """

    net: nn.Module = dataclasses.field(repr=False)
    name: str
    queries: int
    seeds: int
    rounds: int
    agreement: float | None
    decided: int
    held_out: int
    seconds: float

    def facts(self) -> dict[str, Any]:
        """Return everything but the network, as plain JSON values by name."""
        fields = [field.name for field in dataclasses.fields(self) if field.name != "net"]
        return {name: getattr(self, name) for name in fields}


@dataclass(slots=True)
class _Questions:
    """Asks a model for its answers, and keeps them so that a killed training asks for none twice.

    Attributes:
        kept: the file that keeps them; None to keep them in no file.
    """

    adapter: Adapter
    answers: Answers
    kept: Path | None
    known: dict[str, torch.Tensor]

    def ask(self, x: torch.Tensor) -> torch.Tensor:
        """Return the labels (N,), or the probabilities (N, C), that the model gives to images."""
        digest = hashlib.sha256(self.answers.encode())
        digest.update(x.cpu().contiguous().numpy().tobytes())
        name = digest.hexdigest()
        if name not in self.known:
            self.known[name] = self._answer(x).cpu()
            if self.kept is not None:
                atomic_write(self.kept, save_tensors(self.known), "BENCH_CACHE")
        return self.known[name].to(x.device)

    def _answer(self, x: torch.Tensor) -> torch.Tensor:
        # Seeded anew each time, so that answers of a random model repeat whichever were kept.
        with seeded(0, x.device):
            parts = [self.adapter.predict(part) for part in torch.split(x, _TOGETHER)]
        if self.answers == "labels":
            return torch.cat([part.labels for part in parts])
        scores = torch.cat([part.scores for part in parts])
        return scores.softmax(1) if self.adapter.spec.scores == "logits" else scores


def train_substitute(
    adapter: Adapter,
    name: SubstituteName,
    images: SubstituteImages,
    seed: int,
    kept: Path | None = None,
) -> TrainedSubstitute:
    """Return a network trained on a model's answers; the random generators stay as they are.

    Args:
        adapter: the model, of which nothing but its answers is used.
        name: how many images it may be asked about, and for what.
        images: those asked about first, of which no more than that are used, and those held out.
        seed: of all draws.
        kept: a file for the answers, so that a training that was killed asks for none of them again.

    Raises:
        AttackError: the model gives none of the images a class, or there are no images.
    """
    if not len(images.seeds):
        raise AttackError(f"{name.title()}: there are no images to ask the model about")
    began = time.perf_counter()
    device = device_of(adapter)
    questions = _Questions(adapter, name.answers, kept, _answers_in(kept))
    seeds = images.seeds[: name.queries].to(device).float()
    with seeded(seed, device), torch.enable_grad(), torch.inference_mode(False):
        net = small_convs(seeds.shape[1:], adapter.spec.num_classes).to(device)
        asked, rounds = _learn(net, questions.ask, seeds, name.queries, seed)
    net.requires_grad_(False).eval()
    decided, alike = 0, 0
    if len(images.held_out):
        held_out = images.held_out.to(device).float()
        labels = _Questions(adapter, "labels", kept, questions.known).ask(held_out)
        with torch.no_grad():
            own = torch.cat([net(part).argmax(1) for part in torch.split(held_out, _TOGETHER)])
        decided, alike = int((labels >= 0).sum()), int((own == labels).sum())
    return TrainedSubstitute(
        net=net, name=name.title(), queries=asked, seeds=len(seeds), rounds=rounds,
        agreement=alike / decided if decided else None, decided=decided,
        held_out=len(images.held_out), seconds=round(time.perf_counter() - began, 3),
    )  # fmt: skip


def _learn(
    net: nn.Module,
    ask: Callable[[torch.Tensor], torch.Tensor],
    seeds: torch.Tensor,
    queries: int,
    seed: int,
) -> tuple[int, int]:
    """Train a network in place; return how many images were asked about, and the rounds.

    Raises:
        AttackError: no image asked about has a class.
    """
    draws = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(net.parameters(), _RATE)
    x, answers, rounds = seeds, ask(seeds), 0
    while len(x) < queries:
        _descend(net, optimiser, x, answers, _BATCHES, draws)
        step = _STEP if rounds % 2 == 0 else -_STEP
        from_these = torch.randperm(len(x), generator=draws)[: queries - len(x)].to(x.device)
        more = _augmented(net, x[from_these], answers[from_these], step)
        x, answers = torch.cat([x, more]), torch.cat([answers, ask(more)])
        rounds += 1
    _descend(net, optimiser, x, answers, _LAST, draws)
    return len(x), rounds


def _descend(
    net: nn.Module,
    optimiser: torch.optim.Optimizer,
    x: torch.Tensor,
    answers: torch.Tensor,
    batches: int,
    draws: torch.Generator,
) -> None:
    """Train a network on the images that the model gave a class, or scores that are finite."""
    scored = answers.is_floating_point()
    usable = answers.isfinite().all(1) if scored else answers >= 0
    rows = usable.nonzero().squeeze(1)
    if not len(rows):
        raise AttackError(
            f"a substitute cannot be trained: the model gives no {'scores' if scored else 'class'} to any "
            f"of the {len(x)} images that it was asked about"
        )
    net.train()
    for _ in range(batches):
        drawn = torch.randint(len(rows), (min(_TOGETHER, len(rows)),), generator=draws)
        batch = rows[drawn.to(rows.device)]
        loss = F.cross_entropy(net(x[batch]), answers[batch])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    net.eval()


def _augmented(net: nn.Module, x: torch.Tensor, answers: torch.Tensor, step: float) -> torch.Tensor:
    """Return a new image for each one, a step along the gradient of the logit of its class."""
    classes = answers.nan_to_num().argmax(1) if answers.is_floating_point() else answers
    new = []
    for part, of in zip(torch.split(x, _TOGETHER), torch.split(classes, _TOGETHER), strict=True):
        leaf = part.clone().requires_grad_()
        logits = net(leaf).gather(1, of.clamp(min=0)[:, None])
        (gradient,) = torch.autograd.grad(logits.sum(), leaf)
        new.append((part + step * gradient.sign()).clamp(0, 1))
    return torch.cat(new)


def _answers_in(path: Path | None) -> dict[str, torch.Tensor]:
    """Return the answers that a killed training kept; none if it kept none, or the file is damaged."""
    try:
        return {} if path is None else load_tensors(path.read_bytes())
    except (OSError, SafetensorError):
        return {}


def write_substitute(path: Path, trained: TrainedSubstitute) -> None:
    """Write a substitute into one file, whole or not at all.

    Raises:
        StoreError: the file cannot be written.
    """
    state = {name: value.cpu().contiguous() for name, value in trained.net.state_dict().items()}
    facts = {"facts": json.dumps(trained.facts())}
    atomic_write(path, save_tensors(state, metadata=facts), "BENCH_CACHE")


def read_substitute(path: Path, adapter: Adapter) -> TrainedSubstitute | None:
    """Return a substitute of a model from its file; None if that is missing or damaged."""
    spec = adapter.spec
    net = small_convs(spec.input_shape, spec.num_classes)
    try:
        with safe_open(path, "pt") as file:
            facts = json.loads(file.metadata()["facts"])
            net.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
    except (OSError, SafetensorError, RuntimeError, KeyError, TypeError, ValueError):
        return None
    return TrainedSubstitute(net=net.to(device_of(adapter)).requires_grad_(False).eval(), **facts)
