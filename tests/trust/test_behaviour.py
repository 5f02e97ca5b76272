"""What is found of how a model answers: each cause alone, with its own sentence."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

import bench
from bench.adapters.distances import distance
from bench.adapters.knn_index import KnnIndex, ReferenceSet
from bench.adapters.neighbours import NeighboursAdapter
from bench.adapters.random import RandomAdapter
from bench.adapters.smoothed import smooth
from bench.spec import ModelSpec, Prediction
from bench.trust.behaviour import Behaviour, judged, observe

SPEC = ModelSpec(name="toy", family="network", data="digits", input_shape=(1, 8, 8), num_classes=10)
X = bench.load_data("digits", images=40)[0]


def plain():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10)).eval()


class Changed(nn.Module):
    """A plain network whose images or answers are changed."""

    def __init__(self, change, layer=None):
        super().__init__()
        self.net, self.change, self.layer = plain(), change, layer
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))
        self.own, self.numpys = torch.Generator().manual_seed(0), np.random.default_rng(0)

    def forward(self, x):
        return self.change(self, x)


class Bare:
    """A model that asks its network as it is, without copies and in whatever mode."""

    spec = SPEC

    def __init__(self, net):
        self.net = net

    def predict(self, x):
        scores = self.net(x)
        return Prediction(scores.argmax(1), scores)

    def gradient(self, x, y, loss="ce", surface=None):
        raise NotImplementedError

    def surfaces(self):
        return {"network": self.net}

    def fingerprint(self):
        return "x"


def in_training(*layers):
    torch.manual_seed(0)
    return Bare(nn.Sequential(*layers, plain()).train())


def seen(change, layer=None):
    return observe(bench.wrap(Changed(change, layer), 10, (1, 8, 8)), X)


def noisy(self, x):
    return self.net(x + 0.15 * torch.randn_like(x))


def faint(self, x):
    return self.net(x + 4e-4 * torch.randn_like(x))


def dropped(self, x):
    return self.net(nn.functional.dropout(x, 0.3, training=True))


def once(self, x):
    return self.net(x + 0.15 * torch.randn(x.shape[1:]))


def mostly_once(self, x):
    return self.net(x + 0.15 * torch.randn(x.shape[1:]) + 0.05 * torch.randn_like(x))


def resized(self, x):
    size = int(torch.randint(5, 9, ()))
    small = nn.functional.interpolate(x, size)
    return self.net(nn.functional.pad(small, (0, 8 - size, 0, 8 - size)))


def own_generator(self, x):
    return self.net(x + 0.15 * torch.randn(x.shape, generator=self.own))


def numpy_generator(self, x):
    return self.net(x + torch.as_tensor(0.15 * self.numpys.standard_normal(x.shape)).float())


def global_numpy(self, x):
    return self.net(x + torch.as_tensor(0.15 * np.random.standard_normal(x.shape)).float())


def poisson(self, x):
    return self.net(torch.poisson(16 * x) / 16 + 0.1 * torch.randn_like(x))


@pytest.mark.parametrize(("change", "per_call", "seeded"), [
    (noisy, False, True), (faint, False, True), (dropped, False, True), (once, True, True),
    (mostly_once, True, True), (resized, True, True), (own_generator, False, False),
    (numpy_generator, False, False), (global_numpy, False, True), (poisson, False, True),
])  # fmt: skip
def test_randomness_is_found_and_no_other_cause_is_blamed(change, per_call, seeded):
    found = seen(change)
    depends = 0.0 if seeded else None
    assert found == Behaviour(
        random=True, per_call=per_call, seeded=seeded, batch_dependent=depends
    )
    assert found.notes()[0] == "random, so each image is judged by 32 draws"
    assert ("cannot be seeded" in " ".join(found.notes())) == (not seeded)


def coupled(self, x):
    return self.net(x) - self.net(x).mean(0)


def before_it(self, x):
    return self.net(x) + 0.5 * self.net(x.roll(1, 0))


def after_the_first(self, x):
    return self.net(x - 0.5 * x[:1])


def by_place(self, x):
    return self.net(x) * torch.linspace(1, 2, len(x))[:, None]


def by_size(self, x):
    return self.net(x) / len(x)


def ghost(self, x):
    return torch.cat([coupled(self, part) for part in torch.split(x, 16)])


def batch_moments(self, x):
    return self.layer(self.net(x))


MOMENTS = nn.BatchNorm1d(10, track_running_stats=False)


@pytest.mark.parametrize(
    "change", [coupled, before_it, after_the_first, by_place, by_size, ghost, batch_moments]
)
def test_images_that_see_each_other_are_found(change):
    found = seen(change, MOMENTS if change is batch_moments else None)
    assert found.batch_dependent > 0.01
    assert not found.random
    assert "other images of the batch (scores by up to" in found.notes()[0]
    assert "this --batch-size alone" in found.notes()[0]
    refused = "cannot predict one image alone: ValueError: Expected more than 1 value"
    assert (found.refuses or "").startswith(refused) == (change is batch_moments)
    allowed = {"batch_dependent": 0.0, "refuses": None}
    assert dataclasses.replace(found, **allowed) == Behaviour()


def test_images_that_see_each_other_are_told_from_draws():
    found = seen(lambda self, x: noisy(self, x) - noisy(self, x).mean(0))
    assert found.random
    assert found.batch_dependent > 0.01
    assert found.per_call  # each draw is of an image alone
    assert found.notes()[1].endswith("each image is judged alone")


def in_place(self, x):
    x.data.mul_(0.8).add_(0.1)
    return self.net((x - 0.1) / 0.8)


def test_writing_into_the_images_is_found_as_that_alone():
    found = observe(Bare(Changed(in_place).eval()), X)
    assert found == Behaviour(writes_input=True)
    assert found.notes() == ["writes into the images it is given: let it work on a copy"]


def counted(self, x):
    self.calls += 1
    return self.net(x)


def wears_out(self, x):
    self.calls = self.calls + 1
    return self.net(x) / self.calls


def test_changed_buffers_are_found_and_put_back():
    net = Changed(counted)
    adapter = bench.wrap(net, 10, (1, 8, 8))
    before = int(net.calls)
    found = observe(adapter, X)
    assert int(net.calls) == before
    assert found == Behaviour(changes_state=("calls",))
    assert found.notes() == ["each call changes its buffers calls"]


def test_a_model_that_remembers_is_found():
    found = seen(wears_out)
    assert (found.random, found.seeded, found.remembers) == (True, False, True)
    assert found.batch_dependent == 0
    assert found.notes() == [
        "random, so each image is judged by 32 draws",
        "each call changes its buffers calls, which change its later answers",
    ]


def test_training_mode_is_said_beside_what_it_does():
    dropout = observe(in_training(nn.Dropout(0.3)), X)
    assert dropout == Behaviour(random=True, training=("Dropout",))
    assert dropout.notes()[0] == "Dropout in training mode while it predicts: call eval()"
    moments = observe(in_training(nn.BatchNorm2d(1)), X)
    assert moments.training == ("BatchNorm2d",)
    assert moments.batch_dependent > 0.01
    assert not moments.random
    assert set(moments.changes_state) == {"running_mean", "running_var", "num_batches_tracked"}
    both = observe(in_training(nn.Dropout(0.3), nn.BatchNorm2d(1)), X)
    assert (both.random, both.per_call, both.refuses) == (True, True, None)


def test_a_random_model_that_takes_no_single_image_is_not_judged_by_draws():
    adapter = in_training(
        nn.Dropout(0.3), nn.Flatten(), nn.BatchNorm1d(64), nn.Unflatten(1, (1, 8, 8))
    )
    model, found = judged(adapter, X)
    assert model is adapter
    assert found.random
    assert "judged by a single draw" in " ".join(found.notes())
    assert "Expected more than 1 value" in found.refuses


def test_a_model_that_fails_is_said_to():
    def fails(self, x):
        if len(x) > 2:
            raise MemoryError("no room")
        return self.net(x)

    adapter = bench.wrap(Changed(fails), 10, (1, 8, 8))
    model, found = judged(adapter, X)
    assert model is adapter
    assert found.notes() == ["cannot predict: MemoryError: no room"]


def test_scores_that_are_not_numbers_are_no_randomness():
    def overflows(level):
        def change(self, x):
            return self.net(x).masked_fill(x.mean((1, 2, 3))[:, None] > level, torch.nan)

        return change

    for level in (0.0, float(X.mean((1, 2, 3)).median())):
        net = bench.wrap(plain(), 10, (1, 8, 8))  # which would refuse such scores
        broken = dataclasses.replace(net, module=Changed(overflows(level)))
        assert observe(broken, X) == Behaviour()


@pytest.mark.parametrize("name", ["digits/mlp", "digits/cnn"])
def test_shipped_models_are_as_they_should(name):
    adapter = bench.load_model(name)
    model, found = judged(adapter, X)
    assert model is adapter
    assert found == Behaviour()
    assert found.notes() == []


def test_a_vote_of_neighbours_and_a_smoothed_model_are_as_they_should():
    x, y = bench.load_data("digits", split="train", images=200)
    bank = ReferenceSet(
        embeddings=x.flatten(1), labels=y, classes=10, data="digits", split="train", indices="",
        checksum="",
    )  # fmt: skip
    vote = NeighboursAdapter(
        spec=dataclasses.replace(SPEC, scores="probabilities"), embed=nn.Flatten(),
        index=KnnIndex(bank, distance("euclidean")), k=5, surrogates={},
    )  # fmt: skip
    assert judged(vote, X) == (vote, Behaviour())
    smoothed = smooth(SPEC, plain(), 0.25, n=20)
    assert observe(smoothed, X) == Behaviour()
    assert judged(smoothed, X)[0] is smoothed


def test_half_precision_is_no_dependence():
    class Half(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = bench.load_model("digits/cnn").module.bfloat16()

        def forward(self, x):
            return self.net(x.bfloat16()).float()

    assert observe(bench.wrap(Half(), 10, (1, 8, 8)), X) == Behaviour()


def test_a_random_model_is_judged_by_draws_and_only_once_wrapped():
    adapter = bench.wrap(Changed(once), 10, (1, 8, 8))
    model, found = judged(adapter, X)
    assert isinstance(model, RandomAdapter)
    assert (model.inner, model.per_call, found.per_call) == (adapter, True, True)
    assert judged(model, X)[0] is model


def test_a_model_that_seeds_its_own_draws_is_not_observed():
    class Seeding(Bare):
        per_call = False

        def predict(self, x):
            raise AssertionError("it is asked")

    adapter = Seeding(plain())
    assert judged(adapter, X) == (adapter, Behaviour())


def test_observing_disturbs_no_generator_and_no_mode():
    adapter = in_training(nn.Dropout(0.3), nn.BatchNorm2d(1))
    before = (
        torch.get_rng_state(),
        {name: value.clone() for name, value in adapter.net.state_dict().items()},
    )
    observe(adapter, X)
    assert torch.equal(before[0], torch.get_rng_state())
    assert all(
        torch.equal(before[1][name], value) for name, value in adapter.net.state_dict().items()
    )
    assert all(part.training for part in adapter.net[:2])
