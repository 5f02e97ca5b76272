"""How large perturbations are: each figure equals a direct computation on a toy model."""

from __future__ import annotations

import build
import numpy as np
import pandas as pd
import pytest
import torch
from build import cell
from torch import nn

import bench
from bench.attacks import catalogue
from bench.attacks.job import Batch
from bench.attacks.run_attack import run_attack
from bench.measure.outcomes import Outcomes
from bench.measure.perturbations import FIGURES, perturbations

MEANS = np.array([0.4914, 0.4822, 0.4465]).reshape(3, 1, 1)


class Toy(nn.Module):
    """Three classes of three-channel images of four pixels; some boundaries lie outside of the box."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.randn(3, 12, generator=torch.Generator().manual_seed(3))
        self.weight[:, ::3] = 0  # values that no attack by gradients changes

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 4 * ((x - 0.5).flatten(1) @ self.weight.T)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a toy model, images, their labels, and what a few attacks made of them, as a run has it."""
    net = Toy()
    model = bench.wrap(net, num_classes=3, input_shape=(3, 2, 2))
    x = torch.rand(60, 3, 2, 2, generator=torch.Generator().manual_seed(4))
    x = x.round()[:30].lerp(x[:30], 0.2)  # near the walls of the box
    y = model.predict(x).labels.clone()
    y[:3] = (y[:3] + 1) % 3  # three that the model gets wrong
    asked = [
        ("deepfool", "l2", {"clip": "end", "steps": 3}),
        ("deepfool", "linf", {"clip": "end", "steps": 3}),
        ("fgsm", "linf", {"eps": 0.1}),
        ("deepfool", "l2", {"steps": 3}),
    ]
    outs = [
        bench.attack(model, x, y, name, norm=norm, toolkit="native", **words)
        for name, norm, words in asked
    ]
    cells = [
        cell("m", name, str(words["eps"]) if "eps" in words else None, (), norm=norm, toolkit="native",
             images=len(x), parameters=words)
        for name, norm, words in asked
    ]  # fmt: skip
    centred = (x.double().numpy() - MEANS).reshape(len(x), -1)
    rows = pd.concat(
        [
            out.rows.assign(
                cell=f"cell-{turn}", model="m", dataset="cifar10", split="test",
                centred_l2=np.where(out.rows["correct"], np.linalg.norm(centred, axis=1), np.nan),
                centred_linf=np.where(out.rows["correct"], np.abs(centred).max(1), np.nan),
            )
            for turn, out in enumerate(outs)
        ],
        ignore_index=True,
    )  # fmt: skip
    results = build.results(cells, rows=build.stored(rows), images=len(x))
    return net, x, y, outs, perturbations(Outcomes(results)).set_index("cell")


def norms(flat: np.ndarray) -> dict[str, np.ndarray]:
    return {"l2": np.linalg.norm(flat, axis=1), "linf": np.abs(flat).max(1)}


@pytest.mark.parametrize("turn", range(4))
def test_every_figure_is_that_of_a_direct_computation(made, turn) -> None:
    net, x, y, outs, found = made
    out, figures = outs[turn], found.loc[f"cell-{turn}"]
    right = (net(x).argmax(1) == y).numpy()
    assert figures["attacked"] == right.sum() == 27
    clean = x.double().numpy()[right]
    tried = out.x_adv.double().numpy()[right]
    moved = tried - clean
    chances = net(out.x_adv).softmax(1).amax(1).numpy()[right]
    fooled = (net(out.x_adv).argmax(1) != y).numpy()[right]
    assert 0 < fooled.mean() < 1
    expected = {
        "fooling": fooled.mean(),
        "confidence_fooled": chances[fooled].mean(),
        "confidence_tried": chances.mean(),
        "median_pixels": np.median((moved != 0).any(1).reshape(27, -1).mean(1)),
        "median_values": np.median((moved != 0).reshape(27, -1).mean(1)),
        "iterations": out.rows.loc[right, "iterations"].astype(float).mean(),
        "seconds": out.rows.loc[right, "seconds"].mean(),
    }
    for order, sizes in norms(moved.reshape(27, -1)).items():
        expected[f"delta_{order}"] = sizes.mean()
        expected[f"rho_{order}"] = (sizes / norms(clean.reshape(27, -1))[order]).mean()
        centred = norms((clean - MEANS).reshape(27, -1))[order]
        expected[f"rho_centred_{order}"] = (sizes / centred).mean()
    for name, value in expected.items():
        assert figures[name] == pytest.approx(value, rel=1e-4), name
    assert figures["low"] < figures["fooling"] < figures["high"]


@pytest.mark.parametrize("turn", [0, 1, 2])
def test_what_the_clip_takes_is_that_of_the_images_before_it(made, turn) -> None:
    """The attack gives its images before the clip, here made again."""
    net, x, y, outs, found = made
    right = net(x).argmax(1) == y
    row = outs[turn].rows.iloc[0]
    words = {} if turn == 2 else {"clip": "end", "steps": 3}
    spec = catalogue.resolve(row["attack"], row["norm"], None if turn < 2 else 0.1, words)
    whole = run_attack(spec, "native", net, Batch(x[right], y[right]), 3, 0).unclipped
    figures = found.loc[f"cell-{turn}"]
    fooled = (net(whole).argmax(1) != y[right]).double().mean().item()
    assert figures["unclipped_fooling"] == pytest.approx(fooled)
    assert figures["fooling_reduction"] == pytest.approx((fooled - figures["fooling"]) / fooled)
    for order, sizes in norms((whole - x[right]).double().flatten(1).numpy()).items():
        assert figures[f"unclipped_delta_{order}"] == pytest.approx(sizes.mean())
        reduction = 1 - figures[f"delta_{order}"] / sizes.mean()
        assert figures[f"delta_reduction_{order}"] == pytest.approx(reduction, abs=1e-6)
        clean = norms(x[right].double().flatten(1).numpy())[order]
        assert figures[f"unclipped_rho_{order}"] == pytest.approx((sizes / clean).mean())
    assert figures["delta_reduction_l2"] > 0.02


def test_without_an_image_before_the_clip_or_a_fit_nothing_is_said_of_it(made) -> None:
    figures = made[-1].loc["cell-3"]
    absent = [
        name for name in FIGURES if name.startswith(("unclipped_", "fit_")) or "reduc" in name
    ]
    assert figures[absent].isna().all()
    assert figures[[name for name in FIGURES if name not in absent]].notna().all()


def test_facts_of_a_fit() -> None:
    fit = {"images": 95, "passes": 3, "fooling": 0.8, "seconds": 12.5, "forwards": 1}
    cells = [
        cell("m", "universal", "0.1", range(4), fit=fit, columns={"clean_l2": 1.0}),
        cell("m", "fgsm", "0.1", range(4), columns={"clean_l2": 1.0}),
    ]
    found = perturbations(Outcomes(build.results(cells, images=10)))
    facts = ["fit_images", "fit_fooling", "fit_passes", "fit_seconds"]
    assert found.loc[0, facts].tolist() == [95, 0.8, 3, 12.5]
    assert found.loc[1, facts].isna().all()
    assert found["fooling"].tolist() == [0.4, 0.4]


def test_cells_of_older_versions_are_left_out() -> None:
    old = build.results([cell("m", "fgsm", "0.1", range(4))], images=10)
    assert perturbations(Outcomes(old)).empty
