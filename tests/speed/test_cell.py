"""What the harness costs around an attack: PGD-10 on 256 CIFAR-10 images, three ways in turn.

Each round times a bare PyTorch loop, the toolkit called directly, and a whole cell (clean
prediction, attack, judging, rows saved). The first two get two forwards of the set on top, which a
cell needs for its clean prediction and for its judge. Figures are medians of paired ratios.
"""

import dataclasses
import math
import os
import shutil
import statistics
import time

import pytest
import torch
from torch.nn import functional as F

from bench.data.datasets import load
from bench.data.labelled import LabelledImages
from bench.runner.execute import execute
from bench.runner.loading import Setting
from bench.runner.plan import make_plan
from bench.runner.suite import load_suite
from bench.store.store import open_store

pytestmark = [
    pytest.mark.speed,
    pytest.mark.skipif("BENCH_DATA" not in os.environ, reason="BENCH_DATA is not set"),
]

IMAGES, BATCH, EPS, STEP, STEPS = 256, 128, 8 / 255, 2 / 255, 10
ROUNDS = 9
THREADS = os.cpu_count() or 1
AT_MOST_THE_TOOLKIT = 1.03
AT_MOST_A_BARE_LOOP = {"torchattacks": 1.06, "foolbox": 1.06, "art": 1.15}
TINY = {
    "IMAGES": 8, "BATCH": 4, "ROUNDS": 1, "THREADS": 1,
    "AT_MOST_THE_TOOLKIT": math.inf,
    "AT_MOST_A_BARE_LOOP": dict.fromkeys(AT_MOST_A_BARE_LOOP, math.inf),
}  # fmt: skip

SUITE = """\
title  = "Speed"
data   = "cifar10"
images = 10
[[models]]
name = "cifar10/cnn"
[[attacks]]
name         = "pgd"
norm         = "linf"
eps          = "8/255"
steps        = 10
step_size    = "2/255"
random_start = false
"""


@pytest.fixture(scope="module", autouse=True)
def all_threads():
    """Measure as users run: on all cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    """Return a plan over 256 images that the model gets right, so that every image is attacked."""
    path = tmp_path_factory.mktemp("suite") / "speed.toml"
    path.write_text(SUITE)
    plan = make_plan(load_suite(str(path)), setting=Setting(batch_size=BATCH, device="cpu"))
    (adapter,) = plan.adapters.values()
    data = load("cifar10", "test").first(400)
    right = (adapter.predict(data.images).labels == data.labels).nonzero().squeeze(1)[:IMAGES]
    return attacking(plan, LabelledImages(data.raw[right], data.labels[right]))


def attacking(plan, images):
    """Return a plan with the same cells on other images."""
    return dataclasses.replace(plan, images=dict.fromkeys(plan.images, images))


@pytest.fixture(scope="module")
def net(plan):
    (adapter,) = plan.adapters.values()
    module = adapter.surfaces()["network"]
    return module.eval().requires_grad_(False)


def bare(net, x, y):
    x_adv = x.clone()
    for _ in range(STEPS):
        x_adv.requires_grad_()
        (gradient,) = torch.autograd.grad(F.cross_entropy(net(x_adv), y), x_adv)
        x_adv = (x_adv.detach() + STEP * gradient.sign()).clamp(x - EPS, x + EPS).clamp(0, 1)
    return x_adv


def direct(toolkit, net):
    """Return the toolkit's own attack on a batch, set up as its documentation says."""
    if toolkit == "torchattacks":
        import torchattacks

        return torchattacks.PGD(net, eps=EPS, alpha=STEP, steps=STEPS, random_start=False)
    if toolkit == "foolbox":
        import foolbox

        model = foolbox.PyTorchModel(net, bounds=(0, 1), device="cpu")
        attack = foolbox.attacks.LinfPGD(abs_stepsize=STEP, steps=STEPS, random_start=False)
        return lambda x, y: attack(model, x, y, epsilons=EPS)[1]
    from art.attacks.evasion import ProjectedGradientDescent
    from art.estimators.classification import PyTorchClassifier

    model = PyTorchClassifier(
        net, torch.nn.CrossEntropyLoss(), (3, 32, 32), 10, clip_values=(0.0, 1.0), device_type="cpu"
    )
    attack = ProjectedGradientDescent(
        model, eps=EPS, eps_step=STEP, max_iter=STEPS, batch_size=BATCH, verbose=False
    )
    return lambda x, y: torch.from_numpy(attack.generate(x.numpy(), y.numpy()))


def with_two_forwards(attack, net, batches):
    for x, y in batches:
        x_adv = attack(x, y)
        with torch.no_grad():
            net(x)
            net(x_adv)


def timed(action):
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


@pytest.mark.parametrize("toolkit", ["torchattacks", "foolbox", "art"])
def test_a_cell_costs_little_more_than_its_attack(benchmark, plan, net, tmp_path, toolkit):
    (attacked,) = plan.images.values()
    x, y = attacked.images, attacked.labels
    batches = list(zip(x.split(BATCH), y.split(BATCH), strict=True))
    cells = {key: cell for key, cell in plan.cells.items() if cell.toolkit == toolkit}
    one = dataclasses.replace(plan, cells=cells)
    attack, store = direct(toolkit, net), tmp_path / "store"
    seconds = {"bare": [], "direct": [], "cell": []}

    def cell():
        execute(one, open_store(store))

    ways = {
        "bare": lambda: with_two_forwards(lambda x, y: bare(net, x, y), net, batches),
        "direct": lambda: with_two_forwards(attack, net, batches),
        "cell": cell,
    }

    def turn():
        # Each goes first in its turn: what ran before leaves caches and memory warm.
        shift = len(seconds["cell"]) % 3
        for name in [*ways, *ways][shift : shift + 3]:
            seconds[name].append(timed(ways[name]))
        shutil.rmtree(store)

    benchmark.pedantic(turn, rounds=ROUNDS, warmup_rounds=1)
    # The warm-up is the first entry of each list.
    ratio = {
        name: statistics.median(
            mine / theirs
            for mine, theirs in zip(seconds["cell"][1:], seconds[name][1:], strict=True)
        )
        for name in ("direct", "bare")
    }
    benchmark.extra_info.update(
        {f"cell / {name}": round(value, 3) for name, value in ratio.items()}
    )
    print(
        f"\n{toolkit}: cell / toolkit {ratio['direct']:.3f}, cell / bare loop {ratio['bare']:.3f}"
    )
    assert ratio["direct"] <= AT_MOST_THE_TOOLKIT
    assert ratio["bare"] <= AT_MOST_A_BARE_LOOP[toolkit]


@pytest.mark.parametrize("toolkit", ["torchattacks", "foolbox", "art"])
def test_passes_are_the_bare_loops_and_at_most_two_more(plan, net, tmp_path, toolkit):
    cells = {key: cell for key, cell in plan.cells.items() if cell.toolkit == toolkit}
    (attacked,) = plan.images.values()
    one = attacking(dataclasses.replace(plan, cells=cells), attacked.first(16))
    store = open_store(tmp_path / "store")
    execute(one, store)
    rows = store.rows(next(iter(cells)))
    assert rows.forwards.between(STEPS, STEPS + 2).all()
    assert (rows.backwards == STEPS).all()
