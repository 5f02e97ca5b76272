import numpy as np
import pandas as pd
import pytest

from bench.measure.corruption_errors import corruption_errors
from bench.measure.statistics import wilson

VERSIONS = [("fog", 1), ("fog", 2), ("snow", 1), ("snow", 2)]

#: Of each of three images, whether the model gets each version right.
RIGHT = np.array([[1, 0, 1, 1], [1, 0, 0, 1], [1, 1, 0, 0]], dtype=bool)


def _correct(right=RIGHT, more=()):
    return pd.Series([*right.ravel(), *more])


def test_errors_of_each_corruption_and_severity_and_their_mean():
    found = corruption_errors(_correct(), VERSIONS)
    assert found.images == 3
    rows = found.frame[["corruption", "severity"]].itertuples(index=False, name=None)
    assert list(rows) == VERSIONS
    assert found.frame["error"].tolist() == pytest.approx([0, 2 / 3, 2 / 3, 1 / 3])
    assert found.mean == pytest.approx(5 / 12)
    assert found.interval == wilson(1, 3)


def test_images_of_which_versions_are_missing_do_not_count():
    whole = corruption_errors(_correct(), VERSIONS)
    more = corruption_errors(_correct(more=[False, False, False]), VERSIONS)
    assert (more.images, more.mean) == (3, whole.mean)
    assert corruption_errors(_correct(RIGHT[:1])[:3], VERSIONS) is None
    # Image 2 has no version 1 here: what comes after it stands at no known place.
    assert corruption_errors(_correct().drop(5), VERSIONS).images == 1


def test_rows_may_come_in_any_order():
    correct = _correct()
    turned = corruption_errors(correct.sample(frac=1, random_state=0), VERSIONS)
    assert turned.frame.equals(corruption_errors(correct, VERSIONS).frame)
