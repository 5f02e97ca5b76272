"""The claims of the fooling study."""

from __future__ import annotations

from bench.runner.suite import load_suite


def test_the_fooling_study_compares_the_orders_of_all_its_small_networks():
    said = load_suite("fooling").claims
    assert {claim.measure for claim in said} == {
        "accuracy",
        "critical_eps",
        "perturbation",
        "order",
    }
    (oppositely,) = [claim for claim in said if claim.says.startswith("FGSM and DeepFool order")]
    figures = [side.figure for side in oppositely.settings[0] if side is not None]
    assert (figures, oppositely.left) == (["fooling", "rho_centred_l2"], "cifar10/*")
    assert (
        oppositely.expect == "same order"
    )  # fooled more often is less robust, a larger size is more
