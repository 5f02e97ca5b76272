"""The images behind the figures of the headline, as a run kept them."""

from __future__ import annotations

import build
import digits_network
import pytest
import torch

import bench
from bench.errors import PrerequisiteError, StoreError
from bench.measure.headline import headline
from bench.measure.outcomes import Outcomes
from bench.measure.worst_images import worst_images
from bench.runner.execute import Scope, execute
from bench.runner.plan import make_plan
from bench.runner.suite import load_suite
from bench.store.results import load_results
from bench.store.store import open_store

COUNT = 30
ATTACKS = [
    {"name": "fgsm", "norm": "linf", "eps": ["0.05", "0.1"], "toolkits": ["native"]},
    {"name": "pgd", "norm": "linf", "eps": "0.1", "steps": 3, "toolkits": ["torchattacks"]},
    {"name": "deepfool", "norm": "linf", "toolkits": ["native"]},
]


@pytest.fixture
def net(registry):
    """Register two copies of the small network of the digits, and return it."""
    for name in ("other", "small"):
        bench.register_model(name, data="digits")(
            lambda: bench.wrap(digits_network.shipped(), 10, (1, 8, 8))
        )
    return digits_network.shipped()


def outcomes(folder, keep_all, attacks=ATTACKS):
    text = build.suite(["small", "other"], attacks, images=COUNT)
    (folder / "s.toml").write_text(text)
    plan = make_plan(load_suite(str(folder / "s.toml")))
    outcome = execute(plan, open_store(folder / "results"), Scope(keep_all=keep_all))
    assert not outcome.failed
    return Outcomes(load_results(folder / "results", "s", run=outcome.run))


def test_the_model_falls_to_them_as_in_the_headline(tmp_path, net):
    made = outcomes(tmp_path, keep_all=True)
    x, y = bench.load_data("digits", images=COUNT)
    right = net(x).argmax(1) == y
    figures = headline(made).to_dict("records")
    assert len(figures) == 4
    for row in figures:
        found = worst_images(made, row["model"], row["norm"], row["eps"])
        assert found.index.tolist() == list(range(COUNT))
        assert torch.equal(found.labels, y)
        answers = net(found.x_adv).argmax(1)
        assert float((answers == y).float().mean()) == pytest.approx(row["robust_accuracy"])
        assert found.facts["broken"] == (answers != y).tolist()
        assert found.facts["adv_label"] == answers.tolist()
        assert torch.equal(found.x_adv[~right], x[~right])
        change = (found.x_adv.double() - x.double()).abs().flatten(1).amax(1)
        assert float(change.max()) <= row["eps"] * (1 + 1e-5) + 1e-6
        named = [bool(name) for name in found.facts["attack"]]
        assert named == right.tolist()
    assert set(found.facts["attack"]) - {""} <= {"fgsm", "pgd", "deepfool"}


def test_a_run_that_kept_a_few_names_what_keeps_all(tmp_path, net):
    made = outcomes(tmp_path, keep_all=False, attacks=ATTACKS[:1])
    with pytest.raises(
        PrerequisiteError, match=r"2 of 2 attacks on small kept only some .* --keep"
    ):
        worst_images(made, "small", "linf", 0.1)


def test_an_image_that_is_not_that_of_its_row_is_told(tmp_path, net, monkeypatch):
    made = outcomes(tmp_path, keep_all=True, attacks=ATTACKS[:1])
    store = made.results.store
    real = type(store).pictures

    def others(self, key):
        kept = dict(real(self, key))
        return kept | {"x_adv": kept["x_adv"].flip(0)}

    monkeypatch.setattr(type(store), "pictures", others)
    with pytest.raises(StoreError, match="is not the one that was judged"):
        worst_images(made, "small", "linf", 0.1)


@pytest.mark.parametrize("models", [["small"], ["small", "other"]])
def test_images_made_on_another_model_are_found_where_they_are_kept(tmp_path, net, models):
    transfer = {
        "name": "fgsm", "norm": "linf", "eps": "0.1", "toolkits": ["native"],
        "surfaces": ["of other"], "models": models,
    }  # fmt: skip
    made = outcomes(tmp_path, keep_all=True, attacks=[transfer])
    found = worst_images(made, "small", "linf", 0.1)
    (row,) = headline(made).query("model == 'small'").to_dict("records")
    share = float((net(found.x_adv).argmax(1) == found.labels).float().mean())
    assert share == pytest.approx(row["robust_accuracy"])
    assert share < row["clean_accuracy"]
