from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bench.errors import AttackError
from bench.measure.norms import distances

PAIRS = hnp.array_shapes(min_dims=4, max_dims=4, max_side=4).flatmap(
    lambda shape: st.tuples(
        *[hnp.arrays(np.float32, shape, elements=st.sampled_from([0, 0.1, 0.5, 1]))] * 2
    )
)


@given(PAIRS)
def test_against_numpy(pair: tuple[np.ndarray, np.ndarray]) -> None:
    x, x_adv = pair
    found = distances(torch.from_numpy(x), torch.from_numpy(x_adv))
    for i in range(len(x)):
        d = x_adv[i].astype(np.float64) - x[i].astype(np.float64)
        assert found["l0"][i] == np.any(d != 0, axis=0).sum()
        assert found["l1"][i] == pytest.approx(np.linalg.norm(d.ravel(), 1), rel=1e-12)
        assert found["l2"][i] == pytest.approx(np.linalg.norm(d.ravel(), 2), rel=1e-12)
        assert found["linf"][i] == np.linalg.norm(d.ravel(), np.inf)
    assert {value.dtype for value in found.values()} == {torch.float64}


def test_l0_counts_positions_not_channels() -> None:
    x = torch.zeros(1, 3, 2, 2)
    x_adv = x.clone()
    x_adv[0, :, 0, 1] = 1
    x_adv[0, 2, 1, 1] = 1
    assert distances(x, x_adv)["l0"].tolist() == [2]


def test_sums_in_float64() -> None:
    # 3072 differences of 1/255: float32 sums are off by 1e-4, a hundred times the judge's slack.
    x = torch.zeros(1, 3, 32, 32)
    x_adv = torch.full_like(x, 1 / 255)
    step = float(torch.tensor(1 / 255))
    assert distances(x, x_adv)["l1"].item() == pytest.approx(3072 * step, rel=1e-14)


def test_nan_is_not_a_distance_of_zero() -> None:
    x = torch.zeros(2, 1, 2, 2)
    x_adv = x.clone()
    x_adv[0, 0, 0, 0] = torch.nan
    found = distances(x, x_adv)
    for norm in ("l1", "l2", "linf"):
        assert found[norm][0].isnan()
        assert found[norm][1] == 0


def test_shapes_must_match() -> None:
    with pytest.raises(AttackError, match="shape"):
        distances(torch.zeros(2, 1, 4, 4), torch.zeros(2, 1, 4, 5))
