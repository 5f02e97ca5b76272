"""Surrogates beside the plain formula over all pairs, and of banks with little in them."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bench.adapters.distances import distance
from bench.adapters.knn_index import KnnIndex, ReferenceSet
from bench.adapters.losses import per_image_loss
from bench.adapters.surrogates import MetricLoss, NearestOfClass, SoftNeighbours
from bench.train.objectives import losses_by_label


def a_bank(labels, classes=3):
    embeddings = torch.randn(len(labels), 4, generator=torch.Generator().manual_seed(0))
    return ReferenceSet(
        embeddings=embeddings, labels=torch.tensor(labels), classes=classes, data="d",
        split="train", indices="all", checksum="",
    )  # fmt: skip


FULL = a_bank([0] * 70 + [1] * 90 + [2] * 66)


def images(count=5):
    return torch.randn(count, 1, 2, 2, generator=torch.Generator().manual_seed(1))


def plain_soft(at, k, temperature):
    near = F.normalize(at) @ F.normalize(FULL.embeddings).T
    ranked = near.topk(k + 1, dim=1).values
    middle = (ranked[:, k - 1] + ranked[:, k])[:, None] / 2
    parts = [part.topk(8, dim=1).values for part in torch.split(near, FULL.sizes(), dim=1)]
    terms = [F.logsigmoid((part - middle) / temperature).logsumexp(1) for part in parts]
    return 16 * temperature * torch.stack(terms, 1)


def plain_nearest(at):
    near = -torch.cdist(at, FULL.embeddings) / KnnIndex(FULL, distance("euclidean")).unit
    return 16 * torch.stack([part.amax(1) for part in torch.split(near, FULL.sizes(), dim=1)], 1)


@pytest.mark.parametrize(("surface", "plain"), [
    (SoftNeighbours(nn.Flatten(), KnnIndex(FULL, distance("cosine")), 1, 0.1),
     lambda at: plain_soft(at, 1, 0.1)),
    (SoftNeighbours(nn.Flatten(), KnnIndex(FULL, distance("cosine")), 5, 0.01),
     lambda at: plain_soft(at, 5, 0.01)),
    (NearestOfClass(nn.Flatten(), KnnIndex(FULL, distance("euclidean"))), plain_nearest),
])  # fmt: skip
def test_a_surrogate_is_the_plain_formula_gradient_and_all(surface, plain):
    x = images().requires_grad_()
    ours, theirs = surface(x), plain(x.flatten(1))
    assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-4)
    weights = torch.randn(5, 3, generator=torch.Generator().manual_seed(2))
    (one,) = torch.autograd.grad((ours * weights).sum(), x)
    (other,) = torch.autograd.grad((theirs * weights).sum(), x)
    assert torch.allclose(one, other, rtol=1e-3, atol=1e-4)


def surfaces(bank, k, named):
    index, embed = KnnIndex(bank, distance(named)), nn.Flatten()
    yield SoftNeighbours(embed, index, k, 0.01)
    yield NearestOfClass(embed, index)
    for loss in ("contrastive", "triplet", "multi-similarity", "angular"):
        yield MetricLoss(embed, bank.embeddings, bank.labels, bank.classes, losses_by_label(loss))


@pytest.mark.parametrize("named", ["cosine", "euclidean"])
@pytest.mark.parametrize(("labels", "k"), [
    ([1] * 20, 3),  # one class
    ([0] * 20 + [2] * 20, 3),  # the middle one is missing
    ([0] * 20 + [1] * 2, 5),  # more vote than a class has, and the last is missing
    ([0, 0, 1], 9),  # more vote than there are
    ([1], 1),  # one stored image
])  # fmt: skip
def test_a_class_without_a_stored_image_is_never_said(labels, k, named):
    x, bank = images(), a_bank(labels)
    absent = [label for label in range(3) if label not in labels]
    for surface in surfaces(bank, k, named):
        given = x.clone().requires_grad_()
        logits = surface(given)
        assert logits.isfinite().all()
        assert (logits[:, absent] <= -1e3).all()
        assert (logits[:, labels] > -1e3).all()
        loss = per_image_loss(logits, torch.full((5,), labels[0]), "ce").sum()
        (gradient,) = torch.autograd.grad(loss, given)
        assert gradient.isfinite().all()


def test_a_distance_without_bounds_does_not_drown_the_loss():
    """Embeddings a hundred times as long give the same logits, so the same gradient to climb."""
    long = ReferenceSet(
        embeddings=100 * FULL.embeddings, labels=FULL.labels, classes=3, data="d", split="train",
        indices="all", checksum="",
    )  # fmt: skip
    for kind in (
        lambda s: SoftNeighbours(nn.Flatten(), s, 3, 0.1),
        lambda s: NearestOfClass(nn.Flatten(), s),
    ):
        one = kind(KnnIndex(FULL, distance("euclidean")))(images())
        other = kind(KnnIndex(long, distance("euclidean")))(100 * images())
        assert torch.allclose(one, other, rtol=1e-3, atol=1e-3)
