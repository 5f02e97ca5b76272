import hashlib
import json
import os

import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional as F

from bench.data.datasets import load
from bench.errors import PrerequisiteError
from bench.train.cards import SHIPPED, read_card, snapshots_file, weights_file, weights_folder
from bench.train.families import FAMILIES
from bench.train.metric_learning.neighbours import embedding
from bench.train.recipes import RECIPES
from bench.train.trainer import build
from bench.train.weights import clean_accuracy, load_weights, train_to, write_weights

NAME = "digits/mlp"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    train_to(folder, NAME, None)
    return folder


def test_the_card_tells_what_the_file_is(folder):
    card = read_card(folder, NAME)
    model = load_weights(folder, NAME)
    assert card["clean_accuracy"] == clean_accuracy(model, load("digits", "test"))
    assert card["clean_accuracy"] > 0.9
    assert (
        card["recipe"]["epochs"] == RECIPES[NAME].epochs == len(card["training"]["loss_by_epoch"])
    )
    assert card["bytes"] == weights_file(folder, NAME).stat().st_size
    assert card["data"]["train_checksum"] == load("digits", "train").checksum()


def test_weights_are_stored_in_half_and_used_in_single_precision(folder):
    stored = load_file(weights_file(folder, NAME))
    assert {value.dtype for value in stored.values()} == {torch.float16}
    net = load_weights(folder, NAME).surfaces()["network"]
    assert {weight.dtype for weight in net.parameters()} == {torch.float32}


def test_damaged_weights_are_refused_before_they_are_read(folder, tmp_path):
    for kind in ("flipped", "html", "cut"):
        path = weights_file(tmp_path / kind, NAME)
        path.parent.mkdir(parents=True)
        payload = bytearray(weights_file(folder, NAME).read_bytes())
        payload[-5] ^= 1
        text = {"flipped": bytes(payload), "html": b"<!DOCTYPE html>", "cut": bytes(payload[:99])}
        path.write_bytes(text[kind])
        path.with_suffix(".json").write_text(json.dumps(read_card(folder, NAME)))
        with pytest.raises(PrerequisiteError, match=r"sha256.*bench train digits/mlp"):
            load_weights(tmp_path / kind, NAME)


def test_a_damaged_card_and_missing_weights_are_said(folder, tmp_path):
    with pytest.raises(PrerequisiteError, match="bench train digits/mlp"):
        load_weights(tmp_path, NAME)
    path = weights_file(tmp_path, NAME)
    path.parent.mkdir()
    path.with_suffix(".json").write_text("{")
    with pytest.raises(PrerequisiteError, match="not JSON"):
        load_weights(tmp_path, NAME)


def test_retrained_weights_go_before_shipped_ones(folder, monkeypatch):
    assert weights_folder("cifar10/cnn") == SHIPPED
    monkeypatch.setenv("BENCH_CACHE", str(folder.parent))
    folder.rename(folder.parent / "weights")
    try:
        assert weights_folder(NAME) == folder.parent / "weights"
    finally:
        (folder.parent / "weights").rename(folder)


SHIPPED_MODELS = [name for name, rules in RECIPES.items() if rules.shipped]


@pytest.mark.parametrize("name", SHIPPED_MODELS)
def test_shipped_weights_are_those_of_their_cards(name):
    card, rules = read_card(SHIPPED, name), RECIPES[name]
    assert card["recipe"] == rules.written()
    assert hashlib.sha256(weights_file(SHIPPED, name).read_bytes()).hexdigest() == card["sha256"]
    state = load_file(weights_file(SHIPPED, name))
    assert {key: value.shape for key, value in state.items()} == {
        key: value.shape for key, value in build(rules).state_dict().items()
    }
    watched = FAMILIES[rules.family].snapshots is not None
    assert snapshots_file(SHIPPED, name).is_file() == watched


REAL = pytest.mark.skipif("BENCH_DATA" not in os.environ, reason="BENCH_DATA is not set")


@REAL
@pytest.mark.slow
@pytest.mark.parametrize("name", [one for one in SHIPPED_MODELS if not RECIPES[one].embedding])
def test_shipped_networks_are_as_accurate_as_their_cards_say(name):
    part = load(RECIPES[name].data, "test").first(1000)
    accuracy = clean_accuracy(load_weights(SHIPPED, name), part)
    said = read_card(SHIPPED, name)["clean_accuracy"]
    assert abs(accuracy - said) < max(0.03, 3 * (said * (1 - said) / len(part)) ** 0.5)


@REAL
@pytest.mark.slow
@pytest.mark.parametrize("name", [one for one in SHIPPED_MODELS if RECIPES[one].embedding])
def test_shipped_embeddings_are_as_accurate_as_their_cards_say(name):
    rules, card = RECIPES[name], read_card(SHIPPED, name)
    embed = embedding(rules, weights_file(SHIPPED, name).read_bytes(), "cpu")
    stored, asked = load(rules.data, "train").first(10_000), load(rules.data, "test").first(1000)
    with torch.no_grad():
        bank, queries = (
            torch.cat([F.normalize(embed(part)) for part in torch.split(some.images, 500)])
            for some in (stored, asked)
        )
    said = stored.labels[(queries @ bank.T).argmax(1)]
    # A bank of a fifth of the images knows a little less.
    assert abs((said == asked.labels).float().mean() - card["clean_accuracy"]) < 0.05


def test_the_card_is_written_last_and_with_everything_else(tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(
        "bench.train.weights.write_together", lambda files, elsewhere: written.append(files)
    )
    net = build(RECIPES[NAME])
    write_weights(tmp_path, NAME, net, None, {}, snapshots=b"s")
    (files,) = written
    assert [path.name for path in files] == [
        "mlp.moments.safetensors",
        "mlp.safetensors",
        "mlp.json",
    ]
