import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms
from torchvision.models import ResNet50_Weights

import bench
from bench.data.datasets import load, present
from bench.data.photographs import labelled_files
from bench.data.table import DATASETS
from bench.errors import PrerequisiteError, SpecError

NATURAL = DATASETS["natural"]


@pytest.fixture
def own(tmp_path):
    """Return the folder for a user's photographs in an empty data folder."""
    folder = tmp_path / "natural"
    folder.mkdir()
    return folder


def save(path, colour, size=(224, 224)):
    Image.new("RGB", size, colour).save(path)


def test_twenty_photographs_come_with_foolbox(tmp_path):
    assert present("natural", tmp_path)
    part = load("natural", "test", tmp_path)
    assert (part.raw.shape, part.raw.dtype) == ((20, 3, 224, 224), torch.uint8)
    names = [NATURAL.classes[label] for label in part.labels[:3].tolist()]
    assert names == ["bull mastiff", "folding chair", "beaker"]
    assert len(part) == NATURAL.splits["test"]


def test_photographs_are_scaled_and_cut_as_networks_for_imagenet_expect_them(tmp_path):
    files = list(labelled_files(tmp_path / "natural", NATURAL))
    as_published = transforms.Compose([
        transforms.Resize(256, interpolation=transforms.InterpolationMode.BICUBIC, antialias=True),
        transforms.CenterCrop(224),
        transforms.PILToTensor(),
    ])  # fmt: skip
    wanted = torch.stack([as_published(Image.open(file).convert("RGB")) for file in files])
    assert torch.equal(load("natural", "test", tmp_path).raw, wanted)


def test_photographs_of_ones_own_are_read_by_name_in_any_form(own):
    save(own / "b_7.png", (0, 0, 255))
    save(own / "a_12_999.JPEG", (255, 0, 0), size=(900, 300))
    save(own / "c_0.jpg", (0, 255, 0), size=(20, 30))
    Image.new("L", (300, 300), 128).save(own / "d_5.png")
    (own / "README.txt").write_text("not a photograph")
    x, y = bench.load_data("natural", root=own.parent)
    assert y.tolist() == [999, 7, 0, 5]
    assert x.shape == (4, 3, 224, 224)
    colours = [[1, 0, 0], [0, 0, 1], [0, 1, 0], [128 / 255] * 3]
    assert torch.allclose(x.mean((2, 3)), torch.tensor(colours), atol=0.01)
    assert float(x.std((2, 3)).max()) < 1e-3


def test_the_middle_of_a_photograph_is_kept_upright(own):
    pixels = np.zeros((256, 512, 3), dtype=np.uint8)
    pixels[:, 144:368] = 100  # the square in the middle: 224 of 512 columns
    pixels[:128, 144:368] = 200
    Image.fromarray(pixels).save(own / "wide_1.png")
    turned = Image.Exif()
    turned[0x0112] = 3  # upside down
    Image.fromarray(pixels[::-1, ::-1]).save(own / "turned_2.png", exif=turned)
    raw = load("natural", "test", own.parent).raw
    for image in raw:
        assert image[0, :112].unique().tolist() == [200]
        assert image[0, 112:].unique().tolist() == [100]


@pytest.mark.parametrize("name", ["photo.jpg", "photo_1000.jpg", "photo_dog.png", "243.jpg"])
def test_a_photograph_without_a_label_is_named(own, name):
    save(own / name, (0, 0, 0))
    with pytest.raises(SpecError, match=rf"{name}: its name has no label; call it \*_LABEL\..*999"):
        load("natural", "test", own.parent)
    with pytest.raises(SpecError, match="no label"):
        present("natural", own.parent)


def test_a_photograph_that_cannot_be_read_is_named(own):
    save(own / "good_1.png", (0, 0, 0))
    whole = (own / "good_1.png").read_bytes()
    for content in (b"", b"<html>not found</html>", whole[: len(whole) // 2]):
        (own / "bad_2.png").write_bytes(content)
        load.__globals__["_read"].cache_clear()
        with pytest.raises(PrerequisiteError, match=r"bad_2.png cannot be read as an image"):
            load("natural", "test", own.parent)


def test_a_folder_without_photographs_says_what_belongs_there(own):
    with pytest.raises(SpecError, match="holds no photograph; put files named"):
        load("natural", "test", own.parent)


def test_photographs_have_one_split(tmp_path):
    with pytest.raises(SpecError, match="natural has no split 'train'; it has test"):
        load("natural", "train", tmp_path)


def test_the_thousand_classes_are_those_of_imagenet():
    names = ResNet50_Weights.IMAGENET1K_V2.meta["categories"]
    assert len(NATURAL.classes) == 1000
    assert list(NATURAL.classes) == names
    assert NATURAL.classes[-2:] == tuple(names[-2:])
