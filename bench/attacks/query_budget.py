"""A model with a query budget, for decision-based attacks.

Toolkits differ in what they call a step, and in whether they keep the best image they meet. Here the
number of queries ends a search, and its result is the nearest adversarial image among all those queried,
so the same parameters mean the same in each toolkit.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import torch
from torch import nn
from torch.nn import functional as F

from bench.adapters.generators import seeded
from bench.attacks.job import Job

#: How many images are tried as a start.
_BEGINNINGS = 100

#: How often the line from the image to its start is halved.
_HALVINGS = 8

#: How much farther from the image the result is moved: in a batch of another size, rounding can put a
#: point that lies exactly on the boundary on either side of it.
_OUTWARD = 1.001

#: How many images of one search go through the model together.
_AT_ONCE = 100


class BudgetExhausted(Exception):
    """The query budget is used up."""


class BudgetedModel(nn.Module):
    """The model with a query budget for every image; it keeps the nearest adversarial image.

    Attributes:
        found: float32 (N, C, H, W), the nearest adversarial image queried, or the clean image.
        distance: float64 (N,), its distance in the attack's norm; infinite if there is none.
        left: int64 (N,), remaining queries.
        rows: int64 (K,), the rows of the images that come next: one image each or, if K is 1, any
            number of variants of one image.
    """

    def __init__(self, job: Job) -> None:
        super().__init__()
        self.probe = job.probe
        self.clean, self.labels, self.seed = job.x, job.y, job.seed
        self.classes = job.num_classes
        self.order = torch.inf if job.spec.norm == "linf" else 2.0
        self.found = job.x.clone()
        self.distance = torch.full(
            (len(job.x),), torch.inf, dtype=torch.float64, device=job.x.device
        )
        self.left = torch.full_like(
            job.y, job.spec.parameter("queries") - 1
        )  # the last query is kept for `result`
        self.rows = torch.arange(len(job.x), device=job.x.device)
        self.eval()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the answers (M, classes) about images (M, C, H, W) of `rows`.

        An image equal to the one in `found` is answered as adversarial without a query: toolkits query
        their start again, and fail if rounding in a batch of another size changes the answer. An image
        whose budget is used up is answered with its label (not adversarial).

        Raises:
            BudgetExhausted: no row has a query left, or the only row had too few.
        """
        rows = self.rows.expand(len(images)) if len(self.rows) == 1 else self.rows
        left = self.left[rows]
        if len(self.rows) == 1:
            left = left - torch.arange(len(images), device=left.device)
        already_found = torch.zeros_like(left, dtype=torch.bool)
        if len(images) == len(self.rows):
            already_found = (images == self.found[rows]).flatten(1).all(1) & self.distance[
                rows
            ].isfinite()
        answers = F.one_hot(
            (self.labels[rows] + already_found.long()) % self.classes, self.classes
        ).float()
        open_ = (left > 0) & ~already_found
        if open_.any():
            answers[open_] = self._ask(images[open_], rows[open_])
        if not (open_ | already_found).all() and not (self.left[self.rows] > 0).any():
            raise BudgetExhausted
        return answers

    def _ask(self, images: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        images = images.detach().float().clamp(0, 1)
        parts = []
        for part, part_rows in zip(
            torch.split(images, _AT_ONCE), torch.split(rows, _AT_ONCE), strict=True
        ):
            with torch.no_grad(), self.probe.playing(part_rows):
                parts.append(self.probe(part).float())
        answers = torch.cat(parts)
        self.left.index_add_(0, rows, -torch.ones_like(rows))
        away = (images - self.clean[rows]).double().flatten(1).norm(p=self.order, dim=1)
        # An image with NaN or infinite values never counts, whatever the model answers.
        counts = (answers.argmax(1) != self.labels[rows]) & away.isfinite()
        away = torch.where(counts, away, torch.inf)
        if len(self.rows) == 1:
            nearest = away.argmin(0, keepdim=True)
            images, rows, away = images[nearest], rows[nearest], away[nearest]
        nearer = away < self.distance[rows]
        self.found[rows[nearer]] = images[nearer]
        self.distance[rows[nearer]] = away[nearer]
        return answers

    def begin(self) -> torch.Tensor:
        """Find a start for every image; return the rows (K,) that have one, in `found`.

        Noise of 1, 2, 4 ... cells a side is tried in turn, the same for every image. Pixel noise alone
        may always get one class, and then no image of that class could be attacked. The starts found are
        moved towards their images by bisection.
        """
        generator = torch.Generator().manual_seed(self.seed)
        sides = [2**power for power in range(min(self.clean.shape[2:]).bit_length())]
        for trial in range(_BEGINNINGS):
            shape = 1, self.clean.shape[1], *[sides[trial % len(sides)]] * 2
            cells = torch.rand(shape, generator=generator)
            image = F.interpolate(cells, self.clean.shape[2:]).to(self.clean)
            self.rows = (self.distance.isinf() & (self.left > 0)).nonzero().flatten()
            if not len(self.rows):
                break
            self._ask(image.expand(len(self.rows), -1, -1, -1), self.rows)
        self.rows = self.distance.isfinite().nonzero().flatten()
        self._draw_near(self.rows)
        return self.rows

    def _draw_near(self, begun: torch.Tensor) -> None:
        way = self.found - self.clean
        low, high = torch.zeros(len(way)).to(way), torch.ones(len(way)).to(way)
        for _ in range(_HALVINGS):
            self.rows = rows = begun[self.left[begun] > 0]
            if not len(rows):
                break
            middle = (low[rows] + high[rows]) / 2
            answers = self._ask(self.clean[rows] + middle.view(-1, 1, 1, 1) * way[rows], rows)
            away = answers.argmax(1) != self.labels[rows]
            high[rows[away]], low[rows[~away]] = middle[away], middle[~away]
        self.rows = begun

    def result(self) -> torch.Tensor:
        """Return the images (N, C, H, W) found, moved slightly beyond the boundary; clean where none was."""
        self.rows = rows = self.distance.isfinite().nonzero().flatten()
        if len(rows):
            clean = self.clean[rows]
            beyond = (clean + _OUTWARD * (self.found[rows] - clean)).clamp(0, 1)
            away = self._ask(beyond, rows).argmax(1) != self.labels[rows]
            self.found[rows[away]] = beyond[away]
        return self.found


def one_by_one(
    job: Job, search: Callable[[BudgetedModel, int, torch.Tensor], None]
) -> torch.Tensor:
    """Return the nearest adversarial images (N, C, H, W) that a search finds, one image at a time.

    Each image gets the same random numbers, so that none depends on the others of its batch.

    Args:
        job: the attack.
        search: called with the model, the row of an image, and the adversarial image (1, C, H, W) to
            start from; it may go on until the query budget is used up.
    """
    budgeted = BudgetedModel(job)
    for row in budgeted.begin().tolist():
        budgeted.rows = torch.tensor([row], device=job.x.device)
        with seeded(job.seed, job.x.device), suppress(BudgetExhausted):
            search(budgeted, row, budgeted.found[row : row + 1].clone())
    return budgeted.result()
