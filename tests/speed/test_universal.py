"""Universal perturbations beside ART's on CIFAR-10: time of a fit, and fooling of unseen images."""

import os
import statistics
import time

import pytest

import bench

pytestmark = [
    pytest.mark.speed,
    pytest.mark.skipif("BENCH_DATA" not in os.environ, reason="BENCH_DATA is not set"),
]

FIT = 300
ROUNDS = 5
#: Ours fools more after its first pass than ART's after two; at equal passes it is less than ten times as fast.
PASSES = 2
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
    turns = []

    def turn():
        turns.append({
            "one pass": fitted(cnn, norm, eps, "native", passes=1),
            "as many passes": fitted(cnn, norm, eps, "native", passes=PASSES),
            "art": fitted(cnn, norm, eps, "art", batch=1, passes=PASSES),
        })  # fmt: skip

    benchmark.pedantic(turn, rounds=ROUNDS)
    ratios = {}
    for ours in ("one pass", "as many passes"):
        each = [found["art"][0] / found[ours][0] for found in turns]
        ratios[ours] = statistics.median(each)
        told = ", ".join(f"{ratio:.1f}" for ratio in sorted(each))
        print(f"\n{norm} {eps}, {ours}: {ratios[ours]:.1f} times ART's speed ({told}), "
              f"{turns[0][ours][1]:.1%} of unseen images, ART {turns[0]['art'][1]:.1%}")  # fmt: skip
    benchmark.extra_info |= {name: round(ratio, 1) for name, ratio in ratios.items()}
    assert ratios["one pass"] >= FASTER_THAN_ART
    for found in turns:
        assert found["art"][1] <= found["one pass"][1]
