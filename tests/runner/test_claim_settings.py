"""The `[[claims]]` tables about perturbations: what they say, and what a wrong one is told."""

from __future__ import annotations

import dataclasses
import json

import build
import pytest

from bench.errors import SpecError
from bench.runner.claim_checks import check_settings
from bench.runner.suite import load_suite
from bench.spec import Claim, Setting
from bench.store.identity import suite_content
from bench.store.results import _claim
from bench.suite_files import known_suites

MODELS = ["digits/mlp", "digits/cnn"]
ATTACKS = [
    {"name": "fgsm", "norm": "linf", "eps": ["0.1", "26/255"], "loss": ["ce", "logit"], "toolkits": ["native"]},
    {"name": "fgsm", "norm": "linf", "eps": "0.1", "loss": "logit", "batch_size": 1, "toolkits": ["native"]},
    {"name": "deepfool", "norm": ["l2", "linf"], "overshoot": 0.01, "clip": "end", "toolkits": ["native"]},
    {"name": "sparsefool", "norm": "l0", "lambda": [1, 2, 3], "toolkits": ["native"]},
]  # fmt: skip
PLAIN = {
    "says": "one is fooled more often", "measure": "perturbation", "figure": "fooling",
    "left": "digits/cnn", "right": "digits/mlp", "attacks": ["fgsm"], "eps": "0.1",
    "with": {"loss": "logit"}, "expect": "left > right",
}  # fmt: skip
ORDER = {
    "says": "one order", "measure": "order", "left": "digits/*", "expect": "opposite order",
    "left_attacks": ["fgsm"], "left_eps": "0.1", "left_figure": "fooling", "left_with": {"loss": "logit"},
    "right_attacks": ["deepfool"], "right_norm": "l2", "right_figure": "rho_l2",
}  # fmt: skip
FGSM = Setting(
    attack="fgsm", norm="linf", eps="0.1", parameters=(("loss", "logit"),), figure="fooling"
)
SPARSE = Setting(attack="sparsefool", norm="l0", figure="iterations")


def said(base=PLAIN, **changes):
    """Return a claim's table with other fields; those that are None are left out."""
    return {name: value for name, value in {**base, **changes}.items() if value is not None}


def loaded(tmp_path, *claims):
    path = tmp_path / "mine.toml"
    path.write_text(build.suite(MODELS, ATTACKS, claims))
    return load_suite(str(path))


def test_a_claim_as_it_is_read(tmp_path):
    suite = loaded(tmp_path, said())
    assert suite.claims == (
        Claim(says="one is fooled more often", left="digits/cnn", right="digits/mlp", attacks=("fgsm",),
              norm="linf", eps=("0.1",), expect="left > right", measure="perturbation",
              settings=((FGSM, FGSM),)),
    )  # fmt: skip
    assert not suite.claims[0].apart


def test_lists_are_gone_through_together(tmp_path):
    table = said(
        figure="iterations", attacks=["sparsefool"], eps=None, right=None,
        left_with={"lambda": [1, 2.0]}, right_with={"lambda": ["2", 3]}, **{"with": {"steps": 20}},
    )  # fmt: skip
    (claim,) = loaded(tmp_path, table).claims
    by_lambda = {
        value: dataclasses.replace(SPARSE, parameters=(("lambda", value), ("steps", 20)))
        for value in "123"
    }
    assert claim.settings == ((by_lambda["1"], by_lambda["2"]), (by_lambda["2"], by_lambda["3"]))
    assert (claim.eps, claim.norm, claim.right_attacks) == ((), "l0", None)
    assert claim.apart


def test_the_radius_is_as_the_suite_writes_it(tmp_path):
    table = said(right=None, eps=None, left_eps=["0.10", "26/255"], right_eps=["26/255", 0.1])
    (claim,) = loaded(tmp_path, table).claims
    assert [pair[0].eps for pair in claim.settings] == ["0.1", "26/255"]
    assert claim.eps == ("0.1", "26/255")


def test_a_bound_has_no_right(tmp_path):
    table = said(right=None, expect="left < bound", bound=0.8)
    (claim,) = loaded(tmp_path, table).claims
    assert (claim.settings, claim.bound, claim.right) == (((FGSM, None),), 0.8, None)


def test_an_order_of_two_attacks(tmp_path):
    (claim,) = loaded(tmp_path, ORDER).claims
    other = Setting(attack="deepfool", norm="l2", figure="rho_l2")
    assert claim.settings == ((FGSM, other),)
    assert (claim.attacks, claim.right_attacks, claim.measure) == (
        ("fgsm",),
        ("deepfool",),
        "order",
    )


def test_a_claim_comes_back_from_the_log_of_a_run(tmp_path):
    bound = said(right=None, expect="left < bound", bound=0.8)
    for claim in loaded(tmp_path, said(), ORDER, bound).claims:
        assert _claim(json.loads(json.dumps(dataclasses.asdict(claim)))) == claim
    old = dataclasses.asdict(build.claim())
    del old["settings"], old["bound"]
    assert _claim(json.loads(json.dumps(old))) == build.claim()


def test_what_a_claim_compares_is_part_of_the_suite(tmp_path):
    tables = (said(), said(eps="26/255"), said(**{"with": {"loss": "ce"}}), said(figure="delta_l2"))
    suites = [loaded(tmp_path, table) for table in tables]
    assert len({suite_content(suite) for suite in suites}) == len(tables)


@pytest.mark.parametrize(("table", "words"), [
    (said(figure=None), r"figure: this field is missing; write one of fooling, confidence_fooled"),
    (said(figure="foolign"), r"figure: no figure named 'foolign'; did you mean fooling"),
    (said(figure="fooling_reduction"), r"figure: fooling_reduction cannot be tested; compare fooling with"),
    (said(**{"with": {"los": "ce"}}), r"with: no parameter of fgsm named 'los'; did you mean loss"),
    (said(**{"with": {"loss": "mse"}}), r"with: fgsm: loss: 'mse' is none of ce, logit"),
    (said(eps="0.2"), r"eps: the suite has no fgsm linf 0\.2; it has 0\.1, 26/255"),
    (said(eps=None), r"eps: this field is missing; fgsm linf has 0\.1, 26/255"),
    (said(eps="tenth"), r"eps: 'tenth' is not a number"),
    (said(attacks=["fgms"]), r"attacks: no attack in this suite named 'fgms'; did you mean fgsm"),
    (said(attacks=["fgsm", "deepfool"]), r"attacks: name one attack for each side"),
    (said(attacks=None), r"attacks: name one attack for each side"),
    (said(norm="l2"), r"norm: the suite has no fgsm l2; it has linf"),
    (said(attacks=["deepfool"], eps=None, **{"with": {"clip": "end"}}),
     r"norm: this field is missing; deepfool has l2, linf"),
    (said(attacks=["deepfool"], norm="l2", **{"with": {"clip": "end"}}),
     r"eps: deepfool takes no radius; leave it out"),
    (said(attacks=["deepfool"], norm="l2", eps=None, **{"with": {"clip": "steps"}}),
     r"with: no deepfool l2 of the suite has clip steps; it has end"),
    (said(eps="26/255", **{"with": {"batch_size": 1}}),
     r"with: no fgsm linf 26/255 of the suite has batch_size 1; it names none"),
    (said(**{"with": {"batch_size": 7}}), r"with: no fgsm linf 0\.1 of the suite has batch_size 7; it has 1$"),
    (said(**{"with": {"toolkit": "art"}}), r"with: no fgsm linf 0\.1 of the suite has toolkit art; it has native"),
    (said(**{"with": {"loss": "ce", "batch_size": 1}}), r"with: no fgsm linf 0\.1 of the suite has all of this"),
    (said(**{"with": {"batch_size": "1"}}), r"with: batch_size '1': write a whole number from 1"),
    (said(**{"with": {"batch_size": 0}}), r"with: batch_size 0: write a whole number from 1"),
    (said(**{"with": {"loss": []}}), r"with\.loss is an empty list; write a value"),
    (said(figure="fit_passes"), r"figure: fit_passes is of attacks that are fitted; fgsm is not"),
    (said(right="digits/cnn"), r"right: this is the model of the left; name another one"),
    (said(**{"with": {"toolkit": "fool"}}), r"with: no toolkit named 'fool'; did you mean foolbox"),
    (said(left_eps="0.1"), r"write eps, or left_eps and right_eps, not both"),
    (said(left_with={"loss": "ce"}), r"left_with: `with` says loss already; leave one out"),
    (said(eps=["0.1", "26/255"], **{"with": {"loss": ["ce", "logit", "ce"]}}),
     r"lists are gone through together, but their lengths are eps 2, with\.loss 3"),
    (said(right=None), r"right: this field is missing; it may be left out only against a bound, or if"),
    (said(expect="left < bound"), r"bound: a number goes with expect = 'left > bound' or"),
    (said(bound=0.8), r"bound: a number goes with expect = 'left > bound' or"),
    (said(expect="left < bound", bound=0.8), r"right: the left is compared with a bound; leave it out"),
    (said(expect="left = right"), r"within: this field is missing"),
    (said(expect="same order"), r"expect: for perturbations write left > right or"),
    (said(figure=None, left_figure="fooling", right_figure="delta_l2"),
     r"figure: fooling and delta_l2 are figures of different kinds"),
    (said(right=None, expect="left < bound", bound=80.0), r"bound: fooling is a share, from 0 to 1"),
    (said(right=None, expect="left < bound", bound=-0.1), r"bound: fooling is a share, from 0 to 1"),
    (said(ORDER, left_attacks=None, left_eps=None, left_figure=None, left_with=None, right_attacks=None,
          right_norm=None, right_figure=None, attacks=["fgsm"], eps="0.1", figure="fooling",
          **{"with": {"loss": "ce"}}), r"both sides are the same; say in what they differ"),
    (said(right=None, left_eps="0.1", right_eps=0.1, eps=None), r"both sides are the same; say in what"),
    (said(ORDER, left_eps=["0.1", "26/255"]), r"models are ordered once"),
    (said(ORDER, right="digits/cnn"), r"right: the models of `left` are ordered; leave it out"),
    (said(measure="accuracy", figure=None), r"with: this is about perturbations; it needs measure = 'perturbation' or 'order'"),
    (said(measure="accuracy", figure=None, **{"with": None}, bound=0.5), r"bound: this is about perturbations"),
    (said(withh=1), r"no such field; it takes says, left, right, .*, with, left_with"),
])  # fmt: skip
def test_a_wrong_claim_names_file_table_and_field(tmp_path, table, words):
    with pytest.raises(
        SpecError, match=rf"mine\.toml: claims\[1\]\.?(withh)?:? ?{words}"
    ) as caught:
        loaded(tmp_path, table)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("bound", ["nan", "inf", "-inf"])
def test_a_bound_is_finite(tmp_path, bound):
    table = said(right=None, figure="rho_l2", expect="left < bound", bound=0.0625)
    text = build.suite(MODELS, ATTACKS, [table])
    path = tmp_path / "mine.toml"
    path.write_text(text.replace("0.0625", bound))
    with pytest.raises(
        SpecError, match=rf"claims\[1\]\.bound: {bound} is no number that a figure can be"
    ):
        load_suite(str(path))


@pytest.mark.parametrize(("table", "words"), [
    (said(**{"with": None}), r"mine: claims\[1\]\.with: 3 attacks .* may be meant on digits/cnn; they differ in loss,"),
    (said(figure="iterations", attacks=["sparsefool"], eps=None, **{"with": None}), r"3 attacks .* differ in lambda"),
    (said(), None), (ORDER, None),
])  # fmt: skip
def test_it_is_clear_which_attack_is_meant(tmp_path, table, words):
    suite = loaded(tmp_path, table)
    if words is None:
        check_settings(suite.name, suite.claims, suite.models, suite.attacks)
        return
    with pytest.raises(SpecError, match=words):
        check_settings(suite.name, suite.claims, suite.models, suite.attacks)


@pytest.mark.parametrize("name", known_suites())
def test_it_is_clear_which_attacks_the_claims_of_known_suites_mean(name):
    suite = load_suite(name)
    check_settings(name, suite.claims, suite.models, suite.attacks)
