"""Smoothing: linear models whose exact radius is a distance, a network of known shares, and ART."""

import math

import numpy as np
import oracles
import pytest
import torch
from art.estimators.certification.randomized_smoothing import PyTorchRandomizedSmoothing
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, binomtest, norm
from torch import nn

from bench.adapters.certificates import lower_bound, radius
from bench.adapters.losses import per_image_loss
from bench.adapters.noise import DRAWS, Noise
from bench.adapters.smoothed import smooth
from bench.errors import SpecError
from bench.spec import Adapter, Certifier, ModelSpec


def spec(classes=2, shape=oracles.SHAPE):
    return ModelSpec(
        name="toy", family="network", data="toy", input_shape=shape, num_classes=classes
    )


class Slices(nn.Module):
    """Three classes by the first pixel: one below 0.4, another from 0.6, the third between."""

    def forward(self, x):
        pixel = x[:, 0, 0, 0]
        return torch.stack([0.4 - pixel, pixel - 0.6, 0.5 * (pixel > 0.4) * (pixel < 0.6)], 1)


def shares(pixel, sigma):
    """Return the probabilities of the classes of `Slices` under noise."""
    low, high = norm.cdf((0.4 - pixel) / sigma), norm.cdf((0.6 - pixel) / sigma)
    return [low, 1 - high, high - low]


def slices(pixel, count):
    """Return images alike in their first pixel, which alone counts, and different elsewhere."""
    x = torch.rand(count, 1, 1, 2, generator=torch.Generator().manual_seed(0))
    x[..., 0] = pixel
    return x


SLICED = spec(3, (1, 1, 2))


def small_net():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(),
        nn.Linear(16, 3),
    )  # fmt: skip


SMALL = spec(3, (1, 4, 4))


def test_it_is_an_adapter_that_certifies():
    model = smooth(SMALL, small_net(), 0.25)
    assert isinstance(model, Adapter)
    assert isinstance(model, Certifier)
    assert model.spec.family == "smoothed"
    assert list(model.surfaces()) == ["expected", "one-draw", "base"]


def test_votes_are_the_shares_of_noisy_copies():
    sigma, n = 0.2, 5000
    model = smooth(SLICED, Slices(), sigma, n=n)
    scores = model.predict(slices(0.55, 4)).scores.double()
    truth = torch.tensor(shares(0.55, sigma))
    assert ((scores - truth).abs() < 5 * (truth * (1 - truth) / n).sqrt()).all()
    assert len(scores.unique(dim=0)) == 4  # other images have other noise


@pytest.mark.parametrize("pixel", [0.58, 0.62, 0.3])
def test_a_decision_is_another_than_the_likeliest_class_no_more_often_than_alpha(pixel):
    sigma, alpha, count = 0.3, 0.1, 400
    model = smooth(SLICED, Slices(), sigma, n=50, alpha=alpha)
    labels = model.predict(slices(pixel, count)).labels
    right = int(np.argmax(shares(pixel, sigma)))
    wrong = int(((labels != right) & (labels >= 0)).sum())
    assert wrong <= binom.ppf(0.9999, count, alpha)
    if pixel != 0.3:
        assert (labels < 0).any()  # near the boundary of two classes it abstains
    else:
        assert (labels == right).float().mean() > 0.5


@pytest.mark.parametrize("pixel", [0.35, 0.8])
def test_bounds_cover_the_true_share_and_certificates_the_true_radius(pixel):
    sigma, alpha, count = 0.3, 0.1, 400
    model = smooth(SLICED, Slices(), sigma)
    labels, radii = model.certify(slices(pixel, count), n0=20, n=100, alpha=alpha)
    truth = shares(pixel, sigma)
    best = int(np.argmax(truth))
    top = radius(np.array([truth[best]]), sigma)[0]
    over = int(((radii > top) & (labels == best)).sum()) + int(
        ((labels != best) & (labels >= 0)).sum()
    )
    assert over <= binom.ppf(0.9999, count, alpha)
    assert over >= count * alpha / 5  # the bound is not idle
    assert (radii[labels < 0] == 0).all()
    assert (radii[labels >= 0] > 0).all()


def test_certificates_of_a_linear_model_are_its_distances():
    wanted, sigma, n, alpha = [0.05, 0.1, 0.2, 0.4], 0.25, 20_000, 0.001
    net, x, y = oracles.two_classes("l2", wanted)
    labels, radii = smooth(spec(), net, sigma).certify(x, n0=500, n=n, alpha=alpha)
    assert torch.equal(labels, y)
    truth = oracles.distances(net, x, y, "l2").numpy()
    np.testing.assert_allclose(truth, wanted, rtol=1e-4)
    assert (radii.numpy() <= truth).all()
    # Where the true share is, votes vary as a binomial does, and the bound with them.
    votes = binom.ppf([[1e-5], [1 - 1e-5]], n, norm.cdf(truth / sigma)).astype(int)
    low, high = radius(lower_bound(votes, n, alpha), sigma)
    assert ((low <= radii.numpy()) & (radii.numpy() <= high)).all()


def test_certificates_of_a_linear_model_exceed_its_distance_no_more_often_than_alpha():
    alpha, wanted = 0.1, np.linspace(0.05, 0.3, 300).tolist()
    net, x, y = oracles.two_classes("l2", wanted)
    labels, radii = smooth(spec(), net, 0.25).certify(x, n=100, alpha=alpha)
    over = int((radii.numpy() > np.array(wanted)).sum() + ((labels != y) & (labels >= 0)).sum())
    assert over <= binom.ppf(0.9999, len(x), alpha)


def test_it_agrees_with_art(monkeypatch):
    net, x, _ = oracles.ten_classes(12)
    net.eval()
    sigma, n = 0.04, 2000
    theirs = PyTorchRandomizedSmoothing(
        model=net, loss=nn.CrossEntropyLoss(), input_shape=oracles.SHAPE, nb_classes=10,
        sample_size=200, scale=sigma, alpha=0.001, device_type="cpu",
    )  # fmt: skip
    monkeypatch.setattr(  # the same bound by another library, which need not be installed
        theirs, "_lower_confidence_bound",
        lambda hits, total: binomtest(int(hits), int(total), alternative="greater")
        .proportion_ci(0.999, "exact").low,
    )  # fmt: skip
    np.random.seed(0)
    their_labels, their_radii = theirs.certify(x.numpy(), n=n, batch_size=n)
    decided = theirs.predict(x.numpy(), batch_size=200)
    ours = smooth(spec(10), net, sigma, n=200)
    labels, radii = ours.certify(x, n0=200, n=n)
    assert (radii > 0).sum() >= 5
    both = (radii.numpy() > 0) & (their_radii > 0)
    assert (labels.numpy() == their_labels)[both].all()
    # Two bounds from n draws each differ by the errors of both; near a half these are the largest.
    share = norm.cdf(radii.numpy() / sigma)
    error = sigma * np.sqrt(2 * share * (1 - share) / n) / norm.pdf(radii.numpy() / sigma)
    assert (np.abs(radii.numpy() - their_radii) <= 5 * error).all()
    said, sure = ours.predict(x).labels.numpy(), radii.numpy() > sigma / 2
    assert sure.any()
    assert (said == decided.argmax(1))[sure].all()


@settings(max_examples=15)
@given(st.permutations(range(7)), st.integers(1, 7))
def test_decisions_depend_on_neither_batch_nor_order(order, size):
    model = smooth(SMALL, small_net(), 0.3, n=60)
    x = torch.rand(7, 1, 4, 4, generator=torch.Generator().manual_seed(3))
    whole, (labels, radii) = model.predict(x), model.certify(x, n0=20, n=700, alpha=0.01)
    torch.rand(5)  # nor on what was drawn before
    order = torch.tensor(order)
    parts = torch.split(x[order], size)
    assert torch.equal(
        torch.cat([model.predict(part).scores for part in parts]), whole.scores[order]
    )
    found = [model.certify(part, n0=20, n=700, alpha=0.01) for part in parts]
    assert torch.equal(torch.cat([one.labels for one in found]), labels[order])
    assert torch.equal(torch.cat([one.radii for one in found]), radii[order])


def test_neither_the_global_generator_nor_modes_nor_statistics_are_touched():
    net = small_net().train()
    before, running = torch.get_rng_state(), net[1].running_mean.clone()
    model = smooth(SMALL, net, 0.3)
    x = torch.rand(2, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    model.predict(x)
    model.certify(x, n=100)
    model.gradient(x, torch.tensor([0, 1]))
    assert torch.equal(torch.get_rng_state(), before)
    assert net.training
    assert torch.equal(net[1].running_mean, running)


@pytest.mark.parametrize(("surface", "draws"), [("expected", DRAWS), ("one-draw", 1)])
def test_surfaces_are_the_mean_over_their_draws(surface, draws):
    net = small_net().eval()
    model = smooth(SMALL, net, 0.2)
    x, y = torch.rand(3, 1, 4, 4), torch.tensor([0, 1, 2])
    noise = model.noise.draws(x, f"{draws} climbed", draws)
    seen = x.clone().requires_grad_()
    mean = torch.stack([net(seen + noise[turn]).softmax(1) for turn in range(draws)]).mean(0)
    torch.testing.assert_close(model.surfaces()[surface](x), mean.log())
    (wanted,) = torch.autograd.grad(per_image_loss(mean.log(), y, "ce").sum(), seen)
    torch.testing.assert_close(model.gradient(x, y, surface=surface), wanted)


def test_the_base_has_no_noise_and_the_default_is_the_expected_gradient():
    net = small_net().eval()
    model = smooth(SMALL, net, 0.2)
    x, y = torch.rand(3, 1, 4, 4), torch.tensor([0, 1, 2])
    assert torch.equal(model.surfaces()["base"](x), net(x))
    assert torch.equal(model.gradient(x, y), model.gradient(x, y, surface="expected"))
    with pytest.raises(SpecError, match="expected, one-draw, base"):
        model.gradient(x, y, surface="network")


def test_noise_is_gaussian_and_other_for_each_purpose_and_seed():
    image = torch.rand(1, 20, 20)
    drawn = torch.cat(list(Noise(sigma=0.3).blocks(image, "vote", 700)))
    assert drawn.shape == (700, 1, 20, 20)
    assert abs(float(drawn.mean())) < 5 * 0.3 / math.sqrt(drawn.numel())
    assert float(drawn.std()) == pytest.approx(0.3, rel=0.01)
    assert len(drawn.flatten(1).unique(dim=0)) == 700
    for other in (Noise(sigma=0.3, seed=1).draws(image[None], "vote", 1),
                  Noise(sigma=0.3).draws(image[None], "estimate", 1)):  # fmt: skip
        assert not torch.allclose(other[0, 0], drawn[0])


def test_the_fingerprint_follows_weights_and_every_setting():
    def made(net=None, **settings):
        return smooth(SMALL, net or small_net(), **{"sigma": 0.25, **settings}).fingerprint()

    first = made()
    assert first == made()
    changed = small_net()
    with torch.no_grad():
        changed[0].weight[0, 0, 0, 0] += 1e-3
    others = [made(changed), made(sigma=0.5), made(n=200), made(alpha=0.01), made(seed=1)]
    assert len({first, *others}) == 6


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"sigma": 0}, "sigma=0 is not"),
        ({"sigma": "wide"}, "sigma='wide' is not"),
        ({"n": 0}, "n=0 is not a whole number"),
        ({"n": 1.5}, "n=1.5 is not a whole number"),
        ({"alpha": 1}, "alpha=1 is not a number between"),
        ({"alpha": True}, "alpha=True is not a number between"),
    ],
)
def test_wrong_settings_are_said(settings, words):
    with pytest.raises(SpecError, match=words):
        smooth(SMALL, small_net(), **{"sigma": 0.25, **settings})


def test_wrong_words_of_a_certificate_are_said():
    model = smooth(SMALL, small_net(), 0.25)
    with pytest.raises(SpecError, match="n0=0 is not"):
        model.certify(torch.rand(1, 1, 4, 4), n0=0)


def test_a_model_that_is_never_sure_abstains_and_guarantees_nothing():
    class Coin(nn.Module):
        def forward(self, x):
            return torch.stack([x[:, 0, 0, 0], -x[:, 0, 0, 0]], 1)

    model = smooth(spec(2, (1, 1, 2)), Coin(), 0.5)
    x = torch.zeros(20, 1, 1, 2)
    x[:, 0, 0, 1] = torch.linspace(0, 1, 20)
    assert (model.predict(x).labels == -1).all()
    labels, radii = model.certify(x, n=200)
    assert (labels == -1).all()
    assert (radii == 0).all()


def test_too_few_copies_to_decide_or_certify_anything_are_refused():
    net = small_net()
    with pytest.raises(SpecError, match=r"n=10 noisy copies are too few: at alpha=0\.001 no image can be "
                       "decided with fewer than 11"):  # fmt: skip
        smooth(SMALL, net, 0.3, n=10)
    model = smooth(SMALL, net, 0.3, n=11)
    x = torch.rand(1, *SMALL.input_shape)
    with pytest.raises(SpecError, match="no image can be certified with fewer than 10"):
        model.certify(x, n=9)
    assert len(model.certify(x, n=10).radii) == 1
