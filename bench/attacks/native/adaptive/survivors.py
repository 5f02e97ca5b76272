"""The images that are still right by the model's own decision, and the best found for each."""

from __future__ import annotations

from typing import NamedTuple

import torch

from bench.attacks.native.adaptive.budget import Budget
from bench.attacks.native.adaptive.losses import Aim, margin_of
from bench.attacks.native.adaptive.model import Model
from bench.attacks.native.adaptive.views import View
from bench.attacks.native.ball import Ball

#: How far another class must lead, relative to the largest score, for an image to be settled: nearer to the
#: boundary, rounding in a batch of another size may turn the decision. Votes of draws must lead by more.
_CLEAR, _CLEAR_VOTE = 1e-5, 0.5


class Answer(NamedTuple):
    """What the model decided about some images.

    Attributes:
        wrong: bool (n,), whether it gets them wrong.
        labels: int64 (n,), the decisions.
        scores: float32 (n, C).
    """

    wrong: torch.Tensor
    labels: torch.Tensor
    scores: torch.Tensor


class Survivors:
    """The state of the cascade.

    Attributes:
        x: the clean images (N, C, H, W).
        y: their labels (N,).
        ball: around each image.
        model: what is attacked.
        budget: passes an image.
        generator: of all draws, on the CPU.
        nearest: the image of each ball for which another class led the most, or trailed the least.
        lead: float32 (N,), by how much it led there.
        found: the images that the model gets wrong, the clean one where none was found.
        broken: bool (N,), whether one was found.
        settled: bool (N,), whether it is wrong by enough, so that no more is tried.
        together: whether only the whole batch is asked about, since answers depend on it; then one batch is
            kept, that with the most wrong answers.
        labels_alone: whether the scores of the clean images say no more than labels.
        helped: for how many images another class came to lead by more on a view, counting each ascent.
        ranked: int64 (N, C - 1), the other classes of the clean images, the likeliest first.
    """

    def __init__(self, model: Model, budget: Budget, ball: Ball, job_seed: int) -> None:
        self.model, self.budget, self.ball = model, budget, ball
        self.x, self.y = model.x, model.y
        self.generator = torch.Generator().manual_seed(job_seed)
        n = len(self.x)
        self.nearest, self.found = self.x.clone(), self.x.clone()
        self.lead = torch.full((n,), -torch.inf, device=self.x.device)
        self.found_lead = self.lead.clone()
        self.broken = torch.zeros(n, dtype=torch.bool, device=self.x.device)
        self.settled = self.broken.clone()
        self.together = self.labels_alone = False
        self.helped: dict[View, int] = {}
        self.ranked = torch.zeros(n, 0, dtype=torch.int64, device=self.x.device)

    def begin(self) -> torch.Tensor:
        """Ask about the clean images; return their scores (N, C)."""
        scores = self.ask(torch.arange(len(self.x)), self.x).scores
        order = torch.nan_to_num(scores, nan=-torch.inf).scatter(1, self.y[:, None], torch.inf)
        self.ranked = order.argsort(1, descending=True)[:, 1:]
        known = ((scores == 0) | (scores == 1)).all()
        self.labels_alone = not self.model.random and bool(known)
        return scores

    def target(self, aim: Aim) -> torch.Tensor | None:
        """Return the class (N,) that an aim with a rank is at for each image; None for any other aim."""
        if aim.rank == 0:
            return None
        return self.ranked[:, min(aim.rank, self.ranked.shape[1]) - 1]

    def start(self, rows: torch.Tensor, turn: int) -> torch.Tensor:
        """Return where the turn-th search of some rows (n,) begins, (n, C, H, W).

        In turn at a random point, at the nearest image so far, and every second time at the clean image moved
        as far as it may towards an image of another class: the nearest one, then the next.
        """
        at = rows.to(self.x.device)
        if turn % 4 == 2:
            return self.nearest[at].clone()
        toward = self.others(rows, turn // 2 + 1) if turn % 2 else []
        if not toward:
            return self.ball.draw(self.x[at], self.generator)
        return self.ball.project(self.x[at], toward[-1])

    def others(self, rows: torch.Tensor, count: int) -> list[torch.Tensor]:
        """Return for some rows (n,) the nearest images of other classes, in turn, (n, C, H, W) each.

        Fewer than `count` where a row has fewer; an image too far from all others has none.
        """
        at = rows.to(self.x.device)
        order = torch.inf if self.ball.norm == "linf" else 2.0
        apart = torch.cdist(self.x[at].flatten(1), self.x.flatten(1), p=order)
        apart = apart.masked_fill(self.y[at][:, None] == self.y[None], torch.inf)
        found = apart.topk(min(count, len(self.x)), largest=False)
        known = found.values.isfinite().all(0).tolist()
        return [self.x[i] for i, there in zip(found.indices.T, known, strict=True) if there]

    def rows(self) -> torch.Tensor:
        """Return the rows that are not settled and have a pass left in this stage, int64 on the CPU."""
        rows = (~self.settled).nonzero().flatten().cpu()
        return rows[self.budget.affords(rows, 1)]

    def ask(self, rows: torch.Tensor, images: torch.Tensor) -> Answer:
        """Return the model's decision about images (n, C, H, W) of some rows (n,), one pass each.

        Those inside their ball that the model gets wrong are kept. An image with scores that are not finite
        is never wrong. A row may come several times.
        """
        labels, scores = self.model.decide(images, rows)
        at = rows.to(labels.device)
        finite = scores.isfinite().all(1)
        lead = margin_of(scores, self.y[at]).masked_fill(~finite, -torch.inf)
        wrong = (labels != self.y[at]) & finite
        if not self.model.abstaining_is_wrong:
            wrong &= labels >= 0
        inside = self.ball.holds(self.x[at], images)
        if self.together:
            self._keep_batch(images, wrong & inside)
            return Answer(wrong, labels, scores)
        self._keep(at, images, torch.where(wrong, lead.clamp(min=0), lead), wrong, inside)
        clear = _CLEAR_VOTE if self.model.random else _CLEAR * scores.abs().amax(1)
        settled = wrong & inside & ((lead > clear) | (labels < 0))
        self.settled[at[settled]] = True
        return Answer(wrong, labels, scores)

    def _keep(
        self,
        at: torch.Tensor,
        images: torch.Tensor,
        lead: torch.Tensor,
        wrong: torch.Tensor,
        inside: torch.Tensor,
    ) -> None:
        better = inside & wrong & (lead > self.found_lead[at])
        nearer = inside & (lead > self.lead[at])
        for taken, image, led in (
            (nearer, self.nearest, self.lead), (better, self.found, self.found_lead)
        ):  # fmt: skip
            best = _best_of_each(at[taken], lead[taken], len(self.x))
            image[at[taken][best]], led[at[taken][best]] = images[taken][best], lead[taken][best]
        self.broken[at[inside & wrong]] = True

    def _keep_batch(self, images: torch.Tensor, broken: torch.Tensor) -> None:
        if broken.sum() > self.broken.sum():
            self.found, self.broken = images.clone(), broken
            self.settled = broken.all().expand_as(broken)

    def result(self) -> torch.Tensor:
        """Return the images (N, C, H, W): wrong ones where some were found, else those nearest to it."""
        if self.together:
            return self.found
        return torch.where(self.broken.view(-1, 1, 1, 1), self.found, self.nearest)


def _best_of_each(at: torch.Tensor, lead: torch.Tensor, count: int) -> torch.Tensor:
    """Return the positions of the largest lead (n,) of each row among the rows `at` (n,)."""
    order = lead.argsort(stable=True)
    last = torch.full((count,), -1, device=at.device)
    turns = torch.arange(len(at), device=at.device)
    last.scatter_reduce_(0, at[order], turns, "amax")
    return order[last[last >= 0]]
