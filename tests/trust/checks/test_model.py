import os

import pytest
import torch
from torch import nn

import bench
from bench.spec import ModelSpec
from bench.trust.checks.model import validate_model


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
        self.register_buffer("calls", torch.zeros(()))
        self.own = torch.Generator().manual_seed(0)

    def forward(self, x):
        return self.change(self, x)


def test_a_sound_model_passes():
    found = verdicts(bench.load_model("digits/cnn"))
    assert {finding.verdict for finding in found.values()} == {"pass"}
    assert "its card says" in found["clean accuracy"].words


def in_place(self, x):
    x.data.mul_(0.5)
    return self.net(2 * x)


def counts(self, x):
    self.calls += 1
    return self.net(x)


def tires(self, x):
    self.calls += 1
    return self.net(x) / self.calls


@pytest.mark.parametrize(("change", "check", "verdict", "words"), [
    (lambda self, x: self.net(x + 0.1 * torch.randn_like(x)), "determinism", "warn",
     "random: judged by 32 draws"),
    (lambda self, x: self.net(x + 0.1 * torch.randn(x.shape, generator=self.own)), "determinism",
     "fail", "draw from torch's global generator"),
    (tires, "determinism", "fail", "answers change from call to call, with the model's buffers"),
    (tires, "buffers", "fail", "buffers calls, which change its later answers"),
    (counts, "buffers", "warn", "each call changes its buffers calls"),
    (lambda self, x: self.net(x) - self.net(x).mean(0), "batch size", "fail",
     "depend on the other images of the batch"),
    (lambda self, x: nn.functional.batch_norm(self.net(x), None, None, training=True), "batch size",
     "fail", "depend on the other images of the batch"),
    (lambda self, x: self.net(1 - x), "clean accuracy", "fail", "no better than chance"),
    (lambda self, x: self.net((x * 16).round() / 16), "gradient of network", "fail",
     "zero everywhere"),
    (lambda self, x: self.net(x + 5 * (x.detach() - x)), "gradient of network", "fail",
     "does not say where"),
    (lambda self, x: self.net(x + 0.3 * (x.detach() - x)), "gradient of network", "fail",
     "does not say where"),
    (lambda self, x: 1e3 * self.net(x), "gradient of network", "fail",
     "that of the cross-entropy is zero on"),
    (lambda self, x: 1e4 * self.net(x), "gradient of network", "fail",
     "that of the cross-entropy is zero on"),
    (lambda self, x: self.net(x.sqrt().square()), "gradient of network", "fail", "not finite"),
])  # fmt: skip
def test_what_is_wrong_is_said_and_nothing_else_of_it(change, check, verdict, words):
    found = verdicts(wrapped(Layer(change)))
    assert found[check].verdict == verdict
    assert words in found[check].words
    # A cause is no other: what it does to batches and buffers is not said of randomness, and so on.
    about_calls = {"determinism", "batch size", "images kept", "buffers"} - {check}
    others = {name for name in about_calls if found[name].verdict == "fail"}
    assert others <= ({"determinism", "buffers"} if change is tires else set())


@pytest.mark.parametrize("sign", [1, -1])
def test_the_gradient_of_a_random_model_is_compared_under_equal_draws(sign):
    def change(self, x):
        return self.net((1 - sign) * x.detach() + sign * x + 0.1 * torch.randn_like(x))

    found = verdicts(wrapped(Layer(change)))
    assert {found[f"gradient of {name}"].verdict for name in ("expected", "one-draw")} == {
        "pass" if sign == 1 else "fail"
    }


class Thresholds(nn.Module):
    """What adversarial training of a network for digits comes to: pixels cut off, pooled, straight edges.

    Grey values of the digits lie on the edges, and even patches are ties of the pools, where there is
    no derivative.
    """

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
            nn.Linear(256, 10),
        )  # fmt: skip

    def forward(self, x):
        return self.net((4 * (x - 0.25)).clamp(0, 1))


def test_edges_and_ties_fail_no_sound_network():
    torch.manual_seed(0)
    net = Thresholds()
    x, y = bench.load_data("digits", split="train")
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x), y).backward()
        optimizer.step()
    found = verdicts(wrapped(net.eval()))
    assert {finding.verdict for finding in found.values()} <= {"pass", "warn"}
    assert "median error against finite differences 0.0%" in found["gradient of network"].words


@pytest.mark.skipif("BENCH_DATA" not in os.environ, reason="BENCH_DATA is not set")
def test_an_adversarially_trained_network_passes():
    found = validate_model(bench.load_model("mnist/pgd-linf-at"), "mnist")
    assert {finding.verdict for finding in found} == {"pass"}


def test_half_precision_is_told_from_a_wrong_gradient():
    class Half(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = trained().bfloat16()

        def forward(self, x):
            return self.net(x.bfloat16()).float()

    found = verdicts(wrapped(Half()))["gradient of network"]
    assert found.verdict == "warn"
    assert "rounded too coarsely" in found.words


def test_a_model_that_cannot_be_asked_is_said_to_be():
    def fails(self, x):
        if len(x) > 2:
            raise ValueError("two at most\nand more lines")
        return self.net(x)

    found = verdicts(wrapped(Layer(fails)))
    assert found["answers"].words == "cannot be asked: ValueError: two at most"


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
    assert found["eval mode"].words == (
        "predict leaves BatchNorm2d and BatchNorm1d in training mode; call eval() in it"
    )
    assert {name for name, one in found.items() if one.verdict == "fail"} == {"eval mode"}


def test_batch_moments_of_a_model_in_training_mode_are_said_and_end_no_validation():
    adapter = Careless()
    adapter.net.train()
    found = verdicts(adapter)
    assert found["eval mode"].words == (
        "BatchNorm2d and BatchNorm1d in training mode in predict: call eval()"
    )
    assert "depend on the other images" in found["batch size"].words
    assert "gradient of network" in found
    assert all(part.training for part in adapter.net.modules())


def test_a_model_that_writes_into_its_images_is_said_to_and_of_nothing_else():
    adapter = Careless()
    adapter.net = Layer(in_place).eval()
    found = verdicts(adapter)
    assert found["images kept"].words.endswith("let it work on a copy")
    assert found["clean accuracy"].verdict == "pass"
    for check in ("determinism", "batch size", "buffers"):
        assert found[check].verdict == "pass"


def test_a_gradient_that_cannot_be_taken_ends_no_validation():
    adapter = Careless()
    adapter.net = Layer(lambda self, x: self.net(x.detach())).eval()
    found = verdicts(adapter)["gradient of network"]
    assert found.verdict == "fail"
    assert found.words.startswith("cannot be taken: ")


def test_probabilities_are_said():
    found = verdicts(Careless(softmax=True))
    assert found["scores"].verdict == "fail"
    assert "leave out the final softmax" in found["scores"].words


def test_a_model_without_gradient_is_warned_about():
    net = bench.load_model("digits/cnn")
    adapter = bench.wrap_predict(lambda x: net.predict(x).labels, 10, (1, 8, 8))
    assert verdicts(adapter)["gradient"].verdict == "warn"
