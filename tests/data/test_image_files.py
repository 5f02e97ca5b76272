"""Single images: files as models take them, and places in a data set."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import bench
from bench.data.image_files import read_single
from bench.errors import SpecError
from bench.spec import ModelSpec


def spec(*shape: int, data: str = "digits") -> ModelSpec:
    channels, height, width = shape
    return ModelSpec(
        name="mine",
        family="network",
        data=data,
        input_shape=(channels, height, width),
        num_classes=10,
    )


def saved(path: Path, pixels: object, **options: object) -> str:
    Image.fromarray(np.asarray(pixels, dtype=np.uint8)).save(path, **options)  # type: ignore[arg-type]
    return str(path)


def test_a_picture_of_the_right_size_is_taken_as_it_is(tmp_path: Path) -> None:
    pixels = np.arange(4 * 6 * 3).reshape(4, 6, 3)
    image = read_single(saved(tmp_path / "a.png", pixels), spec(3, 4, 6))
    assert torch.equal(image.x, torch.from_numpy(pixels).permute(2, 0, 1).float() / 255)
    assert (image.label, image.made_from) == (None, None)


def test_of_a_wide_picture_the_middle_is_kept(tmp_path: Path) -> None:
    pixels = np.zeros((40, 80, 3))
    pixels[:, :20, 0] = pixels[:, 20:60, 1] = pixels[:, 60:, 2] = 255
    image = read_single(saved(tmp_path / "wide.png", pixels), spec(3, 20, 20))
    assert image.made_from == "80x40"
    green = torch.tensor([0.0, 1.0, 0.0]).view(3, 1, 1)
    assert image.x.shape == (3, 20, 20)
    assert bool((image.x[..., 2:-2] == green).all())  # near the cut what lies beyond has a part
    tall = read_single(saved(tmp_path / "tall.png", pixels.transpose(1, 0, 2)), spec(3, 20, 20))
    assert torch.equal(tall.x, image.x.transpose(1, 2))
    half = read_single(
        saved(tmp_path / "half.png", pixels), spec(3, 20, 40)
    )  # the same shape in small
    assert half.x[:, 10, 3].tolist() == [1, 0, 0]
    assert half.x[:, 10, 36].tolist() == [0, 0, 1]


def test_a_picture_is_averaged_where_it_shrinks(tmp_path: Path) -> None:
    checks = 255 * (np.indices((64, 64)).sum(0) % 2)
    image = read_single(saved(tmp_path / "checks.png", checks), spec(1, 8, 8))
    assert float((image.x - 0.5).abs().max()) < 0.02  # without averaging it would be black or white


def test_colour_becomes_grey_and_grey_the_same_in_all_channels(tmp_path: Path) -> None:
    red = np.zeros((8, 8, 3))
    red[..., 0] = 255
    grey = read_single(saved(tmp_path / "red.png", red), spec(1, 8, 8))
    assert grey.x.shape == (1, 8, 8)
    assert grey.x.unique().tolist() == pytest.approx([0.299], abs=0.5 / 255)
    assert grey.made_from == "8x8, colour"
    colour = read_single(saved(tmp_path / "grey.png", np.full((8, 8), 51)), spec(3, 8, 8))
    assert colour.x.shape == (3, 8, 8)
    assert colour.x.unique().tolist() == pytest.approx([0.2])
    assert colour.made_from == "8x8, grey"


def test_other_kinds_of_picture_look_as_in_a_viewer(tmp_path: Path) -> None:
    clear = np.zeros((2, 2, 4))
    clear[0, 0] = (255, 0, 0, 255)
    image = read_single(saved(tmp_path / "clear.png", clear), spec(3, 2, 2))
    assert image.x[:, 0, 0].tolist() == [1, 0, 0]
    assert image.x[:, 1, 1].tolist() == [1, 1, 1]  # what is transparent is white
    deep = tmp_path / "deep.png"
    Image.fromarray(np.asarray([[0, 65535]], dtype=np.uint16)).save(deep)
    assert read_single(str(deep), spec(1, 1, 2)).x.flatten().tolist() == [0, 1]
    two = tmp_path / "two.gif"
    Image.new("P", (2, 2), 7).save(two)
    assert read_single(str(two), spec(3, 2, 2)).x.shape == (3, 2, 2)
    turned, exif = tmp_path / "turned.png", Image.Exif()
    exif[0x0112] = 3  # upside down
    Image.fromarray(np.asarray([[0, 255]], dtype=np.uint8)).save(turned, exif=exif)
    assert read_single(str(turned), spec(1, 1, 2)).x.flatten().tolist() == [1, 0]


@pytest.mark.parametrize(("name", "says"), [
    ("nowhere.png", "no such file; name a picture, or an image of the model's data set such as test:7"),
    (".", "is a folder; name the pictures in it"),
    ("pipe.png", "is no file on a disk; save the picture in one"),
    ("words.png", "is no picture that can be read"),
    ("cut.png", "cannot be read: "),
    ("real.tif", "it is not known which value of its pixels is white (mode F)"),
    ("test:500", "test:500: digits has 500 test images, 0 to 499"),
    ("tset:7", "digits has no split 'tset'; it has train, test"),
])  # fmt: skip
def test_what_is_no_image_is_said_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("words.png").write_text("no picture")
    os.mkfifo("pipe.png")
    noise = np.random.default_rng(0).integers(0, 256, (64, 64))
    saved(Path("whole.png"), noise)
    Path("cut.png").write_bytes(Path("whole.png").read_bytes()[:2000])
    Image.fromarray(np.zeros((2, 2), dtype=np.float32)).save("real.tif")
    with pytest.raises(SpecError, match=re.escape(says)) as raised:
        read_single(name, spec(1, 8, 8))
    assert "\n" not in str(raised.value)


def test_an_image_of_the_data_set_has_its_label() -> None:
    x, y = bench.load_data("digits", images=8)
    image = read_single("test:7", spec(1, 8, 8))
    assert torch.equal(image.x, x[7])
    assert (image.label, image.made_from) == (int(y[7]), None)
    larger = read_single("test:7", spec(3, 16, 16))
    assert (larger.x.shape, larger.label, larger.made_from) == ((3, 16, 16), int(y[7]), "8x8, grey")
    assert float((larger.x.mean() - x[7].mean()).abs()) < 0.02


def test_a_model_of_other_channels_takes_no_picture() -> None:
    with pytest.raises(SpecError, match="takes images of 2 channels; a picture has 1 "):
        read_single("test:0", spec(2, 8, 8))
