import os
from pathlib import Path

import pytest
import torch
from PIL import Image
from torchvision import transforms

from bench.data.datasets import load
from bench.data.imagenet import Photographs
from bench.data.orders import listed_order
from bench.data.photographs import labelled_files, read_photograph
from bench.data.table import DATASETS, fits
from bench.errors import SpecError
from bench.spec import listed


@pytest.fixture(scope="module")
def validation(tmp_path_factory):
    """Return a folder of 1,000 classes, all links to one picture but for one of another colour in class 7."""
    root = tmp_path_factory.mktemp("imagenet") / "val"
    Image.new("RGB", (20, 30), (200, 0, 0)).save(root.parent / "red.png")
    for label in range(1000):
        folder = root / f"n{label:08d}"
        folder.mkdir(parents=True)
        os.link(root.parent / "red.png", folder / "b.png")
    Image.new("RGB", (20, 30), (0, 100, 0)).save(root / "n00000007" / "a.png")
    return root


def test_labels_follow_the_order_of_the_folders(validation):
    name = f"imagenet:{validation}?size=8"
    known = DATASETS[name]
    assert (known.splits, known.input_shape, len(known.classes)) == (
        {"test": 1001},
        (3, 8, 8),
        1000,
    )
    assert known.classes[7] == "cock"
    part = load(name, "test")
    assert part.labels.tolist() == [*range(7), 7, 7, *range(8, 1000)]
    few = part.batch(torch.tensor([6, 7, 8]))
    assert few.shape == (3, 3, 8, 8)
    assert (few[:, 1].mean((1, 2)) * 255).round().tolist() == [0, 100, 0]
    file = validation / "n00000007" / "a.png"
    assert torch.equal(few[1] * 255, read_photograph(file, 8).float())


def test_photographs_are_scaled_and_cut_as_robustbench_does():
    natural = DATASETS["natural"]
    files = list(labelled_files(Path("none"), natural))[:4]
    theirs = transforms.Compose([
        transforms.Resize(256), transforms.CenterCrop(224), transforms.PILToTensor(),
    ])  # fmt: skip
    for place, file in enumerate(files):
        read = Photographs(files, 224).read(place)
        assert torch.equal(read, theirs(Image.open(file).convert("RGB")))
        assert not torch.equal(read, read_photograph(file, 224))


def test_a_list_of_files_names_its_images_as_robustbench_does(validation, tmp_path):
    name = f"imagenet:{validation}?size=8"
    file = tmp_path / "ids.txt"
    file.write_text("n00000999/b.png\nn00000007/a.png\nn00000000/b.png\n")
    assert listed(listed_order(file, name, "test")) == [1000, 7, 0]
    file.write_text("n00000007/c.png\n")
    with pytest.raises(SpecError, match=r"line 1: .* has no file 'n00000007/c.png'"):
        listed_order(file, name, "test")


def test_models_of_natural_images_fit_where_their_size_does(validation):
    assert fits(f"imagenet:{validation}", "natural")
    assert not fits(f"imagenet:{validation}?size=8", "natural")


def test_other_folders_are_refused(validation, tmp_path):
    with pytest.raises(SpecError, match=r"name the folder that has the class folders: .*val"):
        DATASETS[f"imagenet:{validation.parent}"]
    for label in ("n00000000", "n00000001"):
        (tmp_path / label).mkdir()
        os.link(validation.parent / "red.png", tmp_path / label / "a.png")
    with pytest.raises(SpecError, match="has 2 class folders; it needs the 1,000 of ImageNet"):
        DATASETS[f"imagenet:{tmp_path}"]
    (tmp_path / "n00000000").rename(tmp_path / "dogs")
    DATASETS[f"folder:{tmp_path}"]  # the listing of a folder is kept
    with pytest.raises(SpecError, match="class folders; it needs"):
        DATASETS[f"imagenet:{tmp_path}"]
