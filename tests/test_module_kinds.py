"""Every kind of model in `module_kinds.py` under attacks of every toolkit.

Models whose kind changes no answer must get the same images as the plain network; of the others every row must be a
valid one. A few attacks run always, all of them with the slow tests.
"""

from functools import cache

import pytest
import torch
from attack_cases import CASES, quick
from module_kinds import KINDS

import bench
from bench.attacks.catalogue import access
from bench.errors import UnsupportedAttack

#: An attack of each toolkit, with a gradient; and two without.
FEW = [
    ("fgsm", "linf", "native"), ("pgd", "linf", "torchattacks"), ("deepfool", "l2", "foolbox"),
    ("fgsm", "linf", "art"), ("square", "linf", "torchattacks"), ("noise", "linf", "native"),
]  # fmt: skip

#: Brendel-Bethge compiles itself for minutes.
ALL = [case for case in CASES if case[0] != "brendel-bethge"]

#: Kinds that get a few attacks alone: those with many classes or pixels, since others take a step for each, and one
#: that differs from another in its name only.
_FEW = ("1,000 classes", "21,000 classes", "large", "dataclass")

#: Kinds that give the very logits of the plain network.
_SAME = (
    "tuple",
    "dict",
    "object",
    "dataclass",
    "data parallel",
    "compiled",
    "train mode",
    "keeps state",
)

#: Torch compiles again for each new number of images.
pytestmark = pytest.mark.filterwarnings("ignore")


@cache
def plain(case):
    """Return what an attack makes of the images of the plain network."""
    return attacked("plain", case)[1].x_adv


def attacked(kind, case):
    """Return images, and what an attack made of them; None where no such attack is possible."""
    name, norm, toolkit = case
    kind = KINDS[kind]
    model = kind.make()
    torch.manual_seed(1)
    x = torch.rand(3, *kind.shape)
    y = model.predict(x).labels
    spec = quick(name, norm)
    try:
        return x, bench.attack(
            model, x, y, name, norm=norm, toolkit=toolkit, eps=spec.eps, **dict(spec.parameters)
        )
    except UnsupportedAttack:
        return None


def check(name, case):
    kind = KINDS[name]
    if access(case[0]) == "white" and not kind.white:
        pytest.skip("no gradient")
    found = attacked(name, case)
    if found is None:
        pytest.skip("too few classes for this attack")
    x, result = found
    assert result.x_adv.shape == x.shape
    assert result.rows["invalid"].isna().all(), result.rows["invalid"].tolist()
    assert result.rows["correct"].any()  # of a random model, one draw is not the judge
    assert 0 <= result.x_adv.min() <= result.x_adv.max() <= 1
    eps = quick(*case[:2]).eps
    assert eps is None or result.rows[case[1]].max() <= float(eps) * (1 + 1e-5)
    if name in _SAME:
        assert torch.equal(result.x_adv, plain(case))


@pytest.mark.parametrize("case", FEW, ids=lambda case: "-".join(case))
@pytest.mark.parametrize("name", [name for name in KINDS if name != "large"])
def test_a_kind_of_model_under_a_few_attacks(name, case):
    check(name, case)


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_a_kind_of_model_under_every_attack(name, subtests):
    for case in FEW if name in _FEW else ALL:
        with subtests.test("-".join(case)):
            check(name, case)
