import pytest
import torch
from torch import nn

from bench.addresses.networks import Preprocessing, in_order, network_model, weights_alone
from bench.data.table import DATASETS
from bench.errors import AdapterError, SpecError

DIGITS = DATASETS["digits"]


class Flat(nn.Module):
    """Gives the first pixels of an image as its logits, so that what reached it is seen."""

    def __init__(self, classes=10):
        super().__init__()
        self.classes = classes

    def forward(self, x):
        return x.flatten(1)[:, : self.classes]


def test_settings_are_numbers():
    told = Preprocessing.read({"mean": "0.5,0.4,0.3", "std": "1", "size": "32,48"})
    assert (told.mean, told.std, told.size) == ([0.5, 0.4, 0.3], [1.0], (32, 48))
    assert Preprocessing.read({"size": "64"}).size == (64, 64)


@pytest.mark.parametrize(("settings", "words"), [
    ({"mean": "0.5"}, "both mean and std"),
    ({"mean": "a", "std": "1"}, "mean=a are not numbers"),
    ({"mean": "0", "std": "0"}, "std=0 cannot be right"),
    ({"size": "0"}, "size=0 is neither"),
    ({"size": "1,2,3"}, "size=1,2,3 is neither"),
])  # fmt: skip
def test_settings_that_are_none_are_refused(settings, words):
    with pytest.raises(SpecError, match=words):
        Preprocessing.read(settings)


def test_images_reach_the_network_normalised_and_scaled():
    model = network_model(Flat(), DIGITS, Preprocessing(mean=[0.5], std=[0.25], size=(4, 4)))
    x = torch.full((2, 1, 8, 8), 0.75)
    assert torch.allclose(model.predict(x).scores, torch.ones(2, 10))


def test_size_may_differ_between_height_and_width():
    seen = []

    class Seeing(Flat):
        def forward(self, x):
            seen.append(tuple(x.shape[1:]))
            return super().forward(x)

    network_model(Seeing(), DIGITS, Preprocessing(size=(4, 12)))
    assert set(seen) == {(1, 4, 12)}


@pytest.mark.parametrize(("data", "wanted", "words"), [
    ("digits", Preprocessing(), "gives .12,. an image.*data=digits says images and classes"),
    ("cifar10", Preprocessing(mean=[0.1, 0.2], std=[1.0, 1.0]), "2 channels, those of cifar10 have 3"),
])  # fmt: skip
def test_a_network_that_does_not_fit_its_data_is_refused(data, wanted, words):
    with pytest.raises(AdapterError, match=words):
        network_model(Flat(12), DATASETS[data], wanted)


def test_classes_of_the_same_names_are_put_in_order():
    names = [*DIGITS.classes[5:], *DIGITS.classes[:5]]
    x = torch.rand(2, 1, 8, 8)
    own = Flat()(x)
    assert torch.equal(in_order(Flat(), names, DIGITS)(x), torch.cat([own[:, 5:], own[:, :5]], 1))
    for others in (DIGITS.classes, ["zero", *DIGITS.classes[1:]], ["1"] * 10):
        assert isinstance(in_order(Flat(), others, DIGITS), Flat)


class _Planted:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return print, ("code of a file was run",)


def test_no_library_unpickles_while_a_model_is_loaded(tmp_path, capsys):
    torch.save({"x": _Planted()}, tmp_path / "w.pt")
    with weights_alone(), pytest.raises(Exception, match=r"[Ww]eights"):
        torch.load(tmp_path / "w.pt", weights_only=False)
    assert capsys.readouterr().out == ""
