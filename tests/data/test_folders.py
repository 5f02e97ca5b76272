import numpy as np
import pytest
import torch
from PIL import Image

import bench
from bench.data import squares
from bench.data.datasets import load
from bench.data.labelled import LabelledImages
from bench.data.table import DATASETS
from bench.errors import PrerequisiteError, SpecError


@pytest.fixture
def birds(tmp_path):
    """Return a folder of two classes, 16 photographs each; each has a colour of its own."""
    for at, name in enumerate(("wren", "owl")):
        folder = tmp_path / "birds" / name
        (folder / "more").mkdir(parents=True)
        for number in range(16):
            file = folder / ("more" if number % 2 else ".") / f"{number}.png"
            Image.new("RGB", (40, 30), (100 * at, 10 * number, 0)).save(file)
    (tmp_path / "birds" / "README.txt").write_text("no class")
    (tmp_path / "birds" / ".hidden").mkdir()
    return tmp_path / "birds"


def test_class_folders_are_the_classes_in_the_order_of_their_names(birds):
    known = DATASETS[f"folder:{birds}?size=32"]
    assert (known.classes, known.input_shape, known.title) == (
        ("owl", "wren"),
        (3, 32, 32),
        "birds",
    )
    assert known.splits == {"train": 20, "validation": 4, "test": 8}
    seen = []
    for split, count in known.splits.items():
        x, y = bench.load_data(f"folder:{birds}?size=32", split)
        assert x.shape == (count, 3, 32, 32)
        # owl, which has label 0, was written second: its red is 100.
        assert torch.equal((x.mean((2, 3))[:, 0] * 255).round(), 100.0 - 100.0 * y)
        seen += x.mean((2, 3)).tolist()
    assert len({tuple(np.round(colour, 4)) for colour in seen}) == 32


def test_splits_follow_the_seed(birds):
    def colours(name):
        return load(name, "test").images.mean((2, 3))

    assert torch.equal(
        colours(f"folder:{birds}?size=16"), colours(f"folder:{birds}?seed=0&size=16")
    )
    assert not torch.equal(
        colours(f"folder:{birds}?size=16"), colours(f"folder:{birds}?size=16&seed=1")
    )


def test_only_the_images_asked_for_are_read(birds, monkeypatch):
    read = []
    whole = squares.read_square
    monkeypatch.setattr(
        "bench.data.labelled.read_square", lambda file, side: read.append(file) or whole(file, side)
    )
    part = load(f"folder:{birds}?size=8", "train")
    assert (len(part), len(part.first(3)), read) == (20, 3, [])
    few = part.batch(torch.tensor([4, 2]))
    assert len(read) == 2
    in_memory = LabelledImages(part.raw, part.labels)
    assert len(read) == 22
    assert torch.equal(few, in_memory.images[[4, 2]])
    assert torch.equal(part.first(5).batch(slice(3, 9)), in_memory.images[3:5])
    assert part.batch(slice(0, 0)).shape == (0, 3, 8, 8)


def test_checksum_follows_files_and_size(birds):
    name = f"folder:{birds}?size=8"
    part = load(name, "train").first(2)
    first = part.checksum()
    assert load(f"folder:{birds}?size=9", "train").first(2).checksum() != first
    Image.new("RGB", (40, 30), (1, 2, 3)).save(part.stored.files[1])
    assert part.checksum() != first


def test_unreadable_and_tiny_files_are_named_in_one_line(birds):
    for number in range(3):
        (birds / "owl" / f"broken{number}.jpg").write_bytes(b"<html>")
    Image.new("RGB", (2, 90)).save(birds / "owl" / "tiny.png")
    named = [_error(f"folder:{birds}?size=64", split) for split in ("train", "validation", "test")]
    assert not any("\n" in line for line in named)
    assert sum(line.count("owl/broken") for line in named) == 3
    assert sum(line.count("owl/tiny.png (2x90, too small for 64x64)") for line in named) == 1
    assert any("files cannot be used: owl/" in line for line in named)


def _error(name, split):
    try:
        load(name, split)
    except PrerequisiteError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(("setting", "words"), [
    ("?sizes=3", "'sizes=3' is no setting"), ("?size=0", "'size=0'"), ("?size=3&size=4", "'size=4'"),
])  # fmt: skip
def test_wrong_settings_are_said(birds, setting, words):
    with pytest.raises(SpecError, match=words):
        load(f"folder:{birds}{setting}", "test")


def test_folders_that_are_no_data_set_are_said(tmp_path):
    with pytest.raises(SpecError, match="name the folder"):
        load("folder:", "test")
    with pytest.raises(PrerequisiteError, match="nowhere is no folder"):
        load(f"folder:{tmp_path / 'nowhere'}", "test")
    (tmp_path / "one").mkdir()
    with pytest.raises(SpecError, match="has 1 class folders"):
        load(f"folder:{tmp_path}", "test")
    (tmp_path / "two").mkdir()
    with pytest.raises(SpecError, match="no photographs in one, two"):
        load(f"folder:{tmp_path}", "test")
    # A report of older results must not fail where the folder is gone.
    assert DATASETS.get(f"folder:{tmp_path}") is None
