"""AttackBench's files are read as they are, and scored by its rule and exactly."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bench.errors import SpecError
from bench.measure.attackbench import read_compiled, read_runs

#: By attack, the distance of each of four images; the model gets the first one wrong.
DISTANCES = {
    "original_fmn": [0.0, 0.1, 0.4, 0.8],
    "ta_fab": [0.0, 0.3, 0.2, 0.9],
    "fb_bb": [0.0, 0.1, 0.1, 0.1],
}
#: The last one returned no image that fools the model, although it met some on its way.
SUCCESS = {**dict.fromkeys(DISTANCES, [True] * 4), "fb_bb": [True, False, False, False]}


def write_run(root, attack, **changes):
    folder = root / "cifar10" / "l2" / "standard" / "batch_size_128" / attack / "1"
    folder.mkdir(parents=True)
    info = {
        "hashes": ["a", "b", "c", "d"], "targeted": False, "accuracy": 0.75,
        "ori_success": [True, False, False, False], "adv_success": SUCCESS[attack], "ASR": 1.0,
        "times": [2.0, 4.0], "num_forwards": [0, 10, 10, 20], "num_backwards": [0, 10, 10, 10],
        "distances": {"l2": [9.0] * 4}, "best_optim_distances": {"l2": DISTANCES[attack]},
        "box_failures": [False] * 4, "batch_failures": [False] * 2, **changes,
    }  # fmt: skip
    (folder / "info.json").write_text(json.dumps(info))
    config = {
        "attack": {"name": attack, "threat_model": "l2"}, "dataset": {"batch_size": 128},
        "model": {"dataset": "cifar10", "name": "Standard"}, "seed": 42,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_runs_have_the_score_by_the_trapezoid_and_the_exact_one(tmp_path) -> None:
    for attack in DISTANCES:
        write_run(tmp_path, attack)
    found = read_runs(tmp_path).set_index("attack")
    # The best are 0.1, 0.2 and 0.8. Exactly, up to 0.8: gains of 0.7, 0.6 and 0.
    exact = {"original_fmn": (0.7 + 0.4) / 1.3, "ta_fab": (0.5 + 0.6) / 1.3, "fb_bb": 0.0}
    assert found["exact"].to_dict() == pytest.approx(exact)
    # By the trapezoid, times 4: sums of the width of a step and the mean of the heights at its ends.
    clean, best = 3 * 0.8, 0.1 * 2.5 + 0.1 * 1.5 + 0.6 * 0.5
    fmn = 0.1 * 2.5 + 0.3 * 1.5 + 0.4 * 0.5
    fab = 0.2 * 2.5 + 0.1 * 1.5 + 0.5 * 0.5
    by_rule = {
        name: (clean - area) / (clean - best)
        for name, area in {"original_fmn": fmn, "ta_fab": fab, "fb_bb": 0.8 * 1.5}.items()
    }
    assert found["trapezoid"].to_dict() == pytest.approx(by_rule)
    assert by_rule["fb_bb"] > 0.6
    row = found.loc["fb_bb"]
    assert (row["dataset"], row["model"], row["norm"], row["batch_size"]) == (
        "cifar10", "Standard", "l2", "128",
    )  # fmt: skip
    assert (row["success"], row["n"]) == (0.25, 4)
    assert (row["forwards"], row["backwards"], row["batch_seconds"]) == (10, 7.5, 3)


def test_images_are_matched_by_hash_and_one_that_nobody_broke_has_no_trapezoid(tmp_path) -> None:
    write_run(tmp_path, "original_fmn")
    infinite = {"best_optim_distances": {"l2": [float("inf"), 0.4, 0.2, 0.0]}}
    turned = {"hashes": ["d", "c", "b", "a"], "ori_success": [False, False, False, True]}
    write_run(tmp_path, "ta_fab", **infinite, **turned)
    found = read_runs(tmp_path).set_index("attack")
    assert found["exact"].to_dict() == pytest.approx(
        {"original_fmn": 1, "ta_fab": (0.6 + 0.4) / (0.7 + 0.4)}
    )
    assert found["trapezoid"].notna().all()
    write_run(tmp_path / "alone", "fb_bb")
    assert np.isnan(read_runs(tmp_path / "alone")["trapezoid"]).all()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"adv_success": [True]}, "differ in length"),
        ({"best_optim_distances": {}}, "not the record of a run"),
    ],
)
def test_a_broken_run_is_named(tmp_path, changes, said) -> None:
    folder = write_run(tmp_path, "original_fmn", **changes)
    with pytest.raises(SpecError, match=rf"info\.json.*{said}") as raised:
        read_runs(tmp_path)
    assert str(folder) in str(raised.value)


def test_what_is_no_results_folder_is_said(tmp_path) -> None:
    with pytest.raises(SpecError, match=r"no info\.json"):
        read_runs(tmp_path)
    folder = write_run(tmp_path, "original_fmn")
    (folder / "config.json").unlink()
    with pytest.raises(SpecError, match=r"config\.json: No such file"):
        read_runs(tmp_path)
    (folder / "info.json").write_text("{")
    with pytest.raises(SpecError, match="broken JSON"):
        read_runs(tmp_path)


def test_published_scores_are_read_with_plain_names(tmp_path) -> None:
    entry = {
        "dataset": "cifar10", "attack": r"ALMA-$\ell_\infty$", "library": "AdvLib",
        "model": "standard", "threat_model": "l2", "ASR": 1.0, "optimality": 0.9,
        "n_forwards": 993.0, "n_backwards": 992.0, "time": 262.0,
    }  # fmt: skip
    others = [
        {**entry, "attack": r"APGD$_t$-$\ell_1$", "threat_model": "l1"},
        {**entry, "attack": r"$\sigma$-zero", "threat_model": "l0"},
        {**entry, "attack": r"CW-$\ell_\infty$", "threat_model": "linf"},
    ]
    path = tmp_path / "standard_l2.json"
    path.write_text(json.dumps([entry, *others]))
    found = read_compiled(path)
    assert found["attack"].tolist() == ["ALMA-l2", "APGD-t-l1", "sigma-zero", "CW-linf"]
    assert found.iloc[0].to_dict() == {
        "dataset": "cifar10", "model": "standard", "norm": "l2", "attack": "ALMA-l2",
        "library": "AdvLib", "success": 1.0, "trapezoid": 0.9, "forwards": 993.0, "backwards": 992.0,
        "batch_seconds": 262.0,
    }  # fmt: skip
    path.write_text('{"hash": 0.1}')
    with pytest.raises(SpecError, match="folder compiled"):
        read_compiled(path)
