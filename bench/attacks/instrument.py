"""One wrapper around the attacks of all toolkits: it isolates them and counts passes per image.

While an attack runs, the model is in evaluation mode with frozen parameters. Afterwards the states of
all random generators, the modes of all modules and all gradients are as before.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout

import torch
from torch import nn

from bench.adapters.generators import seeded


class Probe(nn.Module):
    """The model that attacks are given: a module from images to logits that counts its passes.

    It is no `nn.Sequential`, since ART would run the children of one itself and bypass `forward`.
    Inputs are cast to float32, since under numpy 2 ART's float64 steps reach the model; so are logits,
    since not every attack takes half precision.

    What it records stays on the device of the images until it is read, so that no pass makes a GPU wait for
    the processor.

    Attributes:
        forwards: int64 (N,), forward passes for each row so far.
        backwards: int64 (N,), gradients for each row so far.
        iterations: int64 (N,), steps an image took, if the attack counts them itself.
        unclipped: float32 (N, C, H, W), the images before a last clip to [0, 1], if the attack returns them.
        trace: float32 (N, most steps + 1), how near the goal an image was at first and after each step,
            NaN after its last; None if the attack keeps none.
        radius: the largest linf distance of an image from its original.
        guided: bool (N,), whether some gradient so far was neither zero nor NaN.
        answered: bool (N,), whether some scores so far differed from the first ones; recorded only
            if `watch_scores` is set.
        labels: int64 (N,), the labels of the rows; None unless `lead` is wanted.
        lead: float32 (N,), by how much another class led the label in the logits, at most so far, -inf before the
            first; recorded only with `labels`.
        broken_by: the name of the attack that broke an image, of several that are made in turn, None where
            none did; None for an attack by itself.
    """

    radius = 1.0
    watch_scores = False
    labels: torch.Tensor | None = None
    broken_by: list[str | None] | None = None

    def __init__(self, net: nn.Module, originals: torch.Tensor) -> None:
        super().__init__()
        # torchattacks takes the device from the first parameter, so there has to be one.
        self.anchor = nn.Parameter(originals.new_empty(0), requires_grad=False)
        self.net = net
        self._originals = originals.flatten(1)
        self._rows: torch.Tensor | None = None
        nobody = torch.zeros(len(originals), dtype=torch.int64, device=originals.device)
        self.forwards, self.backwards = nobody.clone(), nobody.clone()
        self.iterations: torch.Tensor | None = None
        self.unclipped: torch.Tensor | None = None
        self.trace: torch.Tensor | None = None
        self.guided, self.answered = nobody > 0, nobody > 0
        self.lead = torch.full_like(nobody, -torch.inf, dtype=torch.float32)
        self._first: torch.Tensor | None = None
        self._all_guided = self._all_answered = False

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # A copy, since some networks write into their input, which is the attack's own image.
        seen = x.clone() if x.dtype is torch.float32 else x.float()
        rows = self._rows_of(x)
        if seen.requires_grad:
            seen.register_hook(lambda gradient: self._guide(gradient, rows))  # type: ignore[no-untyped-call]
        logits: torch.Tensor = self.net(seen).float()
        _count(self.forwards, rows)
        if self.watch_scores:
            self._watch(logits.detach(), rows)
        if self.labels is not None:
            self._compare(logits.detach(), self.labels, rows)
        if logits.requires_grad:
            # Each backward pass of an attack goes through the logits exactly once.
            logits.register_hook(lambda _: _count(self.backwards, rows))  # type: ignore[no-untyped-call]
        return logits

    @property
    def scores(self) -> str:
        """Return what the model gives: `logits`, or `probabilities` where it says so."""
        return str(getattr(self.net, "scores", "logits"))

    def join(self, part: Probe, rows: torch.Tensor) -> None:
        """Add what another probe recorded about some rows, int64 (n,), as part of the same attack."""
        self.forwards[rows] += part.forwards
        self.backwards[rows] += part.backwards
        self.guided[rows] |= part.guided
        self.answered[rows] |= part.answered
        self.lead[rows] = torch.maximum(self.lead[rows], part.lead)

    def _guide(self, gradient: torch.Tensor, rows: torch.Tensor | None) -> torch.Tensor:
        """Record which images have a usable gradient, and return it in a layout toolkits can read."""
        if not self._all_guided:
            self.guided |= self._of_rows(gradient.flatten(1).abs().amax(1) > 0, rows)
            # Worth asking on the processor alone: a GPU would have to be waited for.
            self._all_guided = self.guided.is_cpu and bool(self.guided.all())
        # Toolkits flatten gradients by `view`, which fails in the channels-last layout.
        return gradient.contiguous()

    def _watch(self, scores: torch.Tensor, rows: torch.Tensor | None) -> None:
        """Record for which images the scores differ from the first ones."""
        if self._all_answered:
            return
        if self._first is None:
            self._first = scores.new_full((len(self.forwards), scores.shape[1]), torch.nan)
        at = torch.arange(len(self.forwards), device=scores.device) if rows is None else rows
        first = self._first[at]
        self._first[at] = torch.where(first.isnan().all(1, keepdim=True), scores, first)
        # Read again after writing, since one batch may hold the same row many times.
        first = self._first[at]
        self.answered |= self._of_rows(((first != scores) & ~first.isnan()).any(1), rows)
        self._all_answered = self.answered.is_cpu and bool(self.answered.all())

    def _of_rows(self, flags: torch.Tensor, rows: torch.Tensor | None) -> torch.Tensor:
        """Return flags of the images of a batch as flags of the rows, bool (N,): whether any of a row's is set."""
        if rows is None:
            return flags
        return torch.zeros_like(self.forwards).index_add_(0, rows, flags.long()) > 0

    def _compare(
        self, logits: torch.Tensor, labels: torch.Tensor, rows: torch.Tensor | None
    ) -> None:
        """Record by how much another class leads the labels of the rows."""
        at = torch.arange(len(self.lead), device=logits.device) if rows is None else rows
        named = labels[at][:, None]
        others = logits.scatter(1, named, -torch.inf).amax(1)
        lead = (others - logits.gather(1, named).squeeze(1)).nan_to_num(nan=-torch.inf)
        self.lead.scatter_reduce_(0, at, lead, "amax")

    @contextmanager
    def playing(self, rows: Sequence[int] | torch.Tensor) -> Iterator[None]:
        """Declare which rows of the attacked batch the model is about to get; with none nothing is counted."""
        self._rows = torch.as_tensor(rows, dtype=torch.int64, device=self.forwards.device)
        try:
            yield
        finally:
            self._rows = None

    def _rows_of(self, x: torch.Tensor) -> torch.Tensor | None:
        """Return the attacked row for each row of a batch; None if these are all rows in order."""
        if self._rows is not None:
            return self._rows.expand(len(x)) if len(self._rows) == 1 else self._rows
        if len(x) == len(self._originals):
            return None
        # Some attacks pass only the images they still work on; each is nearest to its own original.
        images = x.detach().float().flatten(1)
        near = torch.cdist(images, self._originals).argmin(1)
        # A large linf radius allows a large l2 distance, perhaps nearer to another original.
        away = (images - self._originals[near]).abs().amax(1) > self.radius + 1e-5
        if not away.is_cpu:
            # To compute it of all takes less time than to wait for which it is needed.
            nearest = torch.cdist(images, self._originals, p=torch.inf).argmin(1)
            return torch.where(away, nearest, near)
        if away.any():
            near[away] = torch.cdist(images[away], self._originals, p=torch.inf).argmin(1)
        return near


def _count(counts: torch.Tensor, rows: torch.Tensor | None) -> None:
    if rows is None:
        counts += 1
    else:
        counts.index_add_(0, rows, torch.ones_like(rows))


@contextmanager
def _frozen(model: nn.Module) -> Iterator[None]:
    """Put all modules into evaluation mode and freeze all parameters; undo both at the end."""
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
    """Yield the model for an attack; whatever the attack changes globally is restored at the end.

    What toolkits print goes to stderr, since stdout is for data.

    Args:
        model: images in [0, 1] to logits.
        x: the images attacked, float32 (N, C, H, W) in [0, 1].
        seed: of all random draws during the attack.
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
