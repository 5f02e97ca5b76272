"""The fast cascade beside AutoAttack, network by network: what is left of the images, and at how many passes.

The label of an image is what the network says of it, so that all images are attacked. Passes of AutoAttack are those
of the published one, at the least: it takes all steps on an image that a step has broken, ours does not.
"""

import os
import statistics

import pytest
import torch

import bench
from bench.attacks.catalogue import resolve
from bench.attacks.job import Batch
from bench.attacks.run_attack import run_attack

pytestmark = [
    pytest.mark.speed,
    pytest.mark.skipif("BENCH_DATA" not in os.environ, reason="BENCH_DATA is not set"),
]

#: In points, and as a share.
WITHIN, SHARE = 0.5, 0.1
IMAGES, TOGETHER = 400, 100
AUTOATTACK: dict[str, int] = {}
NETWORKS = [
    ("cifar10/pgd-linf-at", "linf", "8/255"),
    ("cifar10/pgd-linf-at", "l2", "0.5"),
    ("cifar10/pgd-l2-at", "linf", "8/255"),
    ("cifar10/pgd-l2-at", "l2", "0.5"),
    ("cifar10/mixed-at", "linf", "8/255"),
    ("cifar10/mixed-at", "l2", "0.5"),
    ("cifar10/noisy", "linf", "2/255"),
    ("cifar10/basic", "linf", "1/255"),
    ("cifar10/cnn", "linf", "8/255"),
    ("cifar10/ll-K10-w4-m3-p2-n4-pool5-gelu", "linf", "1/255"),
    ("cifar10/bp-K10-w4-n4-pool5-gelu", "linf", "1/255"),
    ("mnist/pgd-linf-at", "linf", "0.3"),
    ("mnist/cnn", "linf", "0.1"),
]
TINY = {
    "IMAGES": 3, "WITHIN": 100, "SHARE": float("inf"), "AUTOATTACK": {"steps": 2, "queries": 3},
    "NETWORKS": NETWORKS[:2],
}  # fmt: skip
#: Passes of the published AutoAttack on an image that a member breaks, at the least: looks and gradients of 100 steps of
#: APGD-CE, then of APGD-T and FAB-T for each of nine classes, and queries.
_CE, _CLASS, _FAB = 2 * 101, 2 * 101, 3 * 100
PUBLISHED = {
    "apgd-ce": _CE,
    "apgd-t": _CE + _CLASS,
    "fab-t": _CE + 9 * _CLASS + _FAB,
    "square": _CE + 9 * (_CLASS + _FAB) + 1,
    None: _CE + 9 * (_CLASS + _FAB) + 5001,
}


def test_the_fast_cascade_leaves_what_autoattack_leaves_at_a_tenth_of_its_passes(benchmark):
    rows = []
    benchmark.pedantic(lambda: rows.extend(_row(*network) for network in NETWORKS), rounds=1)
    assert len(rows) == len(NETWORKS)
    for name, left, auto_left, share in rows:
        assert abs(left - auto_left) <= WITHIN, name
        assert share <= SHARE, name


def _row(name, norm, eps):
    """Return a network and threat, what both attacks leave (%), and the share of passes; print them."""
    net = next(iter(bench.load_model(name).surfaces().values())).eval()
    x, _ = bench.load_data(name.partition("/")[0], images=IMAGES)
    fast = _run(net, x, resolve("worst-case-fast", norm, eps))
    auto = _run(net, x, resolve("autoattack", norm, eps, AUTOATTACK))
    left = [100 * statistics.mean(by is None for _, by in images) for images in (fast, auto)]
    share = statistics.mean(passes for passes, _ in fast) / statistics.mean(
        PUBLISHED[by] for _, by in auto
    )
    print(
        f"\n{name} {norm} {eps}: left {left[0]:.1f} %, AutoAttack {left[1]:.1f} %; {share:.1%} of its passes"
    )
    return f"{name} {norm} {eps}", *left, share


def _run(net, x, spec):
    """Return for each image the passes and the member that broke it."""
    found = []
    for part in x.split(TOGETHER):
        with torch.no_grad():
            labels = net(part).argmax(1)
        tried = run_attack(spec, "native", net, Batch(part, labels), num_classes=10, seed=0)
        passes = (tried.forwards + tried.backwards).tolist()
        found += zip(passes, tried.broken_by, strict=True)
    return found
