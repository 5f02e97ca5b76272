"""What the figures of the study depend on: by confidence and by steps, against direct computations."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scenes import defences, fooling
from scenes.fooling import rows_of

from bench.measure.statistics import wilson
from bench.report.findings import find
from bench.report.measured import measure
from bench.studies.fooling.section import SECTION, by_steps, frames, section

SLIM = [
    f"cifar10/{name}-slim" for name in ("resnet50", "densenet169", "mobilenetv2", "inceptionv3")
]


@pytest.fixture(scope="module")
def study():
    results = fooling.results()
    rng = np.random.default_rng(0)
    drawn = np.where(
        rng.random(len(results.rows)) < 0.5, 0.95, rng.uniform(0.3, 1, len(results.rows))
    )
    results = dataclasses.replace(results, rows=results.rows.assign(clean_confidence=drawn))
    return find(results, measure(results), fooling.PUBLISHED)


def of_slim(study, attack, **wanted):
    """Return the rows of the images attacked, of the four slim networks together."""
    return [rows_of(study.results, model, attack, **wanted) for model in SLIM]


def test_figures_by_confidence_are_those_of_the_images_of_a_class(study):
    found = frames(study)["sureness"].set_index("upto")
    assert list(found["above"]) == [0, 0.9, 0.99, 0.999]

    def within(parts):
        return [
            part[(part["clean_confidence"] > 0.9) & (part["clean_confidence"] <= 0.99)]
            for part in parts
        ]

    def mean(parts, column):
        return np.concatenate([part[column].astype(float) for part in parts]).mean()

    row = found.loc[0.99]
    fgsm = within(of_slim(study, "fgsm", eps="0.01", loss="logit"))
    assert row["n"] == sum(map(len, fgsm)) > 20
    assert row["fooling"] == pytest.approx(mean(fgsm, "success"))
    bounds = wilson(int(sum(part["success"].sum() for part in fgsm)), int(row["n"]))
    assert (row["low"], row["high"]) == bounds
    deepfool = within(of_slim(study, "deepfool", norm="l2", clip="end"))
    assert row["size"] == pytest.approx(mean(deepfool, "l2"))
    assert row["iterations"] == pytest.approx(mean(deepfool, "iterations"))
    assert row["crossed"] == pytest.approx(mean(deepfool, "success"))
    sparse = within(of_slim(study, "sparsefool", **{"lambda": "3", "box": "1"}))
    values = np.concatenate([part["changed_values"] for part in sparse])
    assert row["values"] == pytest.approx(np.median(values))


def test_figures_by_steps_join_all_above_the_last(study):
    found = frames(study)["steps"].set_index(["norm", "steps"])
    assert [steps for _, steps in found.loc[["linf"]].index] == [1, 2, 3, 4]
    parts = of_slim(study, "deepfool", norm="linf", clip="end")
    many = [part[part["iterations"] >= 4] for part in parts]
    row = found.loc["linf", 4]
    assert row["n"] == sum(map(len, many))
    assert row["size"] == pytest.approx(np.concatenate([part["linf"] for part in many]).mean())
    two = sum(int((part["iterations"] == 2).sum()) for part in parts)
    assert found.loc[("linf", 2), "n"] == two
    assert by_steps({name: parts[0].head(0) for name in ("deepfool", "deepfool_linf")}).empty


def test_the_section_names_what_the_causes_refer_to(study):
    made = section(study)
    assert made.title == "What the figures depend on"
    _, sure, steps = made.blocks
    assert list(sure.frame["confidence"]) == [
        "at most 90 %", "90 to 99 %", "99 to 99.9 %", "above 99.9 %"
    ]  # fmt: skip
    assert list(steps.frame["steps"])[:4] == ["1", "2", "3", "4 or more"]
    causes = " ".join(cause.cause for cause in study.source.causes)
    assert "table by confidence" in causes
    assert "table of DeepFool by steps" in causes


def test_other_runs_have_no_such_section(study):
    other = defences.results()
    assert section(find(other, measure(other), defences.PUBLISHED)) is None
    assert SECTION.frames(find(other, measure(other))) == {}
    nothing = dataclasses.replace(study.results, rows=study.results.rows.head(0))
    assert section(dataclasses.replace(study, results=nothing)) is None
