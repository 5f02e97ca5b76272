from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from bench.attacks import catalogue
from bench.attacks import toolkits as kits
from bench.attacks.rows import ATTACKS
from bench.attacks.values import amounts
from bench.errors import SpecError
from bench.spec import GOALS, TOOLKITS, number

ROOT = Path(__file__).parents[2]


def spec(name: str, norm: str, **words):
    eps = None if catalogue.is_minimal(name) else "3" if norm == "l0" else "8/255"
    return catalogue.resolve(name, norm, eps, words)


def test_defaults_are_written_out_and_sorted() -> None:
    pgd = catalogue.resolve("pgd", "linf", "8/255")
    assert pgd.eps == "8/255"
    assert pgd.parameters == (
        ("eot", 1),
        ("random_start", True),
        ("restarts", 1),
        ("step_size", "2/255"),
        ("steps", 10),
        ("targeted", "none"),
    )


@pytest.mark.parametrize(
    ("eps", "text", "step"),
    [("8/255", "8/255", "2/255"), (0.1, "0.1", "1/40"), (1, "1", "1/4"), ("0.50", "0.5", "1/8")],
)
def test_eps_is_exact_text_and_the_step_a_quarter(eps, text, step) -> None:
    resolved = catalogue.resolve("pgd", "l2", eps)
    assert (resolved.eps, resolved.parameter("step_size")) == (text, step)
    assert number(step) == pytest.approx(number(text) / 4)


def test_one_amount_has_one_spelling() -> None:
    assert spec("cw", "l2", c=1) == spec("cw", "l2", c=1.0) == spec("cw", "l2", c="1.0")
    assert spec("pgd", "linf", targeted=3) == spec("pgd", "linf", targeted="3")


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (("pdg", "linf", "8/255"), "pgd"),
        (("fgsm", "l2", "8/255"), "fgsm has no norm 'l2'; it has linf"),
        (("pgd", "linf"), "needs eps, the radius in linf, such as '8/255'"),
        (("one-pixel", "l0"), "needs eps, the radius in l0, such as 3 (pixels)"),
        (("fab", "l1"), "needs eps, the radius in l1, such as '5'"),
        (("cw", "l2", "8/255"), "takes no eps"),
        (("pgd", "linf", "8/0"), "eps"),
        (("pgd", "linf", 0), "above 0"),
        (("pgd", "linf", 1.5), "at most 1"),
        (("pgd", "l2", float("inf")), "finite"),
        (("pgd", "linf", "8/255", {"step": 3}), "steps"),
        (("pgd", "linf", "8/255", {"steps": 0}), "at least 1"),
        (("pgd", "linf", "8/255", {"steps": 1.5}), "whole number"),
        (("pgd", "linf", "8/255", {"steps": True}), "whole number"),
        (("pgd", "linf", "8/255", {"random_start": 1}), "true nor false"),
        (("pgd", "linf", "8/255", {"step_size": 0}), "above 0"),
        (("pgd", "linf", "8/255", {"step_size": "fast"}), "'fast'"),
        (("pgd", "linf", "8/255", {"targeted": "last"}), "'last'"),
        (("deepfool", "l2", None, {"overshoot": -0.1}), "at least 0"),
        (("deepfool", "l2", None, {"candidates": 1}), "at least 2"),
        (("noise", "linf", "8/255", {"targeted": "next"}), "cannot be targeted"),
        (("one-pixel", "l0", 1.5), "must be whole"),
        (("one-pixel", "l0", 1, {"population": 4}), "at least 5"),
        (("universal", "linf", "8/255", {"delta": 1}), "delta: 1 is too large; it must be below 1"),
        (("universal", "linf", "8/255", {"fit": "train"}), "like 'train 1000'"),
        (("universal", "linf", "8/255", {"fit": "train 0"}), "like 'train 1000'"),
        (("universal", "linf", "8/255", {"fit": 1000}), "like 'train 1000'"),
        (("universal", "linf", "8/255", {"fitted_on": " "}), "neither the name of a model nor"),
        (("universal", "linf", "8/255", {"fitted_on": 3}), "neither the name of a model nor"),
        (("certify", "l2", None, {"radii": ""}), "neither 'none' nor numbers above 0"),
        (("certify", "l2", None, {"radii": "0 0.5"}), "neither 'none' nor numbers above 0"),
        (("certify", "l2", None, {"radii": "all"}), "'all'"),
    ],
)
def test_bad_requests_are_one_clear_line(call, says) -> None:
    with pytest.raises(SpecError) as caught:
        catalogue.resolve(*call)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_amounts_have_one_spelling_and_one_order() -> None:
    found = [
        catalogue.resolve("certify", "l2", None, {"radii": radii}).parameter("radii")
        for radii in ("0.25 0.5 1", " 1.0 0.50   0.25", "1 0.25 0.5 0.25")
    ]
    assert found == ["0.25 0.5 1"] * 3
    assert amounts(found[0]) == (0.25, 0.5, 1)
    assert catalogue.resolve("certify", "l2", None, {"radii": 0.5}).parameter("radii") == "0.5"
    assert amounts(catalogue.parameter(catalogue.resolve("certify", "l2"), "radii")) == ()


@pytest.mark.parametrize("radii", ["0.25,0.5", "0.25, 0.5", "0.25; 0.5"])
def test_amounts_with_commas_are_answered_with_spaces(radii: str) -> None:
    with pytest.raises(SpecError, match="write spaces between the numbers"):
        catalogue.resolve("certify", "l2", None, {"radii": radii})


def test_a_toolkit_on_request_goes_unnamed_only_where_no_other_has_the_norm() -> None:
    assert catalogue.unnamed("ddn", "l2") == ("foolbox",)
    assert catalogue.unnamed("apgd-ce", "l2") == ("art", "torchattacks")
    assert catalogue.unnamed("apgd-ce", "l1") == ("adv-lib",)


def test_an_l2_radius_may_exceed_one() -> None:
    assert catalogue.resolve("pgd", "l2", 3).radius == 3


def test_not_targeting_what_cannot_be_targeted_is_fine() -> None:
    assert spec("noise", "linf", targeted="none").parameters == ()


@pytest.mark.parametrize(("word", "value"), [("eot", 2), ("restarts", 2), ("random_start", True)])
@pytest.mark.parametrize(
    ("name", "norm"),
    [(name, norm) for name, row in ATTACKS.items() if row.access == "white" for norm in row.norms],
)
def test_every_white_box_attack_has_the_word_or_refuses_it(name, norm, word, value) -> None:
    if word in ATTACKS[name].parameters:
        assert spec(name, norm, **{word: value}).parameter(word) == value
        return
    with pytest.raises(SpecError) as caught:
        spec(name, norm, **{word: value})
    assert str(caught.value).startswith(f"{name} ")
    assert f"leave `{word}` out" in str(caught.value)
    assert word not in dict(spec(name, norm).parameters)


@pytest.mark.parametrize(
    ("attack", "toolkit", "says"),
    [
        (("deepfool", "linf"), "torchattacks", "torchattacks has no deepfool for linf"),
        (("deepfool", "linf"), "art", "art has no deepfool for linf"),
        (("noise", "l2"), "torchattacks", "standard deviation"),
        (("noise", "l2"), "art", "art has no noise for l2"),
        (("fgsm", "linf", {"targeted": "next"}), "foolbox", "foolbox's fgsm cannot be targeted"),
        (("cw", "l2", {"search_steps": 5}), "torchattacks", "search_steps"),
        (("pgd", "linf"), "native", "native has no pgd"),
    ],
)
def test_refusals_name_toolkit_and_word(attack, toolkit, says) -> None:
    name, norm, words = (*attack, {})[:3]
    assert says in catalogue.refusal(spec(name, norm, **words), toolkit)


def test_every_listed_toolkit_takes_the_defaults() -> None:
    refused = {
        (name, toolkit)
        for name, attack in ATTACKS.items()
        for norm in attack.norms
        for toolkit in catalogue.available(name, norm)
        if catalogue.refusal(spec(name, norm), toolkit) is not None
    }
    assert refused == {("universal", "art")}  # native's mini-batches are the default
    assert catalogue.refusal(spec("universal", "l2", batch=1), "art") is None


def test_parity_is_known_of_every_pair_and_symmetric() -> None:
    for name, attack in ATTACKS.items():
        for norm, toolkits in attack.norms.items():
            for left in toolkits:
                for right in set(toolkits) - {left}:
                    there = catalogue.expected_parity(spec(name, norm), left, right)
                    back = catalogue.expected_parity(spec(name, norm), right, left)
                    assert there.cause
                    assert there.cls == back.cls
                    if there.cls == "norm" and (there.low, there.high) != (0.9, 1.1):
                        assert there.low * back.high == pytest.approx(1)


def test_arts_cw_bounds_are_of_arts_norm_over_the_others() -> None:
    cw = spec("cw", "l2")
    assert catalogue.expected_parity(cw, "art", "foolbox").high == 1.4
    assert catalogue.expected_parity(cw, "foolbox", "art").high == 1 / 0.8


def test_listing_says_what_the_table_says() -> None:
    rows = {row["name"]: row for row in catalogue.listing()}
    assert rows["cw"] == {
        "name": "cw",
        "norms": ["l2"],
        "toolkits": ["art", "foolbox", "torchattacks", "adv-lib"],
        "kind": "minimal",
        "access": "white",
        "targeted": True,
        "goals": list(GOALS),
        "note": ATTACKS["cw"].note,
        "where": {kit: ["l2"] for kit in ("art", "foolbox", "torchattacks", "adv-lib")},
        "on_request": ["adv-lib"],
        "absent": {},
        "unavailable": {},
    }
    assert rows["noise"]["absent"] == dict(ATTACKS["noise"].absent)
    assert "torchattacks" not in rows["noise"]["where"]
    assert rows["noise"]["access"] == "decision"
    assert not rows["noise"]["targeted"]


def test_a_goal_is_told_by_its_words_and_checked_against_them() -> None:
    def goal(**words):
        return spec("pgd", "linf", **words).goal

    assert goal() == goal(goal="misclassification") == "misclassification"
    assert goal(targeted="next") == goal(targeted=3, goal="targeted") == "targeted"
    assert goal(targeted="next", source=4) == "source-target"
    assert goal(goal="confidence-reduction") == "confidence-reduction"
    assert spec("pgd", "linf", goal="misclassification") == spec("pgd", "linf")
    for words, says in (
        ({"goal": "targeted"}, "goal=targeted, but targeted=none and source=any say misclass"),
        ({"goal": "less"}, "no goal named 'less'"),
        ({"source": 3}, "source=3 needs a target"),
        ({"source": "cat", "targeted": "next"}, "'cat' is not a class"),
        ({"goal": "confidence-reduction", "targeted": "next"}, "has no target"),
    ):
        with pytest.raises(SpecError, match=says):
            goal(**words)


def test_install_commands_pin_what_the_project_pins() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    tested = (ROOT / "constraints.txt").read_text().splitlines()
    for toolkit in TOOLKITS:
        command = kits.install_command(toolkit)
        requirement = command.removeprefix("pip install ").removeprefix("--no-deps ")
        if toolkit in ("torchattacks", "adv-lib"):
            assert command == f"pip install --no-deps {requirement}"
            assert not any(toolkit in needed for needed in project["dependencies"])
        else:
            assert requirement in [*project["dependencies"], project["name"]]
        assert requirement in [*tested, project["name"]]
        assert kits.installed(toolkit)


def test_the_catalogue_imports_neither_torch_nor_a_toolkit() -> None:
    heavy = "{'torch', 'art', 'foolbox', 'torchattacks', 'adv_lib', 'numpy'}"
    code = f"import sys, bench.attacks.catalogue; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
