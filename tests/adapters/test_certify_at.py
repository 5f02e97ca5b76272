"""Certificates at given radii: against those of all copies, closed forms, and their own copies."""

import numpy as np
import oracles
import pytest
import torch
from scipy.stats import binom, norm
from torch import nn

from bench.adapters.smoothed import smooth
from bench.errors import SpecError
from bench.spec import ModelSpec, SequentialCertifier

SIGMA, SHAPE = 0.25, (3, 8, 8)
TWO = ModelSpec(name="toy", family="network", data="toy", input_shape=SHAPE, num_classes=2)
RADII = (0.05, 0.2, 0.4)


def linear(distances):
    """Return a smoothed linear model and images at these distances from its boundary."""
    net, x, y = oracles.two_classes("l2", list(distances), SHAPE)
    return smooth(TWO, net, SIGMA), x, y


def test_a_smoothed_model_certifies_at_radii():
    assert isinstance(linear([0.1])[0], SequentialCertifier)


def test_clear_images_are_certified_at_the_largest_radius_within_their_distance_from_few_copies():
    model, x, y = linear([0.15, 0.3, 0.35, 0.5, 0.6])
    labels, radii, copies = model.certify_at(x, RADII, n=2000)
    assert torch.equal(labels, y)
    np.testing.assert_allclose(radii, np.array([0.05, 0.2, 0.2, 0.4, 0.4]) + 1e-6)
    assert (copies <= 2100).all()
    assert copies[-1] < 500


def test_the_share_certified_is_that_of_all_copies():
    distances = np.abs(np.random.default_rng(0).normal(0.35, 0.25, 200)).clip(0, 0.6)
    model, x, _ = linear(distances)
    radii = (0.1, 0.3)
    _, all_copies = model.certify(x, n=1000)
    found = model.certify_at(x, radii, n=1000)
    for radius in (0, *radii):
        fixed, ended = int((all_copies > radius).sum()), int((found.radii > radius).sum())
        assert 0 < fixed < 200
        assert abs(fixed - ended) <= 1  # half a point
    assert found.copies.double().mean() <= 550  # half of all


def test_a_radius_beyond_the_distance_is_certified_no_more_often_than_alpha():
    alpha, count = 0.1, 300
    model, x, y = linear([0.1] * (count // 2) + [0.2 - 1e-3] * (count // 2))
    labels, radii, _ = model.certify_at(x, (0.1, 0.2), n=120, alpha=alpha)
    truth = torch.tensor([0.1] * (count // 2) + [0.2 - 1e-3] * (count // 2))
    wrong = int(((radii > truth) | ((labels != y) & (labels >= 0))).sum())
    assert count * alpha / 10 <= wrong <= binom.ppf(0.9999, count, alpha)


def test_certificates_depend_on_neither_the_batch_nor_the_order_nor_the_radii_order():
    model, x, _ = linear(np.linspace(0.01, 0.6, 12))
    whole = model.certify_at(x, RADII, n=400)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(0))
    parts = [model.certify_at(part, RADII[::-1], n=400) for part in torch.split(x[order], 5)]
    for column in range(3):
        assert torch.equal(torch.cat([part[column] for part in parts]), whole[column][order])


class Seen(nn.Module):
    """A network that keeps the copies it is asked about."""

    def __init__(self, inner):
        super().__init__()
        self.inner, self.copies = inner, []

    def forward(self, x):
        self.copies.append(x.clone())
        return self.inner(x)


def test_the_copies_are_the_first_of_those_that_all_copies_are():
    net, x, _ = oracles.two_classes("l2", [0.12], SHAPE)
    asked = Seen(net)
    model = smooth(TWO, asked, SIGMA)
    model.certify(x, n0=20, n=1000)
    every, asked.copies = torch.cat(asked.copies), []
    copies = int(model.certify_at(x, (0.1,), n0=20, n=1000).copies)
    assert len(torch.cat(asked.copies)) == copies < 1020
    assert max(map(len, asked.copies)) <= 100
    assert torch.equal(torch.cat(asked.copies), every[:copies])


def test_where_nothing_is_sure_nothing_is_certified():
    net, x, _ = oracles.two_classes("l2", [1e-6] * 20, SHAPE)
    labels, radii, copies = smooth(TWO, net, SIGMA).certify_at(x, RADII, n=200)
    assert (labels == -1).all()
    assert (radii == 0).all()
    assert (copies <= 300).all()


def test_radii_of_zero_ask_only_whether_an_image_is_certified():
    model, x, y = linear([0.3])
    found = model.certify_at(x, ())
    assert torch.equal(found.labels, y)
    assert float(found.radii) == pytest.approx(1e-6)
    # Phi(0.3 / 0.25) = 0.885: twenty copies suffice for the class, forty for its share.
    assert norm.cdf(1.2) > 0.88
    assert int(found.copies) <= 80


@pytest.mark.parametrize("radii", [(0,), (-1.0,), (float("inf"),), (float("nan"),), (True,)])
def test_wrong_radii_are_said(radii):
    model, x, _ = linear([0.3])
    with pytest.raises(SpecError, match="not a number above 0"):
        model.certify_at(x, radii)


def test_too_few_copies_are_refused_as_by_certify():
    model, x, _ = linear([0.3])
    with pytest.raises(SpecError, match="set n=10 or more"):
        model.certify_at(x, RADII, n=9)


@pytest.mark.parametrize("radii", [0.25, "0.25", ["0.25"], [True]])
def test_radii_that_are_no_list_of_numbers_are_refused(radii):
    model, x, _ = linear([0.3])
    with pytest.raises(SpecError, match=r"list of numbers|not a number above 0"):
        model.certify_at(x, radii)
