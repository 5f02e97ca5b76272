"""Networks trained on a model's answers: what they learn, what they ask, and what a kill leaves."""

import pytest
import torch
from oracles import Linear
from torch import nn

import bench
from bench.data.datasets import load
from bench.errors import AttackError, SpecError
from bench.models.substitutes import small_convs
from bench.spec import SubstituteName
from bench.train import substitutes as learning
from bench.train.substitutes import SubstituteImages, train_substitute

SHAPE = (1, 8, 8)


class Counting:
    """A model with its labels, which counts the images it is asked about and may die."""

    def __init__(self, net, dies_after=None):
        self.net, self.asked, self.dies_after = net, 0, dies_after

    def __call__(self, x):
        if self.dies_after is not None and self.asked + len(x) > self.dies_after:
            raise KeyboardInterrupt
        self.asked += len(x)
        return self.net(x).argmax(1)


def counted(net, dies_after=None):
    """Return a model that gives labels alone, and its counter, which starts at 0."""
    counting = Counting(net)
    model = bench.wrap_predict(counting, 2, SHAPE, fingerprint="counted")
    counting.asked, counting.dies_after = 0, dies_after
    return model, counting


@pytest.fixture
def linear():
    """Return a linear classifier that says which half of a digit is brighter, and halves the digits."""
    weight = torch.tensor([-1.0] * 4 + [1.0] * 4).repeat(8)
    x = load("digits", "train").images.flatten(1) - 0.5
    middle = (x @ weight).median() / 2
    return Linear(torch.stack([-weight, weight]) / 2, torch.stack([middle, -middle]))


@pytest.fixture
def quick(monkeypatch):
    """Train for a few batches, where how well is no matter."""
    monkeypatch.setattr(learning, "_BATCHES", 3)
    monkeypatch.setattr(learning, "_LAST", 3)


def digits(split, count):
    return load("digits", split).first(count).images


def weights(trained):
    return torch.cat([value.flatten() for value in trained.net.state_dict().values()])


def test_a_linear_model_is_recovered_from_few_answers(linear):
    model, _ = counted(linear)
    found = bench.train_substitute(model, digits("train", 150), 200, held_out=digits("test", 500))
    assert found.agreement > 0.85
    assert (found.name, found.queries, found.seeds, found.rounds) == ("substitute-200", 200, 150, 1)
    # The agreement is the one that the two of them show.
    x = digits("test", 500)
    alike = found.net(x).argmax(1) == linear(x).argmax(1)
    assert found.agreement == pytest.approx(float(alike.float().mean()))
    assert (found.decided, found.held_out) == (500, 500)


@pytest.mark.parametrize("queries", [1, 7, 40, 100])
def test_no_more_images_are_asked_about_than_allowed(linear, quick, queries):
    model, counting = counted(linear)
    found = train_substitute(
        model, SubstituteName(queries), SubstituteImages(digits("train", 40), digits("test", 0)), 0
    )
    assert counting.asked == found.queries == queries
    assert found.agreement is None


def test_images_are_added_along_the_gradient_of_the_class_with_a_changing_sign():
    class Gap(nn.Module):
        def forward(self, x):
            return torch.stack([x.sum((1, 2, 3)), -x.sum((1, 2, 3))], 1)

    x = torch.full((2, *SHAPE), 0.5)
    labels = torch.tensor([0, 1])
    up = learning._augmented(Gap(), x, labels, 0.1)
    assert up[0].eq(0.6).all()
    assert up[1].eq(0.4).all()
    scores = torch.tensor([[0.9, 0.1], [0.2, 0.8]])
    assert learning._augmented(Gap(), x, scores, -0.1).allclose(1 - up)
    assert learning._augmented(Gap(), x * 0 + 0.97, labels, 0.1)[0].eq(1).all()


def test_the_same_seed_gives_the_same_network_and_draws_nothing_of_others(linear, quick):
    model, _ = counted(linear)
    before = torch.get_rng_state()
    first, second, other = (
        bench.train_substitute(model, digits("train", 20), 50, seed=seed) for seed in (3, 3, 4)
    )
    assert torch.get_rng_state().equal(before)
    assert weights(first).equal(weights(second))
    assert not weights(first).equal(weights(other))


def test_a_killed_training_goes_on_without_asking_again(linear, quick, tmp_path):
    pair = SubstituteImages(digits("train", 40), digits("test", 30))
    name, kept = SubstituteName(160), tmp_path / "answers.safetensors"
    whole = train_substitute(counted(linear)[0], name, pair, 5)
    model, first = counted(linear, dies_after=100)  # in the second round
    with pytest.raises(KeyboardInterrupt):
        train_substitute(model, name, pair, 5, kept)
    assert first.asked == 80
    model, second = counted(linear)
    resumed = train_substitute(model, name, pair, 5, kept)
    assert second.asked == 160 + 30 - 80
    assert weights(resumed).equal(weights(whole))
    assert (resumed.queries, resumed.agreement) == (160, whole.agreement)


def test_an_image_without_a_class_teaches_nothing(linear, quick):
    ties = bench.wrap_predict(lambda x: torch.full((len(x),), -1), 2, SHAPE)
    with pytest.raises(AttackError, match="no class to any of the 20 images"):
        bench.train_substitute(ties, digits("train", 20), 20)

    def half(x):
        return linear(x).argmax(1).masked_fill(x.flatten(1).mean(1) > 0.3, -1)

    some = bench.wrap_predict(half, 2, SHAPE)
    x = digits("test", 100)
    found = bench.train_substitute(some, digits("train", 20), 30, held_out=x)
    assert found.decided == int((half(x) >= 0).sum()) < 100


def test_scores_are_learnt_as_probabilities(quick, monkeypatch):
    asked = []
    monkeypatch.setattr(
        learning, "_descend", lambda net, optimiser, x, answers, *rest: asked.append(answers)
    )
    logits = torch.tensor([2.0, 0.0])
    model = bench.wrap_predict(lambda x: logits.expand(len(x), 2), 2, SHAPE, scores="logits")
    found = bench.train_substitute(model, digits("train", 5), 5, answers="scores")
    assert found.name == "substitute-5-scores"
    assert asked[0].allclose(logits.softmax(0).expand(5, 2))


@pytest.mark.parametrize(
    ("shape", "maps"), [((1, 8, 8), 2), ((3, 32, 32), 4), ((3, 224, 200), 4), ((2, 1, 3), 1)]
)
def test_the_network_takes_images_of_any_size(shape, maps):
    net = small_convs(shape, 7)
    assert net(torch.rand(2, *shape)).shape == (2, 7)
    assert sum(isinstance(part, nn.Conv2d) for part in net) == maps


def test_what_is_read_is_what_was_written(linear, quick, tmp_path):
    model, _ = counted(linear)
    found = bench.train_substitute(model, digits("train", 20), 30, held_out=digits("test", 20))
    path = tmp_path / "one.safetensors"
    learning.write_substitute(path, found)
    held = learning.read_substitute(path, model)
    assert weights(held).equal(weights(found))
    assert held.facts() == found.facts()
    path.write_bytes(path.read_bytes()[:-100])
    assert learning.read_substitute(path, model) is None
    assert learning.read_substitute(tmp_path / "none", model) is None


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"queries": 0}, "queries: 0 is not"), ({"queries": 5, "answers": "all"}, "answers: 'all'"),
     ({"queries": 5, "images": torch.zeros(0, *SHAPE)}, "no images to ask")],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(linear, wrong, message):
    with pytest.raises((SpecError, AttackError), match=message):
        bench.train_substitute(counted(linear)[0], **{"images": digits("train", 5), **wrong})


@pytest.mark.parametrize(
    "name", ["substitute", "substitute-0", "substitute-x", "substitute-5-logits"]
)
def test_a_name_that_does_not_say_how_many_is_refused(name):
    with pytest.raises(SpecError, match="substitute-500"):
        SubstituteName.read(name)


def test_names_say_what_is_asked():
    assert SubstituteName.read("substitute-500") == (500, "labels")
    assert SubstituteName.read("substitute-20-scores").title() == "substitute-20-scores"
    assert SubstituteName.read("soft-knn") is None
