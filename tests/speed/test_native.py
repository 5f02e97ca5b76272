"""Our own attacks beside the toolkits': images a second on CIFAR-10, medians of paired runs.

Both sides go through `bench.attack` with the same words; each goes first in its turn.
"""

import math
import os
import statistics
import time

import pytest

import bench

pytestmark = [
    pytest.mark.speed,
    pytest.mark.skipif("BENCH_DATA" not in os.environ, reason="BENCH_DATA is not set"),
]

IMAGES, ONE_BY_ONE, ROUNDS = 100, 10, 5
FASTER_THAN_FOOLBOX = 3
FASTER_THAN_TORCHATTACKS = 20
#: Of SparseFool: ours succeeds on this share, torchattacks' on less; and the median of pixels changed.
SUCCESS, THEIRS_BELOW, PIXELS = 0.99, 0.99, 0.015 * 32 * 32
TINY = {
    "IMAGES": 4, "ONE_BY_ONE": 1, "ROUNDS": 1, "FASTER_THAN_FOOLBOX": 0, "FASTER_THAN_TORCHATTACKS": 0,
    "SUCCESS": 0, "THEIRS_BELOW": math.inf, "PIXELS": math.inf,
}  # fmt: skip


@pytest.fixture(scope="module")
def cnn():
    """Return the model and images that it gets right."""
    model = bench.load_model("cifar10/cnn")
    x, y = bench.load_data("cifar10", images=130)
    right = model.predict(x).labels == y
    return model, x[right][:IMAGES], y[right][:IMAGES]


def rate(cnn, count, name, norm, toolkit):
    """Return images a second, and the rows."""
    model, x, y = cnn
    began = time.perf_counter()
    rows = bench.attack(model, x[:count], y[:count], name, norm=norm, toolkit=toolkit).rows
    return count / (time.perf_counter() - began), rows


def paired(benchmark, ours, theirs):
    """Return the median of our rate over theirs, and the last rows of both."""
    ratios, rows = [], {}

    def turn():
        mine_first = len(ratios) % 2 == 0
        for mine in (mine_first, not mine_first):
            rows[mine] = (ours if mine else theirs)()
        ratios.append(rows[True][0] / rows[False][0])

    benchmark.pedantic(turn, rounds=ROUNDS)
    ratio = statistics.median(ratios)
    benchmark.extra_info["ours / theirs"] = round(ratio, 2)
    print(f"\nours / theirs {ratio:.1f} ({', '.join(f'{r:.1f}' for r in sorted(ratios))})")
    return ratio, rows[True][1], rows[False][1]


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_deepfool_is_faster_than_foolbox(benchmark, cnn, norm):
    ratio, ours, theirs = paired(
        benchmark,
        lambda: rate(cnn, IMAGES, "deepfool", norm, "native"),
        lambda: rate(cnn, IMAGES, "deepfool", norm, "foolbox"),
    )
    assert ratio >= FASTER_THAN_FOOLBOX
    assert ours[norm].median() == pytest.approx(theirs[norm].median(), rel=1e-4)
    assert ours.success.all()


def test_sparsefool_is_faster_than_torchattacks(benchmark, cnn):
    """It takes one image at a time, so ten of them say what it does a second."""
    ratio, ours, theirs = paired(
        benchmark,
        lambda: rate(cnn, IMAGES, "sparsefool", "l0", "native"),
        lambda: rate(cnn, ONE_BY_ONE, "sparsefool", "l0", "torchattacks"),
    )
    assert ratio >= FASTER_THAN_TORCHATTACKS
    assert ours.success.mean() >= SUCCESS
    assert theirs.success.mean() < THEIRS_BELOW
    assert ours.l0[ours.success].median() <= PIXELS
