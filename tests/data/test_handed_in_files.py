"""Files of images that others made: what is found in each, and what is refused."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import torch
from PIL import Image

from bench.data.handed_in_files import read_images
from bench.errors import SpecError

IMAGES = torch.rand(3, 1, 4, 5, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([2, 0, 1])


@pytest.mark.parametrize(
    ("content", "labelled"),
    [
        (IMAGES, False),
        ({"adv_complete": IMAGES}, False),
        ({"adv_inputs": IMAGES, "labels": LABELS, "save_type": "float"}, True),
        ({"clean": IMAGES + 1, "x_adv": IMAGES, "y": LABELS}, True),
        ({"whatever": IMAGES}, False),
        ((IMAGES, LABELS), True),
        ([IMAGES[:2], IMAGES[2:]], False),
    ],
)
def test_the_images_are_found_in_what_others_save_with_torch(tmp_path, content, labelled):
    torch.save(content, tmp_path / "a.pt")
    found = read_images(tmp_path / "a.pt")
    assert torch.equal(found.images, IMAGES)
    assert (None if found.labels is None else found.labels.tolist()) == (
        LABELS.tolist() if labelled else None
    )


def test_numpy_files(tmp_path):
    np.save(tmp_path / "a.npy", IMAGES.numpy().astype(">f8"))
    assert torch.equal(read_images(tmp_path / "a.npy").images, IMAGES.double())
    places = np.array([4, 0, 9], dtype=np.uint16)
    np.savez(tmp_path / "a.npz", images=IMAGES.numpy(), label=LABELS.numpy(), index=places)
    found = read_images(tmp_path / "a.npz")
    assert torch.equal(found.images, IMAGES)
    assert (found.labels.tolist(), found.places.tolist()) == ([2, 0, 1], [4, 0, 9])


def folder(path, pictures, **changed):
    path.mkdir()
    with (path / "manifest.csv").open("w", newline="") as file:
        rows = csv.DictWriter(file, ["file", "index", "label"])
        rows.writeheader()
        for turn, picture in enumerate(pictures):
            picture.save(path / f"{turn}.png")
            rows.writerow({"file": f"{turn}.png", "index": 7 - turn, "label": turn, **changed})
    return path


def test_a_folder_of_pictures(tmp_path):
    pixels = np.arange(2 * 4 * 5 * 3, dtype=np.uint8).reshape(2, 4, 5, 3)
    found = read_images(folder(tmp_path / "a", [Image.fromarray(one) for one in pixels]))
    assert found.images.numpy().tolist() == pixels.tolist()
    assert (found.labels.tolist(), found.places.tolist()) == ([0, 1], [7, 6])


def plain():
    return Image.new("L", (4, 4))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda at: folder(at, [plain()], file="../0.png"), "name files that lie in the folder"),
        (lambda at: folder(at, [plain()], file="9.png"), "9.png cannot be read: No such file"),
        (lambda at: folder(at, [plain()], index="x"), "index and label are whole numbers"),
        (lambda at: folder(at, [plain(), Image.new("L", (5, 4))]), "differ in size"),
        (lambda at: folder(at, [Image.new("RGBA", (4, 4))]), "in the mode RGBA; save it in grey"),
        (lambda at: folder(at, []), "needs the columns file and index, and a line for each"),
        (lambda at: at.mkdir(), "no manifest.csv that can be read"),
    ],
)
def test_folders_that_are_refused(tmp_path, make, message):
    make(tmp_path / "a")
    with pytest.raises(SpecError, match=message):
        read_images(tmp_path / "a")


class Evil:
    def __reduce__(self):
        return print, ("it was unpickled",)


@pytest.mark.parametrize("name", ["a.pt", "a.npy", "a.npz"])
def test_nothing_is_unpickled(tmp_path, name, capsys):
    if name == "a.pt":
        torch.save({"x_adv": IMAGES, "more": Evil()}, tmp_path / name)
    elif name == "a.npy":
        np.save(tmp_path / name, np.array([Evil()]), allow_pickle=True)
    else:
        np.savez(tmp_path / name, x_adv=np.array([Evil()]))
    with pytest.raises(SpecError, match="unpickl"):
        read_images(tmp_path / name)
    assert "it was unpickled" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"apgd-ce": IMAGES, "apgd-t": IMAGES}, "holds apgd-ce, apgd-t: .* save these as x_adv"),
        ({"acc": 0.5}, "holds no arrays"),
        ({"x_adv": IMAGES, "y": LABELS[:, None]}, "y: .* give one whole number an image"),
        ([1, 2], "a list without images"),
    ],
)
def test_files_that_do_not_say_what_they_hold(tmp_path, content, message):
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(SpecError, match=message):
        read_images(tmp_path / "a.pt")


def test_files_that_are_none(tmp_path):
    (tmp_path / "page.pt").write_text("<html>")
    (tmp_path / "junk.pt").write_text("junk")
    (tmp_path / "a.npz").write_bytes(b"PK\x03\x04 cut off")
    (tmp_path / "a.h5").write_text("")
    for name, message in (
        ("page.pt", "is no file of torch.save"), ("junk.pt", "cannot be read"), ("a.npz", "cannot be read"), ("a.h5", "are read from .pt"),
        ("none.pt", "no such file"),
    ):  # fmt: skip
        with pytest.raises(SpecError, match=message):
            read_images(tmp_path / name)
