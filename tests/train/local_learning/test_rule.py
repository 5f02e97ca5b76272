"""The local rule: against a loop over its equation, its fixed points, and its deaths."""

import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.data.datasets import load
from bench.errors import TrainingFailed
from bench.train.local_learning.rule import (
    FilterShape,
    Update,
    f_score,
    learn_filters,
    rule_update,
    stepped,
    unit_patches,
)
from bench.train.recipe import LocalRule

QUICK = LocalRule(m=2, rate=0.5, shape="constant", epochs=3, batch_size=200)


@pytest.fixture(scope="module")
def digits():
    return load("digits", "train").first(200)


def looped(filters, patches, p, m, delta):
    """Return what equation 4.7 adds to each filter at rate 1, patch by patch, and how often."""
    total, counts = torch.zeros_like(filters), [0] * len(filters)
    for v in patches:
        activity = [float((w.abs() ** (p - 2) * w * v).sum()) for w in filters]
        order = sorted(range(len(filters)), key=lambda k: -activity[k])
        for k, g in ((order[0], 1.0), (order[m - 1], -delta)):
            total[k] += g * (v - activity[k] * filters[k])
            counts[k] += 1
    return total, counts


@pytest.mark.parametrize("p", [2, 3, 4, 5, 6])
@settings(max_examples=12)
@given(
    m=st.integers(2, 6), seed=st.integers(0, 10_000), delta=st.floats(0, 1), width=st.integers(1, 3)
)
def test_the_update_is_that_of_a_loop_over_patches(p, m, seed, delta, width):
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(3, 2, 4, 4, generator=generator)
    patches = unit_patches(images, width, p, 0, generator)
    filters = torch.randn(6, 2 * width**2, generator=generator)
    update = rule_update(filters, patches, p=p, m=m, delta=delta)
    total, counts = looped(filters.double(), patches.double(), p, m, delta)
    assert torch.allclose(update.total.double(), total, rtol=1e-3, atol=1e-3)
    assert update.counts.tolist() == counts


@pytest.mark.parametrize("p", [2, 5])
def test_a_step_is_the_mean_over_the_patches_that_move_a_filter(p):
    torch.manual_seed(0)
    patches = unit_patches(torch.rand(4, 1, 5, 5), 3, p, 0, torch.Generator())
    filters = 0.3 * torch.randn(5, 9)
    total, counts = looped(filters, patches, p, 3, 0.2)
    found = stepped(filters, rule_update(filters, patches, p=p, m=3, delta=0.2), 0.1)
    for k, count in enumerate(counts):
        assert torch.allclose(found[k], filters[k] + 0.1 * total[k] / max(count, 1), atol=1e-5)


def test_a_step_of_a_filter_far_too_long_does_not_overshoot():
    patches = unit_patches(torch.rand(4, 1, 5, 5), 3, 4, 0, torch.Generator())
    filters = torch.stack([torch.full((9,), 30.0), torch.full((9,), 0.1)])
    found = stepped(filters, rule_update(filters, patches, p=4, m=2, delta=0.1), 0.5)
    assert found[0].tolist() == pytest.approx([15.0] * 9, rel=1e-2)


@pytest.mark.parametrize(("pull", "growth"), [(-1000.0, 0.5 / 1000), (-2.0, 0.25), (-0.5, 0.25)])
def test_a_filter_that_is_only_pushed_grows_the_less_the_longer_it_is(pull, growth):
    filters = torch.full((1, 4), 7.0)
    pushed = Update(-pull * 3 * filters, torch.tensor([3 * pull]), torch.tensor([3]))
    found = stepped(filters, pushed, 0.5)
    torch.testing.assert_close(found, filters * (1 + growth))


@settings(max_examples=20)
@given(p=st.integers(2, 6), count=st.integers(0, 30), width=st.integers(1, 4))
def test_patches_have_unit_norm_and_dark_ones_are_left_out(p, count, width):
    generator = torch.Generator().manual_seed(count)
    images = torch.rand(3, 2, 5, 6, generator=generator)
    images[1] = 0
    patches = unit_patches(images, width, p, count, generator)
    places = (6 - width) * (7 - width)
    assert patches.shape == (2 * (count if 0 < count < places else places), 2 * width**2)
    assert torch.allclose(patches.norm(p, dim=1), torch.ones(len(patches)), atol=1e-5)
    windows = images.unfold(2, width, 1).unfold(3, width, 1)[0].flatten(1, 2).flatten(2)
    mine = windows.transpose(0, 1).flatten(1)
    near = torch.cdist(
        patches[: len(patches) // 2][:5], mine / mine.norm(p, dim=1, keepdim=True)
    ).amin(1)
    assert near.max() < 1e-3


def test_nothing_but_dark_patches_moves_nothing(digits):
    dark = dataclasses.replace(digits, raw=torch.zeros_like(digits.raw))
    filters = learn_filters(QUICK, dark, FilterShape(K=2, w=3, p=2), seed=3).flatten(1)
    first = torch.randn(4, 9, generator=torch.Generator().manual_seed(3))
    assert filters.equal(first)


def test_the_f_score_counts_positive_filters_of_unit_norm():
    filters = torch.full((5, 4), 0.5)
    assert f_score(filters, 2) == 1
    filters[0, 0] = -0.5  # of unit norm, but not positive
    filters[1] *= 1 + 1e-5  # positive, but too long
    filters[2] *= 1 + 2e-7  # within the tolerance
    filters[3, 1] = 0  # not positive, nor of unit norm
    assert f_score(filters, 2) == pytest.approx(2 / 5)
    assert f_score(torch.full((3, 4), 0.25 ** (1 / 3)), 3) == 1
    assert f_score(filters, 3) == 0


@pytest.mark.parametrize("p", [2, 3])
def test_filters_tend_to_unit_norm(digits, p):
    rule = dataclasses.replace(QUICK, rate=1.0, epochs=40)
    filters = learn_filters(rule, digits, FilterShape(K=3, w=4, p=p), seed=0).flatten(1)
    off = (filters.norm(p, dim=1) - 1).abs()
    assert off.median() < 1e-2
    assert (filters > 0).all(1).any()


def test_the_same_seed_gives_the_same_filters(digits):
    some = dataclasses.replace(QUICK, patches=5, batch_size=50)
    first, again, other = (
        learn_filters(some, digits, FilterShape(K=2, w=3, p=2), seed=s) for s in (1, 1, 2)
    )
    assert first.shape == (4, 1, 3, 3)
    assert first.equal(again)
    assert not first.equal(other)


def test_each_epoch_is_told(digits):
    seen = []
    filters = learn_filters(
        QUICK, digits, FilterShape(K=2, w=3, p=2), seed=0, watch=lambda *one: seen.append(one)
    )
    assert [epoch.number for epoch, _ in seen] == [1, 2, 3]
    assert seen[-1][1].view(4, 1, 3, 3).equal(filters)
    assert seen[-1][0].f_score == f_score(filters.flatten(1), 2)
    assert seen[0][0].line().startswith("filters, epoch 1/3, f ")


def test_the_blue_wall_is_said_and_ends_the_training(digits, monkeypatch):
    first = -torch.rand(25, 16)
    first[0] = 1  # wins every patch, and the others are never drawn to any
    monkeypatch.setattr(torch, "randn", lambda *shape, generator: first)
    seen = []
    with pytest.raises(
        TrainingFailed,
        match=r"epoch 1 of 3: the blue wall of death: 96% of .* smaller delta than 0.1",
    ):
        learn_filters(
            QUICK, digits, FilterShape(K=5, w=4, p=2), seed=0, watch=lambda *one: seen.append(one)
        )
    assert not seen


def test_filters_that_are_no_numbers_end_the_training(digits):
    wild = dataclasses.replace(QUICK, rate=1e30, epochs=30)
    seen = []
    with pytest.raises(
        TrainingFailed, match=r"epoch \d+ of 30: filters are not finite any more at rate 1e\+30"
    ):
        learn_filters(
            wild, digits, FilterShape(K=2, w=3, p=4), seed=0, watch=lambda *one: seen.append(one)
        )
    assert len(seen) < 29
