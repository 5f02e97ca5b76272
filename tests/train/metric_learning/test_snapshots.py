import pytest
import torch

from bench.data.datasets import load
from bench.runner.manifest import _snapshots
from bench.train.cards import snapshots_file
from bench.train.epochs import Epoch
from bench.train.metric_learning.snapshots import (
    WATCHED,
    EmbeddingSnapshots,
    in_the_plane,
    read_embeddings,
)
from bench.train.recipes import recipe
from bench.train.trainer import build
from bench.train.weights import train_to


@pytest.mark.slow
def test_an_embedding_is_watched_at_three_epochs():
    rules, test = recipe("digits/dml-triplet-sgd"), load("digits", "test")
    snapshots = EmbeddingSnapshots(rules, test)
    torch.manual_seed(0)
    net = build(rules).train()
    for number in range(1, 21):
        snapshots.watch(Epoch(number, 20, 0.0, 0.0, 0.0), net)
    assert net.training
    points, labels = read_embeddings(snapshots.payload())
    assert list(points) == [1, 10, 20]
    assert all(found.shape == (WATCHED, 2) for found in points.values())
    assert labels.equal(test.labels[:WATCHED])


def test_classes_that_lie_apart_do_so_in_the_plane():
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(60) % 3
    embeddings = torch.eye(3)[labels] + 0.1 * torch.randn(60, 3, generator=generator)
    points = in_the_plane(embeddings).float()
    apart = torch.cdist(points, points).fill_diagonal_(torch.inf)
    assert (labels[apart.argmin(1)] == labels).float().mean() > 0.95
    assert points.equal(in_the_plane(4 * embeddings).float())  # lengths do not count


@pytest.mark.slow
def test_training_an_embedding_writes_them_and_a_classifier_none(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path))
    for name in ("digits/dml-contrastive-adam", "digits/mlp"):
        train_to(tmp_path / "weights", name, None)
    assert not snapshots_file(tmp_path / "weights", "digits/mlp").exists()
    assert _snapshots("digits/mlp") == {}
    kept = _snapshots("digits/dml-contrastive-adam")["moments"]
    assert list(kept["epochs"]) == ["1", "10", "20"]
    assert len(kept["labels"]) == len(kept["epochs"]["20"]) == WATCHED
