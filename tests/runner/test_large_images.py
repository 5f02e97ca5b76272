"""Photographs in a run: how many go together, how many there are, and what a report says of them."""

import json

import build
import pymupdf
import pytest
import torch
from PIL import Image
from torch import nn

import bench
from bench.report.labels import attack_names
from bench.runner.loading import Setting
from bench.runner.manifest import manifest
from bench.runner.plan import make_plan
from bench.runner.selection import Selection
from bench.runner.suite import load_suite

FGSM = {"name": "fgsm", "norm": "linf", "eps": 0.1, "toolkits": ["native"]}


@pytest.fixture
def coarse(registry):
    """Register a network for photographs that is quick, since it sees only four colours of each."""

    @bench.register_model("coarse", data="natural")
    def coarse():
        torch.manual_seed(0)
        net = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, 1000))
        net[2].bias.data[[243, 559]] = torch.tensor([9.0, 8.0])  # of the first two photographs
        return bench.wrap(net, 1000, (3, 224, 224))


@pytest.mark.parametrize(
    ("shape", "count"),
    [((1, 8, 8), 100), ((3, 32, 32), 100), ((3, 224, 224), 10), ((3, 2000, 2000), 1)],
)
def test_fewer_large_images_are_attacked_together(shape, count):
    assert Setting().together(shape) == count
    assert Setting(batch_size=64).together(shape) == 64


def test_the_same_holds_of_a_single_attack(coarse):
    model, sizes = bench.load_model("coarse"), []
    model.module.register_forward_hook(lambda net, given, made: sizes.append(len(made)))
    x, y = torch.rand(12, 3, 224, 224), torch.full((12,), 243)
    bench.attack(model, x, y, "fgsm", norm="linf", eps="0.1", toolkit="native")
    assert set(sizes[-6:]) == {10, 2}  # before, how the model behaves is observed


def test_a_run_tells_the_sizes_of_its_batches_and_how_many_photographs_there_are(coarse, tmp_path):
    path = tmp_path / "both.toml"
    path.write_text(
        build.suite(
            title="Both", data=["natural", "digits"], images="all", attacks=[FGSM],
            models=["digits/mlp", "coarse"],
        )
    )  # fmt: skip
    plan = make_plan(load_suite(str(path)))
    sizes = {cell.images.data: cell.batch_size for cell in plan.cells.values()}
    assert sizes == {"natural": 10, "digits": 100}
    said = manifest(plan, None)
    assert said["protocol"]["batch_size"] == [10, 100]
    assert said["asked"]["images"] == [[20, 20], [500, 500]]
    run = bench.run(path, images=2, results=tmp_path / "results")
    assert set(attack_names(run.results).values()) == {
        "fgsm"
    }  # the size tells no two attacks apart
    part = make_plan(load_suite(str(path)), Selection(models=["coarse"]))
    assert manifest(part, None)["protocol"]["batch_size"] == 10


def test_photographs_of_ones_own_are_counted_as_they_are(coarse, tmp_path):
    (tmp_path / "natural").mkdir()
    for label in (243, 559, 3):
        Image.new("RGB", (64, 64), (label % 256, 90, 90)).save(
            tmp_path / "natural" / f"my_{label}.png"
        )
    path = tmp_path / "own.toml"
    path.write_text(
        build.suite(
            title="Own", data="natural", images="all", models=["coarse"], attacks=[FGSM]
        )
    )  # fmt: skip
    plan = make_plan(load_suite(str(path)), setting=Setting(data=tmp_path))
    assert plan.asked["images"] == [[3, 3]]


def test_a_report_names_the_classes_of_photographs_and_the_sizes_of_batches(
    coarse, invoke, tmp_path
):
    (tmp_path / "photos.toml").write_text(
        build.suite(
            title="Photographs", data="natural", images=2, models=["coarse"], attacks=[FGSM]
        )
    )  # fmt: skip
    process = invoke("run", "--suite", "photos.toml", "--display", "none", "--json", cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    events = [json.loads(line) for line in process.stdout.splitlines()]
    assert next(one for one in events if one["event"] == "headline")["n"] == 2
    with pymupdf.open(tmp_path / "reports" / "photos.pdf") as report:
        text = " ".join(" ".join(page.get_text() for page in report).split())
    assert "bull mastiff (" in text
    assert "Data natural, split test" in text
    assert "Seed, batch size 0, 10" in text


def test_a_fitted_attack_has_no_photographs_to_be_fitted_on(coarse, invoke, tmp_path):
    universal = {"name": "universal", "norm": "linf", "eps": "10/255", "toolkits": ["native"]}
    (tmp_path / "u.toml").write_text(
        build.suite(
            title="Universal", data="natural", images=2, models=["coarse"], attacks=[universal]
        )
    )  # fmt: skip
    process = invoke("run", "--suite", "u.toml", "--display", "none", cwd=tmp_path)
    assert process.returncode == 2
    assert "error: natural has no split 'train'; it has test" in process.stderr
