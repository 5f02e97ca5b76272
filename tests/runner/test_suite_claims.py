"""The `[[claims]]` tables: what they say, and what a wrong one is told."""

from __future__ import annotations

import dataclasses

import pytest

from bench.errors import SpecError
from bench.runner.plan import make_plan
from bench.runner.suite import load_suite
from bench.spec import Claim
from bench.suite_files import known_suites

SUITE = """\
title  = "T"
data   = "digits"
images = 30

[[models]]
name = "digits/mlp"

[[models]]
name = "digits/cnn"

[[attacks]]
name = "fgsm"
norm = "linf"
eps  = ["0.1", "0.2"]

[[attacks]]
name = "pgd"
norm = "linf"
eps  = "0.1"

[[attacks]]
name = "deepfool"
norm = "l2"

[[claims]]
says    = "one beats the other"
left    = "digits/cnn"
right   = "{data}/mlp"
attacks = ["pgd"]
eps     = [0.1, "0"]
expect  = "left > right"
"""

EQUAL = 'expect = "left = right"\nwithin = 5'
APART = 'left_attacks = ["fgsm"]\nright_attacks = ["pgd"]'


def written(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return str(path)


def changed(*pairs):
    text = SUITE
    for old, new in pairs:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def test_a_claim_as_it_is_read(tmp_path):
    plain = Claim(
        says="one beats the other", left="digits/cnn", right="{data}/mlp", attacks=("pgd",),
        norm="linf", eps=("0.1", "0"), expect="left > right",
    )  # fmt: skip
    assert load_suite(written(tmp_path, SUITE)).claims == (plain,)
    text = changed(
        ('right   = "{data}/mlp"\n', ""), ('attacks = ["pgd"]', APART), ('[0.1, "0"]', '"0.1"'),
        ('expect  = "left > right"', EQUAL + '\nsurfaces = ["network"]'),
    )  # fmt: skip
    assert load_suite(written(tmp_path, text)).claims == (
        dataclasses.replace(
            plain, right=None, attacks=("fgsm",), right_attacks=("pgd",), eps=("0.1",),
            expect="left = right", within=5.0, surfaces=("network",),
        ),
    )  # fmt: skip


def test_the_norm_is_linf_or_the_only_one(tmp_path):
    text = changed(('name = "pgd"\nnorm = "linf"', 'name = "pgd"\nnorm = "l2"'))
    text = text.replace('name = "fgsm"\nnorm = "linf"', 'name = "noise"\nnorm = "l2"')
    assert load_suite(written(tmp_path, text)).claims[0].norm == "l2"
    # An attack of minimal norm answers for every radius.
    text = text.replace('attacks = ["pgd"]', 'attacks = ["deepfool"]').replace("[0.1", "[0.7")
    assert load_suite(written(tmp_path, text)).claims[0].eps == ("0.7", "0")


@pytest.mark.parametrize(("old", "new", "words"), [
    ('says    = "one beats the other"\n', "", r"claims\[1\]\.says: this field is missing"),
    ("expect ", 'claim = "x"\nexpect ', r"claims\[1\]\.claim: no such field; it takes says, left, right, attacks"),
    ('"left > right"', '"left"', r"claims\[1\]\.expect: .*'left > right'.*\(it says 'left'\)"),
    ('["pgd"]', '"pgd"', r"claims\[1\]\.attacks: .*list.*'pgd'"),
    ('["pgd"]', "[]", r"claims\[1\]\.attacks: an empty list"),
    ('[0.1, "0"]', '"tenth"', r"claims\[1\]\.eps: 'tenth' is not a number"),
    ('[0.1, "0"]', "-0.1", r"claims\[1\]\.eps: a radius is not negative"),
    ('[0.1, "0"]', "[]", r"claims\[1\]\.eps: an empty list"),
    ('[0.1, "0"]', '"0.2"', r"claims\[1\]\.eps: the suite has no pgd linf 0\.2; it has 0\.1"),
    ('["pgd"]', '["pdg"]', r"claims\[1\]\.attacks: no linf attack here named 'pdg'; did you mean pgd"),
    ('["pgd"]', '["deepfool"]', r"claims\[1\]\.attacks: no linf attack here named 'deepfool'"),
    ('attacks = ["pgd"]\n', "", r"claims\[1\]\.attacks: this field is missing; only eps 0"),
    ('attacks = ["pgd"]', 'attacks = ["pgd"]\nnorm = "l1"', r"claims\[1\]\.norm: no attack .* l1"),
    ('attacks = ["pgd"]', f'attacks = ["pgd"]\n{APART}', r"claims\[1\]: write attacks, or left_"),
    ('attacks = ["pgd"]', 'left_attacks = ["pgd"]', r"claims\[1\]: .* go together"),
    ('attacks = ["pgd"]', APART, r"claims\[1\]\.eps: attacks are compared, but there is none at eps 0"),
    ('right   = "{data}/mlp"\n', "", r"claims\[1\]\.right: this field is missing"),
    ('expect  = "left > right"', 'expect = "left = right"', r"claims\[1\]\.within: .* is missing"),
    ('"left > right"', '"left > right"\nwithin = 5', r"claims\[1\]\.within: .* alone"),
    ('expect  = "left > right"', EQUAL.replace("5", "0"), r"claims\[1\]\.within: .*greater than 0"),
])  # fmt: skip
def test_a_wrong_claim_names_file_table_and_field(tmp_path, old, new, words):
    with pytest.raises(SpecError, match=rf"mine\.toml: {words}") as caught:
        load_suite(written(tmp_path, changed((old, new))))
    assert "\n" not in str(caught.value)


def test_without_linf_one_of_several_norms_is_named(tmp_path):
    text = changed(('name = "pgd"\nnorm = "linf"', 'name = "pgd"\nnorm = "l2"'))
    text = text.replace('name = "fgsm"\nnorm = "linf"', 'name = "fab"\nnorm = "l1"')
    with pytest.raises(SpecError, match=r"claims\[1\]\.norm: .* missing; it takes l1, l2"):
        load_suite(written(tmp_path, text))


@pytest.mark.parametrize(("old", "new", "words"), [
    ("digits/cnn\"\nright", "digits/cn\"\nright", r"claims\[1\]\.left: no model of suite mine named 'digits/cn'; did you mean digits/cnn"),
    ("{data}/mlp", "{data}/mlpp", r"claims\[1\]\.right: no model of suite mine named '\{data\}/mlpp'"),
])  # fmt: skip
def test_models_that_the_suite_lacks_are_named(tmp_path, old, new, words):
    with pytest.raises(SpecError, match=words) as caught:
        make_plan(load_suite(written(tmp_path, changed((old, new)))))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", known_suites())
def test_claims_of_known_suites_are_about_their_models(name):
    from bench.runner.suite_claims import check_models

    suite = load_suite(name)
    check_models(name, suite.claims, [model.title() for model in suite.models])


RADIUS = """
[[attacks]]
name = "fgsm-radius"
norm = "linf"

[[claims]]
says    = "one is farther from the boundary"
left    = "digits/cnn"
right   = "digits/mlp"
attacks = ["fgsm-radius"]
measure = "critical_eps"
expect  = "left > right"
"""


def test_a_claim_about_critical_eps(tmp_path):
    claim = load_suite(written(tmp_path, SUITE + RADIUS)).claims[1]
    assert (claim.measure, claim.eps, claim.attacks) == ("critical_eps", (), ("fgsm-radius",))
    assert claim.figure is None
    named = RADIUS + 'figure  = "mode"\n'
    assert load_suite(written(tmp_path, SUITE + named)).claims[1].figure == "mode"


@pytest.mark.parametrize(("old", "new", "words"), [
    ('"critical_eps"', '"critical_eps"\neps = "0.1"', "eps: a critical eps is measured"),
    ('"left > right"', '"left = right"', "expect: for critical eps"),
    ('["fgsm-radius"]', '["fgsm"]', "attacks: fgsm measures no radius.*fgsm-radius does"),
    ('["fgsm-radius"]', '["pdg"]', "attacks: no linf attack here named 'pdg'"),
    ('measure = "critical_eps"\n', "", "eps: this field is missing"),
    ('attacks = ["fgsm-radius"]\n', "", "attacks: this field is missing"),
    ('"critical_eps"', '"critical_eps"\nfigure = "mean"', "figure: input should be 'logistic', 'median'"),
    ('"critical_eps"', '"accuracy"\neps = "0.1"\nfigure = "mode"', "figure: this names a figure of radii"),
    ('"critical_eps"', '"radius"', "measure: input should be 'accuracy', 'critical_eps', 'importance', 'perturbation', 'order' or 'training'"),
])  # fmt: skip
def test_what_a_wrong_claim_about_critical_eps_is_told(tmp_path, old, new, words):
    assert old in RADIUS
    with pytest.raises(SpecError, match=words):
        load_suite(written(tmp_path, SUITE + RADIUS.replace(old, new)))


ORDER = RADIUS.replace('right   = "digits/mlp"\n', "").replace("critical_eps", "order")
ORDER = ORDER.replace("left > right", "opposite order")


def test_a_claim_about_an_order(tmp_path):
    claim = load_suite(written(tmp_path, SUITE + ORDER)).claims[1]
    assert (claim.measure, claim.right, claim.expect) == ("order", None, "opposite order")


@pytest.mark.parametrize(("old", "new", "words"), [
    ("opposite order", "left > right", "expect: for an order write same order or opposite order"),
    ("left    =", 'right = "digits/mlp"\nleft    =', "right: the models of `left` are ordered"),
    ('measure = "order"\n', "", "measure: this field is missing; with expect = 'opposite order' write measure = 'order'"),
    ('"order"', '"order"\neps = "0.1"', "eps: a critical eps is measured"),
])  # fmt: skip
def test_what_a_wrong_claim_about_an_order_is_told(tmp_path, old, new, words):
    assert old in ORDER
    with pytest.raises(SpecError, match=words):
        load_suite(written(tmp_path, SUITE + ORDER.replace(old, new)))
