import dataclasses

import pytest
import torch
from safetensors.torch import load_file

from bench.data.datasets import load
from bench.errors import TrainingFailed
from bench.train.cards import read_card, weights_file
from bench.train.local_learning import filters
from bench.train.local_learning.names import local_recipe
from bench.train.local_learning.rule import FilterEpoch, f_score
from bench.train.local_learning.snapshots import read_filters
from bench.train.recipe import Recipe
from bench.train.trainer import train
from bench.train.weights import load_weights, train_to

NAME = "digits/ll-K3-w4-m2-p3-n2-pool2-relu"


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path))
    return tmp_path


@pytest.fixture(scope="module")
def digits():
    return load("digits", "train").first(300)


def quick(name=NAME):
    rules = local_recipe(name)
    return dataclasses.replace(
        rules, epochs=2, rule=dataclasses.replace(rules.rule, epochs=6, batch_size=300)
    )


def state(net):
    return torch.cat([weight.detach().flatten() for weight in net.parameters()])


def test_heads_share_filters_and_the_cache_changes_nothing(own_cache, digits, monkeypatch):
    first = train(quick(), digits)
    assert len(list((own_cache / "filters").iterdir())) == 1
    learn, calls = filters.learn_filters, []

    def counted(*args, **more):
        calls.append(args)
        return learn(*args, **more)

    monkeypatch.setattr(filters, "learn_filters", counted)
    assert state(train(quick(), digits)).equal(state(first))
    other = train(quick("digits/ll-K3-w4-m2-p3-n4-pool3-elu"), digits)
    assert not calls
    assert other[0][0].filters.equal(first[0][0].filters)
    for change in ("m3-p3", "m2-p2", "m2-p3-delta0.2"):  # these are other filters
        train(quick(NAME.replace("m2-p3", change)), digits)
    train(quick(), load("digits", "train").first(299))
    assert len(calls) == 4


def test_damaged_filters_are_learnt_again(own_cache, digits):
    first = train(quick(), digits)
    (path,) = (own_cache / "filters").iterdir()
    path.write_bytes(path.read_bytes()[:50])
    assert state(train(quick(), digits)).equal(state(first))


def test_the_moments_kept_are_told_from_the_cache_too(own_cache, digits):
    told = []
    for _ in range(2):
        told.append({})
        train(quick(), digits, watch=lambda epoch, net: told[-1].update(
            {epoch.number: net[0][0].filters.clone()} if isinstance(epoch, FilterEpoch) else {}
        ))  # fmt: skip
    assert list(told[0]) == [1, 2, 3, 4, 5, 6]
    assert list(told[1]) == [*filters.watched(6)] == [1, 3, 4, 6]
    assert all(found.equal(told[0][number]) for number, found in told[1].items())


def test_filters_are_not_trained_by_the_head(own_cache, digits):
    seen = []
    train(quick(), digits, watch=lambda epoch, net: seen.append(net[0][0].filters.clone()))
    assert seen[5].equal(seen[-1])
    assert len(seen) == 8


def test_filters_are_written_exactly_with_their_score_and_pictures(own_cache):
    card = train_to(own_cache / "weights", NAME, None)
    stored = load_file(weights_file(own_cache / "weights", NAME))
    held = stored.pop("0.0.filters")
    assert held.dtype == torch.float32
    assert {value.dtype for value in stored.values()} == {torch.float16}
    assert card["f_score"] == f_score(held.flatten(1), 3)
    assert card == read_card(own_cache / "weights", NAME)
    assert Recipe.read(card["recipe"]) == dataclasses.replace(local_recipe(NAME), shipped=True)
    model = load_weights(own_cache / "weights", NAME)
    assert model.spec.family == "local-learning"
    assert card["clean_accuracy"] > 0.6
    moments = own_cache / "weights" / f"{NAME}.moments.safetensors"
    pictures = read_filters(moments.read_bytes())
    assert list(pictures) == [*filters.watched(local_recipe(NAME).rule.epochs)]
    assert all(found.shape == (9, 1, 4, 4) for found in pictures.values())


def test_responses_come_in_order_and_few_bytes(monkeypatch):
    monkeypatch.setattr(filters, "_BATCH", 3)
    raw = torch.arange(8, dtype=torch.uint8).view(8, 1, 1, 1)
    found = filters.responses(torch.nn.Identity(), raw, 8)
    assert found.dtype == torch.bfloat16
    assert (found.flatten() * 8).tolist() == list(range(8))


@pytest.mark.parametrize("change", [{"n": 50}, {"n": 50, "K": 4}])
def test_trainings_that_go_wild_stop_and_name_what_did_it(own_cache, digits, change):
    rules = dataclasses.replace(quick(), epochs=20, learning_rate=1e30)
    options = {**dict(rules.options), "activation": "rexp", **change}
    rules = dataclasses.replace(rules, options=tuple(sorted(options.items())))
    with pytest.raises(TrainingFailed, match=r"epoch \d+ of 20: the loss is .* too steep"):
        train(rules, digits)
    options["rule"] = "bp"
    twin = dataclasses.replace(rules, rule=None, options=tuple(sorted(options.items())))
    with pytest.raises(
        TrainingFailed, match=r"no numbers any more: .*n=50 of rexp may be too steep"
    ):
        train(twin, digits)
