"""What rows say of a perturbation beside the verdict: each number by a direct computation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from digits_network import shipped

import bench
from bench.attacks.run_attack import apply
from bench.data.table import DATASETS
from bench.runner.attack import _of
from bench.spec import SIZES

UNCLIPPED = ["unclipped_label", "unclipped_l2", "unclipped_linf"]


@pytest.fixture(scope="module")
def digits():
    x, y = bench.load_data("digits", images=40)
    model = bench.wrap(shipped(), num_classes=10, input_shape=(1, 8, 8))
    return model, x, y


def attacked(digits, name, norm, toolkit="native", **words):
    model, x, y = digits
    out = bench.attack(model, x, y, name, norm=norm, toolkit=toolkit, **words)
    right = out.rows["correct"].to_numpy(bool)
    assert right.sum() > 20
    return out, right


def test_sizes_of_clean_images_are_with_and_without_the_means_of_the_data_set(digits) -> None:
    model, x, y = digits
    named = replace(model, spec=replace(model.spec, data="digits"))
    out, right = attacked((named, x, y), "fgsm", "linf", eps=0.1)
    flat = x.double().flatten(1).numpy()[right]
    centred = flat - DATASETS["digits"].means[0]
    rows = out.rows[right]
    expected = [
        np.linalg.norm(flat, axis=1), np.abs(flat).max(1),
        np.linalg.norm(centred, axis=1), np.abs(centred).max(1),
    ]  # fmt: skip
    for name, values in zip(SIZES, expected, strict=True):
        assert rows[name].to_numpy(float) == pytest.approx(values)
    assert out.rows.loc[~right, list(SIZES)].isna().all(axis=None)


def test_of_an_unknown_data_set_there_is_no_centred_size(digits) -> None:
    out, right = attacked(digits, "fgsm", "linf", eps=0.1)
    assert out.rows.loc[right, "clean_l2"].notna().all()
    assert out.rows[["centred_l2", "centred_linf"]].isna().all(axis=None)


def test_changed_shares_count_pixels_and_values() -> None:
    """Three channels of four pixels: one pixel changes in two channels, one in all three."""

    class Two(torch.nn.Module):
        def forward(self, x):
            weights = torch.zeros(3, 2, 2)
            weights[:2, 0, 0], weights[:, 1, 1] = 1.0, -1.0
            score = ((x - 0.5) * weights).flatten(1).sum(1) + 0.1
            return torch.stack([score, -score], 1)

    model = bench.wrap(Two(), num_classes=2, input_shape=(3, 2, 2))
    out = bench.attack(
        model, torch.full((1, 3, 2, 2), 0.5), torch.zeros(1, dtype=torch.int64),
        "deepfool", norm="l2", toolkit="native",
    )  # fmt: skip
    (row,) = out.rows.to_dict("records")
    assert (row["l0"], row["changed_pixels"]) == (2, 0.5)
    assert row["changed_values"] == pytest.approx(5 / 12)


@pytest.mark.parametrize(
    ("name", "norm", "words"),
    [
        ("fgsm", "linf", {"eps": 0.2}),
        ("deepfool", "l2", {"clip": "end"}),
        ("deepfool", "linf", {"clip": "end"}),
    ],
)
def test_the_image_before_the_clip_is_told_of_and_judged_nowhere(digits, name, norm, words) -> None:
    out, right = attacked(digits, name, norm, **words)
    rows = out.rows[right]
    assert rows[UNCLIPPED].notna().all(axis=None)
    assert out.rows.loc[~right, UNCLIPPED].isna().all(axis=None)
    for order in ("l2", "linf"):
        assert (rows[f"unclipped_{order}"] >= rows[order] - 1e-6).all()
    assert (rows["unclipped_l2"] > rows["l2"] + 1e-3).any()
    # The verdict is of the clipped image alone.
    labels = digits[0].predict(out.x_adv).labels.numpy()[right]
    assert rows["adv_label"].tolist() == labels.tolist()
    assert rows["invalid"].isna().all()
    if name == "deepfool":
        assert (rows["unclipped_label"] != rows["label"]).mean() > (
            rows["adv_label"] != rows["label"]
        ).mean()


@pytest.mark.parametrize(
    ("name", "norm", "toolkit", "words"),
    [
        ("fgsm", "linf", "torchattacks", {"eps": 0.2}),
        ("deepfool", "l2", "native", {}),
        ("deepfool", "l2", "native", {"clip": "end", "goal": "confidence-reduction"}),
    ],
)
def test_without_an_image_before_the_clip_nothing_is_said(
    digits, name, norm, toolkit, words
) -> None:
    out, _ = attacked(digits, name, norm, toolkit, **words)
    assert out.rows[UNCLIPPED].isna().all(axis=None)


@pytest.mark.parametrize("clip", [True, False])
def test_a_universal_perturbation_fitted_without_the_box_is_told_of_without_it(
    digits, clip
) -> None:
    model, x, y = digits
    words = {"eps": 0.3, "passes": 1, "clip": clip, "fit": (x[20:], y[20:])}
    out, right = attacked((model, x, y), "universal", "linf", **words)
    if clip:
        assert out.rows[UNCLIPPED].isna().all(axis=None)
        return
    rows, whole = out.rows[right], (x + out.perturbation)[torch.tensor(right)]
    assert rows["unclipped_linf"].to_numpy(float) == pytest.approx(
        float(out.perturbation.abs().max()), abs=1e-6
    )
    assert rows["unclipped_label"].tolist() == model.predict(whole).labels.tolist()


def test_an_image_before_its_clip_stays_with_its_row() -> None:
    """Of what is crafted once for several judges, each takes the images that it gets right."""
    x = torch.rand(4, 1, 2, 2)
    tried = apply(torch.full((1, 2, 2), 0.5), x, keep_unclipped=True)
    some = _of(tried, torch.tensor([3, 1]))
    assert torch.equal(some.unclipped, (x + 0.5)[[3, 1]])
