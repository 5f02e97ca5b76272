"""Trainings in a report: repeats together, and what a choice by test images would add."""

import build
from build import cell
from matplotlib.figure import Figure

from bench.report.findings import find
from bench.report.learning_curves import draw_curves
from bench.report.measured import measure
from bench.report.sections.trainings import SECTION, frames


def one(name, kept, best, seed=0):
    """Return a training with these accuracies on test images at the epoch kept and at the best one."""
    return build.training(
        name, (2, 1), (0.5, 1), (1, 2), (0.4, 0.4), (2, 1), (kept, best), seed=seed
    )


def findings(*trainings):
    run = build.results([cell("plain", "pgd", "0.1", (1,))], trainings=trainings)
    return find(run, measure(run))


def test_repeats_are_summed_up_and_the_leak_is_their_own_difference():
    found = findings(
        one("digits/a", 0.50, 0.56), one("digits/a", 0.54, 0.56, seed=1), one("digits/b", 0.3, 0.3)
    )
    table, figure = SECTION.make(found).blocks
    assert table.frame.drop(columns=["data", "epochs"]).to_numpy().tolist() == [
        ["digits/a", "2", "1", "52.0 ± 2.8", "56.0 ± 0.0", "+4.0 ± 2.8"],
        ["digits/b", "1", "1", "30.0", "30.0", "+0.0"],
    ]
    assert figure.pdf.startswith(b"%PDF")
    assert {name: len(frame) for name, frame in frames(found).items()} == {"trainings": 3}


def test_a_run_without_trainings_has_no_such_section():
    found = findings()
    assert SECTION.make(found) is None
    assert frames(found) == {}


def test_curves_have_a_mark_at_the_epoch_kept():
    axes = Figure().subplots()
    draw_curves(axes, one("digits/a", 0.5, 0.6)["curves"], "accuracy")
    training, held_out, kept = axes.lines
    assert list(training.get_ydata()) == [50, 100]
    assert list(held_out.get_ydata()) == [40, 40]
    assert (list(kept.get_xdata()), list(kept.get_ydata())) == ([1], [40])
