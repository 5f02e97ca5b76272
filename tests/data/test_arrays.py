import numpy as np
import pytest
import torch

from bench.data import arrays
from bench.data.datasets import load
from bench.data.table import DATASETS, fits
from bench.errors import PrerequisiteError, SpecError


@pytest.fixture
def write(tmp_path):
    def write(images, labels=(0, 2, 1), **more):
        file = tmp_path / "own.npz"
        np.savez(file, images=images, labels=np.asarray(labels), **more)
        return f"npz:{file}"

    return write


BYTES = np.random.default_rng(0).integers(0, 256, (3, 3, 5, 7), dtype=np.uint8)


@pytest.mark.parametrize("images", [
    BYTES, BYTES.transpose(0, 2, 3, 1), (BYTES / 255).astype(np.float32), BYTES.transpose(0, 2, 3, 1) / 255,
])  # fmt: skip
def test_bytes_and_floats_in_either_layout_are_the_same_images(write, images):
    name = write(images)
    known = DATASETS[name]
    assert (known.input_shape, known.splits, known.classes) == (
        (3, 5, 7),
        {"test": 3},
        ("0", "1", "2"),
    )
    part = load(name, "test")
    assert torch.allclose(part.images, torch.from_numpy(BYTES).float() / 255, atol=1e-7)
    assert part.images.dtype == torch.float32
    assert part.labels.tolist() == [0, 2, 1]


def test_grey_images_need_no_channel(write):
    name = write(BYTES[:, 0])
    assert torch.equal(load(name, "test").raw, torch.from_numpy(BYTES[:, :1].copy()))


def test_floats_up_to_255_are_divided_and_told_of_once(write, caplog):
    name = write(BYTES.astype(np.float64))
    part = load(name, "test")
    assert torch.allclose(part.images, torch.from_numpy(BYTES).float() / 255, atol=1e-7)
    load(name, "test")
    assert caplog.messages == [f"{name}: values up to 255 were divided by 255"]


def test_floats_that_are_no_bytes_are_kept_as_they_are(write):
    images = np.full((3, 1, 2, 2), 0.12345, dtype=np.float32)
    images[0] = 1 + 1e-7
    part = load(write(images), "test")
    assert part.images[1, 0, 0, 0] == np.float32(0.12345)
    assert float(part.images.max()) == 1


def test_only_type_and_shape_are_read_before_images_are_needed(write, monkeypatch):
    read = []
    whole = arrays._array
    monkeypatch.setattr(arrays, "_array", lambda *of: read.append(of[-1]) or whole(*of))
    name = write(BYTES)
    assert DATASETS[name].input_shape == (3, 5, 7)
    assert "images" not in read
    load(name, "test")
    assert "images" in read


def test_names_of_classes_are_their_own_or_those_of_the_models(write):
    name = write(BYTES, classes=np.array(["cat", "dog", "owl", "wren"]))
    assert DATASETS[name].classes == ("cat", "dog", "owl", "wren")
    like = np.zeros((3, 32, 32, 3), dtype=np.uint8)
    name = f"{write(like)}?models=cifar10"
    assert DATASETS[name].classes == DATASETS["cifar10"].classes
    assert fits(name, "cifar10")


@pytest.mark.parametrize(("images", "labels", "words"), [
    (BYTES.astype(np.int64), [0, 1, 2], "images of type int64; give uint8 with 255 for white, or floats"),
    (BYTES[:, :2], [0, 1, 2], r"images of shape \(3, 2, 5, 7\); give \(N, C, H, W\)"),
    (BYTES / 255 - 0.5, [0, 1, 2], "from -0.5 to 0.5, which is outside .*leave normalisation to the model"),
    (BYTES / 255 / 0.3 - 0.4, [0, 1, 2], "values from -0.4 to 2.933 are neither of .*undo the normalisation"),
    (BYTES.astype(np.float32) * 2, [0, 1, 2], "neither of .0, 1. nor of 0 to 255"),
    (BYTES // 255, [0, 1, 2], "whole numbers from 0 to 1; were images of .0, 1. cut off"),
    (np.full((3, 1, 2, 2), np.nan), [0, 1, 2], "values of images are not finite"),
    (BYTES, [0, 1], "3 images and 2 labels"),
    (BYTES, [0.0, 1.0, 2.0], r"labels are float64 \(3,\); give whole numbers"),
    (BYTES, np.eye(3, dtype=np.int64), "take the argmax of one-hot labels"),
    (BYTES, [0, -1, 2], "labels run from -1 to 2"),
    (BYTES[:0], np.zeros(0, dtype=np.int64), "no images"),
])  # fmt: skip
def test_what_does_not_fit_is_said_in_one_line(write, images, labels, words):
    with pytest.raises(SpecError, match=words) as caught:
        load(write(images, labels), "test")
    assert "\n" not in str(caught.value)


def test_other_classes_or_shapes_than_those_of_the_models_are_refused(write):
    with pytest.raises(SpecError, match=r"its images have shape \(3, 5, 7\), those of cifar10"):
        DATASETS[f"{write(BYTES)}?models=cifar10"]
    like = np.zeros((3, 32, 32, 3), dtype=np.uint8)
    with pytest.raises(SpecError, match="labels run from 0 to 11; classes are 0 to 9"):
        DATASETS[f"{write(like, [0, 1, 11])}?models=cifar10"]
    with pytest.raises(SpecError, match="did you mean cifar10"):
        DATASETS[f"{write(like)}?models=cifar1"]


def test_files_that_are_none_or_lack_an_array_are_said(tmp_path):
    with pytest.raises(PrerequisiteError, match="no such file; write it with numpy"):
        DATASETS[f"npz:{tmp_path / 'nowhere.npz'}"]
    (tmp_path / "bad.npz").write_bytes(b"PK no")
    with pytest.raises(PrerequisiteError, match=r"is no \.npz file that can be read"):
        DATASETS[f"npz:{tmp_path / 'bad.npz'}"]
    np.savez(tmp_path / "x.npz", x=BYTES)
    with pytest.raises(SpecError, match="has no array 'images', it has x"):
        DATASETS[f"npz:{tmp_path / 'x.npz'}"]
    objects = np.array([{"any": 1}, 2, 3], dtype=object)
    np.savez(tmp_path / "objects.npz", images=BYTES, labels=objects)
    with pytest.raises(PrerequisiteError, match="array 'labels' cannot be read"):
        DATASETS[f"npz:{tmp_path / 'objects.npz'}"]
