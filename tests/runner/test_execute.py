import build
import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import bench
from bench.errors import AttackError, SpecError, StoreError
from bench.runner import attack as attacks
from bench.runner import compute as running
from bench.runner.execute import execute, todo
from bench.runner.loading import Setting
from bench.runner.plan import make_plan
from bench.runner.scope import Scope, parse_shard
from bench.runner.selection import Selection
from bench.runner.suite import load_suite
from bench.store.results import load_results
from bench.store.store import open_store


@pytest.fixture
def plan(tiny_suite):
    return make_plan(load_suite(str(tiny_suite)), setting=Setting(batch_size=8))


def rows(root, suite="tiny"):
    """Return a store's rows in one order, without the one column that may differ."""
    found = load_results(root, suite).rows.drop(columns="seconds")
    return found.sort_values(["cell", "index"], ignore_index=True)


def test_the_same_rows_in_any_order_resumed_sharded_and_alone(plan, tmp_path):
    import dataclasses

    whole = tmp_path / "whole"
    execute(plan, open_store(whole))
    expected = rows(whole)
    assert len(expected) == 30 * len(plan.cells)

    backwards = dataclasses.replace(plan, cells=dict(reversed(plan.cells.items())))
    execute(backwards, open_store(tmp_path / "backwards"))
    pd.testing.assert_frame_equal(rows(tmp_path / "backwards"), expected)

    shards = open_store(tmp_path / "shards")
    shares = [execute(plan, shards, Scope(shard=f"{i}/3")).computed for i in (1, 2, 3)]
    assert sorted(sum(shares, ())) == sorted(plan.cells)
    pd.testing.assert_frame_equal(rows(tmp_path / "shards"), expected)

    for key in plan.cells:
        alone = dataclasses.replace(plan, cells={key: plan.cells[key]})
        execute(alone, open_store(tmp_path / "alone" / key))
        one = rows(tmp_path / "alone" / key)
        same = expected[expected.cell == key].reset_index(drop=True)
        pd.testing.assert_frame_equal(one, same)


def test_the_same_command_again_computes_nothing(plan, tmp_path):
    store = open_store(tmp_path / "r")
    first = execute(plan, store)
    before = rows(tmp_path / "r")
    again = execute(plan, store)
    assert set(first.computed) == set(plan.cells) == set(again.kept)
    assert again.computed == ()
    pd.testing.assert_frame_equal(rows(tmp_path / "r"), before)


def test_a_run_that_stops_within_a_cell_goes_on_after_its_last_chunk(plan, tmp_path, monkeypatch):
    store = open_store(tmp_path / "r")
    calls = []
    compute = running.compute_chunk

    def stopping(task, part):
        calls.append(part.start)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return compute(task, part)

    monkeypatch.setattr(running, "compute_chunk", stopping)
    with pytest.raises(KeyboardInterrupt):
        execute(plan, store)
    execute(plan, store)
    assert calls[:4] == [0, 8, 16, 16]
    execute(plan, open_store(tmp_path / "whole"))
    pd.testing.assert_frame_equal(rows(tmp_path / "r"), rows(tmp_path / "whole"))


def failing(monkeypatch, attack, error):
    run_attack = attacks.run_attack

    def broken(spec, *args, **settings):
        if spec.name == attack:
            raise error
        return run_attack(spec, *args, **settings)

    monkeypatch.setattr(attacks, "run_attack", broken)


def test_a_failed_cell_is_told_and_the_others_go_on(plan, tmp_path, monkeypatch):
    store = open_store(tmp_path / "r")
    with monkeypatch.context() as patch:
        failing(patch, "deepfool", AttackError("foolbox deepfool: boom"))
        outcome = execute(plan, store)
    assert len(outcome.failed) == 1
    assert len(outcome.computed) == len(plan.cells) - 1
    results = load_results(tmp_path / "r", "tiny")
    failed = results.cells[results.cells.status == "failed"]
    assert failed.error.tolist() == ["AttackError: foolbox deepfool: boom"]
    assert todo(plan, store, Scope(overwrite="failed")) == list(outcome.failed)
    assert execute(plan, store).computed == outcome.failed
    assert todo(plan, store, Scope(overwrite="failed")) == []


def test_a_failed_save_is_fatal_and_loses_nothing(plan, tmp_path, monkeypatch):
    store = open_store(tmp_path / "r")
    write, calls = type(store).write_chunk, []

    def full(self, *args, **settings):
        calls.append(args)
        if len(calls) > 5:
            raise StoreError("the disk is full")
        return write(self, *args, **settings)

    with monkeypatch.context() as patch:
        patch.setattr(type(store), "write_chunk", full)
        with pytest.raises(StoreError, match="disk is full"):
            execute(plan, store)
    assert len(load_results(tmp_path / "r", "tiny").rows) == 30
    execute(plan, store)
    execute(plan, open_store(tmp_path / "whole"))
    pd.testing.assert_frame_equal(rows(tmp_path / "r"), rows(tmp_path / "whole"))


def test_overwrite(plan, tmp_path):
    store = open_store(tmp_path / "r")
    assert execute(plan, store, Scope(overwrite="never")).computed == ()
    assert set(execute(plan, store, Scope(overwrite="missing")).computed) == set(plan.cells)
    before = rows(tmp_path / "r")
    assert set(execute(plan, store, Scope(overwrite="always")).computed) == set(plan.cells)
    pd.testing.assert_frame_equal(rows(tmp_path / "r"), before)


def test_pictures_are_kept_for_the_first_sixteen_or_for_all(plan, tmp_path):
    store = open_store(tmp_path / "r")
    execute(plan, store)
    key = next(iter(plan.cells))
    assert store.pictures(key)["index"].tolist() == list(range(16))
    assert set(execute(plan, store, Scope(keep_all=True)).computed) == set(plan.cells)
    pictures = store.pictures(key)
    assert pictures["index"].tolist() == list(range(30))
    assert torch.equal(pictures["x"], plan.images[plan.suite.images[0]].images)
    gap = (pictures["x_adv"] - pictures["x"]).flatten(1).abs().amax(1).double()
    attacked = store.rows(key).linf.fillna(0.0)
    assert np.allclose(gap.numpy(), attacked.to_numpy(dtype=float), atol=1e-7)
    assert execute(plan, store, Scope(keep_all=True)).computed == ()


def test_clean_images_are_predicted_once_a_model(plan, tmp_path, monkeypatch):
    adapter = next(iter(plan.adapters.values()))
    seen = []
    predict = type(adapter).predict

    def counting(self, x):
        seen.append(x.clone())
        return predict(self, x)

    monkeypatch.setattr(type(adapter), "predict", counting)
    execute(plan, open_store(tmp_path / "r"))
    clean = plan.images[plan.suite.images[0]].images
    chunks = [clean[start : start + 8] for start in range(0, 30, 8)]
    for chunk in chunks:
        hits = [x for x in seen if x.shape == chunk.shape and torch.equal(x, chunk)]
        assert len(hits) == 1
    # Beyond that, the judge looks once at each chunk of each cell.
    assert len(seen) == len(chunks) * (1 + len(plan.cells))


def test_global_random_states_are_left_alone(plan, tmp_path):
    import random

    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    execute(plan, open_store(tmp_path / "r"))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()
    assert random.getstate() == before[2]


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "1/", "-1/2", "1/²", "٣/4"])
def test_a_shard_must_be_a_share(text):
    with pytest.raises(SpecError, match="I/N"):
        parse_shard(text)


def test_bench_run_gives_samples_and_cells(tiny_suite, tmp_path):
    run = bench.run(tiny_suite, images=10, results=tmp_path / "r", attacks=("fgsm",))
    assert len(run.samples()) == 10 * len(run.cells()) == 60
    assert (run.cells().status == "done").all()
    assert not run.outcome.failed
    worst = run.headline()
    assert len(worst)
    assert (worst["n"] == 10).all()
    assert len(run.parity()) == len(run.cells())  # three toolkits, two by two
    assert run.claims().empty
    written = run.report(tmp_path / "out", ["csv", "latex"])
    assert {path.parent for paths in written.values() for path in paths} == {tmp_path / "out"}
    assert all(path.is_file() for paths in written.values() for path in paths)
    assert {"csv", "latex"} == set(written)


@pytest.mark.slow
def test_the_log_says_how_well_a_differentiable_vote_agrees(tmp_path):
    path = tmp_path / "two.toml"
    models = ["digits/mlp", {"name": "digits/dml-contrastive-adam", "k": 3}]
    attack = {"name": "fgsm", "norm": "linf", "eps": 0.1, "toolkits": ["torchattacks"]}
    path.write_text(build.suite(models, [attack], images=5))
    asked = make_plan(load_suite(str(path)), setting=Setting(batch_size=5))
    execute(asked, open_store(tmp_path / "r"))
    plain, voted = load_results(tmp_path / "r", "two").models
    assert plain["surrogate"] is None
    told = voted["surrogate"]
    assert (told["k"], told["distance"], told["images"]) == (3, "cosine", 500)
    assert told["left_out_agreement"] >= 0.99
    # On 500 other images: three errors of such a share less.
    assert told["soft_knn_agreement"] >= 0.975


def test_attacks_on_fewer_and_on_more_images_in_one_run(tiny_suite, tmp_path):
    more = '[[attacks]]\nname = "bim"\nnorm = "linf"\neps = "0.1"\nimages = 44\n'
    tiny_suite.write_text(tiny_suite.read_text() + more)
    plan = make_plan(
        load_suite(str(tiny_suite)), Selection(models=["digits/mlp"], attacks=["bim", "fgsm"])
    )
    execute(plan, open_store(tmp_path / "r"))
    results = load_results(tmp_path / "r", "tiny")
    assert set(results.cells["status"]) == {"done"}
    assert results.cells.groupby("attack")["images"].unique().map(set).to_dict() == {
        "bim": {44}, "fgsm": {30},
    }  # fmt: skip
    assert results.protocol["images"] == 30


def test_a_cell_begun_by_one_and_finished_by_another_names_both(tiny_suite, tmp_path, monkeypatch):
    plan = make_plan(
        load_suite(str(tiny_suite)), Selection(attacks=["pgd"]), Setting(batch_size=10)
    )
    store = open_store(tmp_path / "r")
    (key,) = plan.cells

    def made_by(threads):
        return lambda device: {"versions": {"torch": "1"}, "device": device, "host": "h",
                               "threads": threads}  # fmt: skip

    def interrupt(event):
        if event["event"] == "chunk":
            raise KeyboardInterrupt

    monkeypatch.setattr(running, "made_by", made_by(7))
    with pytest.raises(KeyboardInterrupt):
        execute(plan, store, on_event=interrupt)
    monkeypatch.setattr(running, "made_by", made_by(8))
    execute(plan, store)
    made = load_results(tmp_path / "r", "tiny").made
    assert {(one["threads"], one["cells"]) for one in made} == {(7, 1), (8, 1)}
    assert "made" not in store.record(key)["parts"][0]
    execute(plan, store, Scope(overwrite="always"))
    assert [one["threads"] for one in load_results(tmp_path / "r", "tiny").made] == [8]


class _Extra(nn.Sequential):
    def get_extra_state(self):
        return {"epoch": 3}


def test_quantised_networks_and_other_states_run_beside_the_others(tiny_suite, registry, tmp_path):
    net = bench.load_model("digits/mlp").module
    made = {
        "quantised": lambda: torch.ao.quantization.quantize_dynamic(net, {nn.Linear}),
        "extra": lambda: _Extra(net),
        "broken": lambda: nn.Linear(1, 1),
    }
    for name, make in made.items():
        bench.register_model(name, data="digits")(
            lambda make=make: bench.wrap(make(), 10, (1, 8, 8))
        )
    plan = make_plan(
        load_suite(str(tiny_suite)),
        Selection(attacks=["noise", "fgsm"], toolkits=["native", "foolbox"]),
    )
    assert any(
        "quantised has no gradient: fgsm and other white-box" in line for line in plan.left_out
    )
    assert list(plan.broken) == ["broken"]
    attacks = {}
    for cell in plan.cells.values():
        attacks.setdefault(cell.model.name, set()).add(cell.attack.name)
    assert attacks == {
        "digits/mlp": {"fgsm", "noise"}, "quantised": {"noise"}, "extra": {"fgsm", "noise"}
    }  # fmt: skip
    outcome = execute(plan, open_store(tmp_path / "r"))
    assert (len(outcome.computed), outcome.failed) == (len(plan.cells), ())
