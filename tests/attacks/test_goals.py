"""Every attack of the catalogue through the judge, for each goal that it can have."""

from __future__ import annotations

import pytest
from attack_cases import CASES, quick

import bench
from bench.attacks import catalogue
from bench.attacks.rows import ATTACKS
from bench.errors import SpecError
from bench.runner.cache import ask_clean
from bench.runner.cell import attack_images, targets
from bench.spec import BLACK_BOX_SURFACE

COUNT = 4


def judged(trained, name, norm, toolkit, **words):
    """Return the rows of an attack on a few images, as a cell would have them."""
    model = bench.wrap(trained.net, 10, (1, 8, 8), name="trained", data="digits")
    spec = quick(name, norm, **words)
    x, y = trained.x[:COUNT], trained.y[:COUNT]
    surface = "network" if catalogue.access(name) == "white" else BLACK_BOX_SURFACE
    clean = ask_clean(model, x, y)
    target = targets(spec.targeted, clean.said.scores, y, 0)
    chunk = attack_images(model, x, y, spec, toolkit, surface, clean, target, seed=0)
    assert chunk.rows.invalid.isna().all(), chunk.rows.invalid.tolist()
    assert (chunk.rows.goal == spec.goal).all()
    return chunk.rows


@pytest.mark.parametrize(("name", "norm", "toolkit"), CASES)
def test_misclassification_is_any_other_label(trained, name, norm, toolkit) -> None:
    rows = judged(trained, name, norm, toolkit)
    assert rows.success.tolist() == (rows.adv_label != rows.label).tolist()


@pytest.mark.parametrize(
    ("name", "norm", "toolkit"),
    [
        (name, norm, toolkit)
        for name, norm, toolkit in CASES
        if "targeted" in ATTACKS[name].parameters
        and catalogue.refusal(quick(name, norm, targeted="next"), toolkit) is None
    ],
)
def test_source_and_target_is_one_label_for_images_of_one_class(
    trained, name, norm, toolkit
) -> None:
    source = int(trained.y[0])
    rows = judged(trained, name, norm, toolkit, targeted="next", source=source)
    tried = rows.label == source
    assert rows.adv_label.notna().tolist() == tried.tolist()
    assert (rows.target[tried] == (source + 1) % 10).all()
    assert rows.success[tried].tolist() == (rows.adv_label == rows.target)[tried].tolist()
    assert not rows.success[~tried].any()


@pytest.mark.parametrize(
    ("name", "norm", "toolkit"), [case for case in CASES if not ATTACKS[case[0]].irreducible]
)
def test_confidence_reduction_succeeds_wherever_misclassification_does(
    trained, name, norm, toolkit
) -> None:
    plain = judged(trained, name, norm, toolkit)
    rows = judged(trained, name, norm, toolkit, goal="confidence-reduction")
    assert rows.success[plain.success].all()
    assert (rows[norm] <= plain[norm] + 1e-6)[plain.success].all()
    kept = rows.adv_label == rows.label
    halved = rows.adv_confidence <= rows.clean_confidence / 2
    assert rows.success[kept].tolist() == halved[kept].tolist()
    assert rows.success[~kept].all()


@pytest.mark.parametrize("name", [row.name for row in ATTACKS.values() if row.irreducible])
def test_what_has_no_such_goal_says_so(name) -> None:
    norm = next(iter(ATTACKS[name].norms))
    eps = None if catalogue.is_minimal(name) else "0.1"
    with pytest.raises(SpecError, match="cannot aim at less confidence"):
        catalogue.resolve(name, norm, eps, {"goal": "confidence-reduction"})
