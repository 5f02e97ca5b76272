import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import SpecError
from bench.spec import COLUMNS, AttackSpec, configuration, eps_text, number, whole


def test_the_columns_of_a_row_are_these_in_this_order():
    assert ",".join(COLUMNS) == (
        "cell,kind,dataset,split,index,model,family,attack,toolkit,surface,norm,eps,goal,targeted,"
        "target,label,clean_label,adv_label,clean_confidence,adv_confidence,correct,success,invalid,"
        "borderline,abstained,l0,l1,l2,linf,iterations,forwards,backwards,seconds,seed,"
        "certified_radius,adversarial_radius,adv_margin,ineffective,draws,clean_share,share,"
        "chosen_share,clean_l2,clean_linf,centred_l2,centred_linf,changed_pixels,changed_values,"
        "unclipped_label,unclipped_l2,unclipped_linf,broken_by"
    )


@given(st.integers(1, 254))
def test_a_fraction_of_255_survives_the_way_to_a_number_and_back(steps):
    assert number(f"{steps}/255") == steps / 255
    assert eps_text(steps / 255) == f"{steps}/255"


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_are_themselves(value):
    assert number(value) == value
    assert number(repr(value)) == value


@pytest.mark.parametrize(
    "bad",
    [
        "",
        ".",
        "eight",
        "1/0",
        "8/255/2",
        float("nan"),
        True,
        "²",
        "٣",
        "1_0",
        "1e9999999999",
        "1e400",
        10**400,
    ],
)
def test_what_is_no_number_is_said(bad):
    with pytest.raises(SpecError, match="eps"):
        number(bad, "eps")


@pytest.mark.parametrize(("value", "text"), [
    (None, "minimal"), (float("nan"), "minimal"), (0.5, "0.5"), (1.0, "1"), (0.03, "0.03"),
    (8 / 255, "8/255"),
])  # fmt: skip
def test_radii_read_as_people_write_them(value, text):
    assert eps_text(value) == text


def test_an_attack_reads_its_words():
    spec = AttackSpec(
        name="pgd", norm="linf", eps="8/255", parameters=(("step_size", "2/255"), ("steps", 10))
    )
    assert (spec.title(), spec.radius) == ("pgd linf 8/255", 8 / 255)
    assert (spec.parameter("steps"), spec.amount("step_size")) == (10, 2 / 255)
    assert spec.targeted == "none"


def test_naming_things_imports_no_torch():
    code = (
        "import sys, bench, bench.spec, bench.registry, bench.zoo, bench.attacks.catalogue, "
        "bench.data.table, bench.runner.suite; bench.runner.suite.load_suite('digits'); "
        "assert 'torch' not in sys.modules, 'torch was imported'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("text", ["", "²", "٣", "-1", "+1", "1.0", "1_0", " 1", "1" * 40])
def test_a_whole_number_is_of_the_digits_0_to_9_alone(text):
    assert whole(text) is None
    assert (whole("0"), whole("12")) == (0, 12)


@pytest.mark.parametrize(("name", "shared"), [
    ("digits/mlp-seed12", "digits/mlp"), ("digits/mlp", "digits/mlp"), ("digits/mlp-seed0", "digits/mlp-seed0"),
    ("digits/mlp-seed1-slim", "digits/mlp-seed1-slim"),
])  # fmt: skip
def test_repeated_trainings_share_their_name_without_the_seed(name, shared):
    assert configuration(name) == shared
