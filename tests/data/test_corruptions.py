import numpy as np
import pytest
import torch

from bench.data.corruptions import BENCHMARK
from bench.data.datasets import load
from bench.data.table import DATASETS, fits
from bench.errors import PrerequisiteError, SpecError

IMAGES = 4


@pytest.fixture
def folder(tmp_path):
    """Return files of four images; red says which corruption, green which severity, blue which image."""
    for at, name in enumerate(BENCHMARK):
        array = np.zeros((5 * IMAGES, 32, 32, 3), dtype=np.uint8)
        array[..., 0] = at
        array[..., 1] = np.repeat(np.arange(1, 6), IMAGES)[:, None, None]
        array[..., 2] = np.tile(np.arange(IMAGES), 5)[:, None, None]
        np.save(tmp_path / f"{name}.npy", array)
    np.save(tmp_path / "labels.npy", np.tile(np.array([3, 9, 0, 5], dtype=np.uint8), 5))
    return tmp_path


def _colours(name):
    return load(name, "test").raw[:, :, 0, 0].tolist()


def test_one_corruption_and_severity(folder):
    name = f"cifar10-c:{folder}?corruption=fog&severity=3"
    assert _colours(name) == [[BENCHMARK.index("fog"), 3, image] for image in range(IMAGES)]
    assert load(name, "test").labels.tolist() == [3, 9, 0, 5]
    known = DATASETS[name]
    assert (known.title, known.splits) == ("CIFAR-10-C, fog, severity 3", {"test": IMAGES})
    assert known.classes == DATASETS["cifar10"].classes
    assert fits(name, "cifar10")


def test_all_corruptions_come_image_by_image(folder):
    name = f"cifar10-c:{folder}"
    whole = load(name, "test")
    assert len(whole) == DATASETS[name].splits["test"] == IMAGES * 75
    every = [
        [at, severity, image]
        for image in range(IMAGES)
        for at in range(15)
        for severity in range(1, 6)
    ]
    assert _colours(name) == every
    assert whole.labels.tolist() == [label for label in (3, 9, 0, 5) for _ in range(75)]
    places = torch.tensor([0, 80, 299])
    assert torch.equal(whole.batch(places), whole.picked(places).images)
    assert _colours(f"cifar10-c:{folder}?severity=5")[:16] == [[at, 5, 0] for at in range(15)] + [
        [0, 5, 1]
    ]


def test_the_checksum_is_of_the_images_used(folder):
    name = f"cifar10-c:{folder}?severity=1"
    before = load(name, "test").first(15).checksum()
    assert load(name, "test").first(15).checksum() == before
    assert load(f"cifar10-c:{folder}?severity=2", "test").first(15).checksum() != before
    assert load(name, "test").picked(torch.arange(14, -1, -1)).checksum() != before


def test_what_is_missing_or_wrong_is_said(folder):
    with pytest.raises(SpecError, match="did you mean fog"):
        DATASETS[f"cifar10-c:{folder}?corruption=fogg"]
    with pytest.raises(PrerequisiteError, match=r"has no spatter\.npy"):
        DATASETS[f"cifar10-c:{folder}?corruption=spatter"]
    np.save(folder / "saturate.npy", np.zeros((20, 32, 32, 3), dtype=np.float32))
    with pytest.raises(PrerequisiteError, match=r"saturate\.npy holds float32"):
        load(f"cifar10-c:{folder}?corruption=saturate", "test")
    (folder / "gaussian_blur.npy").write_bytes(b"no array")
    with pytest.raises(PrerequisiteError, match=r"gaussian_blur\.npy is no array of numpy"):
        load(f"cifar10-c:{folder}?corruption=gaussian_blur", "test")
