import numpy as np
import pytest
import torch
from PIL import Image

from bench.data.datasets import load
from bench.data.table import DATASETS
from bench.errors import PrerequisiteError, SpecError

datasets = pytest.importorskip("datasets", reason="needs the extra hf-data")


def _table(pictures, labels, names=("cat", "dog", "owl")):
    features = datasets.Features(
        {"picture": datasets.Image(), "kind": datasets.ClassLabel(names=list(names))}
    )
    return datasets.Dataset.from_dict({"picture": pictures, "kind": labels}, features=features)


@pytest.fixture
def saved(tmp_path):
    """Return a folder with two splits of coloured pictures; red says which."""
    splits = {"train": [0, 1], "validation": [2, 1, 0]}
    pictures = {
        split: [Image.new("RGB", (6, 4), (10 * at, 0, 9)) for at in range(len(labels))]
        for split, labels in splits.items()
    }
    whole = datasets.DatasetDict(
        {split: _table(pictures[split], splits[split]) for split in splits}
    )
    whole.save_to_disk(str(tmp_path / "saved"))
    return tmp_path / "saved"


def test_a_data_set_saved_to_disk_is_read_image_by_image(saved):
    name = f"hf-data:{saved}"
    known = DATASETS[name]
    assert (known.input_shape, known.classes) == ((3, 4, 6), ("cat", "dog", "owl"))
    assert known.splits == {"train": 2, "validation": 3}
    part = load(name, "validation")
    assert part.labels.tolist() == [2, 1, 0]
    assert part.pixels(torch.tensor([2, 0]))[:, :, 0, 0].tolist() == [[20, 0, 9], [0, 0, 9]]
    assert part.first(2).checksum() != part.picked(torch.tensor([1, 0])).checksum()


def test_squares_of_a_size(saved):
    assert load(f"hf-data:{saved}?size=2", "train").images.shape == (2, 3, 2, 2)


def test_pictures_of_several_sizes_ask_for_one(tmp_path):
    pictures = [Image.new("L", (4, 4)), Image.new("L", (5, 4))]
    _table(pictures, [0, 1]).save_to_disk(str(tmp_path / "s"))
    part = load(f"hf-data:{tmp_path / 's'}", "test")
    assert part.shape() == (1, 4, 4)
    with pytest.raises(SpecError, match="image 1 is 5x4, the first is 4x4; ask for squares"):
        part.images  # noqa: B018


def test_columns_can_be_named_and_are_asked_for(tmp_path):
    features = datasets.Features({
        "a": datasets.Image(), "b": datasets.Image(), "number": datasets.Value("int64"),
    })  # fmt: skip
    pictures = [Image.new("L", (2, 2), 7), Image.new("L", (2, 2), 8)]
    table = {"a": pictures, "b": pictures[::-1], "number": [4, 0]}
    datasets.Dataset.from_dict(table, features=features).save_to_disk(str(tmp_path / "s"))
    name = f"hf-data:{tmp_path / 's'}"
    with pytest.raises(
        SpecError, match="2 of its columns are images; name one of a, b, number with image=COLUMN"
    ):
        DATASETS[name]
    named = f"{name}?image=b&label=number"
    assert DATASETS[named].classes == tuple("01234")
    assert load(named, "test").raw[:, 0, 0, 0].tolist() == [8, 7]
    with pytest.raises(SpecError, match="label=what: its columns are a, b, number"):
        DATASETS[f"{name}?image=b&label=what"]


def test_labels_that_are_missing_are_said(tmp_path):
    _table([Image.new("L", (2, 2))] * 2, [0, -1]).save_to_disk(str(tmp_path / "s"))
    with pytest.raises(SpecError, match="labels run from -1 to 0"):
        load(f"hf-data:{tmp_path / 's'}", "test")


def test_what_cannot_be_had_says_what_to_do(monkeypatch):
    """Where the hub does not answer, its own package would ask six times, for half a minute."""

    def offline(*names):
        assert datasets.config.HF_HUB_OFFLINE
        raise FileNotFoundError("not in the cache")

    monkeypatch.setattr("bench.data.hf_data.why_no_answer", lambda url: "no network")
    monkeypatch.setattr(datasets, "load_dataset", offline)
    with pytest.raises(
        PrerequisiteError, match=r"no network\); where there is a network save it"
    ) as caught:
        DATASETS["hf-data:owner/nothing"]
    assert caught.value.exit_code == 3
    assert not datasets.config.HF_HUB_OFFLINE


def test_channels_of_the_first_picture_count(tmp_path):
    _table([Image.fromarray(np.full((2, 2), 60, np.uint8))] * 2, [0, 1]).save_to_disk(
        str(tmp_path / "s")
    )
    assert load(f"hf-data:{tmp_path / 's'}", "test").raw.unique().tolist() == [60]
