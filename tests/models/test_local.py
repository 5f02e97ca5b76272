"""The convolution of local learning: against a loop over patches, and its gradients."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.models.local import (
    ACTIVATIONS,
    LocalConv,
    PlainConv,
    Steep,
    TwoLayers,
    patch_norms,
    two_layers,
)

POWERS = [2, 3, 4, 5, 6]


@settings(max_examples=15)
@given(
    p=st.sampled_from(POWERS),
    width=st.integers(1, 4),
    channels=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_activations_are_those_of_a_loop_over_patches(p, width, channels, seed):
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(2, channels, 5, 6, generator=generator)
    filters = torch.randn(3, channels, width, width, generator=generator)
    found = LocalConv(filters, p)(x).detach()
    assert found.shape == (2, 3, 6 - width, 7 - width)
    for image, k, row, column in torch.cartesian_prod(*(torch.arange(n) for n in found.shape)):
        patch = x[image, :, row : row + width, column : column + width].double()
        own = filters[k].double()
        expected = (own.abs() ** (p - 2) * own * patch / (patch**p).sum() ** (1 / p)).sum()
        assert float(found[image, k, row, column]) == pytest.approx(
            float(expected), rel=1e-4, abs=1e-5
        )


@pytest.mark.parametrize("p", POWERS)
def test_gradients_agree_with_finite_differences(p):
    torch.manual_seed(p)
    conv = LocalConv(torch.randn(4, 2, 3, 3), p).double().requires_grad_(False)
    x = (0.1 + 0.9 * torch.rand(1, 2, 5, 5, dtype=torch.float64)).requires_grad_()
    assert torch.autograd.gradcheck(conv, x)


@pytest.mark.parametrize("p", POWERS)
def test_dark_patches_have_no_activation_and_finite_gradients(p):
    conv = LocalConv(torch.randn(4, 1, 3, 3), p)
    x = torch.zeros(1, 1, 8, 8)
    x[0, 0, :3, 0] = torch.tensor(
        [1.0, 1e-4, 0.0]
    )  # some patches are dark, others have dark pixels
    x.requires_grad_()
    found = conv(x)
    found.sum().backward()
    assert (found[..., 1:] == 0).all()
    assert (found[0, :, 0, 0] != 0).all()
    assert x.grad.isfinite().all()
    assert (conv(torch.zeros(1, 1, 8, 8)) == 0).all()


def test_activations_of_unit_filters_are_at_most_one():
    x, filters = torch.rand(5, 3, 8, 8), torch.rand(9, 3, 4, 4)
    for p in POWERS:
        unit = filters / filters.flatten(1).norm(p, dim=1).view(-1, 1, 1, 1)
        assert LocalConv(unit, p)(x).max() <= 1 + 1e-5
        assert patch_norms(x, 4, p).shape == (5, 1, 5, 5)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("n", [1, 4, 50])
def test_steep_activations(activation, n):
    x = torch.tensor([-100.0, -0.5, 0.0, 0.5, 1.0], requires_grad=True)
    found = Steep(activation, n)(x)
    found.sum().backward()
    plain = ACTIVATIONS[activation](x.detach())
    assert found.tolist() == pytest.approx((plain.double() ** n).tolist(), rel=1e-4, abs=1e-30)
    assert x.grad.isfinite().all()
    if activation == "rexp":
        assert plain.tolist() == pytest.approx([0, 0, 0, 0.6487213, 1.7182818])


@pytest.mark.parametrize("rule", ["ll", "bp"])
def test_the_network_gives_logits(rule):
    net = two_layers(
        (3, 12, 10), 7, TwoLayers(rule=rule, K=2, w=3, n=2, pool=3, activation="elu", p=3)
    )
    assert net(torch.rand(5, 3, 12, 10)).shape == (5, 7)
    assert isinstance(net[0][0], LocalConv if rule == "ll" else PlainConv)
    assert "filters=(4, 3, 3, 3)" in repr(net)
    assert "elu, n=2" in repr(net)
