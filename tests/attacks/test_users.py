"""Attacks that users register, on a model whose answers are known beforehand."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from torch import nn

import bench
from bench.attacks.catalogue import record, resolve, row_of
from bench.attacks.described import described
from bench.attacks.rows import ATTACKS
from bench.attacks.users import USERS, attack_code
from bench.errors import AttackError, SpecError, UnsupportedAttack

pytestmark = pytest.mark.usefixtures("registry")

#: Two classes: the first while the two pixels sum to less than 1.
X = torch.tensor([[[[0.2, 0.2]]], [[[0.1, 0.5]]], [[[0.9, 0.3]]]])
Y = torch.tensor([0, 0, 1])


class Sum(nn.Module):
    def forward(self, x):
        total = x.flatten(1).sum(1, keepdim=True)
        return torch.cat([1 - total, total - 1], dim=1)


@pytest.fixture
def model():
    return bench.wrap(Sum(), num_classes=2, input_shape=(1, 1, 2))


def outward(model, x, y, eps):
    """Every pixel towards the other class."""
    return (x + eps * torch.where(y == 0, 1.0, -1.0).view(-1, 1, 1, 1)).clamp(0, 1)


def made(function, eps="0.25", norm="linf", **words):
    """Register a function and return what `bench.attack` makes of it."""
    how = {"access": words.pop("access", "white"), "kind": words.pop("kind", "fixed")}
    bench.register_attack("mine", norms=[norm], **how)(function)
    net = bench.wrap(Sum(), num_classes=2, input_shape=(1, 1, 2))
    return bench.attack(net, X, Y, "mine", norm=norm, eps=eps, **words)


def test_images_are_judged_and_not_taken_on_its_word(model):
    rows = made(outward).rows
    # The sums become 0.9, 1.1 and 0.7.
    assert rows["success"].tolist() == [False, True, True]
    assert rows["adv_label"].tolist() == [0, 1, 0]
    assert rows["linf"].tolist() == pytest.approx([0.25] * 3)
    assert set(rows["toolkit"]) == {"plugin"}


def test_passes_are_counted_for_each_image():
    def climbs(model, x, y, eps):
        model(x)
        moved = x.requires_grad_()
        model(moved).sum().backward()
        model(x.detach()[1:])
        return outward(model, x.detach(), y, eps)

    rows = made(climbs).rows
    assert rows["forwards"].tolist() == [2, 3, 3]
    assert rows["backwards"].tolist() == [1, 1, 1]


def test_the_function_cannot_change_the_model_for_what_comes_after_it():
    """In training mode, batch norm would take up the images that an attack tries."""
    net = torch.nn.Sequential(
        torch.nn.BatchNorm2d(1), torch.nn.Flatten(), torch.nn.Linear(64, 10)
    ).eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}

    def trains(model, x, y, eps):
        model.train()
        model(x)
        assert list(model.parameters()) == []
        return x

    x = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    whole = bench.wrap(net, 10, (1, 8, 8))
    bench.register_attack("trains", norms=["linf"])(trains)
    bench.attack(whole, x, net(x).argmax(1), "trains", norm="linf", eps="0.1")
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert not net.training


def test_steps_of_a_parameter_of_that_name_are_its_iterations():
    def in_steps(model, x, y, eps, steps=4):
        return outward(model, x, y, eps)

    assert made(in_steps, steps=7).rows["iterations"].tolist() == [7] * 3


def test_without_steps_no_iterations_are_claimed():
    assert made(outward).rows["iterations"].isna().all()


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda x: x + 0.5, "over budget: linf 0.5 > 0.25"),
        (lambda x: x * torch.nan, "not finite"),
        (lambda x: x - 0.25, "outside [0, 1] by 0.15"),
    ],
)
def test_images_that_break_a_rule_count_for_nothing(spoil, why):
    rows = made(lambda model, x, y, eps: spoil(x)).rows
    assert rows["invalid"][1] == why
    assert not rows["success"][1]


@pytest.mark.parametrize(
    ("returned", "says"),
    [
        (lambda x: x.numpy(), "its function returned ndarray; return a float tensor of the shape of x"),
        (lambda x: x[:2], r"returned float32 \(2, 1, 1, 2\); return images like x, float32 \(3, 1, 1, 2\)"),
        (lambda x: x.flatten(1), r"returned float32 \(3, 2\); return images like x"),
        (lambda x: (255 * x).byte(), r"returned uint8 \(3, 1, 1, 2\)"),
        (lambda x: None, "returned NoneType"),
        (lambda x: (x, 3), "returned tuple"),
    ],
)  # fmt: skip
def test_what_is_no_batch_of_images_is_refused(returned, says):
    with pytest.raises(AttackError, match=f"attack 'mine': .*{says}"):
        made(lambda model, x, y, eps: returned(x))


def test_an_error_names_the_line_of_the_function():
    def fails(model, x, y, eps):
        raise ValueError("no luck")

    line = fails.__code__.co_firstlineno + 1
    says = f"attack 'mine': test_users.py, line {line}: its function failed: ValueError: no luck"
    with pytest.raises(AttackError, match=says):
        made(fails)


def test_memory_that_runs_out_is_no_fault_of_the_function():
    def large(model, x, y, eps):
        raise MemoryError

    with pytest.raises(AttackError, match="out of memory with 3 images at a time; use a smaller"):
        made(large)


def test_parameters_arrive_as_what_their_defaults_say():
    seen = {}

    def takes(
        model, x, y, eps, *, norm, steps=3, size="eps/4", step=0.5, shift=-1.5, noisy=True,
        loss: Literal["ce", "margin"] = "ce",
    ):  # fmt: skip
        seen.update(
            eps=eps,
            norm=norm,
            steps=steps,
            size=size,
            step=step,
            shift=shift,
            noisy=noisy,
            loss=loss,
        )
        return x

    made(takes, eps="1/8", noisy=False, step="1/2", shift=-3)
    assert seen == {
        "eps": 0.125, "norm": "linf", "steps": 3, "size": 1 / 32, "step": 0.5, "shift": -3.0, "noisy": False,
        "loss": "ce",
    }  # fmt: skip
    told = {one["name"]: one["values"] for one in described("mine")["parameters"]}
    assert told == {
        "eps": "above 0; linf: at most 1", "steps": "a whole number from 1", "size": "from 0", "step": "from 0",
        "shift": "a number", "noisy": "true, false", "loss": "ce, margin",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ({"stesp": 3}, "no parameter of mine named 'stesp'; did you mean steps"),
        ({"steps": 0}, "mine: steps: 0 is too small; it must be at least 1"),
        ({"steps": "many"}, "mine: steps: 'many' is not a whole number"),
        ({"random_start": True}, "mine has no random start"),
        ({"targeted": "next"}, "mine cannot be targeted"),
    ],
)
def test_other_parameters_are_refused(words, says):
    with pytest.raises(SpecError, match=says):
        made(lambda model, x, y, eps, steps=3: x, **words)


def test_an_attack_in_another_norm_is_refused(model):
    bench.register_attack("mine", norms=["linf"])(outward)
    with pytest.raises(UnsupportedAttack, match="mine has no norm 'l2'; it has linf"):
        bench.attack(model, X, Y, "mine", norm="l2", eps=1)


def test_an_attack_by_decisions_gets_labels_alone():
    seen = []

    def asks(model, x, y, eps):
        seen.append(model(x + 0.25))
        return outward(model, x, y, eps)

    rows = made(asks, access="decision").rows
    assert seen[0].tolist() == [0, 1, 1]
    assert seen[0].dtype == torch.int64
    assert rows["forwards"].tolist() == [1] * 3
    assert set(rows["surface"]) == {"predict"}


@pytest.mark.parametrize("access", ["score", "decision"])
def test_an_attack_that_asks_for_a_gradient_it_may_not_have_is_told_so(access):
    def climbs(model, x, y, eps):
        moved = x.requires_grad_()
        model(moved).float().sum().backward()
        return x

    with pytest.raises(AttackError, match=f"asks for a gradient, which access='{access}' does not"):
        made(climbs, access=access)


def test_an_attack_by_scores_that_change_is_evidence_and_one_that_looks_at_none_is_not():
    def looks(model, x, y, eps):
        model(x), model(x + 0.1)
        return x

    assert made(looks, access="score").rows["ineffective"].isna().all()
    USERS.clear(), ATTACKS.pop("mine")
    assert set(made(outward, access="score").rows["ineffective"]) == {"constant scores"}


def test_a_white_attack_that_took_no_gradient_had_nothing_to_go_by():
    assert set(made(outward).rows["ineffective"]) == {"no gradient"}


def test_a_minimal_norm_attack_is_called_without_eps():
    def halfway(model, x, y, share=0.5):
        return x + (1.0001 - x.flatten(1).sum(1).view(-1, 1, 1, 1)) * share

    out = made(halfway, eps=None, kind="minimal", norm="l2")
    assert out.rows["eps"].isna().all()
    assert out.rows["l2"].tolist() == pytest.approx(
        [0.3 * 2**0.5, 0.2 * 2**0.5, 0.1 * 2**0.5], abs=1e-3
    )
    assert out.rows["success"].tolist() == [True, True, False]  # the last stays on its side
    with pytest.raises(SpecError, match="takes no eps"):
        bench.attack(bench.wrap(Sum(), 2, (1, 1, 2)), X, Y, "mine", norm="l2", eps=1)


def test_an_attack_that_takes_targets_can_be_targeted():
    seen = []

    def aims(model, x, y, eps, target=None):
        seen.append(target)
        return outward(model, x, y, eps)

    made(aims)
    rows = made(aims, targeted="next").rows
    assert seen[0] is None
    assert seen[1].tolist() == rows["target"].tolist() == [1, 1, 0]


def test_draws_are_repeated_with_the_seed():
    def draws(model, x, y, eps):
        return (x + eps * (2 * torch.rand_like(x) - 1)).clamp(0, 1)

    first, again, other = (made(draws, seed=seed).x_adv for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(
    ("name", "how", "says"),
    [
        ("pgd", {}, "there is an attack 'pgd' already; choose another name"),
        ("certify", {}, "there is an attack 'certify' already"),
        ("external", {}, "there is an attack 'external' already"),
        ("my attack", {}, "a name is of letters, digits"),
        ("linf", {}, "a name is of letters, digits"),
        ("mine", {"norms": ["l3"]}, "no norm named 'l3'"),
        ("mine", {"norms": []}, r'has no norm; write norms=\["linf"\]'),
        ("mine", {"access": "grey"}, "no access named 'grey'; known: decision, score, white"),
        ("mine", {"kind": "fast"}, "no kind named 'fast'"),
        ("mine", {"norms": ["l2", "linf"]}, "must take `norm`, which says for which one"),
    ],
)
def test_registrations_that_do_not_fit_are_refused(name, how, says):
    with pytest.raises(SpecError, match=says):
        bench.register_attack(name, **{"norms": ["linf"], **how})(outward)


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (lambda model, x, y: x, r"takes \(model, x, y\); it is called with \(model, x, y, eps\)"),
        (lambda model, x, y, eps=0.1: x, r"called with \(model, x, y, eps\), without defaults"),
        (lambda model, x, y, eps, steps: x, "'steps' has no default"),
        (lambda model, x, y, eps, loss="ce": x, "'loss' has the default 'ce'; give it one that is a"),
        (lambda model, x, y, eps, net=None: x, "'net' has the default None"),
        (lambda model, x, y, eps, seed=0: x, "'seed' means something else for all attacks"),
        (lambda model, x, y, eps, **more: x, r"takes \*\*more; let it take its parameters one by one"),
        (lambda *all: all, r"takes \(all\); it is called with"),
        (3, "give it a function"),
    ],
)  # fmt: skip
def test_functions_that_cannot_be_called_so_are_refused(function, says):
    with pytest.raises(SpecError, match=f"attack 'mine': .*{says}"):
        bench.register_attack("mine", norms=["linf"])(function)


def test_a_name_is_taken_once():
    bench.register_attack("mine", norms=["linf"])(outward)
    bench.register_attack("mine", norms=["linf"])(outward)  # the file is run again
    with pytest.raises(SpecError, match=r"attack 'mine' is registered twice: by .*test_users\.py"):
        bench.register_attack("mine", norms=["linf"])(lambda model, x, y, eps: x)


def test_it_is_listed_with_the_first_line_of_its_description():
    bench.register_attack("mine", norms=["linf"])(outward)
    told = record(row_of("mine"))
    assert told["note"] == "Every pixel towards the other class."
    assert told["where"] == {"plugin": ["linf"]}
    assert (told["kind"], told["access"], told["targeted"]) == ("fixed", "white", False)


def code_of(tmp_path, text):
    """Return the digest of the attack in a file."""
    file = tmp_path / "helper.py"
    file.write_text(text)
    space = {"__name__": "helper", "__file__": str(file)}
    exec(compile(text, str(file), "exec"), space)
    USERS.clear()
    ATTACKS.pop("mine", None)
    bench.register_attack("mine", norms=["linf"])(space["attack"])
    return attack_code("mine")


def test_its_code_and_what_that_reaches_is_told_apart(tmp_path):
    text = "SCALE = 1\ndef scaled(x):\n    return SCALE * x\ndef attack(model, x, y, eps):\n    return scaled(x)\n"
    before = code_of(tmp_path, text)
    assert code_of(tmp_path, text.replace("def scaled", "# a comment\ndef scaled")) == before
    assert code_of(tmp_path, text.replace("SCALE = 1", "SCALE = 2")) != before
    assert code_of(tmp_path, text.replace("* x", "+ x")) != before
    assert attack_code("pgd") is None


def test_one_toolkit_need_not_be_named_and_of_several_one_must(model):
    bench.register_attack("mine", norms=["linf"])(outward)
    with pytest.raises(
        SpecError, match="pgd linf is in art, foolbox, torchattacks; name one of them"
    ):
        bench.attack(model, X, Y, "pgd", norm="linf", eps=0.1)
    with pytest.raises(UnsupportedAttack, match="art has no mine for linf"):
        bench.attack(model, X, Y, "mine", norm="linf", eps=0.1, toolkit="art")


def test_defaults_are_written_out_so_that_equal_requests_are_equal():
    bench.register_attack("mine", norms=["linf"])(lambda model, x, y, eps, steps=3, size=0.5: x)
    assert resolve("mine", "linf", "0.1", {"steps": 3, "size": "0.50"}) == resolve(
        "mine", "linf", 0.1
    )
