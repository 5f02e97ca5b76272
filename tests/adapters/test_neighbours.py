"""The vote of the nearest: by hand, and beside scikit-learn's."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.neighbors import KNeighborsClassifier
from torch import nn

from bench.adapters.distances import distance
from bench.adapters.knn_index import ABSENT, KnnIndex, ReferenceSet
from bench.adapters.neighbours import NeighboursAdapter, votes
from bench.errors import SpecError
from bench.spec import Adapter, ModelSpec


def near(embeddings, stored):
    return -torch.cdist(embeddings, stored)


def bank(embeddings, labels, **changes):
    facts = {
        "classes": 3, "data": "d", "split": "train", "indices": "all", "checksum": "c", **changes
    }  # fmt: skip
    return ReferenceSet(embeddings=torch.tensor(embeddings), labels=torch.tensor(labels), **facts)


def adapter(stored, k=1, named="euclidean", settings=""):
    spec = ModelSpec(
        name="m", family="neighbours", data="d", input_shape=(1, 1, 2), num_classes=3,
        scores="probabilities",
    )  # fmt: skip
    return NeighboursAdapter(
        spec=spec, embed=nn.Flatten(), index=KnnIndex(stored, distance(named)), k=k, surrogates={},
        settings=settings,
    )  # fmt: skip


LINE = bank([[0.0, 0], [1, 0], [2, 0], [10, 0], [11, 0]], [0, 0, 1, 2, 2])


@pytest.mark.parametrize(("at", "k", "label", "shares"), [
    (0.1, 1, 0, [1, 0, 0]),
    (1.9, 1, 1, [0, 1, 0]),
    (1.9, 3, 0, [2 / 3, 1 / 3, 0]),
    (1.6, 2, -1, [1 / 2, 1 / 2, 0]),  # one each: a tie
    (5.9, 5, -1, [2 / 5, 1 / 5, 2 / 5]),  # k beyond every class
    (5.9, 99, -1, [2 / 5, 1 / 5, 2 / 5]),  # and beyond the bank
])  # fmt: skip
def test_votes_by_hand(at, k, label, shares):
    said = adapter(LINE, k).predict(torch.tensor([[[[at, 0.0]]]]))
    assert said.labels.tolist() == [label]
    assert said.scores[0].tolist() == pytest.approx(shares)


def test_duplicates_vote_each_for_themselves():
    doubled = bank([[0.0, 0], [0, 0], [0.1, 0]], [0, 0, 1])
    assert adapter(doubled, 3).predict(torch.zeros(1, 1, 1, 2)).labels.tolist() == [0]
    split = bank([[0.0, 0], [0, 0]], [0, 1])
    assert adapter(split, 2).predict(torch.zeros(1, 1, 1, 2)).labels.tolist() == [-1]


def test_a_bank_of_one_class_knows_no_other():
    said = adapter(bank([[0.0, 0], [5, 5]], [1, 1]), 2).predict(torch.rand(4, 1, 1, 2))
    assert said.labels.tolist() == [1] * 4
    assert said.scores.tolist() == [[0, 1, 0]] * 4


@given(seed=st.integers(0, 999), k=st.integers(1, 7), classes=st.integers(2, 5))
def test_scikit_learn_says_the_same_where_there_is_no_tie(seed, k, classes):
    rng = np.random.default_rng(seed)
    stored, asked = rng.normal(size=(40, 3)), rng.normal(size=(20, 3))
    labels = np.sort(rng.integers(0, classes, 40))
    similarity = near(torch.tensor(asked), torch.tensor(stored)).unsqueeze(1)
    own = torch.tensor(labels) == torch.arange(classes).unsqueeze(1)
    said = votes(similarity.expand(-1, classes, -1).masked_fill(~own, ABSENT), k)
    other = KNeighborsClassifier(k).fit(stored, labels)
    shares = np.zeros((20, classes))
    shares[:, other.classes_] = other.predict_proba(asked)
    assert said.scores.numpy() == pytest.approx(shares)
    clear = said.labels.numpy() >= 0
    assert (said.labels.numpy()[clear] == other.predict(asked)[clear]).all()
    ranked = np.sort(shares, 1)
    assert (clear == (ranked[:, -1] - ranked[:, -2] > 1e-9)).all()


def test_it_is_an_adapter_whose_fingerprint_tells_all_that_decides():
    model = adapter(LINE)
    assert isinstance(model, Adapter)
    others = [
        adapter(LINE, k=3), adapter(LINE, named="cosine"), adapter(LINE, settings="t 0.1"),
        adapter(bank([[0.0, 0]], [0], indices="0-9")), adapter(bank([[0.0, 0]], [0], checksum="e")),
    ]  # fmt: skip
    prints = {one.fingerprint() for one in [model, *others]}
    assert len(prints) == 6
    assert adapter(LINE).fingerprint() == model.fingerprint()


def test_no_such_surface():
    model = adapter(LINE)
    with pytest.raises(SpecError, match="has no surface 'network'"):
        model.gradient(torch.rand(1, 1, 1, 2), torch.tensor([0]), surface="network")
