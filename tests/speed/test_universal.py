"""Universal perturbations beside ART's on CIFAR-10: time of a fit, and fooling of unseen images."""

import os
import time

import pytest

import bench

pytestmark = [
    pytest.mark.speed,
    pytest.mark.skipif("BENCH_DATA" not in os.environ, reason="BENCH_DATA is not set"),
]

FIT = 300
PASSES = 3
FASTER_THAN_ART = 10


@pytest.fixture(scope="module")
def cnn():
    """Return the model, images to fit on and images to fool."""
    seen = bench.load_data("cifar10", split="train", images=FIT)
    return bench.load_model("cifar10/cnn"), seen, bench.load_data("cifar10", images=500)


def fitted(cnn, norm, eps, toolkit, **words):
    """Return the CPU seconds of a fit, and the share of unseen images that fall to it."""
    model, seen, (x, y) = cnn
    began = time.process_time()
    out = bench.attack(
        model, x, y, "universal", norm=norm, eps=eps, toolkit=toolkit, fit=seen, passes=PASSES, **words
    )  # fmt: skip
    taken = time.process_time() - began
    return taken, float(out.rows[out.rows.correct].success.mean())


@pytest.mark.parametrize(("norm", "eps"), [("linf", "10/255"), ("l2", 1.5)])
def test_a_fit_is_faster_than_arts_and_fools_as_many(benchmark, cnn, norm, eps):
    found = {}

    def turn():
        found["native"] = fitted(cnn, norm, eps, "native")
        found["art"] = fitted(cnn, norm, eps, "art", batch=1)

    benchmark.pedantic(turn, rounds=1)
    (ours, mine), (theirs, arts) = found["native"], found["art"]
    said = {"ours / theirs": theirs / ours, "fooling": mine, "ART's": arts}
    benchmark.extra_info |= {name: round(value, 3) for name, value in said.items()}
    print(f"\n{norm} {eps}: {said}; seconds {ours:.1f} and {theirs:.1f}")
    assert theirs / ours >= FASTER_THAN_ART
    assert mine >= arts
