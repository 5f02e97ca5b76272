"""What a command says in place of a suite's own radii, steps and seed."""

import pytest

from bench.errors import SpecError
from bench.runner.override import Overrides
from bench.runner.plan import make_plan
from bench.runner.suite import load_suite

CLAIM = """
[[claims]]
says    = "the first step does most"
left    = "digits/mlp"
right   = "digits/mlp"
left_attacks  = ["fgsm"]
right_attacks = ["pgd"]
eps     = ["0.1"]
expect  = "left > right"
"""


def asked(tiny_suite, **said):
    return load_suite(str(tiny_suite), Overrides(**said))


def test_other_radii_and_steps_are_for_every_attack_that_has_the_word(tiny_suite):
    suite = asked(tiny_suite, eps=("0.05", "8/255"), steps=(4,), seed=9)
    found = {(one.spec.title(), dict(one.spec.parameters).get("steps")) for one in suite.attacks}
    assert found == {
        ("fgsm linf 0.05", None), ("fgsm linf 8/255", None), ("pgd linf 0.05", 4),
        ("pgd linf 8/255", 4), ("deepfool l2", 4), ("noise linf 0.05", None),
        ("noise linf 8/255", None),
    }  # fmt: skip
    # A step size that the suite leaves to the radius follows it.
    steps = {one.spec.eps: one.spec.parameter("step_size") for one in suite.attacks
             if one.spec.name == "pgd"}  # fmt: skip
    assert steps == {"0.05": "1/80", "8/255": "2/255"}
    assert suite.seed == 9
    assert suite.title == "Tiny (eps 0.05, 8/255, steps 4, seed 9)"


def test_only_the_attacks_that_are_asked_for_are_changed(tiny_suite):
    suite = asked(tiny_suite, steps=(4,), attacks=("pgd",))
    steps = {one.spec.name: dict(one.spec.parameters).get("steps") for one in suite.attacks}
    assert (steps["pgd"], steps["deepfool"]) == (4, 10)


def test_another_seed_is_other_cells_under_the_same_claims(tiny_suite):
    tiny_suite.write_text(tiny_suite.read_text() + CLAIM)
    own, other = (asked(tiny_suite, seed=seed) for seed in (None, 3))
    assert own.claims == other.claims != ()
    assert not set(make_plan(own).cells) & set(make_plan(other).cells)
    assert set(make_plan(asked(tiny_suite, seed=0)).cells) == set(make_plan(own).cells)


def test_claims_are_left_out_where_the_attacks_are_others(tiny_suite):
    tiny_suite.write_text(tiny_suite.read_text() + CLAIM)
    assert asked(tiny_suite, eps=("0.02",)).claims == ()
    assert asked(tiny_suite, steps=(2,)).claims == ()


@pytest.mark.parametrize(("said", "words"), [
    ({"eps": ("two",)}, "--eps: 'two' is not a number"),
    ({"eps": ("1e999999999",)}, "--eps: '1e999999999' is not a number"),
    ({"eps": ("2",)}, r"attacks\[1\]: fgsm: eps=2 is out of range"),
    ({"eps": ("0.1",), "attacks": ("deepfool",)}, "--eps: none of these attacks .* takes eps"),
    ({"steps": (3,), "attacks": ("fgsm", "noise")}, "--steps: none of these attacks"),
])  # fmt: skip
def test_what_no_attack_takes_is_said(tiny_suite, said, words):
    with pytest.raises(SpecError, match=words):
        asked(tiny_suite, **said)
