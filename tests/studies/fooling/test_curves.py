"""Curves of the fooling study hold what was planted, and are left out where there is nothing to draw."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from build import cell, results
from matplotlib.axes import Axes

import bench.studies.fooling as study
from bench.attacks.catalogue import resolve
from bench.measure.statistics import wilson
from bench.report.findings import Findings, find
from bench.report.measured import measure
from bench.studies.fooling import accuracy, selection, sweeps

IMAGES = 20
RESNET, MOBILENET = "cifar10/resnet50-slim", "cifar10/mobilenetv2-slim"
WHOLE = "cifar10/mobilenetv2"
PUBLISHED = Path(study.__file__).with_name("published.csv")
SIZES = {"clean_l2": 10.0, "clean_linf": 1.0, "changed_pixels": 0.02, "changed_values": 0.01}


def attack(model, name, norm, eps, broken, *, columns=None, steps=1, parameters=None, **more):
    spec = resolve(name, norm, eps, parameters or {})
    return cell(
        model, name, eps, broken, norm=norm, toolkit="native", columns={**SIZES, **(columns or {})},
        steps=steps, parameters=dict(spec.parameters), **more,
    )  # fmt: skip


def found(*cells, wrong=None) -> Findings:
    models = {one.model: {"data": "cifar10"} for one in cells}
    made = results(cells, images=IMAGES, models=models, wrong=wrong)
    return find(made, measure(made), PUBLISHED)


@pytest.fixture
def drawn(monkeypatch):
    """Return the drawings made, in place of their files."""
    figures = []

    def keep(figure):
        figures.append(figure)
        return b"pdf"

    for module in (accuracy, sweeps):
        monkeypatch.setattr(module, "to_pdf", keep)
    return figures


def lines(axes: Axes):
    """Return the points of each line of a panel, rounded."""
    return [[(round(float(a), 4), round(float(b), 4)) for a, b in zip(*line.get_data(), strict=True)]
            for line in axes.get_lines()]  # fmt: skip


def fgsm(model, eps, broken, loss="logit", **more):
    return attack(model, "fgsm", "linf", eps, broken, parameters={"loss": loss}, **more)


# ---- accuracy against eps ----


def test_accuracy_counts_wrong_images_and_takes_fgsm_on_logits(drawn):
    findings = found(
        fgsm(RESNET, "0.1", range(10)),
        fgsm(RESNET, "0.01", range(4)),
        fgsm(RESNET, "0.01", range(15), loss="ce"),
        fgsm(RESNET, "0.01", range(17), batch_size=1, images=5),
        fgsm(MOBILENET, "0.01", range(8)),
        wrong={RESNET: [18, 19]},
    )
    points = accuracy.accuracy_under_fgsm(findings)
    assert points[["model", "eps", "accuracy"]].to_numpy().tolist() == [
        [RESNET, 0.0, 0.9], [RESNET, 0.01, 0.7], [RESNET, 0.1, 0.4],
        [MOBILENET, 0.0, 1.0], [MOBILENET, 0.01, 0.6],
    ]  # fmt: skip
    assert tuple(points.loc[1, ["low", "high"]]) == pytest.approx(wilson(14, 20))
    figure = accuracy.accuracy_figure(findings)
    ours, published = drawn[0].axes
    assert lines(ours)[0] == [(0.0, 90.0), (0.01, 70.0), (0.1, 40.0)]
    assert lines(ours)[1] == [(0.0, 100.0), (0.01, 60.0)]
    # Of ResNet-50 92.12 % are right, of which 51.45, 73.68 and 84.82 % are fooled.
    assert lines(published)[0] == [(0.0, 92.12), (0.01, 44.7243), (0.05, 24.246), (0.1, 13.9838)]
    assert "n = 20" in figure.caption
    assert "logit of the class" in figure.caption
    assert "Figure 12.2" in figure.caption


def test_accuracy_along_the_sign_falls_where_images_lose_their_label(drawn):
    radii = {0: 0.002, 1: 0.002, 2: 0.03}
    findings = found(attack(RESNET, "fgsm-radius", "linf", None, [0, 1, 2], distance=radii))
    points = accuracy.accuracy_along_the_sign(findings)
    assert points["eps"].tolist() == [0.0, 0.002, 0.03]
    assert points["accuracy"].tolist() == [1.0, 0.9, 0.85]
    figure = accuracy.accuracy_figure(findings)
    exact, _ = drawn[0].axes
    assert lines(exact) == [[(0.0, 100.0), (0.002, 90.0), (0.03, 85.0)]]
    assert "(a) share of images that keep their label" in figure.caption


def test_of_two_networks_of_an_architecture_one_stands_for_the_published(drawn):
    findings = found(fgsm(WHOLE, "0.01", range(4)), fgsm(MOBILENET, "0.01", range(8)))
    accuracy.accuracy_figure(findings)
    ours, published = drawn[0].axes
    assert len(lines(ours)) == 2
    assert len(lines(published)) == 1
    assert selection.models_in_order(findings.results) == [MOBILENET, WHOLE]


# ---- sweeps ----


def sparse(model, broken, columns=None, **parameters):
    return attack(model, "sparsefool", "l0", None, broken, columns=columns, parameters=parameters)


def test_lambda_and_delta_are_swept_on_the_network_of_the_study(drawn):
    findings = found(
        sparse(RESNET, range(20), {"changed_pixels": 0.05, "l2": 3.0}, **{"lambda": 3}),
        sparse(RESNET, range(10), {"changed_values": 0.004, "iterations": 7}, **{"lambda": 1}),
        sparse(RESNET, range(20), {"changed_pixels": 0.5, "l2": 0.5}, **{"lambda": 3, "box": "10/255"}),
        *(sparse(MOBILENET, range(5), **{"lambda": 1 + turn}) for turn in range(4)),
    )  # fmt: skip
    by_lambda, by_box = sweeps.lambda_sweep(findings), sweeps.box_sweep(findings)
    assert set(by_lambda["model"]) == {RESNET}
    assert by_lambda["at"].tolist() == [1, 3]
    assert by_box["at"].tolist() == [10, 255]
    first, second = sweeps.lambda_figure(findings), sweeps.box_figure(findings)
    rate, sure, share, loops = drawn[0].axes
    assert lines(rate) == [[(1, 50), (3, 100)], [(3, 99.97)]]
    assert lines(sure)[0] == [(1, 80), (3, 80)]
    assert lines(share)[:2] == [[(1, 2), (3, 5)], [(1, 0.4), (3, 1)]]
    assert lines(loops) == [[(1, 7), (3, 1)], [(3, 4.94)]]
    pixels, size = drawn[1].axes
    assert lines(pixels)[:2] == [[(10, 50), (255, 5)], [(10, 1), (255, 1)]]
    assert lines(size) == [[(10, 0.5), (255, 3)], [(255, 2.42)]]
    for figure, number in ((first, "12.10"), (second, "12.12")):
        assert f"Figure {number}" in figure.caption
        assert "n = 20" in figure.caption


def universal(norm, eps, broken, fooling, fit="train 100", model=RESNET):
    return attack(
        model, "universal", norm, eps, broken, parameters={"fit": fit}, fit={"fooling": fooling}
    )


def test_universal_perturbations_are_swept_over_radius_and_size_of_the_fit(drawn):
    findings = found(
        universal("l2", "3", range(14), 0.8),
        universal("l2", "1", range(4), 0.3),
        universal("l2", "3", range(6), 1.0, fit="train 10"),
        universal("linf", "0.1", range(12), 0.85),
        universal("linf", "0.03", range(2), 0.25),
        universal("l2", "3", range(19), 0.9, model=MOBILENET),
    )
    by_xi, by_size = sweeps.xi_sweep(findings), sweeps.fit_sweep(findings)
    assert by_xi[["norm", "at", "fit_fooling", "fooling"]].to_numpy().tolist() == [
        ["l2", 1, 0.3, 0.2], ["l2", 3, 0.8, 0.7], ["linf", 0.03, 0.25, 0.1], ["linf", 0.1, 0.85, 0.6],
    ]  # fmt: skip
    assert by_size[["at", "fit_fooling", "fooling"]].to_numpy().tolist() == [
        [10, 1.0, 0.3], [100, 0.8, 0.7],
    ]  # fmt: skip
    figure = sweeps.universal_figure(findings)
    l2, linf, size = drawn[0].axes
    assert lines(l2) == [[(1, 20), (3, 70)], [(1, 30), (3, 80)], [(3, 78.54)], [(3, 80.2)]]
    assert lines(linf)[:2] == [[(0.03, 10), (0.1, 60)], [(0.03, 25), (0.1, 85)]]
    assert lines(size)[:2] == [[(10, 30), (100, 70)], [(10, 100), (100, 80)]]
    above = l2.child_axes[0]
    drawn[0].draw_without_rendering()
    assert np.allclose(above.get_xlim(), [5 * end for end in l2.get_xlim()])
    assert "Figures 12.23 and 12.25" in figure.caption
    assert "n = 20" in figure.caption


# ---- what is missing ----


@pytest.mark.parametrize("figure", [accuracy.accuracy_figure, sweeps.lambda_figure, sweeps.box_figure,
                                    sweeps.universal_figure])  # fmt: skip
def test_nothing_is_drawn_without_cells_or_from_failed_ones(figure):
    failed = {"status": "failed", "error": "no memory"}
    assert figure(found(cell(RESNET, "pgd", "0.1", range(3)))) is None
    assert figure(found(
        cell(RESNET, "fgsm", "0.1", (), **failed), cell(RESNET, "sparsefool", None, (), norm="l0", **failed),
        cell(RESNET, "universal", "3", (), norm="l2", **failed),
    )) is None  # fmt: skip


def test_one_setting_is_no_sweep_and_a_panel_without_cells_is_left_out(drawn):
    alone = found(sparse(RESNET, range(3), **{"lambda": 3}), universal("l2", "3", range(4), 0.8))
    for figure in (sweeps.lambda_figure, sweeps.box_figure, sweeps.universal_figure):
        assert figure(alone) is None
    two = found(universal("l2", "3", range(4), 0.8), universal("l2", "1", range(2), 0.2))
    figure = sweeps.universal_figure(two)
    assert len(drawn[0].axes) == 1
    assert "Figure 12.23 of" in figure.caption
    assert "12.25" not in figure.caption
