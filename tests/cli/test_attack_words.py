"""The attacks that the words of `bench attack` ask for."""

import re

import pytest

from bench.attacks import catalogue
from bench.cli.attack_words import AttackWords, asked_attacks, class_number, usual_norm
from bench.errors import PrerequisiteError, SpecError, UnsupportedAttack
from bench.spec import ModelSpec

CLASSES = ("cat", "crane", "dog", "crane")


def asked(*names, **words):
    return asked_attacks(AttackWords(names=names, **words), CLASSES)


def test_norms_and_radii_of_the_command_go_to_the_attacks_that_take_them():
    found = asked("fgsm", "deepfool", "pgd l2 0.5", "one-pixel 3", eps="8/255")
    assert [one.spec.title() for one in found] == [
        "fgsm linf 8/255", "deepfool l2", "pgd l2 0.5", "one-pixel l0 3",
    ]  # fmt: skip
    (deepfool,) = asked("deepfool", norm="linf")
    assert deepfool.spec.title() == "deepfool linf"
    assert len(asked("fgsm 0.1", "fgsm linf 0.1", "fgsm 0.2")) == 2


@pytest.mark.parametrize(("name", "norm"), [
    ("pgd", "linf"), ("fab", "linf"), ("fmn", "l2"), ("brendel-bethge", "l2"), ("ead", "l1"),
    ("sparsefool", "l0"), ("one-pixel", "l0"), ("fgsm-radius", "linf"),
])  # fmt: skip
def test_every_attack_has_a_usual_norm(name, norm):
    assert usual_norm(name) == norm


def test_parameters_go_to_the_attacks_that_have_them():
    pgd, fgsm, sparsefool = asked(
        "pgd", "fgsm", "sparsefool", eps="0.1", settings=("steps=3", "lambda=2.5", "random_start=false")
    )  # fmt: skip
    assert pgd.given == {"steps": 3, "random_start": False}
    assert fgsm.given == {}
    assert sparsefool.given == {"steps": 3, "lambda": "2.5"}
    assert sparsefool.spec.parameter("lambda") == "2.5"


def test_a_class_is_named_or_numbered():
    (pgd,) = asked("pgd", eps="0.1", settings=("targeted=Dog", "source=0"))
    assert (pgd.spec.targeted, pgd.spec.source) == ("2", 0)
    (rule,) = asked("pgd", eps="0.1", settings=("targeted=least-likely",))
    assert rule.spec.targeted == "least-likely"
    assert class_number("7", tuple("9876543210"), "--label") == 2  # a name first
    assert class_number("7", (), "--label") == 7


@pytest.mark.parametrize(("names", "words", "error", "says"), [
    (("fgsmm",), {}, SpecError, "did you mean fgsm"),
    (("fgsm",), {}, SpecError, "fgsm needs eps, the radius in linf, such as '8/255'"),
    (("fgsm linf 0.1 7",), {}, SpecError, "'fgsm linf 8/255'"),
    (("fgsm",), {"norm": "l2", "eps": "1"}, SpecError, "fgsm has no norm 'l2'; it has linf"),
    (("deepfool", "sparsefool"), {"eps": "1"}, SpecError, "takes no eps; leave it out"),
    (("one-pixel",), {"eps": "0.1"}, SpecError, "is not a number of pixels"),
    (("fgsm",), {"eps": "0.1", "settings": ("steps=3",)}, SpecError, "no parameter of fgsm named"),
    (("fgsm", "pgd"), {"eps": "0.1", "settings": ("stepz=3",)}, SpecError, "named 'stepz'"),
    (("pgd",), {"eps": "0.1", "settings": ("steps=many",)}, SpecError, "is not a whole number"),
    (("pgd",), {"eps": "0.1", "settings": ("steps",)}, SpecError, "write PARAMETER=VALUE"),
    (("pgd",), {"settings": ("eps=0.1",)}, SpecError, "write --eps 0.1"),
    (("pgd", "deepfool"), {"eps": "1", "settings": ("targeted=dog",)}, SpecError,
     "deepfool cannot be targeted"),
    (("pgd",), {"eps": "0.1", "settings": ("targeted=dig",)}, SpecError, "did you mean dog"),
    (("pgd",), {"eps": "0.1", "settings": ("targeted=crane",)}, SpecError, "classes 1 and 3 are both"),
    (("fgsm",), {"eps": "0.1", "toolkit": "foolbo"}, SpecError, "did you mean foolbox"),
    (("sparsefool",), {"toolkit": "art"}, UnsupportedAttack, "art has no sparsefool for l0"),
    (("universal",), {"eps": "0.1"}, SpecError, "bench run --suite FILE"),
    (("certify",), {}, SpecError, "certify is no attack; call model.certify"),
])  # fmt: skip
def test_words_that_mean_nothing_are_said(names, words, error, says):
    with pytest.raises(error, match=re.escape(says)):
        asked(*names, **words)


def test_of_a_thousand_classes_none_is_listed():
    many = tuple(f"name {number}" for number in range(1000))
    with pytest.raises(SpecError, match="none of the model's classes is known as 'xyz'") as raised:
        class_number("xyz", many, "--label")
    assert len(str(raised.value)) < 150


def test_the_first_toolkit_that_can_runs_an_attack_ours_before_others(monkeypatch):
    model = ModelSpec(
        name="mine", family="network", data="digits", input_shape=(1, 8, 8), num_classes=10
    )
    (fgsm,) = asked("fgsm", eps="0.1")
    assert fgsm.runner(model) == "native"
    (pgd,) = asked("pgd", eps="0.1")
    assert catalogue.available("pgd", "linf")[0] == "art"
    assert pgd.runner(model) == "art"
    monkeypatch.setattr("bench.attacks.toolkits.installed", lambda kit: kit == "foolbox")
    assert pgd.runner(model) == "foolbox"
    monkeypatch.setattr("bench.attacks.toolkits.installed", lambda kit: False)
    with pytest.raises(PrerequisiteError, match="run: pip install"):
        pgd.runner(model)


def test_a_toolkit_that_is_named_is_not_replaced_by_another():
    model = ModelSpec(
        name="mine", family="network", data="digits", input_shape=(1, 8, 8), num_classes=10
    )
    (few,) = asked("deepfool", settings=("candidates=3",))
    assert few.runner(model) == "native"
    (named,) = asked("deepfool", settings=("candidates=3",), toolkit="torchattacks")
    with pytest.raises(UnsupportedAttack, match="torchattacks"):
        named.runner(model)
