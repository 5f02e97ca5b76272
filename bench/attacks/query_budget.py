"""A model that answers so many questions: what attacks that need its decision alone are given.

Toolkits differ in what they call a step, and in whether they keep the best image they came by. Here
the number of questions is what ends a search, and the nearest adversarial image of all that were
asked about makes its result, so that the same words mean the same in each.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import torch
from torch import nn
from torch.nn import functional as F

from bench.adapters.generators import seeded
from bench.attacks.job import Job

#: How many images are tried as a beginning.
_BEGINNINGS = 100

#: How often the way from the image to its beginning is halved.
_HALVINGS = 8

#: How much farther from the image its result is taken than the nearest that was found: what lies on
#: the boundary to the last digit is on either side of it in a batch of another size.
_OUTWARD = 1.001

#: How many images of one search go through the model at once.
_AT_ONCE = 100


class BudgetExhausted(Exception):
    """All questions are asked."""


class BudgetedModel(nn.Module):
    """The model with a budget of questions for every image; it keeps the nearest adversarial image.

    Attributes:
        found: float32 (N, C, H, W), the nearest adversarial image asked about, or the clean image.
        distance: float64 (N,), how far that is in the attack's norm; infinite where there is none.
        left: int64 (N,), questions that are left.
        rows: int64 (K,), whose images the model is about to be given: one each, or, where K is 1,
            any number of the same.
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
        )  # the last is `result`'s
        self.rows = torch.arange(len(job.x), device=job.x.device)
        self.eval()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the answers (M, classes) about images (M, C, H, W) of `rows`.

        What is in `found` already is adversarial, without a question: toolkits ask again about what
        they begin at, and fail where a batch of another size is rounded to another answer. An image
        without a question left is answered for with its label: not adversarial.

        Raises:
            BudgetExhausted: no row has a question left, or the only one had too few.
        """
        rows = self.rows.expand(len(images)) if len(self.rows) == 1 else self.rows
        left = self.left[rows]
        if len(self.rows) == 1:
            left = left - torch.arange(len(images), device=left.device)
        known = torch.zeros_like(left, dtype=torch.bool)
        if len(images) == len(self.rows):
            known = (images == self.found[rows]).flatten(1).all(1) & self.distance[rows].isfinite()
        answers = F.one_hot((self.labels[rows] + known.long()) % self.classes, self.classes).float()
        open_ = (left > 0) & ~known
        if open_.any():
            answers[open_] = self._ask(images[open_], rows[open_])
        if not (open_ | known).all() and not (self.left[self.rows] > 0).any():
            raise BudgetExhausted
        return answers

    def _ask(self, images: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        images = images.detach().float().clamp(0, 1)
        parts = []
        for some, theirs in zip(
            torch.split(images, _AT_ONCE), torch.split(rows, _AT_ONCE), strict=True
        ):
            with torch.no_grad(), self.probe.playing(theirs.tolist()):
                parts.append(self.probe(some).float())
        answers = torch.cat(parts)
        self.left.index_add_(0, rows, -torch.ones_like(rows))
        away = (images - self.clean[rows]).double().flatten(1).norm(p=self.order, dim=1)
        # What is not a number is no image, whatever the model says of it.
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
        """Return the rows (K,) for which there is an adversarial image to begin at, in `found`.

        Noise of 1, 2, 4 ... cells a side is tried in turn, the same for every image: noise of single
        pixels alone may be of one class throughout, and no image of that class could be attacked.
        What is found is drawn towards the image by halving.
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
        """Return the images (N, C, H, W) found, a hair beyond the boundary; clean where none was."""
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
    """Return the nearest adversarial images (N, C, H, W) that a search of one image at a time finds.

    Each image gets the same random numbers, so that none depends on the others of its batch.

    Args:
        job: the attack.
        search: is called with the model, the row of an image, and the adversarial image (1, C, H, W)
            at which it begins; it may go on until its questions are spent.
    """
    asked = BudgetedModel(job)
    for row in asked.begin().tolist():
        asked.rows = torch.tensor([row], device=job.x.device)
        with seeded(job.seed, job.x.device), suppress(BudgetExhausted):
            search(asked, row, asked.found[row : row + 1].clone())
    return asked.result()
