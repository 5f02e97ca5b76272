import dataclasses

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from bench.data.datasets import load
from bench.errors import PrerequisiteError, SpecError
from bench.models.heads import dense_head
from bench.train.cards import SHIPPED, weights_file
from bench.train.gradient_descent import fit_whole
from bench.train.networks import begin
from bench.train.recipe import Phase, Recipe, Start
from bench.train.recipes import RECIPES
from bench.train.trainer import build

TUNED = RECIPES["flowers17/tuned-cifar10-adam-bn-dropout"]
TWO = dataclasses.replace(
    RECIPES["digits/mlp"],
    optimiser="adam", schedule="constant", epochs=3,
    phases=(
        Phase(epochs=1, learning_rate=0.01, frozen=("0",)), Phase(epochs=2, learning_rate=0.001),
    ),
)  # fmt: skip


def small():
    torch.manual_seed(0)
    trunk = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.BatchNorm1d(16), nn.Dropout(0.9))
    return nn.Sequential(trunk, nn.Linear(16, 10))


def trained(rules):
    """Return the state after each epoch, and what the training said of it."""
    net, states, epochs = small(), [], []

    def watch(epoch, net):
        states.append({key: value.clone() for key, value in net.state_dict().items()})
        epochs.append((epoch.number, epoch.of, net[0][3].training))

    states.append({key: value.clone() for key, value in net.state_dict().items()})
    fit_whole(rules, net, load("digits", "train").first(256), watch)
    assert all(weight.requires_grad for weight in net.parameters())
    return states, epochs


def test_a_frozen_part_stays_to_the_last_bit_until_its_phase_is_over():
    (before, first, second, _), epochs = trained(TWO)
    trunk = [key for key in before if key.startswith("0.")]
    assert any("running_mean" in key for key in trunk)
    assert all(torch.equal(before[key], first[key]) for key in trunk)
    assert not torch.equal(before["1.weight"], first["1.weight"])
    assert not torch.equal(first["0.1.weight"], second["0.1.weight"])
    assert not torch.equal(first["0.2.running_mean"], second["0.2.running_mean"])
    # Frozen dropout drops nothing; the epochs of all phases are numbered through.
    assert epochs == [(1, 3, False), (2, 3, True), (3, 3, True)]


def test_each_phase_has_its_own_rate():
    (_, first, second, _), _ = trained(TWO)
    faster = dataclasses.replace(TWO, phases=(TWO.phases[0], Phase(epochs=2, learning_rate=0.1)))
    (_, same, other, _), _ = trained(faster)
    assert torch.equal(first["1.weight"], same["1.weight"])
    moved = (second["1.weight"] - first["1.weight"]).abs().mean()
    assert (other["1.weight"] - same["1.weight"]).abs().mean() > 5 * moved


def test_one_phase_that_freezes_nothing_is_the_training_without_phases():
    plain = dataclasses.replace(TWO, phases=(), learning_rate=0.01)
    (*_, one), _ = trained(
        dataclasses.replace(plain, phases=(Phase(epochs=3, learning_rate=0.01),))
    )
    (*_, other), _ = trained(plain)
    assert all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize(("rules", "words"), [
    (dataclasses.replace(TWO, epochs=4), "its phases have 3 epochs, epochs says 4"),
    (dataclasses.replace(TWO, epochs=1, phases=(Phase(epochs=1, learning_rate=1, frozen=("7",)),)),
     "no part to freeze"),
])  # fmt: skip
def test_phases_that_do_not_fit_are_said(rules, words):
    with pytest.raises(SpecError, match=words):
        trained(rules)


def test_a_part_starts_from_the_weights_of_another_model():
    net = build(TUNED)
    begin(TUNED.start, net)
    shipped = load_file(weights_file(SHIPPED, "cifar10/cnn"))
    kept = {key[2:]: value for key, value in shipped.items() if key.startswith("0.")}
    assert set(kept) == set(net.trunk.state_dict())
    assert all(torch.equal(net.trunk.state_dict()[key], kept[key].to(value.dtype))
               for key, value in net.trunk.state_dict().items())  # fmt: skip


@pytest.mark.parametrize(("start", "error", "words"), [
    (Start(model="cifar10/cnn", part="net.9", into="trunk"), SpecError, "cannot start from 'net.9'"),
    (Start(model="cifar10/cnn", part="net.1", into="trunk"), SpecError, "'trunk' cannot start"),
    (Start(model="cifar10/cnm", part="net.0", into="trunk"), SpecError, "cifar10/cnn"),
    (Start(model="flowers17/mk-3", part="net", into="trunk"), PrerequisiteError,
     "run: bench train flowers17/mk-3"),
])  # fmt: skip
def test_a_start_that_is_not_to_be_had_is_said(start, error, words, tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path))
    with pytest.raises(error, match=words):
        begin(start, build(TUNED))


def test_the_second_phase_lets_the_last_block_and_the_head_learn():
    net = build(TUNED)
    frozen = [net.get_submodule(name) for name in TUNED.phases[1].frozen]
    still = {id(weight) for part in frozen for weight in part.parameters()}
    learning = {name for name, weight in net.named_parameters() if id(weight) not in still}
    assert {name.rsplit(".", 1)[0] for name in learning} == {
        "trunk.12", "trunk.13", "trunk.15", "head.0", "head.2", "head.4",
    }  # fmt: skip
    assert net(torch.zeros(2, 3, 128, 128)).shape == (2, 17)


@pytest.mark.parametrize(("batch_norm", "dropout", "kinds"), [
    (False, 0.0, []), (True, 0.0, [nn.BatchNorm1d]), (False, 0.5, [nn.Dropout]),
    (True, 0.5, [nn.BatchNorm1d, nn.Dropout]),
])  # fmt: skip
def test_heads_have_one_hidden_layer_with_what_they_are_asked_for(batch_norm, dropout, kinds):
    head = dense_head(30, 17, batch_norm, dropout)
    assert [type(part) for part in head] == [nn.Linear, nn.ReLU, *kinds, nn.Linear]
    assert (head[0].in_features, head[0].out_features, head[-1].out_features) == (30, 512, 17)


def test_a_recipe_with_phases_is_read_from_its_card_as_it_was_written():
    assert Recipe.read(TUNED.written()) == dataclasses.replace(TUNED, shipped=True, first_use=True)
    assert not {"start", "phases"} & set(RECIPES["cifar10/cnn"].written())
