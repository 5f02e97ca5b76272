import os

import pytest
import torch
from torch import nn

import bench
from bench.spec import ModelSpec
from bench.trust.checked_model import CheckedModel
from bench.trust.checks.registry import run_checks


def findings(adapter, data="digits"):
    """Return what is found of a model, by what `bench validate` calls each line."""
    results = run_checks("model", CheckedModel(adapter, data))
    return {check.label(finding): finding for check, finding in results}


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
    found = findings(bench.load_model("digits/cnn"))
    assert {finding.status for finding in found.values()} == {"pass"}
    assert "its card says" in found["clean accuracy"].line()


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
     "does not point where"),
    (lambda self, x: self.net(x + 0.3 * (x.detach() - x)), "gradient of network", "fail",
     "does not point where"),
    (lambda self, x: 1e3 * self.net(x), "gradient of network", "fail",
     "that of the cross-entropy is zero on"),
    (lambda self, x: 1e4 * self.net(x), "gradient of network", "fail",
     "that of the cross-entropy is zero on"),
    (lambda self, x: self.net(x.sqrt().square()), "gradient of network", "fail", "not finite"),
])  # fmt: skip
def test_what_is_wrong_is_said_and_nothing_else_of_it(change, check, verdict, words):
    found = findings(wrapped(Layer(change)))
    assert found[check].status == verdict
    assert words in found[check].line()
    # A cause is no other: what it does to batches and buffers is not said of randomness, and so on.
    about_calls = {"determinism", "batch size", "images kept", "buffers"} - {check}
    others = {name for name in about_calls if found[name].status == "fail"}
    assert others <= ({"determinism", "buffers"} if change is tires else set())


@pytest.mark.parametrize("sign", [1, -1])
def test_the_gradient_of_a_random_model_is_compared_under_equal_draws(sign):
    def change(self, x):
        return self.net((1 - sign) * x.detach() + sign * x + 0.1 * torch.randn_like(x))

    found = findings(wrapped(Layer(change)))
    assert {found[f"gradient of {name}"].status for name in ("expected", "one-draw")} == {
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
    found = findings(wrapped(net.eval()))
    assert {finding.status for finding in found.values()} <= {"pass", "warn"}
    assert "median error against finite differences 0.0%" in found["gradient of network"].line()


@pytest.mark.skipif("BENCH_DATA" not in os.environ, reason="BENCH_DATA is not set")
def test_an_adversarially_trained_network_passes():
    found = findings(bench.load_model("mnist/pgd-linf-at"), "mnist")
    assert {finding.status for finding in found.values()} == {"pass"}


def test_half_precision_is_told_from_a_wrong_gradient():
    class Half(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = trained().bfloat16()

        def forward(self, x):
            return self.net(x.bfloat16()).float()

    found = findings(wrapped(Half()))["gradient of network"]
    assert found.status == "warn"
    assert "rounded too coarsely" in found.line()


def test_a_model_that_cannot_be_asked_is_said_to_be():
    def fails(self, x):
        if len(x) > 2:
            raise ValueError("two at most\nand more lines")
        return self.net(x)

    found = findings(wrapped(Layer(fails)))
    assert found["answers"].line() == "cannot predict: ValueError: two at most"


def test_images_and_classes_that_do_not_fit_stop_the_validation():
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 7))
    (finding,) = findings(bench.wrap(net, 7, (1, 8, 8))).values()
    assert (finding.status, finding.line()) == ("fail", "has 7 classes, digits has 10")


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
    found = findings(Careless())
    assert found["eval mode"].line() == (
        "predict leaves BatchNorm2d and BatchNorm1d in training mode: call eval() in it"
    )
    assert {name for name, finding in found.items() if finding.status == "fail"} == {"eval mode"}


def test_batch_moments_of_a_model_in_training_mode_are_said_and_end_no_validation():
    adapter = Careless()
    adapter.net.train()
    found = findings(adapter)
    assert found["eval mode"].line() == (
        "BatchNorm2d and BatchNorm1d in training mode in predict: call eval()"
    )
    assert "depend on the other images" in found["batch size"].line()
    assert "gradient of network" in found
    assert all(part.training for part in adapter.net.modules())


def test_a_model_that_writes_into_its_images_is_said_to_and_of_nothing_else():
    adapter = Careless()
    adapter.net = Layer(in_place).eval()
    found = findings(adapter)
    assert found["images kept"].line().endswith("let it work on a copy")
    assert found["clean accuracy"].status == "pass"
    for check in ("determinism", "batch size", "buffers"):
        assert found[check].status == "pass"


def test_a_gradient_that_cannot_be_taken_ends_no_validation():
    adapter = Careless()
    adapter.net = Layer(lambda self, x: self.net(x.detach())).eval()
    found = findings(adapter)["gradient of network"]
    assert found.status == "fail"
    assert found.line().startswith("cannot be taken: ")


def test_probabilities_are_said():
    found = findings(Careless(softmax=True))
    assert found["scores"].status == "fail"
    assert "leave out the final softmax" in found["scores"].line()


def test_a_model_without_gradient_is_warned_about():
    net = bench.load_model("digits/cnn")
    adapter = bench.wrap_predict(lambda x: net.predict(x).labels, 10, (1, 8, 8))
    assert findings(adapter)["gradient"].status == "warn"
