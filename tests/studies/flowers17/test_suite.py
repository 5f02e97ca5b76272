"""The suite of the study: its claims fit its models, and the models of its main question are attacked alike."""

import pytest

from bench.runner.suite import load_suite
from bench.runner.suite_claims import check_models
from bench.spec import SubstituteName, transfer_source
from bench.trust.claim_pairs import matches

#: Of each group of models that are compared, how the titles end: the first has a gradient, the others have none.
GROUPS = (
    ("lite0-logistic", "lite0-forest", "lite0-knn"),
    ("cnn-logistic", "cnn-forest", "cnn-knn"),
)


@pytest.fixture(scope="module")
def suite():
    return load_suite("flowers17")


def test_every_claim_about_attacks_is_about_models_of_the_suite(suite):
    titles = [model.title() for model in suite.models]
    check_models(suite.name, suite.claims, titles)
    for claim in suite.claims:
        if claim.measure == "accuracy":
            assert any(matches(claim.left, title) for title in titles), claim.says


def kind_of_access(surface):
    """Return what kind a named surface is of; a model's own have no name here."""
    if transfer_source(surface) is not None:
        return "transfer"
    return surface if SubstituteName.read(surface) is not None else "own"


@pytest.mark.parametrize("group", GROUPS)
def test_tops_with_and_without_a_gradient_get_the_same_images_radii_and_kinds_of_access(
    suite, group
):
    faced = []
    for ending in group:
        (model,) = [request for request in suite.models if request.title().endswith(ending)]
        faced.append({
            (attack.spec.name, attack.spec.eps, attack.images, kind_of_access(surface))
            for attack in suite.attacks if attack.is_on(model)
            for surface in attack.surfaces or ("own",)
            if attack.spec.goal == "misclassification" and attack.spec.norm == "linf"
            and attack.spec.name in ("pgd", "fgsm", "square", "noise")
        })  # fmt: skip
    exact, *others = faced
    assert {kind for *_, kind in exact} >= {"own", "substitute-500", "transfer"}
    assert all(other == exact for other in others)
