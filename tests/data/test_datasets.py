import os

import pytest
import torch
from scenes.mnist import write_mnist

import bench
from bench.data.datasets import load, present
from bench.data.labelled import LabelledImages
from bench.data.table import DATASETS
from bench.errors import PrerequisiteError, SpecError

real = pytest.mark.skipif("BENCH_DATA" not in os.environ, reason="BENCH_DATA is not set")


def test_digits_need_no_download():
    train, test = load("digits", "train"), load("digits", "test")
    assert (len(train), len(test)) == (1297, 500)
    assert test.images.shape == (500, 1, 8, 8)
    assert test.images.dtype == torch.float32
    assert (float(test.images.min()), float(test.images.max())) == (0.0, 1.0)


def test_mnist_is_read_in_torchvisions_layout(tmp_path):
    pixels, labels = write_mnist(tmp_path)
    assert present("mnist", tmp_path)
    part = load("mnist", "test", tmp_path)
    assert torch.equal(part.images, torch.from_numpy(pixels)[:, None].float() / 255)
    assert part.labels.tolist() == labels.tolist()


def test_a_set_that_is_neither_here_nor_to_be_had_names_the_command(tmp_path, monkeypatch):
    import torchvision.datasets

    def offline(self):
        raise OSError("no network")

    monkeypatch.setattr(torchvision.datasets.CIFAR10, "download", offline)
    assert not present("cifar10", tmp_path)
    with pytest.raises(PrerequisiteError, match=r"no network.*CIFAR10\('DIR', download=True\)"):
        load("cifar10", "test", tmp_path)


def test_a_missing_set_is_downloaded_by_torchvision(tmp_path, monkeypatch):
    import torchvision.datasets

    monkeypatch.setattr(torchvision.datasets.MNIST, "download", lambda self: write_mnist(tmp_path))
    assert len(load("mnist", "train", tmp_path)) == 7


@pytest.mark.parametrize(("name", "split", "words"), [
    ("cifar", "test", "did you mean cifar10"), ("digits", "val", "no split 'val'"),
])  # fmt: skip
def test_unknown_names_are_said(name, split, words):
    with pytest.raises(SpecError, match=words):
        load(name, split)


def test_checksum_follows_pixels_labels_and_scale():
    data = LabelledImages(torch.zeros(2, 1, 2, 2, dtype=torch.uint8), torch.tensor([0, 1]))
    first = data.checksum()
    other = data.raw.clone()
    other[1, 0, 1, 1] = 1
    assert LabelledImages(other, data.labels).checksum() != first
    assert LabelledImages(data.raw, torch.tensor([1, 1])).checksum() != first
    assert LabelledImages(data.raw, data.labels, top=16).checksum() != first
    assert LabelledImages(data.raw.clone(), data.labels.clone()).checksum() == first


def test_load_data_gives_the_first_images_in_file_order():
    x, y = bench.load_data("digits", split="test", images=10)
    whole = load("digits", "test")
    assert torch.equal(x, whole.images[:10])
    assert torch.equal(y, whole.labels[:10])


@real
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "cifar10"])
def test_the_real_sets_have_the_size_the_table_says(name):
    known = DATASETS[name]
    for split, count in known.splits.items():
        part = load(name, split)
        assert part.raw.shape == (count, *known.input_shape)
        assert sorted(set(part.labels.tolist())) == list(range(len(known.classes)))
