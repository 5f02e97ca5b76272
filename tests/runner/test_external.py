"""Images that others made as an attack of a suite: their cells, their rows, and the figures they count in."""

from __future__ import annotations

import build
import digits_network
import pytest
import torch

import bench
from bench.errors import SpecError, UnsupportedAttack
from bench.measure.handed_in import fates
from bench.measure.headline import headline
from bench.measure.outcomes import Outcomes
from bench.report.measured import measure
from bench.runner.estimate import estimate
from bench.runner.execute import execute
from bench.runner.plan import make_plan
from bench.runner.selection import Selection
from bench.runner.suite import load_suite
from bench.store.results import load_results
from bench.store.store import open_store

EPS = 0.1
COUNT = 40


@pytest.fixture
def net(registry):
    """Register the small network of the digits, and the same once more under another name."""
    for name in ("small", "again"):
        bench.register_model(name, data="digits")(
            lambda: bench.wrap(digits_network.shipped(), 10, (1, 8, 8))
        )
    return digits_network.shipped()


@pytest.fixture
def attacked(net):
    """Return clean digits, their labels, and FGSM's images of them within the budget."""
    x, y = bench.load_data("digits", images=COUNT)
    out = bench.attack(
        bench.wrap(net, 10, (1, 8, 8)), x, y, "fgsm", norm="linf", eps=EPS, toolkit="native"
    )
    return x, y, out.x_adv


def external(**more):
    return {"name": "external", "norm": "linf", "eps": EPS, "file": "adv.pt", **more}


def plan_in(folder, *attacks, models=("small",), claims=(), **head):
    text = build.suite(list(models), attacks, claims, images=COUNT, **head)
    (folder / "s.toml").write_text(text)
    # Models of plug-ins join a suite of their data set, where no other is named.
    return make_plan(load_suite(str(folder / "s.toml")), Selection(models=models))


def run(folder, plan):
    store = open_store(folder / "results")
    outcome = execute(plan, store)
    assert not outcome.failed
    return load_results(folder / "results", "s", run=outcome.run)


def test_each_image_is_judged_as_it_is_in_the_file(tmp_path, monkeypatch, net, attacked):
    monkeypatch.chdir(tmp_path)
    x, y, x_adv = attacked
    right = net(x).argmax(1) == y
    fooled = right & (net(x_adv).argmax(1) != y)
    at = fooled.nonzero().flatten().tolist()
    spoilt = x_adv.clone()
    spoilt[at[0]] = (x[at[0]] + 2 * EPS).clamp(0, 1)
    spoilt[at[1]][x[at[1]] == 0] = -EPS / 2
    spoilt[at[2]] = torch.nan
    kept = [place for place in range(COUNT) if place != at[3]]
    torch.save({"x_adv": spoilt[kept], "index": torch.tensor(kept)}, "adv.pt")
    found = run(tmp_path, plan_in(tmp_path, external()))
    rows = found.rows.set_index("index")
    assert set(rows["surface"]) == {"handed in"}
    assert rows["correct"].tolist() == right.tolist()
    expected = fooled.clone()
    expected[at[:4]] = False
    assert rows["success"].tolist() == expected.tolist()
    assert rows.loc[at[0], "invalid"] == "over budget: linf 0.2 > 0.1"
    assert rows.loc[at[1], "invalid"] == "outside [0, 1] by 0.05"
    assert rows.loc[at[2], "invalid"] == "not finite"
    assert rows.loc[at[3], "ineffective"] == "no image handed in"
    assert rows.loc[at[3], "l0"] == 0
    assert (rows["forwards"] == 0).all()
    counts = fates(found.rows, 64)
    assert sum(counts.values()) == COUNT
    assert counts["wrong before"] == int((~right).sum())
    assert counts["broken"] == int(expected.sum())
    for fate in ("over budget, by more", "outside [0, 1]", "not finite", "not handed in"):
        assert counts[fate] == 1


@pytest.mark.parametrize(
    ("beyond", "fate"),
    [
        (0.5 / 255, "over budget, by no more than rounding to 8 bits adds"),
        (3 / 255, "over budget, by more"),
    ],
)
def test_images_beyond_the_budget_break_nothing(tmp_path, monkeypatch, net, attacked, beyond, fate):
    monkeypatch.chdir(tmp_path)
    x, y, _ = attacked
    grey = 0.5 + (x - 0.5) * 0.6  # so that nothing leaves [0, 1]
    right = net(x).argmax(1) == y
    torch.save(x + (grey - x).sign() * (EPS + beyond), "adv.pt")
    found = run(tmp_path, plan_in(tmp_path, external()))
    assert not found.rows["success"].any()
    counts = fates(found.rows, 64)
    assert (counts["wrong before"], counts[fate]) == (int((~right).sum()), int(right.sum()))
    assert sum(counts.values()) == COUNT
    (row,) = headline(Outcomes(found)).to_dict("records")
    assert row["flag"].startswith("INVALID: 1 of 1 attacks gave no valid image")


def test_a_cell_is_known_by_what_is_in_the_file(tmp_path, monkeypatch, attacked):
    monkeypatch.chdir(tmp_path)
    _, _, x_adv = attacked
    torch.save(x_adv, "adv.pt")
    torch.save({"adv_complete": x_adv}, "same.pt")
    torch.save(torch.cat([x_adv[:-1], x_adv[-1:] + 1e-4]), "other.pt")
    same = plan_in(tmp_path, external(file=["adv.pt", "same.pt"]))
    assert len(same.cells) == 1
    different = plan_in(tmp_path, external(file=["adv.pt", "other.pt"]))
    assert len(different.cells) == 2
    assert same.cells.keys() < different.cells.keys()
    found = run(tmp_path, different)
    assert len(found.rows) == 2 * COUNT
    (row,) = headline(Outcomes(found)).to_dict("records")
    assert (row["planned"], row["flag"]) == (2, "images handed in only")
    estimated = estimate(different, open_store(tmp_path / "results"), list(different.cells))
    assert estimated.total < 5


def test_they_count_in_the_worst_case_in_claims_and_in_checks(tmp_path, monkeypatch, attacked):
    monkeypatch.chdir(tmp_path)
    torch.save(attacked[2], "adv.pt")
    claim = {
        "says": "the same", "left": "small", "right": "again", "attacks": ["external"],
        "eps": [str(EPS)], "expect": "left = right", "within": 60,
    }  # fmt: skip
    weak = {"name": "noise", "norm": "linf", "eps": EPS, "toolkits": ["native"]}
    plan = plan_in(tmp_path, external(), weak, models=("small", "again"), claims=[claim])
    found = run(tmp_path, plan)
    measured = measure(found)
    broken = found.rows[found.rows["attack"] == "external"].groupby("model")["success"].sum()
    right = found.rows[found.rows["attack"] == "external"].groupby("model")["correct"].sum()
    for row in measured.headline.to_dict("records"):
        expected = (right[row["model"]] - broken[row["model"]]) / COUNT
        assert row["robust_accuracy"] <= expected
        assert row["worst"] == "external (adv.pt)"
    assert (measured.comparisons["left_accuracy"] == measured.comparisons["right_accuracy"]).all()
    assert measured.claims["verdict"].tolist() == ["holds"]
    ran = measured.checks[measured.checks["check"] == "attacks-ran"]
    assert ran["status"].tolist() == ["pass"]


def test_how_a_file_was_read_is_said_once(tmp_path, monkeypatch, attacked):
    monkeypatch.chdir(tmp_path)
    torch.save(attacked[2] * 255, "adv.pt")
    said = []
    text = build.suite(["small", "again"], [external(eps=[0.1, 0.2])], images=COUNT)
    (tmp_path / "s.toml").write_text(text)
    plan = make_plan(load_suite(str(tmp_path / "s.toml")), note=said.append)
    assert len(plan.cells) == 4
    assert said == ["adv.pt: values up to 255 were divided by 255"]


def test_what_a_suite_may_not_say(tmp_path, monkeypatch, attacked):
    monkeypatch.chdir(tmp_path)
    torch.save(attacked[2], "adv.pt")
    with pytest.raises(SpecError, match=r"none\.pt: no such file"):
        plan_in(tmp_path, external(file="none.pt"))
    with pytest.raises(SpecError, match="file: name the file of the images"):
        plan_in(tmp_path, {"name": "external", "norm": "linf", "eps": EPS})
    with pytest.raises(UnsupportedAttack, match="art has no external for linf"):
        plan_in(tmp_path, external(toolkits=["art"]))


def test_it_is_no_attack_to_be_made(net, attacked):
    x, y, _ = attacked
    with pytest.raises(SpecError, match="external is no attack to be made; use bench judge"):
        bench.attack(
            bench.wrap(net, 10, (1, 8, 8)), x, y, "external", norm="linf", eps=EPS,
            toolkit="native", file="adv.pt",
        )  # fmt: skip


def test_no_toolkit_is_said_to_have_made_them(tmp_path, monkeypatch, attacked):
    monkeypatch.chdir(tmp_path)
    torch.save(attacked[2], "adv.pt")
    own = {"name": "fgsm", "norm": "linf", "eps": EPS, "toolkits": ["native"]}
    plan = plan_in(tmp_path, external(), own)
    keys = {cell.attack.name: key for key, cell in plan.cells.items()}
    found = run(tmp_path, plan)
    told = {"external": "handed in", "fgsm": "native"}
    for frame in (found.cells, found.rows):
        assert dict(zip(frame["attack"], frame["toolkit"], strict=True)) == told
    # They are still stored as they were, so that cells that are there are found again.
    record = found.store.record(keys["external"])
    assert record["identity"]["toolkit"] == "native"


@pytest.mark.parametrize(
    ("more", "status"),
    [((), "warn"), (({"name": "noise", "toolkits": ["native"]},), "warn"), (({"name": "fgsm", "toolkits": ["native"]},), "pass")],
)  # fmt: skip
def test_a_figure_that_rests_on_them_alone_is_doubtful(
    tmp_path, monkeypatch, attacked, more, status
):
    monkeypatch.chdir(tmp_path)
    torch.save(attacked[2], "adv.pt")
    others = ({"norm": "linf", "eps": EPS, **attack} for attack in more)
    measured = measure(run(tmp_path, plan_in(tmp_path, external(), *others)))
    found = measured.checks[measured.checks["check"] == "only-external"]
    assert found["status"].tolist() == [status]
    if status == "warn":
        said = (
            "only images that others made were tried (external): how hard they tried is not known"
        )
        assert found["sentence"].iloc[0].startswith(said)
        assert found["remedy"].iloc[0].endswith("`bench run small --norm linf --eps 0.1`")
        assert measured.headline["trust"].tolist() == ["doubtful"]
