"""Every attack of the catalogue through the judge, for each goal that it can have."""

from __future__ import annotations

import pytest
from attack_cases import CASES, quick

import bench
from bench.attacks import catalogue
from bench.attacks.rows import ATTACKS
from bench.errors import SpecError
from bench.runner.attack import attack_images
from bench.runner.cache import CleanPredictions
from bench.runner.task import Part, Source, Task
from bench.spec import BLACK_BOX_SURFACE

#: Budgets at which every attack reaches its goal, so that what is said of a success is tested.
EPS = {"linf": "0.3", "l2": "2", "l1": "10", "l0": "8"}
NOISE_EPS = {"linf": "0.8", "l2": "6", "l1": "60", "l0": "40"}
#: Two images of class 0, to which class 6 is the nearest, and two others.
IMAGES, SOURCE, TARGET = [0, 1, 9, 3], 0, 6


def judged(trained, name, norm, toolkit, **words):
    """Return the rows of an attack on a few images, as a cell would have them."""
    model = bench.wrap(trained.net, 10, (1, 8, 8), name="trained", data="digits")
    spec = quick(name, norm, (NOISE_EPS if name == "noise" else EPS).get(norm), **words)
    x, y = trained.x[IMAGES], trained.y[IMAGES]
    surface = "network" if catalogue.access(name) == "white" else BLACK_BOX_SURFACE
    clean = CleanPredictions(model)
    source = Source(surface=surface, clean=clean)
    task = Task(spec=spec, toolkit=toolkit, clean=clean, source=source, named={})
    chunk = attack_images(task, Part(x, y, 0, 0, 0))
    assert chunk.rows.invalid.isna().all(), chunk.rows.invalid.tolist()
    assert (chunk.rows.goal == spec.goal).all()
    return chunk.rows


@pytest.mark.parametrize(("name", "norm", "toolkit"), CASES)
def test_misclassification_is_any_other_label(trained, name, norm, toolkit) -> None:
    rows = judged(trained, name, norm, toolkit)
    assert rows.success.tolist() == (rows.adv_label != rows.label).tolist()
    assert rows.success.any()


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
    more = {"c": 10} if name == "cw" else {}
    rows = judged(trained, name, norm, toolkit, targeted=str(TARGET), source=SOURCE, **more)
    tried = rows.label == SOURCE
    assert tried.sum() == 2
    assert rows.adv_label.notna().tolist() == tried.tolist()
    assert (rows.target[tried] == TARGET).all()
    assert rows.success[tried].tolist() == (rows.adv_label == TARGET)[tried].tolist()
    assert rows.success[tried].any()
    assert not rows.success[~tried].any()


@pytest.mark.parametrize(
    ("name", "norm", "toolkit"), [case for case in CASES if not ATTACKS[case[0]].irreducible]
)
def test_confidence_reduction_succeeds_wherever_misclassification_does(
    trained, name, norm, toolkit
) -> None:
    plain = judged(trained, name, norm, toolkit)
    rows = judged(trained, name, norm, toolkit, goal="confidence-reduction")
    assert plain.success.any()
    assert rows.success[plain.success].all()
    assert (rows[norm] <= plain[norm] + 1e-6)[plain.success].all()
    kept = rows.adv_label == rows.label
    halved = rows.adv_confidence <= rows.clean_confidence / 2
    assert rows.success[kept].tolist() == halved[kept].tolist()
    assert rows.success[~kept].all()
    if catalogue.is_minimal(
        name
    ):  # which stops where the confidence is halved, before the label changes
        assert (rows.success & kept).any()


@pytest.mark.parametrize("name", [row.name for row in ATTACKS.values() if row.irreducible])
def test_what_has_no_such_goal_says_so(name) -> None:
    norm = next(iter(ATTACKS[name].norms))
    eps = None if catalogue.is_minimal(name) else "0.1"
    with pytest.raises(SpecError, match="cannot aim at less confidence"):
        catalogue.resolve(name, norm, eps, {"goal": "confidence-reduction"})
