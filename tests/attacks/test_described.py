"""What people are told of one attack."""

from __future__ import annotations

import pytest

from bench.attacks import described
from bench.attacks.catalogue import available, refusal, resolve
from bench.attacks.rows import ATTACKS, CERTIFY, EXTERNAL
from bench.errors import SpecError

EVERY = [*ATTACKS.values(), CERTIFY, EXTERNAL]


@pytest.mark.parametrize("attack", EVERY, ids=lambda attack: attack.name)
def test_every_parameter_has_a_meaning_and_its_default(attack):
    told = described.described(attack.name)["parameters"]
    names = [one["name"] for one in told]
    assert names == [*([] if attack.minimal else ["eps"]), *attack.parameters]
    for one in told:
        assert one["meaning"].strip()
        if one["name"] != "eps":
            rule = attack.parameters[one["name"]]
            default = None if rule.kind == "file" else rule.default
            assert one["default"] == ("eps / 4" if default == "eps/4" else default)


def test_no_meaning_is_of_a_parameter_that_there_is_not():
    plain = {word for attack in EVERY for word in attack.parameters}
    own = {f"{attack.name} {word}" for attack in EVERY for word in attack.parameters}
    used = {
        f"{attack.name} {word}" if f"{attack.name} {word}" in described.MEANINGS else word
        for attack in EVERY
        for word in attack.parameters
    }
    assert set(described.MEANINGS) <= plain | own
    assert set(described.MEANINGS) == used


def test_what_is_said_to_be_refused_is_refused():
    told = {one["name"]: one for one in described.described("fgsm")["parameters"]}
    assert told["targeted"]["refused"] == {"foolbox": "only none: foolbox cannot be targeted"}
    for name, value, kit in (("targeted", "next", "foolbox"), ("eot", 3, "torchattacks")):
        asked = resolve("fgsm", "linf", "0.1", {name: value})
        for other in available("fgsm", "linf"):
            assert (refusal(asked, other) is not None) == (other in told[name]["refused"])
        assert kit in told[name]["refused"]
    (eot,) = (one for one in described.described("pgd")["parameters"] if one["name"] == "eot")
    assert eot["refused"]["torchattacks"].startswith("in l2 only 1")


def test_an_unknown_attack_gets_the_nearest():
    with pytest.raises(SpecError, match="no attack named 'pgdd'; did you mean pgd"):
        described.described("pgdd")
