import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import SpecError
from bench.train.schedules import SHAPES, rate_share


@given(shape=st.sampled_from(sorted(SHAPES)), epochs=st.integers(1, 200))
def test_shares_begin_at_one_and_never_rise(shape, epochs):
    shares = [rate_share(shape, epoch, epochs) for epoch in range(epochs)]
    assert shares[0] == 1
    assert shares == sorted(shares, reverse=True)
    assert shares[-1] > 0


def test_shapes_by_hand():
    half = {name: rate_share(name, 5, 10) for name in SHAPES}
    expected = {"constant": 1, "linear": 0.5, "cosine": 0.5, "exponential": 0.2865, "step": 0.25}
    assert half == pytest.approx(expected, rel=1e-3)


def test_an_unknown_shape_is_said():
    with pytest.raises(SpecError, match="did you mean cosine"):
        rate_share("cosin", 0, 1)
