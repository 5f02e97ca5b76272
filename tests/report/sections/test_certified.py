"""Certificates in a report: their tables, their figure, and their place in the PDF and beside it."""

import build
import numpy as np
import pymupdf
import pytest
from build import cell
from matplotlib.figure import Figure
from scenes import smoothed

import bench
from bench.measure.certified import certificates, certified_bounds, certified_curve
from bench.measure.outcomes import Outcomes
from bench.report.labels import attack_names
from bench.report.measured import measure
from bench.report.sections.attacks import attack_table
from bench.report.sections.certified import (
    bounds_table,
    certificate_table,
    certified_figures,
    draw_certified,
)
from bench.report.write import write_report

RADII = np.linspace(0, 0.5, 200)


def proven(n):
    return cell("a", "certify", None, (), norm="l2", certified=RADII * (1 - 10 / n), toolkit="native",
                surface="predict", parameters={"n0": 100, "n": n, "alpha": "0.001"})  # fmt: skip


@pytest.fixture(scope="module")
def run():
    return build.results([
        proven(100), proven(1000),
        cell("a", "pgd", "0.25", range(60), norm="l2", surface="one-draw"),
    ])  # fmt: skip


def test_the_tables_say_what_is_certified_and_what_attacks_left(run):
    table = certificate_table(certificates(Outcomes(run))).frame
    assert table["certificate"].tolist() == [
        "n0 100, n 100, alpha 0.001",
        "n0 100, n 1000, alpha 0.001",
    ]
    assert table.map(lambda value: isinstance(value, str)).all(axis=None)
    assert table["certified (%)"].iloc[0].startswith("99.5 [")
    assert table["largest"].tolist() == ["0.450", "0.495"]
    between = bounds_table(certified_bounds(Outcomes(run))).frame
    assert between["threat"].tolist() == ["l2 0.25"] * 2
    assert between["under attack (%)"].iloc[0].startswith("70.0 [")


def test_what_radii_mean_is_said_where_they_are_named_alone(run):
    at = cell("a", "certify", None, (), norm="l2", certified=RADII, toolkit="native", surface="predict",
              parameters={"n0": 100, "n": 1000, "alpha": "0.001", "radii": "0.1 0.25"})  # fmt: skip
    for results, said in ((run, False), (build.results([at]), True)):
        outcomes = Outcomes(results)
        table = certificate_table(certificates(outcomes))
        (figure,) = certified_figures(certified_curve(outcomes), certified_bounds(outcomes))
        assert "copies" in table.frame
        assert ("Where radii are named" in table.caption) is said
        assert ("Where radii are named" in figure.caption) is said


def test_the_figure_has_steps_of_certified_and_markers_of_attacked_accuracy(run):
    axes = Figure().subplots()
    points, between = certified_curve(Outcomes(run)), certified_bounds(Outcomes(run))
    draw_certified(
        axes, points, between, dict(zip(points["cell"], points["parameters"], strict=True))
    )
    steps = [line for line in axes.get_lines() if line.get_drawstyle() == "steps-post"]
    assert len(steps) == 2
    for line, n in zip(steps, (100, 1000), strict=True):
        truth = [100 * np.mean(RADII * (1 - 10 / n) > eps) for eps in line.get_xdata()]
        np.testing.assert_allclose(line.get_ydata(), truth)
    spots = [line for line in axes.get_lines() if line not in steps]
    assert [line.get_ydata().tolist() for line in spots] == [[70.0], [70.0]]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "n0 100, n 100, alpha 0.001",
        "n0 100, n 1000, alpha 0.001",
    ]


def test_without_certificates_there_is_no_figure():
    plain = build.results([cell("a", "pgd", "0.1", [1])])
    outcomes = Outcomes(plain)
    assert certified_figures(certified_curve(outcomes), certified_bounds(outcomes)) == []


def test_the_report_of_a_run_has_certificates_and_marks_attacks_through_one_draw(
    tmp_path, registry
):
    smoothed.register()
    path = tmp_path / "proofs.toml"
    path.write_text(smoothed.suite(surfaces=["one-draw", "network"]))
    results = bench.run(path, results=tmp_path / "results", trust="off").results
    measured = measure(results)
    assert "through one noise draw only" in measured.headline["flag"].iloc[0]
    notes = attack_table(measured.attacks, attack_names(results)).frame.set_index("model")["note"]
    assert "through one noise draw only" in notes["lines"]
    assert "draw" not in notes["plain"]
    written = write_report(results, tmp_path, ("pdf", "csv", "latex"), measured=measured)
    names = {path.name for paths in written.values() for path in paths}
    for one in ("certificates", "certified", "certified-bounds"):
        assert f"proofs-{one}.csv" in names
    assert "proofs-certified-bounds.tex" in names
    text = " ".join(page.get_text() for page in pymupdf.open(written["pdf"][0]))
    text = " ".join(text.split())
    assert "Certificates in l2" in text
    assert "share of images certified within the radius" in text.lower()
    assert "label changed within radius" in text
