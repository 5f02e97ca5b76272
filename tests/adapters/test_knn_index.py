"""Distances and the search beside pytorch-metric-learning and a plain look at every pair."""

import pytest
import torch
from pytorch_metric_learning import distances

from bench.adapters.distances import distance
from bench.adapters.knn_index import ABSENT, KnnIndex, ReferenceSet
from bench.errors import SpecError

LIBRARY = {
    "cosine": distances.CosineSimilarity(),
    "euclidean": distances.LpDistance(normalize_embeddings=False),
    "manhattan": distances.LpDistance(normalize_embeddings=False, p=1),
    "dot-product": distances.DotProductSimilarity(normalize_embeddings=False),
    "snr": distances.SNRDistance(normalize_embeddings=False),
}


def near(name, embeddings, stored):
    """Return the library's similarities (N, M), larger is nearer."""
    kind = LIBRARY[name]
    return kind(embeddings, stored) * (1 if kind.is_inverted else -1)


def a_bank(sizes=(90, 0, 131, 3)):
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    return ReferenceSet(
        embeddings=3 * torch.randn(len(labels), 6, generator=generator) + 1, labels=labels,
        classes=len(sizes), data="d", split="train", indices="all", checksum="",
    )  # fmt: skip


@pytest.mark.parametrize("name", LIBRARY)
def test_similarities_and_their_gradients_are_the_librarys(name):
    bank = a_bank()
    index = KnnIndex(bank, distance(name))
    asked = torch.randn(5, 6, generator=torch.Generator().manual_seed(1)).requires_grad_()
    chosen = torch.arange(5 * 7).view(5, 7)
    ours = index.similarity(asked, chosen.unsqueeze(1)).squeeze(1) * index.unit
    theirs = near(name, asked, bank.embeddings).gather(1, chosen)
    assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-4)
    (one,) = torch.autograd.grad(ours.square().sum(), asked)
    (other,) = torch.autograd.grad(theirs.square().sum(), asked)
    assert torch.allclose(one, other, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("count", [1, 5, 8, 200])
@pytest.mark.parametrize("name", LIBRARY)
def test_the_search_finds_the_nearest_of_every_class(name, count):
    bank = a_bank()
    asked = torch.randn(140, 6, generator=torch.Generator().manual_seed(1))
    every = near(name, asked, bank.embeddings)
    index = KnnIndex(bank, distance(name))
    found = index.nearest(asked, count)
    assert found.shape == (140, 4, min(count, 131))
    assert ((index.similarity(asked, found) == ABSENT) == (found == -1)).all()
    for label, size in enumerate(bank.sizes()):
        some = min(count, size)
        indices = found[:, label, :some]
        assert (bank.labels[indices] == label).all()
        assert (found[:, label, some:] == -1).all()
        assert all(len(set(row)) == len(row) for row in indices.tolist())
        best = every[:, bank.labels == label].topk(some, dim=1).values
        assert torch.allclose(every.gather(1, indices), best, rtol=1e-4, atol=1e-4)


def test_a_search_in_inference_mode_leaves_nothing_behind():
    index = KnnIndex(a_bank(), distance("cosine"))
    asked = torch.randn(17, 6, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        found = index.nearest(asked, 3)
    assert torch.equal(index.nearest(asked, 3), found)


def test_a_bank_of_equal_images_has_a_unit_too():
    bank = ReferenceSet(
        embeddings=torch.ones(4, 2), labels=torch.zeros(4, dtype=torch.int64), classes=2,
        data="d", split="train", indices="all", checksum="",
    )  # fmt: skip
    index = KnnIndex(bank, distance("euclidean"))
    assert index.unit == 1
    assert index.similarity(torch.ones(1, 2), torch.tensor([[[0, 3]]])).tolist() == [[[0, 0]]]


def test_an_unknown_distance_is_said():
    with pytest.raises(SpecError, match="did you mean cosine"):
        distance("cosin")
