"""The `[[claims]]` tables about trainings and members."""

import build
import pytest

from bench.errors import SpecError
from bench.runner.plan import make_plan
from bench.runner.selection import Selection
from bench.runner.suite import load_suite
from bench.spec import Claim

GIVEN = {"says": "s", "left": "digits/{net}", "expect": "left > right", "measure": "training",
         "right": "digits/{net}-wide", "figure": "test_accuracy"}  # fmt: skip
MEMBERS = {"measure": "importance", "figure": None}
BOUND = {"expect": "left > bound", "right": None, "bound": 0.5}


def loaded(tmp_path, *claims, trainings=("digits/*",)):
    path = tmp_path / "mine.toml"
    tables = [
        {name: value for name, value in claim.items() if value is not None} for claim in claims
    ]
    head = {"trainings": list(trainings)} if trainings else {}
    attacks = [{"name": "noise", "norm": "linf", "eps": "0.1"}]
    path.write_text(build.suite(["digits/mlp"], attacks, tables, images=10, **head))
    return load_suite(str(path))


def test_claims_as_they_are_read_need_no_models_of_the_suite(tmp_path):
    suite = loaded(tmp_path, GIVEN, GIVEN | BOUND, GIVEN | MEMBERS)
    plain = {"says": "s", "left": "digits/{net}", "attacks": (), "norm": "", "eps": ()}
    assert suite.claims == (
        Claim(**plain, right="digits/{net}-wide", expect="left > right", measure="training", column="test_accuracy"),
        Claim(**plain, right=None, expect="left > bound", measure="training", column="test_accuracy", bound=0.5),
        Claim(**plain, right="digits/{net}-wide", expect="left > right", measure="importance"),
    )  # fmt: skip
    plan = make_plan(suite, Selection(images=5), train=False)
    assert plan.suite.claims == suite.claims


@pytest.mark.parametrize(("more", "words"), [
    ({"figure": None}, r"claims\[1\]\.figure: this field is missing; write one of test_accuracy"),
    ({"figure": "test_acuracy"}, r"claims\[1\]\.figure: no figure named 'test_acuracy'; did you mean test_accuracy"),
    ({"eps": "0"}, r"claims\[1\]\.eps: trainings have no attacks"),
    ({"with": {"steps": 1}}, r"claims\[1\]\.with: trainings have no attacks"),
    ({"expect": "left = right"}, r"claims\[1\]\.expect: for trainings write left > right or"),
    ({"right": None}, r"claims\[1\]\.right: this field is missing"),
    ({"bound": 0.5}, r"claims\[1\]\.bound: a number goes with"),
    (BOUND | {"right": "b"}, r"claims\[1\]\.right: the left is compared with a bound"),
    (BOUND | {"bound": 80.0}, r"claims\[1\]\.bound: test_accuracy is of shares \(0\.8 is 80 %\); this says 80"),
    ({"left": "digits/a", "right": "digits/a"}, r"claims\[1\]\.right: this is the model of the left"),
    ({"measure": "importance"}, r"claims\[1\]\.figure: importance is one figure"),
])  # fmt: skip
def test_a_wrong_claim_names_file_table_and_field(tmp_path, more, words):
    with pytest.raises(SpecError, match=rf"mine\.toml: {words}"):
        loaded(tmp_path, GIVEN | more)


def test_a_claim_about_trainings_needs_a_suite_that_names_some(tmp_path):
    with pytest.raises(
        SpecError, match=r"mine\.toml: trainings: this field is missing; claims\[2\]"
    ):
        loaded(tmp_path, GIVEN | MEMBERS, GIVEN, trainings=())
