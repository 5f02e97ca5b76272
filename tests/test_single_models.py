"""`bench.run_model` and `bench.judge`: a single model without a suite file, in Python."""

import digits_network
import pytest
import torch

import bench
from bench.errors import SpecError


@pytest.fixture
def small(registry, tmp_path, monkeypatch):
    """Register a small network of the digits, and stand in an empty folder."""
    monkeypatch.chdir(tmp_path)
    bench.register_model("small", data="digits")(
        lambda: bench.wrap(digits_network.shipped(), 10, (1, 8, 8))
    )
    bench.register_model("beside", data="digits")(
        lambda: bench.wrap(digits_network.shipped(), 10, (1, 8, 8))
    )
    return digits_network.shipped()


QUICK = {"images": 6, "attacks": ("pgd",), "trust": "off"}


def test_a_model_is_run_without_a_suite_file_and_found_again_by_the_name_of_its_suite(small):
    found = bench.run_model("small", norm="linf", eps=["0.1", 0.2], results="kept", **QUICK)
    assert found.headline()["model"].tolist() == ["small"] * 2
    assert found.headline()["eps_text"].tolist() == ["0.1", "0.2"]
    assert found.results.suite == "small-linf-0-1-0-2"
    again = bench.run(found.results.suite, results="kept", models=("small",), **QUICK)
    assert (again.outcome.computed, len(again.cells())) == ((), 2)


def test_images_that_others_made_are_judged_and_what_became_of_them_is_counted(small):
    x, y = bench.load_data("digits", images=40)
    right = small(x).argmax(1) == y
    x_adv = (x + 0.1 * (x < 0.5)).clamp(0, 1)  # whatever this breaks
    x_adv[right.nonzero()[0]] = 1.0  # and one over the budget
    torch.save(x_adv, "adv.pt")
    counted = right.clone()
    counted[right.nonzero()[0]] = False
    broken = int((counted & (small(x_adv).argmax(1) != y)).sum())
    found = bench.judge("small", "adv.pt", norm="linf", eps=0.1)
    (row,) = found.fates().to_dict("records")
    assert (row["model"], row["file"]) == ("small", "adv.pt")
    assert (row["wrong before"], row["broken"]) == (int((~right).sum()), broken)
    assert (row["over budget, by more"], row["withstood"]) == (1, int(right.sum()) - broken - 1)
    figures = found.headline().iloc[0]
    assert figures["clean_accuracy"] == pytest.approx(float(right.float().mean()))
    assert bench.judge("small", "adv.pt", norm="linf", eps="0.1").outcome.computed == ()


def test_a_run_without_such_images_has_no_fates(small):
    assert bench.run_model("small", norm="linf", eps="0.1", **QUICK).fates().empty


@pytest.mark.parametrize(("call", "says"), [
    (lambda: bench.judge("small", torch.zeros(2, 1, 8, 8), norm="linf", eps=0.1), 'torch.save'),
    (lambda: bench.judge(torch.nn.Linear(1, 1), "adv.pt", norm="linf", eps=0.1), "bench.register_model"),
    (lambda: bench.judge("small", "adv.pt", norm="linf", eps=0.1), "adv.pt: no such file"),
    (lambda: bench.judge("small", "adv.pt", norm="linf", eps=0.1, options={"k": 3}), "small takes no options, got k"),
    (lambda: bench.run_model("smal", norm="linf", eps=0.1), "did you mean small"),
    (lambda: bench.run_model("small", norm="linf", eps="lots"), "'lots' is not a number"),
    (lambda: bench.run_model("small", norm="linf", eps=0.1, data="mnist"), "small classifies digits"),
    (lambda: bench.run_model("digits", norm="linf", eps=0.1), "digits is a suite, no model"),
])  # fmt: skip
def test_what_is_wrong_is_said_before_anything_is_written(small, tmp_path, call, says):
    with pytest.raises(SpecError, match=says):
        call()
    assert not [*tmp_path.iterdir()]
