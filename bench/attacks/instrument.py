"""One wrapper around every attack, whichever toolkit runs it: isolation, and passes per image.

While an attack runs, the model is in evaluation mode with frozen parameters; afterwards the state
of every random generator, the mode of every module and every gradient are what they were.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout

import torch
from torch import nn

from bench.adapters.generators import seeded


class Probe(nn.Module):
    """The model as attacks see it: a plain module from images to logits that counts its passes.

    A plain `nn.Module`, since ART runs the children of an `nn.Sequential` one by one and so passes
    by its `forward`. Inputs are cast to float32, since under numpy 2 ART's float64 steps reach the model,
    and so are logits, since not every attack takes those in half precision.

    Attributes:
        forwards: int64 (N,), images of each row that went through the model so far.
        backwards: int64 (N,), gradients taken through it so far.
        iterations: int64 (N,), steps an image took, where the attack itself counts them.
        radius: how far in linf an image can lie from its original.
        guided: bool (N,), where some gradient so far was neither zero nor NaN.
        answered: bool (N,), where some scores so far were other than the first ones; watched only
            where `watch_scores` is set.
    """

    radius = 1.0
    watch_scores = False

    def __init__(self, net: nn.Module, originals: torch.Tensor) -> None:
        super().__init__()
        # torchattacks takes its device from the first parameter, also of a model that has none.
        self.anchor = nn.Parameter(originals.new_empty(0), requires_grad=False)
        self.net = net
        self._originals = originals.flatten(1)
        self._rows: Sequence[int] | None = None
        self.forwards = torch.zeros(len(originals), dtype=torch.int64)
        self.backwards = torch.zeros(len(originals), dtype=torch.int64)
        self.iterations: torch.Tensor | None = None
        self.guided = torch.zeros(len(originals), dtype=torch.bool)
        self.answered = torch.zeros(len(originals), dtype=torch.bool)
        self._first: torch.Tensor | None = None
        self._all_guided = False

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # A copy, since some networks write into their input: that is the attack's own image.
        seen = x.clone() if x.dtype is torch.float32 else x.float()
        rows = self._rows_of(x)
        if seen.requires_grad:
            seen.register_hook(lambda gradient: self._guide(gradient, rows))  # type: ignore[no-untyped-call]
        logits: torch.Tensor = self.net(seen).float()
        _count(self.forwards, rows)
        if self.watch_scores:
            self._watch(logits.detach(), rows)
        if logits.requires_grad:
            # Each backward pass of an attack goes through the logits exactly once.
            logits.register_hook(lambda _: _count(self.backwards, rows))  # type: ignore[no-untyped-call]
        return logits

    def join(self, part: Probe, rows: torch.Tensor) -> None:
        """Take over what another probe saw of some rows, int64 (n,), as part of the same attack."""
        self.forwards[rows] += part.forwards
        self.backwards[rows] += part.backwards
        self.guided[rows] |= part.guided
        self.answered[rows] |= part.answered

    def _guide(self, gradient: torch.Tensor, rows: torch.Tensor | None) -> torch.Tensor:
        """Note for which images a gradient says where to go, and return it as toolkits can read it."""
        if not self._all_guided:
            useful = (gradient.flatten(1).abs().amax(1) > 0).cpu()
            if rows is None:
                self.guided |= useful
            else:
                self.guided[rows[useful]] = True
            self._all_guided = bool(self.guided.all())
        # Toolkits flatten gradients by `view`, which those of a channels-last network do not allow.
        return gradient.contiguous()

    def _watch(self, scores: torch.Tensor, rows: torch.Tensor | None) -> None:
        """Note for which images the scores are no longer those of the first time they were asked for."""
        if self._first is None:
            self._first = scores.new_full((len(self.forwards), scores.shape[1]), torch.nan)
        at = torch.arange(len(self.forwards)) if rows is None else rows
        new = self._first[at].isnan().all(1)
        self._first[at[new.cpu()]] = scores[new]
        # Looked up again: one image may be asked about many times in one batch.
        known = self._first[at]
        changed = ((known != scores) & ~known.isnan()).any(1)
        self.answered[at[changed.cpu()]] = True

    @contextmanager
    def playing(self, rows: Sequence[int]) -> Iterator[None]:
        """Say which rows of the attacked batch the model is about to be given; none are not counted."""
        self._rows = rows
        try:
            yield
        finally:
            self._rows = None

    def _rows_of(self, x: torch.Tensor) -> torch.Tensor | None:
        """Return the attacked row of each row of a batch; None where they are simply all."""
        if self._rows is not None:
            rows = torch.as_tensor(self._rows, dtype=torch.int64)
            return rows.expand(len(x)) if len(rows) == 1 else rows
        if len(x) == len(self._originals):
            return None
        # Some attacks give only the images they still work on; each is nearest to its own original.
        images = x.detach().float().flatten(1)
        near = torch.cdist(images, self._originals).argmin(1)
        # A large linf radius takes an image far in l2, perhaps nearer to another.
        away = (images - self._originals[near]).abs().amax(1) > self.radius + 1e-5
        if away.any():
            near[away] = torch.cdist(images[away], self._originals, p=torch.inf).argmin(1)
        return near.cpu()


def _count(counts: torch.Tensor, rows: torch.Tensor | None) -> None:
    if rows is None:
        counts += 1
    else:
        counts.index_add_(0, rows, torch.ones_like(rows))


@contextmanager
def _frozen(model: nn.Module) -> Iterator[None]:
    """Put every module into evaluation mode and freeze every parameter; undo both at the end."""
    modes = [(module, module.training) for module in model.modules()]
    params = [(param, param.requires_grad, param.grad) for param in model.parameters()]
    model.eval()
    for param, _, _ in params:
        param.requires_grad_(False)
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
        for param, required, grad in params:
            param.requires_grad_(required)
            param.grad = grad


@contextmanager
def attacked(model: nn.Module, x: torch.Tensor, seed: int) -> Iterator[Probe]:
    """Yield the model as an attack may have it; everything it disturbs is put back at the end.

    What toolkits print goes to stderr: stdout is for data.

    Args:
        model: images in [0, 1] to logits.
        x: the images attacked, float32 (N, C, H, W) in [0, 1].
        seed: of every random draw during the attack.
    """
    with ExitStack() as stack:
        stack.enter_context(redirect_stdout(sys.stderr))
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(_frozen(model))
        stack.enter_context(seeded(seed, x.device))
        probe = Probe(model, x.detach().clone())
        probe.eval()
        yield probe
