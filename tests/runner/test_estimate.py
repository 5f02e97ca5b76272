import dataclasses
import time

import build
import pytest
import torch
from attack_cases import CASES, EPS

import bench
from bench.attacks import catalogue
from bench.attacks.job import Batch
from bench.attacks.row import Parameter
from bench.attacks.rows import ATTACKS
from bench.attacks.run_attack import run_attack
from bench.runner import estimate as estimating
from bench.runner.estimate import CELL_SECONDS, Estimate, Pass, duration, estimate, passes
from bench.runner.execute import execute
from bench.runner.plan import make_plan
from bench.runner.selection import Selection
from bench.runner.suite import load_suite
from bench.store.store import open_store


@pytest.fixture
def plan(tiny_suite):
    return make_plan(load_suite(str(tiny_suite)))


@pytest.fixture
def unmeasured(monkeypatch):
    """Say of every pass that it takes a millisecond; return the models that were asked about."""
    asked = []

    def measured(plan, model, surface, batch, kind):
        assert kind == "attack"
        asked.append((model.name, surface, batch))
        return Pass(0.001)

    monkeypatch.setattr(estimating, "_measured", measured)
    return asked


def test_passes_are_no_fewer_than_the_attacks_of_the_digits_suite_take():
    model = bench.load_model("digits/mlp")
    x, y = bench.load_data("digits", images=2)
    y = model.predict(x).labels
    one_radius = {
        (a.spec.name, a.spec.norm, a.spec.parameters): a.spec for a in load_suite("digits").attacks
    }
    for spec in one_radius.values():
        said = passes(spec.name, dict(spec.parameters), 10)
        for toolkit in catalogue.available(spec.name, spec.norm):
            tried = run_attack(spec, toolkit, model.surfaces()["network"], Batch(x, y), num_classes=10, seed=0)  # fmt: skip
            if spec.name == "deepfool":  # it ends sooner or later, by the image
                assert said / 4 <= int(tried.backwards.max()) <= 4 * said, (spec.title(), toolkit)
                continue
            more = 1 if toolkit == "adv-lib" else 0  # it looks at what the last step came to
            assert int(tried.backwards.max()) <= said + more, (spec.title(), toolkit)
            if not catalogue.is_minimal(spec.name):
                assert int(tried.forwards.max()) - more <= said <= int(tried.backwards.max()) + 1


def test_a_gradient_for_every_class_counts_as_often_as_there_are_classes():
    model = bench.load_model("digits/mlp")
    x, _ = bench.load_data("digits", images=4)
    spec = catalogue.resolve("fab", "l2", 0.5, {"steps": 3})
    tried = run_attack(spec, "torchattacks", model.surfaces()["network"], Batch(x, model.predict(x).labels), num_classes=10, seed=0)  # fmt: skip
    assert passes("fab", dict(spec.parameters), 10) == 30 == int(tried.backwards.max())


def test_counts_multiply_but_for_those_that_are_marked(monkeypatch):
    words = {"steps": 7, "restarts": 3, "pixels": 5, "size": "0.5"}
    rules = {
        "steps": Parameter("count", 1), "restarts": Parameter("count", 1),
        "pixels": Parameter("count", 1, constant_cost=True), "size": Parameter("amount", 1.0),
    }  # fmt: skip
    row = dataclasses.replace(ATTACKS["pgd"], name="odd", parameters=rules)
    monkeypatch.setattr(catalogue, "ATTACKS", {"odd": row})
    assert passes("odd", words, 10) == 21
    assert passes("odd", {"steps": 7}, 10) == 7  # of a record older than the other words


@pytest.mark.parametrize(("name", "norm"), sorted({case[:2] for case in CASES}))
def test_every_attack_has_a_number_of_passes(name, norm):
    eps = None if catalogue.is_minimal(name) else EPS[norm]
    assert passes(name, dict(catalogue.resolve(name, norm, eps).parameters), 10) >= 1


def test_a_new_run_is_estimated_from_passes_through_each_model(plan, tmp_path, unmeasured):
    expected = estimate(plan, open_store(tmp_path / "r"), list(plan.cells))
    assert (expected.cells, expected.images) == (9, (30,))
    by_attack = {plan.cells[key].attack.name: s for key, s in expected.seconds.items()}
    assert by_attack == pytest.approx({
        name: CELL_SECONDS + 30 * count * 0.001
        for name, count in {"fgsm": 1, "pgd": 10, "deepfool": 4 * 10, "noise": 1}.items()
    })  # fmt: skip
    assert expected.total == pytest.approx(sum(expected.seconds.values()))
    assert unmeasured == [("digits/mlp", "network", 30), ("digits/mlp", "predict", 30)]


def test_attacks_that_go_image_by_image_are_timed_so(tiny_suite, tmp_path, unmeasured):
    text = tiny_suite.read_text().replace('"foolbox"', '"foolbox", "torchattacks"')
    tiny_suite.write_text(text)
    plan = make_plan(load_suite(str(tiny_suite)), Selection(attacks=["deepfool"]))
    estimate(plan, open_store(tmp_path / "r"), list(plan.cells))
    assert unmeasured == [("digits/mlp", "network", 30), ("digits/mlp", "network", 1)]


def test_what_the_store_holds_of_an_attack_is_a_better_estimate(plan, tmp_path, unmeasured):
    store = open_store(tmp_path / "r")
    key, cell = next((k, c) for k, c in plan.cells.items() if c.attack.name == "pgd")
    execute(dataclasses.replace(plan, cells={key: cell}), store)
    taken = float(store.rows(key).seconds.mean())
    more = catalogue.resolve("pgd", "linf", 0.2, {"steps": 30})
    wanted = {"a": dataclasses.replace(cell, attack=more)}
    longer = dataclasses.replace(plan, cells=wanted)
    assert estimate(longer, store, ["a"]).total == pytest.approx(CELL_SECONDS + 30 * 3 * taken)
    assert unmeasured == []
    estimate(dataclasses.replace(longer, device="cuda"), store, ["a"])  # it was slower on the CPU
    assert unmeasured == [("digits/mlp", "network", 30)]


def test_nothing_to_do_asks_no_model(plan, tmp_path, unmeasured):
    expected = estimate(plan, open_store(tmp_path / "r"), [])
    assert expected.line() == "9 cells of 30 images, 0 to do"
    assert unmeasured == []


def test_asking_leaves_random_states_alone_and_needs_no_gradient(registry, tiny_suite, tmp_path):
    shown = []

    def predict(x):
        shown.append(len(x))
        return (x.flatten(1)[:, :10] + 0 * torch.rand(len(x), 10)).softmax(1)

    bench.register_model("dice", data="digits")(lambda: bench.wrap_predict(predict, 10, (1, 8, 8)))
    plan = make_plan(load_suite(str(tiny_suite)), Selection(models=["dice"]))
    shown.clear()
    before = torch.get_rng_state()
    expected = estimate(plan, open_store(tmp_path / "r"), list(plan.cells))
    assert torch.equal(torch.get_rng_state(), before)
    assert 1 <= max(shown) <= 30
    assert expected.total > CELL_SECONDS


@pytest.mark.parametrize(("seconds", "said"), [
    (2, "under 10 s"), (12, "about 10 s"), (53, "about 55 s"), (58, "about 1 min"),
    (240, "about 4 min"), (3570, "about 1.0 h"), (9000, "about 2.5 h"), (90000, "about 25 h"),
])  # fmt: skip
def test_durations_in_words(seconds, said):
    assert duration(seconds) == said
    line = Estimate(68, (200,), {"a": seconds / 2, "b": seconds / 2}).line()
    assert line == f"68 cells of 200 images, 2 to do, {said}"


def test_images_that_differ_are_all_said():
    assert Estimate(3, (200, 10000), {}).line() == "3 cells of 200 or 10000 images, 0 to do"
    assert Estimate(1, (1,), {}).line() == "1 cell of 1 image, 0 to do"


def test_a_busy_machine_is_counted_in_once_and_said(plan, tmp_path, monkeypatch):
    fgsm = [key for key, cell in plan.cells.items() if cell.attack.name == "fgsm"]
    for busy, said in ((3.0, "while the machine is as busy as now"), (1.1, "")):
        monkeypatch.setattr(estimating, "_measured", lambda *asked, b=busy: Pass(1.0, 0.1, 0.1 * b))
        expected = estimate(plan, open_store(tmp_path / "r"), fgsm)
        assert expected.total == pytest.approx(len(fgsm) * busy * (CELL_SECONDS + 30))
        assert expected.line().endswith(said or duration(expected.total))


class Waits(torch.nn.Module):
    """A network that now and then waits for its turn, as on a busy machine."""

    def __init__(self, every, seconds):
        super().__init__()
        self.turn, self.every, self.seconds = 0, every, seconds

    def forward(self, x):
        self.turn += 1
        if self.turn % self.every == 0:
            time.sleep(self.seconds)
        return x.flatten(1)[:, :10] * 3


@pytest.mark.slow
def test_waiting_for_a_turn_is_not_what_a_pass_takes(registry, tiny_suite):
    """Passes that have to wait, whichever they are, are not taken for slow ones."""
    net = Waits(2, 0.2)
    bench.register_model("waits", data="digits")(lambda: bench.wrap(net, 10, (1, 8, 8)))
    plan = make_plan(load_suite(str(tiny_suite)), Selection(models=["waits"]))
    (request,) = plan.adapters
    found = estimating._measured(plan, request, "network", 30, "attack")
    assert 0 < found.seconds < 0.002  # of an image; 0.2 / 30 would be a pass that waits
    assert found.clock > 5 * found.used
    began = net.turn
    estimating._measured(plan, request, "network", 30, "attack")
    assert net.turn - began >= 5


def test_a_function_that_waits_for_something_else_takes_what_the_clock_says(registry, tiny_suite):
    def predict(x):
        time.sleep(0.02)
        return x.flatten(1)[:, :10].softmax(1)

    bench.register_model("far", data="digits")(lambda: bench.wrap_predict(predict, 10, (1, 8, 8)))
    plan = make_plan(load_suite(str(tiny_suite)), Selection(models=["far"]))
    (request,) = plan.adapters
    found = estimating._measured(plan, request, "predict", 30, "attack")
    assert found.clock == found.used
    assert found.seconds >= 0.02 / 30


def test_a_fit_is_counted_by_its_images_and_once_for_all_cells_that_share_it(tmp_path, monkeypatch):
    path = tmp_path / "fits.toml"
    attack = {"name": "universal", "norm": "l2", "eps": 1, "fit": ["train 7", "train 8"], "batch": 3,
              "fitted_on": ["itself", "digits/mlp"], "toolkits": ["native"]}  # fmt: skip
    path.write_text(build.suite(["digits/mlp", "digits/cnn"], [attack], images=30))
    plan = make_plan(load_suite(str(path)))
    timed = []

    def measured(plan, model, surface, batch, kind):
        timed.append(batch)
        return Pass(0.001)

    monkeypatch.setattr(estimating, "_measured", measured)
    expected = estimate(plan, open_store(tmp_path / "r"), list(plan.cells))
    attack_made = next(iter(plan.cells.values())).attack
    for_each = passes("universal", dict(attack_made.parameters), 10) * 0.001
    # Four fits: of either model on 7 and on 8 images. The two cells of a transfer cost next to nothing.
    assert sorted(expected.seconds.values()) == pytest.approx(
        [CELL_SECONDS] * 2 + [CELL_SECONDS + count * for_each for count in (7, 7, 8, 8)]
    )
    assert set(timed) <= {1, 3}
