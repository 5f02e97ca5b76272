"""Attacks that are fitted first: once a cell, shared between cells, kept in the store."""

import io

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

import bench
from bench.errors import SpecError
from bench.report.labels import attack_names
from bench.report.measured import measure
from bench.report.sections.transfer import transfer_table
from bench.report.write import write_report
from bench.runner import compute as running
from bench.runner import fits
from bench.runner.execute import execute
from bench.runner.loading import Setting
from bench.runner.plan import make_plan
from bench.runner.scope import Scope
from bench.runner.selection import Selection
from bench.runner.suite import load_suite
from bench.store.fits import picture
from bench.store.results import load_results
from bench.store.store import open_store

SUITE = """\
title  = "Universal"
data   = "digits"
images = 30

[[models]]
name = "digits/mlp"

[[models]]
name = "second"

[[attacks]]
name      = "universal"
norm      = "linf"
eps       = "0.15"
passes    = 1
fit       = "train 20"
fitted_on = ["itself", "digits/mlp"]

[[attacks]]
name     = "noise"
norm     = "linf"
eps      = "0.15"
toolkits = ["native"]
"""


@pytest.fixture
def second(registry):
    """Register another model of the digits."""

    @bench.register_model("second", data="digits")
    def make():
        with torch.random.fork_rng():
            torch.manual_seed(3)
            net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
            x, y = bench.load_data("digits", split="train", images=300)
            optimizer = torch.optim.Adam(net.parameters(), 0.05)
            for _ in range(40):
                optimizer.zero_grad()
                nn.functional.cross_entropy(net(x), y).backward()
                optimizer.step()
        return bench.wrap(net, 10, (1, 8, 8))


@pytest.fixture
def written(tmp_path, second):
    """Return a function that writes the suite with some text replaced, and plans it."""

    def write(*changes, **filters):
        text = SUITE
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "uni.toml"
        path.write_text(text)
        return make_plan(load_suite(str(path)), Selection(**filters), Setting(batch_size=8))

    return write


def rows(root):
    found = load_results(root, "uni").rows.drop(columns="seconds")
    return found.sort_values(["cell", "index"], ignore_index=True)


@pytest.fixture
def counted(monkeypatch):
    """Return the list of the fits made."""
    calls, fit = [], fits.fit

    def counting(*args, **settings):
        calls.append(settings["seed"])
        return fit(*args, **settings)

    monkeypatch.setattr(fits, "fit", counting)
    return calls


def universal(plan):
    return {key: cell for key, cell in plan.cells.items() if cell.attack.name == "universal"}


def test_a_perturbation_is_fitted_once_and_shared_with_the_models_it_is_tested_on(
    written, counted, tmp_path
):
    plan = written()
    cells = universal(plan)
    # Fitted on each for itself, and on the first for both: for that one it is the same cell.
    assert len(cells) == 3
    assert [cell.surface for cell in cells.values()] == ["network", "network", "predict"]
    execute(plan, open_store(tmp_path / "r"))
    assert len(counted) == len(set(counted)) == 2
    results = load_results(tmp_path / "r", "uni")
    own, other, moved = (results.perturbation(key) for key in cells)
    assert own.dtype == np.float32
    assert own.shape == (1, 8, 8)
    assert np.array_equal(own, moved)
    assert not np.array_equal(own, other)
    assert np.abs(own).max() <= 0.15 * (1 + 1e-6)
    noise = next(key for key in plan.cells if key not in cells)
    assert results.perturbation(noise) is None
    assert results.fit(noise) is None
    # Chunk by chunk, what was tried is the image plus the perturbation, clipped.
    pictures = results.pictures(next(iter(cells)))
    tried = results.rows[results.rows.cell == next(iter(cells))].set_index("index")
    kept = (pictures[name] for name in ("index", "x", "x_adv"))
    for index, x, x_adv in zip(*kept, strict=True):
        if tried.correct[int(index)]:
            assert torch.equal(x_adv, (x + torch.from_numpy(own)).clamp(0, 1))
    assert (tried.forwards == 0).all()


def test_a_run_that_stops_between_chunks_goes_on_with_the_same_perturbation(
    written, counted, tmp_path, monkeypatch
):
    plan = written()
    execute(plan, open_store(tmp_path / "whole"))
    assert len(counted) == 2
    compute, calls = running.compute_chunk, []

    def stopping(task, part):
        calls.append(part.start)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return compute(task, part)

    with monkeypatch.context() as patch:
        patch.setattr(running, "compute_chunk", stopping)
        with pytest.raises(KeyboardInterrupt):
            execute(plan, open_store(tmp_path / "r"))
    assert len(counted) == 3
    execute(plan, open_store(tmp_path / "r"))
    assert len(counted) == 4  # the one that was saved is not fitted again, but for its own cell
    pd.testing.assert_frame_equal(rows(tmp_path / "r"), rows(tmp_path / "whole"))
    before = rows(tmp_path / "r")
    execute(plan, open_store(tmp_path / "r"), Scope(overwrite="always"))
    assert len(counted) == 6
    pd.testing.assert_frame_equal(rows(tmp_path / "r"), before)


def test_any_shard_or_order_gives_the_same_rows(written, tmp_path):
    plan = written()
    execute(plan, open_store(tmp_path / "whole"))
    shares = open_store(tmp_path / "shares")
    for share in ("3/3", "1/3", "2/3"):
        execute(plan, shares, Scope(shard=share))
    pd.testing.assert_frame_equal(rows(tmp_path / "shares"), rows(tmp_path / "whole"))


@pytest.mark.parametrize("harm", ["cut", "gone", "flipped"])
def test_a_damaged_perturbation_is_noticed_and_made_again(written, tmp_path, harm):
    plan = written(('["itself", "digits/mlp"]', '"itself"'), models=["digits/mlp"])
    store = open_store(tmp_path / "r")
    execute(plan, store)
    (key,) = universal(plan)
    results = load_results(tmp_path / "r", "uni")
    before = results.perturbation(key)
    path = store.folder(key) / "arrays" / results.fit(key)["file"]
    data = path.read_bytes()
    if harm == "gone":
        path.unlink()
    else:
        path.write_bytes(data[:-1] if harm == "cut" else data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(bench.errors.StoreError, match="missing or damaged"):
        results.perturbation(key)
    if harm != "flipped":
        assert execute(plan, store).computed == (key,)
        assert np.array_equal(load_results(tmp_path / "r", "uni").perturbation(key), before)


@pytest.mark.parametrize(("change", "says"), [
    (('"train 20"', '"test 20"'), "fit=test 20 is of the split under attack"),
    (('"train 20"', '"valid 20"'), "digits has no split 'valid'"),
    (('"train 20"', '"train 1298"'), "more images than the 1297 of digits train"),
    (('"digits/mlp"]', '"digits/mpl"]'), "did you mean digits/mlp"),
    (('"digits/mlp"]', '"cifar10/cnn"]'), "cifar10/cnn classifies cifar10"),
])  # fmt: skip
def test_what_cannot_be_fitted_is_said_in_one_line(written, change, says):
    with pytest.raises(SpecError) as caught:
        written(change)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_images_or_another_model_fitted_on_are_other_cells(written):
    plans = [
        written(),
        written(('"train 20"', '"train 21"')),
        written(('"digits/mlp"]', '"second"]')),
    ]
    first, images, model = (set(universal(plan)) for plan in plans)
    assert not first & images
    assert len(first & model) == 2  # those fitted on the model itself
    (noise,) = {frozenset(set(plan.cells) - set(universal(plan))) for plan in plans}
    assert len(noise) == 2  # other cells know nothing of it
    assert set(universal(written(models=["second"]))) < first  # a filter changes no key


def test_a_model_without_gradient_is_fooled_by_the_perturbation_of_another(written, tmp_path):
    def predict(x):
        return x.flatten(1)[:, 20:30].softmax(1)

    bench.register_model("blind", data="digits")(lambda: bench.wrap_predict(predict, 10, (1, 8, 8)))
    plan = written(models=["digits/mlp", "blind"])
    cells = universal(plan)
    assert [cell.model.name for cell in cells.values()] == ["digits/mlp", "blind"]
    assert any("blind has no gradient" in line for line in plan.left_out)
    assert not execute(plan, open_store(tmp_path / "r")).failed


def test_the_transfer_table_by_hand(written, tmp_path):
    plan = written(('"digits/mlp"]', '"digits/mlp", "second"]'))
    execute(plan, open_store(tmp_path / "r"))
    results = load_results(tmp_path / "r", "uni")
    table = transfer_table(measure(results).transfer, attack_names(results)).frame.set_index(
        "fitted on"
    )
    expected = {}
    for key, cell in universal(plan).items():
        named = cell.attack.parameter("fitted_on")
        fitted_on = cell.model.name if named == "itself" else named
        mine = results.rows[(results.rows.cell == key) & results.rows.correct]
        expected[fitted_on, cell.model.name] = f"{100 * mine.success.sum() / len(mine):.1f}"
        fit = results.fit(key)
        row = table.loc[fitted_on]
        assert row["fitted (%)"] == f"{100 * fit['fooling']:.1f}"
        assert row[["passes", "forwards", "backwards"]].tolist() == [
            str(fit[name]) for name in ("passes", "forwards", "backwards")
        ]
    assert len(expected) == 4
    for (fitted_on, tested_on), said in expected.items():
        assert table.loc[fitted_on, f"{tested_on} (%)"] == said
    files = write_report(results, tmp_path / "report", ("pdf", "csv", "latex"))
    assert any(path.name == "uni-transfer.tex" for path in files["latex"])
    (raw,) = (pd.read_csv(path) for path in files["csv"] if path.name == "uni-transfer.csv")
    for one in raw.itertuples():
        assert f"{100 * one.fooling:.1f}" == expected[one.fitted_on, one.model]


def test_a_picture_of_a_perturbation_is_grey_where_nothing_is_added():
    v = torch.zeros(3, 4, 4)
    v[0, 0, 0], v[1, 3, 3] = 0.02, -0.01
    image = np.asarray(Image.open(io.BytesIO(picture(v.numpy()))))
    assert image.shape == (224, 224, 3)
    assert image[0, 0].tolist() == [255, 128, 128]
    assert image[-1, -1].tolist() == [128, 64, 128]
    assert image[100, 100].tolist() == [128, 128, 128]
    assert Image.open(io.BytesIO(picture(np.zeros((1, 8, 8), np.float32)))).getpixel((0, 0)) == 128


class _Mirrored(nn.Module):
    """The weights of another network, shown a mirrored image."""

    def __init__(self, net, mirrored):
        super().__init__()
        self.net, self.mirrored = net, mirrored

    def forward(self, x):
        return self.net(x.flip(3) if self.mirrored else x)


def test_two_networks_of_the_same_weights_are_fitted_apart(written, registry, counted, tmp_path):
    net = bench.load_model("digits/mlp").module
    for name, mirrored in (("straight", False), ("mirrored", True), ("straight-too", False)):
        bench.register_model(name, data="digits")(
            lambda mirrored=mirrored: bench.wrap(_Mirrored(net, mirrored), 10, (1, 8, 8))
        )
    plan = written(models=["straight*", "mirrored"])
    own = [cell for cell in universal(plan).values() if cell.surface == "network"]
    fits_of = {cell.model.name: cell.fit.fingerprint for cell in own}
    assert fits_of["straight"] == fits_of["straight-too"] != fits_of["mirrored"]
    execute(plan, open_store(tmp_path / "r"))
    assert len(counted) == len(set(counted)) == 3  # two of them, and digits/mlp
