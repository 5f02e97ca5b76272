"""Attacks in turn: as a suite lists them, and the shipped cascade."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import bench
from bench.attacks import catalogue
from bench.attacks.instrument import attacked
from bench.attacks.job import Batch
from bench.attacks.members import read_members, written
from bench.attacks.needs import unmet
from bench.attacks.run_attack import AttackResult, run_attack
from bench.errors import SpecError
from bench.runner.estimate import passes
from bench.runner.suite import read_suite

SUITE = """
title = "t"
data = "digits"

[[models]]
name = "digits/cnn"

[[attacks]]
name = "cascade"
norm = "linf"
eps = ["0.1", "0.2"]
members = MEMBERS
"""
TABLES = '[{ name = "apgd-ce", steps = 7 }, { name = "square", toolkit = "torchattacks" }]'
TEXTS = '["apgd-ce steps=7", "square toolkit=torchattacks"]'
WRITTEN = (
    "apgd-ce eot=1 restarts=1 steps=7 toolkit=native, "
    "square p_init=0.8 queries=5000 restarts=1 toolkit=torchattacks"
)
TEXT = '"apgd-ce steps=7, square toolkit=torchattacks"'


def run(model, x, y, name: str, kit="native", classes: int = 10, **words) -> AttackResult:
    spec = catalogue.resolve(name, "linf", 0.07, words)
    return run_attack(spec, kit, model, Batch(x, y), num_classes=classes, seed=0)


def test_members_are_made_in_order_on_what_withstood_those_before(trained) -> None:
    net, x, y = trained.net, trained.x, trained.y
    members = "fgsm, apgd-ce steps=5, apgd-ce steps=20"
    whole = run(net, x, y, "cascade", members=members)
    left = torch.arange(len(x))
    x_adv, broken_by = x.clone(), [None] * len(x)
    forwards = torch.zeros(len(x), dtype=torch.int64)
    for name, words in (("fgsm", {}), ("apgd-ce", {"steps": 5}), ("apgd-ce", {"steps": 20})):
        part = run(net, x[left], y[left], name, **words)
        forwards[left] += part.forwards + 1
        fooled = net(part.x_adv).argmax(1) != y[left]
        for row in left[fooled].tolist():
            broken_by[row] = name
        x_adv[left[fooled]] = part.x_adv[fooled]
        left = left[~fooled]
    assert torch.equal(whole.x_adv, x_adv)
    assert whole.broken_by == broken_by
    assert whole.forwards.tolist() == forwards.tolist()
    assert {"fgsm", "apgd-ce", None} == set(broken_by)


def test_autoattack_is_a_cascade(trained) -> None:
    net, x, y = trained.net, trained.x[:6], trained.y[:6]
    members = "apgd-ce steps=4, apgd-t steps=4, fab-t steps=4, square queries=9"
    listed = run(net, x, y, "cascade", members=members)
    named = run(net, x, y, "autoattack", steps=4, queries=9)
    assert torch.equal(listed.x_adv, named.x_adv)
    assert listed.broken_by == named.broken_by


def test_rows_say_which_member_broke_the_image(trained) -> None:
    model = bench.wrap(trained.net, num_classes=10, input_shape=(1, 8, 8))
    words = {"members": ["fgsm", "apgd-ce steps=20"]}
    rows = bench.attack(model, trained.x, trained.y, "cascade", norm="linf", eps="0.07", **words)
    broken_by = rows.rows["broken_by"]
    assert rows.rows["success"].tolist() == broken_by.notna().tolist()
    assert set(broken_by.dropna()) == {"fgsm", "apgd-ce"}
    alone = bench.attack(
        model, trained.x, trained.y, "fgsm", norm="linf", eps="0.07", toolkit="native"
    )
    assert alone.rows["broken_by"].isna().all()


@pytest.mark.parametrize("members", [TABLES, TEXTS, TEXT])
def test_a_suite_lists_members_as_tables_or_texts(tmp_path: Path, members: str) -> None:
    attacks = read_suite(tmp_path / "s.toml", SUITE.replace("MEMBERS", members)).attacks
    assert [attack.spec.eps for attack in attacks] == ["0.1", "0.2"]
    for attack in attacks:
        assert attack.spec.parameters == (
            (
                "members",
                WRITTEN,
            ),
        )


def test_what_is_written_is_read_again() -> None:
    text = "pgd random_start=false step_size=1/100, square p_init=0.5"
    members = read_members(text, "l2", "0.5")
    assert read_members(written(members), "l2", "0.5") == members
    assert dict(members[0].spec.parameters)["random_start"] is False
    assert [kit for _, kit in members] == ["art", "native"]


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ([], "list the attacks in order"),
        ("", "it has no name"),
        (7, "list the attacks in order"),
        ([{"steps": 3}], r"members\[1\]: it has no name"),
        (["fgsm", "apgd"], r"members\[2\]: no attack named 'apgd'"),
        (["pgd stepz=3"], "did you mean steps"),
        (["pgd steps"], "'steps' is not written as parameter=value"),
        (["pgd steps=few"], "'few' is not a whole number"),
        ([3], "3 is no table"),
        ([{"name": "fgsm", "eps": "0.1"}], "eps is that of the whole cascade"),
        (["deepfool"], "deepfool takes no eps"),
        (["universal"], "cannot be one of several"),
        (["adaptive"], "cannot be one of several"),
        (["cascade"], "has members itself"),
        (["pgd targeted=next"], "leave targets and goals out"),
        (["fgsm toolkit=foolbx"], "foolbx has no fgsm for linf"),
        (["apgd-ce toolkit=art eot=3"], "takes one gradient a step"),
    ],
)
def test_wrong_members_are_one_clear_line(members, says: str) -> None:
    with pytest.raises(SpecError, match=says) as caught:
        catalogue.resolve("cascade", "linf", "8/255", {"members": members})
    assert "\n" not in str(caught.value)


def test_what_a_member_needs_the_cascade_needs() -> None:
    spec = catalogue.resolve("cascade", "linf", "8/255", {"members": "fgsm, apgd-t"})
    assert unmet(spec, "native", (1, 8, 8), 4) is None
    assert "3 classes, 4 are needed" in str(unmet(spec, "native", (1, 8, 8), 3))


def test_passes_of_a_cascade_are_those_of_its_members() -> None:
    spec = catalogue.resolve("cascade", "l2", 1, {"members": "pgd steps=7, square queries=30"})
    assert passes("cascade", dict(spec.parameters), 10) == 37


def test_the_fast_cascade_leaves_square_at_a_look_where_gradients_are_sound(trained) -> None:
    x, y = trained.x[:5], trained.y[:5]
    spec = catalogue.resolve(
        "worst-case-fast", "linf", 1e-6, {"steps": 4, "targets": 2, "restarts": 2}
    )
    tried = run_attack(spec, "native", trained.net, Batch(x, y), num_classes=10, seed=0)
    # Two ascents of four steps on either loss and a look between them, a look for the ranks and an ascent to
    # each of two classes, four last looks, and a start of Square with at most a hundred squares.
    most = 2 * (2 * 5 + 1) + 1 + 2 * 5 + 4 + 101
    assert (tried.forwards <= most).all()
    assert (tried.forwards > most - 101).all()
    assert tried.backwards.tolist() == [6 * 4] * 5


class Stairs(nn.Module):
    """Four classes by brightness in steps, so that no gradient says where it changes."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        bright = ((x * 64).round() / 64).flatten(1).mean(1)
        others = [x.new_full((len(x),), low) for low in (-5.0, -6.0)]
        return torch.stack([0.5 - bright, bright - 0.5, *others], 1)


def test_the_fast_cascade_makes_all_of_square_where_there_is_no_gradient() -> None:
    x, y = torch.full((3, 1, 6, 6), 0.47), torch.zeros(3, dtype=torch.int64)
    tried = run(Stairs(), x, y, "worst-case-fast", classes=4, steps=4, queries=400)
    assert tried.broken_by == ["square"] * 3
    assert (Stairs()(tried.x_adv).argmax(1) == 1).all()


class Masked(nn.Module):
    """Four classes by brightness, with a gradient that points the wrong way."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        bright = x.flatten(1).mean(1)
        # The value of `bright` with the slope of its opposite.
        lying = 2 * bright.detach() - bright
        others = [x.new_full((len(x),), low) for low in (-5.0, -6.0)]
        return torch.stack([0.5 - lying, lying - 0.5, *others], 1)


def test_the_fast_cascade_makes_all_of_square_where_a_look_of_it_comes_nearer_than_gradients() -> (
    None
):
    x = torch.stack([torch.full((1, 6, 6), 0.49), torch.full((1, 6, 6), 0.4)])
    y, words = torch.zeros(2, dtype=torch.int64), {"steps": 4, "restarts": 1, "targets": 0}
    tried = run(Masked(), x, y, "worst-case-fast", classes=4, **words, queries=3000)
    assert tried.broken_by == ["square", None]
    # The look at the image that stands takes 108 passes at most; then come all other squares that there are.
    assert tried.forwards[1] > 108


def test_a_probe_knows_by_how_much_another_class_led() -> None:
    x = torch.tensor([0.1, 0.4]).view(2, 1, 1, 1)
    with attacked(Stairs(), x, 0) as probe:
        probe(x)
        assert probe.lead.isneginf().all()
        probe.labels = torch.tensor([0, 1])
        with probe.playing([1, 1, 0]):
            probe(torch.tensor([0.5, 0.25, 0.75]).view(3, 1, 1, 1))
        # Of class 1, which leads by twice the brightness less one: at best twice 0.25 less one, turned round.
        assert probe.lead.tolist() == [0.5, 0.5]
        with probe.playing([1]):
            probe(torch.zeros(1, 1, 1, 1))
        assert probe.lead.tolist() == [0.5, 1.0]
