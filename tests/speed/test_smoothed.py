"""Certifying beside a bare loop of the base network over the same noisy copies, made beforehand.

A network for CIFAR-10, one thread; the two take turns, the thread's own time counts, and the quickest
turn of each.
"""

import math
import time

import pytest
import torch

from bench.adapters.smoothed import smooth
from bench.models.convnets import slim_three_blocks
from bench.spec import ModelSpec

pytestmark = pytest.mark.speed

SHAPE, N0, N, ROUNDS = (3, 32, 32), 100, 1000, 7
AT_MOST = 1.03
TINY = {"N0": 10, "N": 20, "ROUNDS": 1, "AT_MOST": math.inf}


def test_certifying_takes_little_more_than_the_network(benchmark):
    torch.manual_seed(0)
    net = slim_three_blocks().eval()
    spec = ModelSpec(
        name="toy", family="network", data="cifar10", input_shape=SHAPE, num_classes=10
    )
    model, x = smooth(spec, net, 0.25), torch.rand(1, *SHAPE)
    copies = [
        x + noise
        for purpose, n in (("selection", N0), ("estimate", N))
        for noise in model.noise.blocks(x[0], purpose, n)
    ]

    def bare():
        with torch.no_grad():
            return [net(part).argmax(1) for part in copies]

    seconds = {"certify": [], "bare": []}

    def turn():
        for name, ask in (("bare", bare), ("certify", lambda: model.certify(x, N0, N))):
            began = time.thread_time()
            ask()
            seconds[name].append(time.thread_time() - began)

    benchmark.pedantic(turn, rounds=ROUNDS, warmup_rounds=1)
    ratio = min(seconds["certify"]) / min(seconds["bare"])
    benchmark.extra_info["certify / bare"] = round(ratio, 3)
    print(f"\ncertify takes {ratio:.3f} times the bare loop")
    assert ratio <= AT_MOST
