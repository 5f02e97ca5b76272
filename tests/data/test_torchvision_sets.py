"""Data sets that torchvision reads, from small files in its layout."""

import hashlib
import pickle

import numpy as np
import pytest
import torch
import torchvision.datasets

from bench.data.datasets import load, present
from bench.data.table import DATASETS


def _md5(file):
    return hashlib.md5(file.read_bytes()).hexdigest()


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (6, 3, 32, 32), dtype=np.uint8)


def test_cifar100(tmp_path, monkeypatch, pixels):
    folder = tmp_path / "cifar-100-python"
    folder.mkdir()
    labels = [3, 99, 0, 3, 17, 50]
    entry = {"data": pixels.reshape(6, -1), "fine_labels": labels}
    (folder / "test").write_bytes(pickle.dumps(entry))
    (folder / "meta").write_bytes(pickle.dumps({"fine_label_names": ["any"] * 100}))
    kind = torchvision.datasets.CIFAR100
    files = [["test", _md5(folder / "test")]]
    monkeypatch.setattr(kind, "test_list", files)
    monkeypatch.setattr(kind, "train_list", files)
    monkeypatch.setattr(kind, "meta", {**kind.meta, "md5": _md5(folder / "meta")})
    assert present("cifar100", tmp_path)
    part = load("cifar100", "test", tmp_path)
    assert torch.equal(part.raw, torch.from_numpy(pixels))
    assert part.labels.tolist() == labels
    assert DATASETS["cifar100"].classes[labels[1]] == "worm"
    assert len(set(DATASETS["cifar100"].classes)) == 100


def test_svhn(tmp_path, monkeypatch, pixels):
    from scipy.io import savemat

    # Its digits are stored as 1 to 10, where 10 is a zero.
    savemat(
        tmp_path / "test_32x32.mat",
        {"X": pixels.transpose(2, 3, 1, 0), "y": [[10], [1], [2], [9], [5], [10]]},
    )
    file = tmp_path / "test_32x32.mat"
    split = ["nowhere", file.name, _md5(file)]
    monkeypatch.setattr(torchvision.datasets.SVHN, "split_list", {"test": split, "train": split})
    assert present("svhn", tmp_path)
    part = load("svhn", "test", tmp_path)
    assert torch.equal(part.raw, torch.from_numpy(pixels))
    assert part.labels.tolist() == [0, 1, 2, 9, 5, 0]


def test_stl10(tmp_path, monkeypatch):
    raw = np.random.default_rng(0).integers(0, 256, (2, 3, 96, 96), dtype=np.uint8)
    folder = tmp_path / "stl10_binary"
    folder.mkdir()
    # Columns come before rows there, and classes are 1 to 10.
    (folder / "test_X.bin").write_bytes(raw.transpose(0, 1, 3, 2).tobytes())
    (folder / "test_y.bin").write_bytes(bytes([1, 10]))
    (folder / "class_names.txt").write_text("\n".join(DATASETS["stl10"].classes))
    kind = torchvision.datasets.STL10
    files = [[name, _md5(folder / name)] for name in ("test_X.bin", "test_y.bin")]
    monkeypatch.setattr(kind, "test_list", files)
    monkeypatch.setattr(kind, "train_list", [*files, ["class_names.txt", None]])
    part = load("stl10", "test", tmp_path)
    assert torch.equal(part.raw, torch.from_numpy(raw))
    assert part.labels.tolist() == [0, 9]
