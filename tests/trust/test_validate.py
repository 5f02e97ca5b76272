import pytest
import torch
from torch import nn

import bench
from bench.spec import ModelSpec
from bench.trust.validate import validate_model


def verdicts(adapter):
    return {finding.check: finding for finding in validate_model(adapter, "digits")}


def trained():
    return bench.load_model("digits/cnn").surfaces()["network"]


def wrapped(net):
    return bench.wrap(net, 10, (1, 8, 8))


class Layer(nn.Module):
    """Something between images and a good network."""

    def __init__(self, change):
        super().__init__()
        self.change, self.net = change, trained()

    def forward(self, x):
        return self.change(self, x)


def test_a_sound_model_passes():
    found = verdicts(bench.load_model("digits/cnn"))
    assert {finding.verdict for finding in found.values()} == {"pass"}
    assert "its card says" in found["clean accuracy"].words


@pytest.mark.parametrize(("change", "check", "words"), [
    (lambda self, x: self.net(x) + torch.randn(len(x), 10), "determinism", "it is random"),
    (lambda self, x: self.net(x) - self.net(x).mean(0), "batch size", "images see each other"),
    (lambda self, x: self.net(1 - x), "clean accuracy", "no better than chance"),
    (lambda self, x: self.net((x * 16).round() / 16), "gradient of network", "zero everywhere"),
    (lambda self, x: self.net(x + 5 * (x.detach() - x)), "gradient of network", "does not say where"),
])  # fmt: skip
def test_what_is_wrong_is_said(change, check, words):
    found = verdicts(wrapped(Layer(change)))
    assert found[check].verdict == "fail"
    assert words in found[check].words


def test_images_and_classes_that_do_not_fit_stop_the_validation():
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 7))
    (finding,) = validate_model(bench.wrap(net, 7, (1, 8, 8)), "digits")
    assert (finding.verdict, finding.words) == ("fail", "has 7 classes, digits has 10")


class Careless:
    """An adapter that predicts in whatever mode its network is in."""

    spec = ModelSpec(
        name="careless", family="network", data="digits", input_shape=(1, 8, 8), num_classes=10
    )

    def __init__(self, softmax=False):
        torch.manual_seed(0)
        self.net = nn.Sequential(trained(), nn.BatchNorm1d(10)).eval()
        self.softmax = softmax

    def predict(self, x):
        with torch.no_grad():
            scores = self.net(x)
        scores = scores.softmax(1) if self.softmax else scores
        return bench.spec.Prediction(scores.argmax(1), scores)

    def gradient(self, x, y, loss="ce", surface=None):
        return bench.wrap(self.net, 10, (1, 8, 8)).gradient(x, y, loss)

    def surfaces(self):
        return {"network": self.net}

    def fingerprint(self):
        return "x"


def test_training_mode_that_leaks_into_predictions_is_said():
    found = verdicts(Careless())
    assert found["eval mode"].verdict == "fail"


def test_probabilities_are_said():
    found = verdicts(Careless(softmax=True))
    assert found["scores"].verdict == "fail"
    assert "leave out the final softmax" in found["scores"].words


def test_a_model_without_gradient_is_warned_about():
    net = bench.load_model("digits/cnn")
    adapter = bench.wrap_predict(lambda x: net.predict(x).labels, 10, (1, 8, 8))
    assert verdicts(adapter)["gradient"].verdict == "warn"
