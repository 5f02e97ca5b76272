"""A step of the local rule beside the matrix products it must do, and beside a loop over patches.

Patches of CIFAR-10 size, 100 filters. The sides take turns and the quickest turn of each counts.
"""

import math
import time

import pytest
import torch

from bench.train.local_learning.rule import rule_update, stepped

pytestmark = pytest.mark.speed

PATCHES, FILTERS, WIDTH, ROUNDS, LOOPED = 20_000, 100, 48, 12, 500
AT_MOST_THE_PRODUCTS = 4
AT_MOST_THE_LOOP = 1 / 20
TINY = {
    "PATCHES": 20, "ROUNDS": 1, "LOOPED": 5,
    "AT_MOST_THE_PRODUCTS": math.inf, "AT_MOST_THE_LOOP": math.inf,
}  # fmt: skip


@pytest.mark.parametrize(("p", "m"), [(2, 3), (4, 5)])
def test_a_step_costs_little_more_than_its_products(benchmark, p, m):
    torch.manual_seed(0)
    patches = torch.rand(PATCHES, WIDTH)
    patches /= patches.norm(p, dim=1, keepdim=True)
    filters, g = torch.randn(FILTERS, WIDTH), torch.zeros(len(patches), FILTERS)

    def products():
        return patches @ filters.T, g.T @ patches

    def step():
        return stepped(filters, rule_update(filters, patches, p=p, m=m, delta=0.1), 0.1)

    def loop():
        changed = torch.zeros_like(filters)
        for v in patches[:LOOPED]:
            activity = (filters * filters.abs() ** (p - 2)) @ v
            order = activity.argsort(descending=True)
            for k, sign in ((order[0], 1.0), (order[m - 1], -0.1)):
                changed[k] += sign * (v - activity[k] * filters[k])
        return changed

    best = [float("inf")] * 3

    def turn():
        for number, work in enumerate((products, step, loop)):
            began = time.thread_time()
            work()
            best[number] = min(best[number], time.thread_time() - began)

    benchmark.pedantic(turn, rounds=ROUNDS, warmup_rounds=1)
    beside_products = best[1] / best[0]
    beside_loop = best[1] / (best[2] * len(patches) / LOOPED)
    benchmark.extra_info.update(products=round(beside_products, 2), loop=round(beside_loop, 4))
    print(f"\np {p}, m {m}: {beside_products:.2f} of the products, {beside_loop:.4f} of the loop")
    assert beside_products <= AT_MOST_THE_PRODUCTS
    assert beside_loop <= AT_MOST_THE_LOOP
