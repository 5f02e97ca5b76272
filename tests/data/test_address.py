import pytest

from bench.data.address import DATA_SCHEMES, DataAddress, is_data_address
from bench.data.listing import listing
from bench.data.table import DATASETS, fits
from bench.errors import SpecError


@pytest.mark.parametrize(("name", "place", "settings"), [
    ("npz:a/b.npz?models=cifar10", "a/b.npz", {"models": "cifar10"}),
    ("cifar10-c:CIFAR-10-C?corruption=fog&severity=3", "CIFAR-10-C", {"corruption": "fog", "severity": "3"}),
    ("hf-data:zalando/fashion?size=28&image=img", "zalando/fashion", {"size": "28", "image": "img"}),
    ("imagenet:/data/val", "/data/val", {}),
])  # fmt: skip
def test_an_address_is_a_scheme_a_place_and_settings(name, place, settings):
    assert is_data_address(name)
    assert DataAddress.read(name) == DataAddress(place, settings)


@pytest.mark.parametrize("name", ["cifar10", "my:set", "cifar10/cnn", "timm:resnet18", ":x"])
def test_other_names_are_no_addresses(name):
    assert not is_data_address(name)
    assert name in DATASETS or DATASETS.get(name) is None


@pytest.mark.parametrize(("name", "words"), [
    ("cifar10-c:a?severity=6", "'severity=6' is no setting of cifar10-c:; write cifar10-c:PATH"),
    ("npz:", r"npz:: name the file: npz:FILE"),
    ("hf-data:?size=3", "name the data set: hf-data:OWNER/NAME"),
    ("imagenet:a?size=3&size=4", "'size=4' is no setting"),
])  # fmt: skip
def test_what_is_wrong_with_an_address_is_said(name, words):
    with pytest.raises(SpecError, match=words):
        DATASETS[name]


def test_the_form_of_each_scheme_is_an_address_of_it():
    for scheme, known in DATA_SCHEMES.items():
        read = DataAddress.read(known.form)
        assert known.form.startswith(f"{scheme}:{read.place}")
        assert set(read.settings) <= set(known.takes)


def test_models_fit_their_own_data_set_and_images_made_for_them():
    assert fits("cifar10", "cifar10")
    assert not fits("cifar10", "cifar100")
    assert not fits("npz:nowhere.npz", "cifar10")


def test_the_listing_has_every_data_set_and_every_form_of_address():
    listed = {entry["name"]: entry for entry in listing()}
    assert list(listed) == [*DATASETS, *(scheme.form for scheme in DATA_SCHEMES.values())]
    assert listed["stl10"]["splits"] == ["train 5000", "test 8000"]
