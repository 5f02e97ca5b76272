"""Certificates at given radii beside those of all copies: the same share certified, from fewer copies.

The smoothed networks for CIFAR-10 and the l2 radii of the suite `defences`, on its images, one thread. What is
compared are counts of images and of copies, which are the same on a busy machine; of the time, the thread's own counts.
"""

import math
import time

import pytest

import bench
from bench.attacks.rows import CERTIFY
from bench.runner.suite import load_suite

pytestmark = pytest.mark.speed

N0, N, IMAGES = 100, 1000, 200
MOST_COPIES, MOST_TIME, MOST_POINTS = 0.5, 0.7, 0.5
TINY = {
    "N0": 10, "N": 30, "IMAGES": 2, "MOST_COPIES": 1, "MOST_TIME": math.inf, "MOST_POINTS": 100,
}  # fmt: skip


def radii_of_the_suite():
    asked = load_suite("defences").attacks
    return sorted(
        {
            one.spec.radius
            for one in asked
            if one.spec.norm == "l2" and one.spec.name != CERTIFY.name
        }
    )


@pytest.mark.parametrize("sigma", [0.12, 0.25, 0.5])
def test_the_certified_curve_is_that_of_all_copies(sigma, benchmark):
    model = bench.load_model("cifar10/randomized-smoothing", {"sigma": sigma})
    x, y = bench.load_data("cifar10", images=IMAGES)
    radii, seconds = radii_of_the_suite(), {}

    def taken(name, certify):
        began = time.thread_time()
        found = certify()
        seconds[name] = time.thread_time() - began
        return found

    labels, all_copies = taken("all", lambda: model.certify(x, N0, N))
    at_radii = lambda: taken("at radii", lambda: model.certify_at(x, radii, N0, N))  # noqa: E731
    found = benchmark.pedantic(at_radii, rounds=1)
    copies = float(found.copies.double().mean()) / (N0 + N)
    ratio = seconds["at radii"] / seconds["all"]
    benchmark.extra_info |= {"copies": round(copies, 3), "time": round(ratio, 3)}
    print(f"\nsigma {sigma}, n {N}: {copies:.3f} of the copies, {ratio:.3f} of the time")
    for radius in (0, *radii):
        shares = [
            100 * float(((decided == y) & (reached > radius)).double().mean())
            for decided, reached in ((labels, all_copies), (found.labels, found.radii))
        ]
        print(f"  certified within {radius:g}: {shares[0]:.1f} % by all copies, {shares[1]:.1f} %")
        assert abs(shares[0] - shares[1]) <= MOST_POINTS
    assert copies <= MOST_COPIES
    assert ratio <= MOST_TIME
