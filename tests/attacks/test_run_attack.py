from __future__ import annotations

import importlib
import random

import numpy as np
import pytest
import torch
from attack_cases import CASES, EPS, EVERY, MINIMAL, quick
from oracles import size
from torch import nn

from bench.attacks import catalogue, toolkits
from bench.attacks.job import Batch
from bench.attacks.rows import ATTACKS
from bench.attacks.run_attack import AttackResult, run_attack
from bench.errors import AttackError, PrerequisiteError, SpecError, UnsupportedAttack
from bench.spec import TOOLKITS, number


def run(trained, spec, toolkit, count: int = 6, seed: int = 0, **changes) -> AttackResult:
    arguments = {
        "model": trained.net,
        "x": trained.x[:count],
        "y": trained.y[:count],
        "target": None,
        "num_classes": 10,
        **changes,
    }
    batch = Batch(*(arguments.pop(name) for name in ("x", "y", "target")))
    return run_attack(spec, toolkit, batch=batch, seed=seed, **arguments)


@pytest.mark.parametrize(("name", "norm", "toolkit"), CASES)
def test_every_attack_gives_valid_images_and_counts(trained, name, norm, toolkit) -> None:
    tried = run(trained, quick(name, norm), toolkit)
    x = trained.x[:6]
    assert (tried.x_adv.shape, tried.x_adv.dtype) == (x.shape, torch.float32)
    assert tried.x_adv.isfinite().all()
    assert not tried.x_adv.requires_grad
    assert tried.x_adv.min() >= -1e-6
    assert tried.x_adv.max() <= 1 + 1e-6
    assert (tried.x_adv != x).any()
    assert tried.seconds > 0
    for counts in (tried.forwards, tried.backwards):
        assert (counts.shape, counts.dtype) == ((6,), torch.int64)
    if (name, norm, toolkit) in MINIMAL:
        assert (tried.iterations is None) == (toolkit != "native")
        assert (trained.net(tried.x_adv).argmax(1) != trained.y[:6]).float().mean() >= 0.5
    else:
        assert (size(tried.x_adv - x, norm) <= number(EPS[norm]) * (1 + 1e-5) + 1e-6).all()
        if {"queries", "members"} & set(ATTACKS[name].parameters):
            assert tried.iterations is None
            return
        if name.startswith(("apgd", "fab")):
            assert tried.iterations.tolist() == [dict(quick(name, norm).parameters)["steps"]] * 6
            return
        if name == "adaptive":
            assert tried.iterations is None
            most = dict(quick(name, norm).parameters)["passes"]
            assert (tried.forwards + tried.backwards).max() <= most
            return
        if name == "one-pixel":
            assert tried.iterations.max() <= 5
            assert not tried.backwards.any()
            return
        # The bare loop's passes, and not one more.
        steps = {"noise": 0, "fgsm": 1}.get(name, 10)
        more = 1 if toolkit == "adv-lib" else 0  # to look at what the last step came to
        assert tried.iterations.tolist() == [steps] * 6
        for counts in (tried.forwards, tried.backwards):
            assert counts.tolist() == [steps + more] * 6


@pytest.mark.parametrize(("name", "norm", "toolkit"), CASES)
def test_the_same_seed_gives_the_same_images(trained, name, norm, toolkit) -> None:
    first = run(trained, quick(name, norm), toolkit)
    torch.rand(3), np.random.rand(), random.random()
    assert torch.equal(first.x_adv, run(trained, quick(name, norm), toolkit).x_adv)
    if name in ("pgd", "noise"):
        other = run(trained, quick(name, norm), toolkit, seed=1)
        assert not torch.equal(first.x_adv, other.x_adv)


@pytest.mark.parametrize(("name", "norm", "toolkit"), CASES)
def test_everything_is_as_before_after_a_call(trained, name, norm, toolkit, capsys) -> None:
    net = trained.net
    modes = [index % 2 == 0 for index, _ in enumerate(net.modules())]
    params = list(net.parameters())
    x, y = trained.x[:3].clone(), trained.y[:3].clone()
    try:
        for module, mode in zip(net.modules(), modes, strict=True):
            module.training = mode
        params[0].requires_grad_(False)
        gradient = torch.ones_like(params[1])
        params[1].grad = gradient
        weights = {key: value.clone() for key, value in net.state_dict().items()}
        torch.manual_seed(7), np.random.seed(7), random.seed(7)
        before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
        with torch.no_grad():
            run_attack(quick(name, norm), toolkit, net, Batch(x, y), num_classes=10, seed=0)
            assert not torch.is_grad_enabled()
        assert torch.equal(torch.get_rng_state(), before[0])
        assert (np.random.get_state()[1] == before[1]).all()
        assert random.getstate() == before[2]
        assert [module.training for module in net.modules()] == modes
        assert [p.requires_grad for p in params] == [False] + [True] * (len(params) - 1)
        assert params[1].grad is gradient
        assert torch.equal(gradient, torch.ones_like(gradient))
        assert all(p.grad is None for p in params if p is not params[1])
        assert all(torch.equal(value, weights[key]) for key, value in net.state_dict().items())
        assert torch.equal(x, trained.x[:3])
        assert torch.equal(y, trained.y[:3])
        assert capsys.readouterr().out == ""
    finally:
        net.eval()
        for param in params:
            param.requires_grad_(True)
            param.grad = None


AIMED = {"cw": {"c": 10}, "ead": {"c": 10}, "ead-en": {"c": 10}}
TARGETABLE = [case for case in CASES if "targeted" in ATTACKS[case[0]].parameters]


@pytest.mark.parametrize(("name", "norm", "toolkit"), TARGETABLE)
def test_a_targeted_attack_climbs_towards_its_target(trained, name, norm, toolkit) -> None:
    spec = quick(name, norm, targeted="next", **AIMED.get(name, {}))
    target = (trained.y[:16] + 1) % 10
    if catalogue.refusal(spec, toolkit):
        with pytest.raises(UnsupportedAttack, match="cannot be targeted"):
            run(trained, spec, toolkit, 16, target=target)
        return
    x_adv = run(trained, spec, toolkit, 16, target=target).x_adv
    with torch.no_grad():
        clean, after = trained.net(trained.x[:16]), trained.net(x_adv)
    gained = (after - clean).gather(1, target[:, None])
    assert (gained > 0).float().mean() > 0.8
    if catalogue.is_minimal(name):
        assert (after.argmax(1) == target).float().mean() > 0.5


PAIRS = [
    ("fgsm", "linf", {}),
    ("pgd", "linf", {"random_start": False}),
    ("pgd", "linf", {}),
]


@pytest.mark.parametrize(("name", "norm", "words"), PAIRS)
@pytest.mark.parametrize("count", [7, 32])
def test_linf_attacks_are_identical_in_all_toolkits(trained, name, norm, words, count) -> None:
    found = [
        run(trained, quick(name, norm, **words), toolkit, count).x_adv
        for toolkit in ("art", "foolbox", "torchattacks")
    ]
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


def test_bim_is_identical_but_for_torchattacks_rounding(trained) -> None:
    art, foolbox, torchattacks = (
        run(trained, quick("bim", "linf"), toolkit, 32).x_adv
        for toolkit in ("art", "foolbox", "torchattacks")
    )
    assert torch.equal(art, foolbox)
    assert (art - torchattacks).abs().max() < 2e-7


@pytest.mark.parametrize("words", [{}, {"random_start": False}])
def test_pgd_l2_falls_on_the_same_images(trained, words) -> None:
    art, foolbox, torchattacks = (
        run(trained, quick("pgd", "l2", **words), toolkit, 32).x_adv
        for toolkit in ("art", "foolbox", "torchattacks")
    )
    assert (foolbox - torchattacks).abs().max() < 1e-5
    fooled = [trained.net(x).argmax(1) != trained.y for x in (art, foolbox)]
    assert (fooled[0] != fooled[1]).sum() <= 1


def test_deepfool_finds_distances_alike(trained) -> None:
    norms = [
        size(
            run(trained, quick("deepfool", "l2"), toolkit, 12).x_adv - trained.x[:12], "l2"
        ).median()
        for toolkit in ("art", "foolbox", "torchattacks")
    ]
    assert max(norms) / min(norms) < 1.03


def test_cw_finds_distances_alike(trained) -> None:
    norms = {}
    for toolkit in ("art", "foolbox", "torchattacks"):
        x_adv = run(trained, quick("cw", "l2", steps=100, step_size=0.01), toolkit, 16).x_adv
        fooled = trained.net(x_adv).argmax(1) != trained.y[:16]
        assert fooled.float().mean() > 0.8
        norms[toolkit] = size(x_adv - trained.x[:16], "l2")[fooled].median()
    assert 0.9 < norms["torchattacks"] / norms["foolbox"] < 1.1
    assert 0.8 < norms["art"] / norms["foolbox"] < 1.4


def test_ead_finds_distances_alike(trained) -> None:
    norms = {}
    for toolkit in ("art", "foolbox", "torchattacks"):
        x_adv = run(trained, quick("ead", "l1", search_steps=5), toolkit, 16).x_adv
        assert (trained.net(x_adv).argmax(1) != trained.y[:16]).all()
        norms[toolkit] = size(x_adv - trained.x[:16], "l1").median()
    assert 0.9 < norms["torchattacks"] / norms["foolbox"] < 1.1
    assert 0.8 < norms["art"] / norms["foolbox"] < 1.05


@pytest.mark.parametrize("toolkit", ["art", "foolbox", "torchattacks"])
def test_the_elastic_net_rule_keeps_images_of_less_elastic_distance(trained, toolkit) -> None:
    """The descent is that of `ead`, so each rule wins by its own measure, or they tie."""
    words = {"beta": 0.05, "search_steps": 3}
    x = trained.x[:6]
    by_l1, by_en = (
        run(trained, quick(name, norm, **words), toolkit).x_adv - x
        for name, norm in (("ead", "l1"), ("ead-en", "l2"))
    )

    def elastic(delta: torch.Tensor) -> torch.Tensor:
        return size(delta, "l2").square() + 0.05 * size(delta, "l1")

    assert (elastic(by_en) <= elastic(by_l1) + 1e-6).all()
    assert (size(by_l1, "l1") <= size(by_en, "l1") + 1e-6).all()
    assert (by_l1 != by_en).any()


@pytest.mark.parametrize(("name", "least"), [("apgd-ce", 31), ("apgd-dlr", 27)])
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_apgd_falls_on_the_same_images(trained, name, norm, least) -> None:
    art, torchattacks = (
        trained.net(run(trained, quick(name, norm), toolkit, 32).x_adv).argmax(1) != trained.y
        for toolkit in ("art", "torchattacks")
    )
    assert (art == torchattacks).sum() >= least


def test_every_row_of_the_catalogue_has_a_driver_and_no_driver_more() -> None:
    for toolkit in TOOLKITS:
        driver = importlib.import_module(f"bench.attacks.{toolkit.replace('-', '_')}_driver")
        made = [*driver.ATTACKS, *getattr(driver, "FITS", {})]
        assert sorted(made) == sorted(case[:2] for case in EVERY if case[2] == toolkit)


def test_a_refused_word_is_unsupported(trained) -> None:
    with pytest.raises(UnsupportedAttack, match="torchattacks has no deepfool for linf"):
        run(trained, quick("deepfool", "linf"), "torchattacks")


def test_a_missing_toolkit_names_the_command(trained, monkeypatch) -> None:
    monkeypatch.setattr(toolkits, "installed", lambda toolkit: False)
    with pytest.raises(PrerequisiteError, match="pip install foolbox==") as caught:
        run(trained, quick("fgsm", "linf"), "foolbox")
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("offset", [0.5, -0.01, float("nan")])
def test_images_outside_the_box_are_refused(trained, offset) -> None:
    with pytest.raises(SpecError, match=r"\[0, 1\]"):
        run(trained, quick("fgsm", "linf"), "art", x=trained.x[:6] + offset)


def test_targets_and_words_must_fit(trained) -> None:
    with pytest.raises(SpecError, match="needs target"):
        run(trained, quick("fgsm", "linf", targeted="next"), "art")
    with pytest.raises(SpecError, match="takes no target"):
        run(trained, quick("fgsm", "linf"), "art", target=trained.y[:6])


def test_no_images_give_no_images(trained) -> None:
    tried = run(trained, quick("pgd", "linf"), "foolbox", 0)
    assert tried.x_adv.shape == (0, 1, 8, 8)
    assert tried.forwards.shape == (0,)


class Fails(nn.Module):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise self.error


@pytest.mark.parametrize("toolkit", ["art", "foolbox", "torchattacks"])
@pytest.mark.parametrize(
    ("error", "says"),
    [
        (ValueError("two\nlines"), "fgsm: ValueError: two lines"),
        (MemoryError(), "--batch-size"),
        (torch.OutOfMemoryError("CUDA out of memory"), "--batch-size"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "--batch-size"),
    ],
)
def test_failures_are_wrapped_once(trained, toolkit, error, says) -> None:
    with pytest.raises(AttackError) as caught:
        run(trained, quick("fgsm", "linf"), toolkit, model=Fails(error))
    assert str(caught.value).startswith(f"{toolkit} fgsm: ")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is error


class Detached(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.detach().flatten(1)[:, :10]


@pytest.mark.parametrize("toolkit", ["art", "foolbox", "torchattacks"])
def test_a_module_without_gradient_is_an_error_not_robust(trained, toolkit) -> None:
    with pytest.raises(AttackError, match="grad"):
        run(trained, quick("pgd", "linf"), toolkit, model=Detached())


class Recorded(nn.Module):
    """A linear model that notes, for images of one brightness each, which of them it is shown."""

    def __init__(self, levels: list[float]) -> None:
        super().__init__()
        self.levels = torch.tensor(levels)
        self.seen = [0] * len(levels)
        self.weight = torch.randn(3 * 64, generator=torch.Generator().manual_seed(0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        flat = x.flatten(1)
        off = (flat[:, None] - self.levels[None, :, None]).abs().amax(2)
        for row in off.argmin(1).tolist():
            self.seen[row] += 1
        # The brighter, the harder to fool.
        moved = (flat - self.levels[off.argmin(1)][:, None]) @ self.weight
        return torch.stack([moved * 0 + 40 * self.levels[off.argmin(1)] ** 2, moved], 1)


@pytest.mark.parametrize("toolkit", ["art", "torchattacks"])
@pytest.mark.parametrize("eps", [0.1, 0.26])
def test_queries_are_counted_though_images_leave_the_batch(toolkit, eps) -> None:
    """A radius of 0.26 takes an image nearer in l2 to its neighbour at a distance of 0.5."""
    levels = [0.0, 0.5, 1.0]
    model = Recorded(levels)
    x = torch.tensor(levels).view(3, 1, 1, 1).expand(3, 3, 8, 8).clone()
    y = torch.zeros(3, dtype=torch.int64)
    spec = catalogue.resolve("square", "linf", eps, {"queries": 60})
    tried = run_attack(spec, toolkit, model, Batch(x, y), num_classes=2, seed=0)
    assert tried.forwards.tolist() == model.seen
    assert tried.forwards.min() < tried.forwards.max()


class Fixed(nn.Module):
    """A linear model without a parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weight", torch.randn(10, 64, generator=torch.Generator()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1) @ self.weight.T


@pytest.mark.parametrize("toolkit", ["art", "foolbox", "torchattacks"])
def test_a_model_without_parameters_can_be_attacked(trained, toolkit, capsys) -> None:
    model = Fixed()
    y = model(trained.x[:6]).argmax(1)
    x_adv = run(trained, quick("pgd", "linf"), toolkit, model=model, y=y).x_adv
    assert (model(x_adv).argmax(1) != y).any()
    assert capsys.readouterr().out == ""


class Scaled(nn.Sequential):
    """A Sequential with a forward of its own."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(1 - x)


def test_a_sequential_with_its_own_forward_is_attacked_as_it_is(trained) -> None:
    """ART runs the children of a Sequential one by one and so passes by its forward."""
    from art.estimators.classification import PyTorchClassifier

    model = Scaled(nn.Flatten(), nn.Linear(64, 10)).eval()
    raw = PyTorchClassifier(
        model, nn.CrossEntropyLoss(), (1, 8, 8), 10, clip_values=(0.0, 1.0), device_type="cpu"
    )
    answers = torch.from_numpy(raw.predict(trained.x[:6].numpy()))
    assert not torch.allclose(answers, model(trained.x[:6]), atol=1e-3)
    found = [
        run(trained, quick("fgsm", "linf"), toolkit, model=model).x_adv
        for toolkit in ("art", "torchattacks")
    ]
    assert torch.equal(*found)
