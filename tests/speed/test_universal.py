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
#: At equal passes ART takes some nine times as long; ours fools more after the first than its after three.
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
        model, x, y, "universal", norm=norm, eps=eps, toolkit=toolkit, fit=seen, **words
    )
    taken = time.process_time() - began
    return taken, float(out.rows[out.rows.correct].success.mean())


@pytest.mark.parametrize(("norm", "eps"), [("linf", "10/255"), ("l2", 1.5)])
def test_arts_fooling_rate_is_reached_in_a_tenth_of_its_time(benchmark, cnn, norm, eps):
    found = {}

    def turn():
        found["one"] = fitted(cnn, norm, eps, "native", passes=1)
        found["native"] = fitted(cnn, norm, eps, "native", passes=PASSES)
        found["art"] = fitted(cnn, norm, eps, "art", batch=1, passes=PASSES)

    benchmark.pedantic(turn, rounds=1)
    for name, (seconds, fooling) in found.items():
        benchmark.extra_info[name] = {"seconds": round(seconds, 1), "fooling": round(fooling, 3)}
        print(f"\n{norm} {eps} {name}: {seconds:.1f} s, {fooling:.1%} of unseen images")
    (first, reached), (ours, most), (theirs, wanted) = found.values()
    assert theirs / first >= FASTER_THAN_ART
    assert wanted <= reached <= most
    assert theirs > ours
