import os

import pytest
import torch
from PIL import Image
from scenes.flowers import colour, write_flowers

from bench.data.datasets import load, present
from bench.data.flowers import flower
from bench.data.squares import read_square
from bench.data.table import DATASETS
from bench.errors import PrerequisiteError

SPLITS = {"train": 850, "validation": 170, "test": 340}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    write_flowers(root)
    return root


def test_flowers_are_read_in_the_published_layout_with_80_of_a_class_in_a_row(root):
    assert present("flowers17", root)
    part = load("flowers17", "validation", root)
    assert (part.raw.shape, part.raw.dtype) == ((170, 3, 128, 128), torch.uint8)
    assert part.labels.bincount().tolist() == [10] * 17
    wanted = torch.tensor([colour(int(label)) for label in part.labels]) / 255
    assert float((part.images.mean((2, 3)) - wanted).abs().max()) < 0.02  # JPEG rounds colours


def test_one_flower_is_the_image_of_its_split(root):
    part = load("flowers17", "test", root)
    assert torch.equal(flower("test", 18, root), part.images[18])


def test_the_middle_square_is_cut_out_and_shrunk_smoothly(tmp_path):
    wide = Image.new("RGB", (512, 256), (255, 0, 0))
    stripes = Image.new("RGB", (256, 256))
    stripes.putdata([(255 * (x % 2),) * 3 for _ in range(256) for x in range(256)])
    wide.paste(stripes, (128, 0))
    wide.save(tmp_path / "wide.png")
    square = read_square(tmp_path / "wide.png", 64).float()
    assert square.shape == (3, 64, 64)
    # No red from the sides, and stripes of one pixel become their mean, not black or white ones.
    assert float((square[:, :, 1:-1] - 127.5).abs().max()) < 8


def test_missing_flowers_are_downloaded_with_their_checksum(root, tmp_path, monkeypatch):
    import torchvision.datasets.utils

    asked = {}

    def fetch(url, folder, filename, md5):
        asked.update(url=url, md5=md5)
        (tmp_path / "flowers17").symlink_to(root / "flowers17")

    monkeypatch.setattr(torchvision.datasets.utils, "download_and_extract_archive", fetch)
    assert not present("flowers17", tmp_path)
    assert len(load("flowers17", "test", tmp_path)) == 340
    assert asked["url"].endswith("/17/17flowers.tgz")
    assert asked["md5"] == "b59a65d8d1a99cd66944d474e1289eab"


def test_without_a_network_one_command_is_named(tmp_path, monkeypatch):
    import torchvision.datasets.utils

    def offline(*args, **more):
        raise OSError("no network")

    monkeypatch.setattr(torchvision.datasets.utils, "download_and_extract_archive", offline)
    with pytest.raises(PrerequisiteError, match=r"no network.*run: .*curl .*17flowers.tgz"):
        load("flowers17", "test", tmp_path)


def test_an_archive_that_lacks_images_is_said(tmp_path, monkeypatch):
    import torchvision.datasets.utils

    monkeypatch.setattr(
        torchvision.datasets.utils, "download_and_extract_archive", lambda *args, **more: None
    )
    with pytest.raises(PrerequisiteError, match=r"lacks some of jpg/image_0001\.jpg"):
        load("flowers17", "test", tmp_path)


@pytest.mark.skipif("BENCH_DATA" not in os.environ, reason="BENCH_DATA is not set")
def test_the_real_flowers_have_the_channel_means_of_the_table():
    known = DATASETS["flowers17"]
    assert known.splits == SPLITS
    train = load("flowers17", "train")
    assert train.labels.bincount().tolist() == [50] * 17
    means = train.images.mean((0, 2, 3))
    assert torch.allclose(means, torch.tensor(known.means), atol=5e-4)
