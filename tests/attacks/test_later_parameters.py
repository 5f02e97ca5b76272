"""Parameters that an attack got after it had cells: keys of those cells stay."""

from __future__ import annotations

import hashlib

import pytest

from bench.attacks import catalogue
from bench.attacks.row import Attack, Parameter, Refusal
from bench.attacks.rows import ATTACKS, CERTIFY
from bench.errors import SpecError
from bench.store.identity import canonical_json

#: The digest of each attack's parameters when nothing is asked for. Whoever changes one makes every stored
#: cell of that attack impossible to find: give the new parameter `later=True`. New attacks go to the end.
WRITTEN_OUT = {
    "fgsm": "0cc4e5287fc7",
    "bim": "7eecb235b3f4",
    "pgd": "d09175844709",
    "mi-fgsm": "b3b8a71feb5e",
    "apgd-ce": "328400f5c165",
    "apgd-dlr": "328400f5c165",
    "fab": "04962a081b5c",
    "fab-t": "575d07dc8c6d",
    "apgd-t": "e3b59b8ce643",
    "autoattack": "6d7d665e9cd1",
    "universal": "a82b7865de39",
    "deepfool": "e7ba15c065ef",
    "l-bfgs": "634aaac21624",
    "cw": "ecf0494c15c4",
    "ddn": "a5450d00b0ea",
    "ead": "6f42758fd9b8",
    "ead-en": "6f42758fd9b8",
    "fmn": "6500b473ebb5",
    "brendel-bethge": "7ce0d3f837b4",
    "fgsm-radius": "84383dd584cf",
    "ifgsm-radius": "d57dd0f06e3d",
    "sparsefool": "5e03acc899a3",
    "jsma": "0e98b04ccdc7",
    "one-pixel": "72b65ac8aa21",
    "salt-and-pepper": "7d63067c41e9",
    "square": "7b00e42224cf",
    "noise": "44136fa355b3",
    "hopskipjump": "da82755e94d1",
    "boundary": "1831a0aa695a",
    "spatial": "4a409ac34702",
    "certify": "1ef753136926",
    "adaptive": "ea2ce5f6a742",
    "superdeepfool": "feac345c59f2",
    "trust-region": "dad9fc66faeb",
    "pdpgd": "bfde491fdec0",
    "pdgd": "bfde491fdec0",
    "alma": "24cc16bf686c",
    "cw-linf": "2e1bffb8d204",
    "sigma-zero": "36143e86ac46",
    "vfga": "6b2cf2313cf7",
    "cascade": "4c4af136d9e5",
    "worst-case-fast": "1186b74b40df",
}


def digest(attack: Attack) -> str:
    eps = None if attack.minimal else "1"
    spec = catalogue.resolve(attack.name, next(iter(attack.norms)), eps)
    return hashlib.sha256(canonical_json(dict(spec.parameters)).encode()).hexdigest()[:12]


def test_what_is_written_of_an_attack_by_default_never_changes() -> None:
    assert {row.name: digest(row) for row in (*ATTACKS.values(), CERTIFY)} == WRITTEN_OUT


@pytest.fixture
def grown(monkeypatch: pytest.MonkeyPatch) -> Attack:
    """Return an attack of the catalogue that has got a parameter and an amount later."""
    attack = Attack(
        name="grown",
        norms={"linf": ("foolbox", "native")},
        note="",
        parameters={
            "steps": Parameter("count", 10),
            "loss": Parameter("choice", "ce", choices=("ce", "logit"), later=True),
            "weight": Parameter("amount", 1, later=True),
        },
        refusals=(Refusal("foolbox", "loss", "ce", "climbs the cross-entropy"),),
    )
    monkeypatch.setattr(catalogue, "ATTACKS", {"grown": attack})
    return attack


def test_a_later_parameter_is_written_only_where_it_is_not_the_default(grown) -> None:
    plain = catalogue.resolve("grown", "linf", 1)
    assert plain.parameters == (("steps", 10),)
    assert catalogue.resolve("grown", "linf", 1, {"loss": "ce", "weight": "1.0"}) == plain
    other = catalogue.resolve("grown", "linf", 1, {"loss": "logit", "weight": 2})
    assert other.parameters == (("loss", "logit"), ("steps", 10), ("weight", "2"))


def test_a_later_parameter_can_be_read_and_refused_whether_written_or_not(grown) -> None:
    plain = catalogue.resolve("grown", "linf", 1)
    other = catalogue.resolve("grown", "linf", 1, {"loss": "logit"})
    assert [catalogue.parameter(spec, "loss") for spec in (plain, other)] == ["ce", "logit"]
    assert catalogue.parameter(plain, "weight") == "1"
    assert catalogue.parameter(plain, "steps") == 10
    assert catalogue.refusal(plain, "foolbox") is None
    assert "loss=logit was asked for" in str(catalogue.refusal(other, "foolbox"))


def test_a_choice_is_one_of_those_there_are(grown) -> None:
    with pytest.raises(SpecError, match="grown: loss: 'mse' is none of ce, logit"):
        catalogue.resolve("grown", "linf", 1, {"loss": "mse"})
