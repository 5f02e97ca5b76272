"""What planted learning curves say."""

import build
import pytest

from bench.measure.trainings import PHASES, TRAININGS, phases, trainings

LOSSES, ACCURACIES = (3.0, 2.0, 1.0, 0.5), (0.2, 0.5, 0.99, 1.0)
CURVES = (
    LOSSES, ACCURACIES,
    (2.5, 1.5, 2.0, 3.5), (0.3, 0.6, 0.7, 0.65),
    (2.6, 1.8, 1.7, 1.9), (0.25, 0.5, 0.75, 0.8),
)  # fmt: skip


def of(*found):
    return build.results([build.cell("plain", "pgd", "0.1", ())], trainings=found)


def test_figures_are_of_the_epoch_kept_and_leaky_ones_of_the_best_on_test_images():
    first = build.training("digits/a", *CURVES, seed=1, phases=(2, 2))
    (row,) = trainings(of(first)).to_dict("records")
    assert row == {
        "configuration": "digits/a", "name": "digits/a-seed1", "data": "digits", "seed": 1, "epochs": 4, "kept": 2,
        "train_loss": 2.0, "train_accuracy": 0.5, "validation_loss": 1.5, "validation_accuracy": 0.6,
        "test_loss": 1.8, "test_accuracy": 0.5, "leaky_epoch": 3, "leaky_accuracy": 0.75, "rise": 2.0, "full": 3,
        "phase_gain": 0.25,
    }  # fmt: skip
    assert list(row) == list(TRAININGS)


def test_a_training_without_validation_images_that_never_knows_its_own():
    training = build.training("digits/a", LOSSES, (0.1, 0.2, 0.3, 0.98), *CURVES[2:])
    del training["curves"]["splits"]["validation"]
    row = trainings(of(training)).iloc[0]
    assert (
        row[["validation_loss", "validation_accuracy", "rise", "full", "phase_gain"]].isna().all()
    )
    assert row["leaky_accuracy"] == 0.75


def test_each_phase_is_judged_by_its_own_epochs():
    one_phase = build.training("digits/a", *CURVES)
    found = phases(of(one_phase, build.training("digits/b", *CURVES, phases=(1, 3))))
    assert found.to_dict("split", index=False) == {
        "columns": list(PHASES),
        "data": [
            ["digits/b", "digits/b", 1, 1, 1.0, 0.3, 0.25, 0.25],
            ["digits/b", "digits/b", 2, 3, 2.0, 0.6, 0.5, 0.75],
        ],
    }


@pytest.mark.parametrize("measure", [trainings, phases])
def test_a_run_without_trainings_has_an_empty_table_of_the_same_types(measure):
    full = measure(of(build.training("digits/a", *CURVES, phases=(1, 3))))
    assert measure(of()).dtypes.equals(full.dtypes)
