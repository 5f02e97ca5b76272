"""How many images go through a model at once."""

import pytest

from bench.adapters.passes import images_at_once


@pytest.mark.parametrize(
    ("shape", "count"),
    [((3, 32, 32), 500), ((1, 8, 8), 500), ((3, 128, 128), 31), ((3, 4000, 4000), 1)],
)
def test_of_large_images_fewer_go_at_once(shape, count):
    assert images_at_once(shape) == count
