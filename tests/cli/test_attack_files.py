"""The files that `bench attack` leaves."""

import io

import numpy as np
import pytest
from PIL import Image

from bench.cli.attack_files import attacked_files, stem, write_beside
from bench.errors import StoreError


def test_names_say_what_is_in_the_file():
    assert (
        stem("digits/cnn", "test:7", "fgsm", "linf", "8/255") == "digits-cnn-test-7-fgsm-linf-8-255"
    )
    assert stem("cnn", "my photo (2)", "deepfool", "l2", "") == "cnn-my-photo-2-deepfool-l2"


def test_an_image_is_kept_exactly_and_in_8_bits():
    image = np.asarray([[[0.1, 1.0]], [[0.0, 0.5]], [[1 / 3, 0.25]]], dtype=np.float32)
    files = attacked_files(image)
    read = np.load(io.BytesIO(files["-attacked.npy"]))
    assert read.dtype == np.float32
    assert np.array_equal(read, image)
    pixels = np.asarray(Image.open(io.BytesIO(files["-attacked.png"])))
    assert pixels.tolist() == [[[26, 0, 85], [255, 128, 64]]]


def test_no_file_is_written_over_by_another(tmp_path):
    folder = tmp_path / "new" / "folder"
    first = write_beside(folder, "a", {"-x.npy": b"1", ".png": b"2"})
    assert [path.name for path in first] == ["a-x.npy", "a.png"]
    again = write_beside(folder, "a", {"-x.npy": b"1", ".png": b"2"})
    assert again == first
    other = write_beside(folder, "a", {"-x.npy": b"1", ".png": b"3"})
    assert [path.name for path in other] == ["a-2-x.npy", "a-2.png"]
    assert (folder / "a.png").read_bytes() == b"2"
    (folder / "a-3.png").mkdir()
    assert write_beside(folder, "a", {".png": b"4"})[0].name == "a-4.png"


def test_a_folder_that_is_a_file_is_told_with_what_to_do(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(StoreError, match="--out DIR"):
        write_beside(tmp_path / "taken", "a", {".png": b"1"})
