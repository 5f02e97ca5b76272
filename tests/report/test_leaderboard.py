"""Planted runs as leaderboards take them: what is filled in, what is left, and what speaks against a figure."""

from __future__ import annotations

import json

import build
import pytest

from bench.attacks.catalogue import resolve
from bench.measure.attack_rates import attack_rates
from bench.measure.headline import headline
from bench.measure.outcomes import Outcomes
from bench.report.leaderboard import (
    TO_FILL_IN,
    entries,
    latex_rows,
    markdown,
    model_info,
    model_info_path,
    model_info_text,
    unlike_robustbench,
)

IMAGES = 10_000
#: Half of the images that the model gets right fall to AutoAttack.
WRONG, FALLEN = range(1_000), range(1_000, 5_500)
EPS = "8/255"


def auto(broken=FALLEN, eps=EPS, **parameters):
    spec = resolve("autoattack", "linf", eps, parameters)
    return build.cell("a", "autoattack", eps, broken, parameters=dict(spec.parameters))


def entry(*cells, trust="believable", reasons="", images=IMAGES, facts=None, **fields):
    """Return the entry of model `a`, and the results that it is of."""
    results = build.results(
        cells, wrong={"a": WRONG}, models={"a": {"data": "cifar10", **(facts or {})}}, images=images, **fields
    )  # fmt: skip
    outcomes = Outcomes(results)
    judged = headline(outcomes).assign(trust=trust, reasons=reasons)
    (found,) = entries(results, judged, attack_rates(outcomes))
    return found


def test_a_run_of_the_whole_test_set_fills_in_what_it_knows_and_nothing_else():
    found = entry(auto())
    info = json.loads(model_info_text(model_info(found, "9.9")))
    assert info == {
        "link": None, "name": None, "authors": None, "additional_data": None,
        "number_forward_passes": None, "dataset": "cifar10", "venue": None, "architecture": None,
        "eps": "8/255", "clean_acc": "90.00", "reported": None, "autoattack_acc": "45.00",
        "unreliable": False,
    }  # fmt: skip
    assert [name for name, value in info.items() if value is None] == [
        name for name in info if name in TO_FILL_IN
    ]
    assert unlike_robustbench(found) == []
    assert str(model_info_path(found)) == "model_info/cifar10/Linf/a.json"


def test_an_attack_that_goes_beyond_autoattack_is_the_external_evaluation():
    stronger = build.cell("a", "pgd", EPS, range(1_000, 6_000))
    info = model_info(entry(auto(), stronger), "9.9")
    assert (info["autoattack_acc"], info["external"]) == ("45.00", "40.00")
    assert info["footnote"] == (
        "40.00% robust accuracy is the worst case of the attacks of Crossfire 9.9; strongest: pgd (torchattacks)"
    )
    weaker = model_info(entry(auto(), build.cell("a", "pgd", EPS, range(1_000, 2_000))), "9.9")
    assert not {"external", "footnote"} & set(weaker)


@pytest.mark.parametrize(
    ("cells", "more", "missing", "says"),
    [
        ([auto()], {"images": 6_000}, {"clean_acc", "autoattack_acc"},
         ["measured on 6000 of 10000 test images"]),
        ([build.cell("a", "pgd", EPS, FALLEN)], {}, {"autoattack_acc"},
         ["no autoattack among its attacks"]),
        ([auto(steps=20), build.cell("a", "pgd", EPS, FALLEN)], {}, {"autoattack_acc"},
         ["its autoattack has other settings than the published ones"]),
        ([build.cell("a", "autoattack", EPS, (), status="failed", parameters=auto().parameters),
          build.cell("a", "pgd", EPS, FALLEN)], {}, {"autoattack_acc"},
         ["its autoattack has no result that counts"]),
        ([auto()], {"trust": "doubtful", "reasons": "gradients lie"}, set(),
         ["the verdict is doubtful; gradients lie"]),
        ([auto()], {"trust": "not checked"}, {"unreliable"}, ["the verdict is not checked"]),
        ([auto(eps="4/255")], {}, set(), ["RobustBench's Linf leaderboard of cifar10 is at 8/255"]),
        ([auto()], {"facts": {"random": True}}, set(), ["its answers are random"]),
        ([auto()], {"facts": {"data": "mnist"}}, set(), ["RobustBench has no leaderboard of mnist in linf"]),
    ],
)  # fmt: skip
def test_what_robustbench_would_not_take_is_left_out_or_said(cells, more, missing, says):
    found = entry(*cells, **more)
    told = unlike_robustbench(found)
    assert len(told) == len(says)
    assert all(said.startswith(wanted) for said, wanted in zip(told, says, strict=True)), told
    info = model_info(found, "9.9")
    absent = {name for name, value in info.items() if value is None}
    assert absent == {*TO_FILL_IN, *missing}


def test_a_doubtful_figure_is_called_unreliable():
    assert model_info(entry(auto(), trust="doubtful"), "9.9")["unreliable"] is True


def test_rows_have_all_figures_and_mark_what_speaks_against_them():
    few = entry(auto(range(1_000, 1_500)), images=2_000)
    whole = entry(auto())
    table = markdown([whole, few]).splitlines()
    assert table[0].startswith("| model | threat | clean (%) | AutoAttack (%) |")
    assert table[2] == (
        "| a | linf 8/255 | 90.00 | 45.00 | 45.00 [44.03, 45.98] | 10000 | believable |"
    )
    assert table[3].startswith("| a<sup>a</sup> | linf 8/255 | 50.00 | 25.00 | 25.00 [")
    assert table[4:] == ["", "<sup>a</sup> measured on 2000 of 10000 test images.<br>"]
    rows = latex_rows([whole, few]).splitlines()
    assert rows[1] == (
        r"a & $\ell_{\infty}$ 8/255 & 90.00 & 45.00 & 45.00 [44.03, 45.98] & 10000 & believable \\"
    )
    assert rows[2].startswith(r"a\textsuperscript{a} & ")
    assert rows[3] == (
        r"\multicolumn{7}{l}{\footnotesize\textsuperscript{a} measured on 2000 of 10000 test images.} \\"
    )


def test_names_of_models_break_neither_table_nor_path():
    odd = "a|b_c\\../x"
    results = build.results([build.cell(odd, "pgd", EPS, range(5))], images=10)
    outcomes = Outcomes(results)
    judged = headline(outcomes).assign(trust="believable", reasons="")
    (found,) = entries(results, judged, attack_rates(outcomes))
    row = markdown([found]).splitlines()[2]
    assert row.replace(r"\|", "").count("|") == 8
    assert r"a\textbar{}b\_c\textbackslash{}../x\textsuperscript{a, b} & " in latex_rows([found])
    assert str(model_info_path(found)) == "model_info/digits/linf/a-b_c-..-x.json"
