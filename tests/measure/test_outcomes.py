"""What breaks an image, and what shows that one is robust."""

from __future__ import annotations

import dataclasses
from typing import Any

import build
import numpy as np
import pandas as pd
import pytest
from build import cell

from bench.measure import outcomes as measured
from bench.measure.certified import certified_bounds
from bench.measure.curves import curve, surface_curves
from bench.measure.headline import headline
from bench.measure.outcomes import INVALID_ABOVE, Outcomes
from bench.measure.published import COLUMNS, comparison
from bench.measure.threats import threats
from bench.store.results import Results
from bench.trust.comparisons import comparisons

N = 100


def told(results: Results) -> dict[str, Any]:
    """Return the one row of the headline."""
    table = headline(Outcomes(results))
    assert len(table) == 1
    row: dict[str, Any] = table.iloc[0].to_dict()
    return row


def with_rows(results: Results, where: pd.Series, **columns: Any) -> Results:
    rows = results.rows.reset_index(drop=True)
    for name, value in columns.items():
        if name not in rows:
            rows[name] = None
        rows.loc[where.to_numpy(), name] = value
    return dataclasses.replace(results, rows=rows)


def of_cell(results: Results, turn: int, images: range | None = None) -> pd.Series:
    there = results.rows["cell"] == f"cell-{turn}"
    return there if images is None else there & results.rows["index"].isin(images)


def test_a_wrong_label_breaks_an_image_whatever_the_goal_was() -> None:
    # The target was missed on the images 10 to 39, which got another wrong label.
    made = build.results(
        [cell("m", "pgd", "0.1", range(10)), cell("m", "pgd", "0.1", range(40), goal="targeted")],
        images=N,
    )
    missed = of_cell(made, 1, range(10, 40))
    row = told(with_rows(made, missed, success=False))
    assert row["robust_accuracy"] == pytest.approx(0.6)
    assert (row["attacks"], row["planned"]) == (1, 1)
    # One label missed within the radius is one lost, also with less confidence as the goal.
    less = build.results(
        [
            cell("m", "pgd", "0.1", range(10)),
            cell("m", "pgd", "0.1", range(30), goal="confidence-reduction"),
        ],
        images=N,
    )
    assert told(less)["robust_accuracy"] == pytest.approx(0.7)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"goal": "targeted"}, "no untargeted attack"),
        ({"goal": "source-target"}, "no untargeted attack"),
        ({"goal": "confidence-reduction"}, "no untargeted attack"),
        ({"parameters": {"least_confidence": "0.8"}}, "no untargeted attack"),
    ],
)
def test_goals_alone_make_no_robust_accuracy(more: dict[str, Any], says: str) -> None:
    row = told(build.results([cell("m", "pgd", "0.1", [1], **more)], images=N))
    assert row["flag"] == f"INVALID: {says}"
    assert np.isnan(row["robust_accuracy"])


@pytest.mark.parametrize("name", ["noise", "salt-and-pepper"])
def test_noise_alone_makes_no_robust_accuracy_but_breaks_images(name: str) -> None:
    noise = cell("m", name, "0.1", range(10))
    assert told(build.results([noise], images=N))["flag"] == "INVALID: noise alone is no attack"
    row = told(build.results([noise, cell("m", "pgd", "0.1", range(5))], images=N))
    assert row["robust_accuracy"] == pytest.approx(0.9)
    assert (row["attacks"], row["planned"]) == (1, 1)


@pytest.mark.parametrize("dead", [4, 5, 6, 60])
@pytest.mark.parametrize("how", ["not finite", "over budget: linf 1 > 0.1", None, "unmoved"])
def test_an_image_is_robust_only_against_attacks_valid_on_it(dead: int, how: str | None) -> None:
    made = build.results(
        [cell("m", "pgd", "0.1", range(90, 100)), cell("m", "fgsm", "0.1", ())], images=N
    )
    # FGSM is not valid on more images than PGD is.
    for turn, count in ((0, dead), (1, dead + 3)):
        where = of_cell(made, turn, range(count))
        if how == "unmoved":
            made = with_rows(made, where, l0=0.0)
        elif how is None:
            made = with_rows(made, where, ineffective="no gradient")
        else:
            made = with_rows(made, where, invalid=how)
    row = told(made)
    assert row["flag"].removeprefix("INVALID: ") == f"no valid attack on {dead} of 100 images"
    if dead > INVALID_ABOVE * N:
        assert row["flag"].startswith("INVALID")
        assert np.isnan(row["robust_accuracy"])
    else:
        assert row["robust_accuracy"] == pytest.approx(0.9)
    # So in the curve and beside a published figure.
    assert np.isnan(curve(Outcomes(made))["accuracy"].iloc[-1]) == np.isnan(row["robust_accuracy"])
    published = pd.DataFrame([{
        "study": "s", "table": "1", "dataset": "digits", "model": "m", "attack": "fgsm",
        "norm": "linf", "eps": "0.1", "metric": "accuracy", "value": 50.0, "unit": "%", "note": "",
    }])  # fmt: skip
    named = dataclasses.replace(
        made,
        cells=made.cells.assign(model="digits/m"),
        rows=made.rows.assign(model="digits/m"),
        models=[{**one, "model": "digits/m"} for one in made.models],
    )
    assert np.isnan(comparison(Outcomes(named), published)["ours"].iloc[0]) == (dead + 3 > 5)


def test_an_attack_without_a_gradient_on_any_image_does_not_count() -> None:
    made = build.results(
        [cell("m", "pgd", "0.1", ()), cell("m", "fgsm", "0.1", range(5))], images=N
    )
    row = told(with_rows(made, of_cell(made, 0), ineffective="no gradient"))
    assert row["flag"] == "1 of 2 attacks had no gradient or changing scores to go by"
    assert row["robust_accuracy"] == pytest.approx(0.95)
    # A random start that breaks an image broke it, gradient or not.
    lucky = build.results([cell("m", "pgd", "0.1", [3]), cell("m", "fgsm", "0.1", ())], images=N)
    row = told(with_rows(lucky, of_cell(lucky, 0), ineffective="no gradient"))
    assert row["robust_accuracy"] == pytest.approx(0.99)


TOOK_NO_GRADIENT = 'mine took no gradient: if it needs none, register it with access="score" (or "decision", if labels are enough)'


@pytest.mark.parametrize(
    ("access", "forwards", "hint"),
    [
        ("white", 3, TOOK_NO_GRADIENT),
        ("white", 0, 'mine asked the model nothing: if it needs none, register it with access="decision"'),
        ("score", 0, 'mine asked the model nothing: if it needs none, register it with access="decision"'),
        ("score", 3, ""),
    ],
)  # fmt: skip
def test_a_users_attack_that_took_less_than_it_says_is_told_how_to_be_registered(
    access: str, forwards: int, hint: str
) -> None:
    passes = {"forwards": forwards, "backwards": 0, "ineffective": "no gradient"}
    mine = cell(
        "m", "mine", "0.1", range(20), toolkit="plugin", access=access, columns={**passes, "iterations": None}
    )  # fmt: skip
    row = told(build.results([mine], images=N))
    notes = [f"no valid attack on {N - 20} of {N} images", *([hint] if hint else [])]
    assert row["flag"] == f"INVALID: {'; '.join(notes)}"
    row = told(build.results([dataclasses.replace(mine, broken=frozenset())], images=N))
    fault = "1 of 1 attacks had no gradient or changing scores to go by"
    assert row["flag"] == f"INVALID: {fault}{f' ({hint})' if hint else ''}"


def test_a_gradient_that_is_zero_everywhere_is_no_matter_of_how_an_attack_was_registered() -> None:
    columns = {"forwards": 3, "backwards": 3, "ineffective": "no gradient"}
    mine = cell("m", "mine", "0.1", (), toolkit="plugin", columns=columns)
    flag = told(build.results([mine], images=N))["flag"]
    assert flag == "INVALID: 1 of 1 attacks had no gradient or changing scores to go by"


def test_an_attack_no_better_than_noise_does_not_count() -> None:
    made = build.results(
        [
            cell("m", "noise", "0.1", ()), cell("m", "pgd", "0.1", ()),
            cell("m", "bim", "0.1000000001", ()), cell("m", "pgd", "0.2", ()),
        ],
        images=N,
    )  # fmt: skip
    rng = np.random.default_rng(0)
    rows = made.rows.reset_index(drop=True)
    rows["adv_margin"] = rng.normal(size=len(rows))
    rows.loc[rows["cell"] == "cell-2", "adv_margin"] = rows["adv_margin"].min() - 1
    found = headline(Outcomes(dataclasses.replace(made, rows=rows))).set_index("eps_text")
    assert found.loc["0.1", "flag"] == "1 of 2 attacks did no better than noise"
    assert found.loc["0.1", "worst"].startswith("bim")
    # At another radius there is no noise to compare with.
    assert found.loc["0.2", "flag"] == ""
    # Of a handful of images nothing can be told.
    few = rows[rows["index"] < 7]
    assert headline(Outcomes(dataclasses.replace(made, rows=few)))["flag"].tolist() == ["", ""]


def test_an_attack_that_gives_the_clean_image_back_is_not_taken_for_noise() -> None:
    # APGD, Square and FAB give the clean image back where they found no other label.
    made = build.results(
        [cell("m", "noise", "0.1", ()), cell("m", "apgd-ce", "0.1", range(9))], images=N
    )
    rows = made.rows.reset_index(drop=True)
    rows["adv_margin"] = 1.0
    rows.loc[rows["cell"] == "cell-0", "adv_margin"] = 0.9  # noise lowers them all a little
    gave_back = (rows["cell"] == "cell-1") & (rows["index"] >= 9)
    rows.loc[gave_back, "l0"] = 0.0
    rows.loc[(rows["cell"] == "cell-1") & ~gave_back, "adv_margin"] = -0.1
    row = told(dataclasses.replace(made, rows=rows))
    assert (row["robust_accuracy"], row["flag"]) == (pytest.approx(0.91), "")
    # Where noise took the label away and the attack found nothing, the attack is the weaker one.
    rows.loc[(rows["cell"] == "cell-0") & (rows["index"] >= 50), "adv_margin"] = -0.1
    row = told(dataclasses.replace(made, rows=rows))
    assert row["flag"] == "INVALID: 1 of 1 attacks did no better than noise"


def test_a_real_attack_on_a_handful_of_images_is_not_taken_for_noise() -> None:
    made = build.results([cell("m", "noise", "0.1", ()), cell("m", "pgd", "0.1", ())], images=9)
    rows = made.rows.reset_index(drop=True)
    lower = (rows["cell"] == "cell-1") & (rows["index"] < 6)
    rows["adv_margin"] = np.where(lower, -1.0, np.where(rows["cell"] == "cell-1", 1.0, 0.0))
    assert told(dataclasses.replace(made, rows=rows))["flag"] == ""
    # The margins of a random model are noise themselves.
    many = build.results([cell("m", "noise", "0.1", ()), cell("m", "pgd", "0.1", ())], images=N)
    rows = many.rows.reset_index(drop=True)
    rows["adv_margin"] = np.random.default_rng(0).normal(size=len(rows))
    assert told(dataclasses.replace(many, rows=rows))["flag"].startswith("INVALID: 1 of 1 attacks")
    random = rows.assign(draws=32, clean_share=1.0, share=0.5, chosen_share=0.5)
    assert told(dataclasses.replace(many, rows=random))["flag"] == ""


def test_a_random_model_is_never_more_robust_than_it_is_accurate() -> None:
    made = build.results([cell("m", "square", "0.1", ())], images=4)
    made = drawn(made, 0, [1.0, 1.0, 1.0, 0.75], [1.0] * 4)
    made.rows["clean_share"] = 0.75
    row = told(made)
    assert row["clean_accuracy"] == row["robust_accuracy"] == pytest.approx(0.75)


@pytest.mark.parametrize("count", [5, 6])
def test_images_with_scores_that_are_not_finite_do_not_stand(count: int) -> None:
    made = build.results(
        [cell("m", "pgd", "0.1", range(10)), cell("m", "fgsm", "0.1", ())], images=N
    )
    where = of_cell(made, 0, range(90, 90 + count))
    row = told(with_rows(made, where, invalid="scores not finite", adv_label=None))
    assert row["flag"].endswith(f"scores not finite on {count} of 100 images")
    if count == 6:
        assert row["flag"].startswith("INVALID")
    else:
        assert row["robust_accuracy"] == pytest.approx(0.85)


def test_near_radii_are_one_threat_with_the_shortest_name() -> None:
    eps = ["0.0313725490196", "8/255", "0.03137255", "0.1000001", "0.1", "0.10001"]
    made = build.results(
        [cell("m", "pgd", text, [turn]) for turn, text in enumerate(eps)], images=N
    )
    found = headline(Outcomes(made))
    assert found["eps_text"].tolist() == ["8/255", "0.1", "0.10001"]
    assert found["attacks"].tolist() == [3, 2, 1]
    assert found["planned"].tolist() == [3, 2, 1]
    assert found["robust_accuracy"].tolist() == pytest.approx([0.97, 0.95, 0.94])
    assert len(threats(made.cells)) == 3


def test_attacks_that_tie_are_named() -> None:
    made = build.results(
        [
            cell("m", "bim", "0.1", [1], toolkit="art"), cell("m", "pgd", "0.1", [2]),
            cell("m", "pgd", "0.1", [2], toolkit="foolbox"), cell("m", "fgsm", "0.1", ()),
        ],
        images=N,
    )  # fmt: skip
    assert told(made)["worst"] == "bim, pgd (tie of 3)"


def drawn(results: Results, turn: int, judged: list[float], chosen: list[float]) -> Results:
    """Return results in which a cell is of a random model with these shares of draws, by image."""
    where = of_cell(results, turn)
    made = with_rows(results, where, draws=32, clean_share=1.0)
    made.rows.loc[where.to_numpy(), "share"] = judged
    made.rows.loc[where.to_numpy(), "chosen_share"] = chosen
    return made


def test_a_random_model_stands_by_the_share_of_its_draws() -> None:
    cells = [
        cell("m", "pgd", "0.1", (0,)), cell("m", "fgsm", "0.1", ()), cell("m", "bim", "0.2", ())
    ]  # fmt: skip
    made = build.results(cells, images=4)
    # The worst is chosen by other draws than it is judged by; a clean image that is usually wrong is 0.
    made = drawn(made, 0, [0.25, 0.75, 1.0, 1.0], [0.25, 0.5, 1.0, 1.0])
    made = drawn(made, 1, [0.75, 0.5, 0.5, 1.0], [0.75, 0.75, 0.5, 1.0])
    made = drawn(made, 2, [0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 1.0])
    found = headline(Outcomes(made)).set_index("eps_text")
    assert found.loc["0.1", "robust_accuracy"] == pytest.approx((0.25 + 0.75 + 0.5 + 1) / 4)
    assert found.loc["0.2", "robust_accuracy"] == pytest.approx(0.25)
    assert found.loc["0.1", "draws"] == 32
    made.models[0]["notes"] = ["random, so each image is judged by 32 draws"]
    assert headline(Outcomes(made))["flag"].tolist() == made.models[0]["notes"] * 2
    assert curve(Outcomes(made))["accuracy"].tolist() == pytest.approx([1.0, 0.625, 0.25])


def test_images_that_one_cell_alone_has_do_not_change_what_a_random_model_stands_by() -> None:
    cells = [cell("m", "fgsm", "0.1", ()), cell("m", "pgd", "0.1", (), images=10)]
    made = drawn(build.results(cells, images=4), 0, [0.5] * 4, [0.5] * 4)
    made = drawn(made, 1, [1.0] * 10, [1.0] * 10)
    made.rows["clean_share"] = (
        0.75  # below the mean of all ten images, above that of the first four
    )
    assert told(made)["n"] == 4
    assert told(made)["robust_accuracy"] == pytest.approx(0.5)


def test_each_part_of_the_outcomes_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def counted(function: Any) -> Any:
        def call(*given: Any) -> Any:
            calls.append(function.__name__)
            return function(*given)

        return call

    parts = ("flagged_cells", "label_lost", "valid_rows", "scores_not_finite")
    for part in parts:
        monkeypatch.setattr(measured, part, counted(getattr(measured, part)))
    made = build.results([cell("a", "pgd", "0.1", [1, 2]), cell("a", "cw", None, [3], norm="l2")])
    outcomes = Outcomes(made)
    for _ in range(2):
        for measure in (headline, curve, surface_curves, certified_bounds):
            assert measure(outcomes) is not None
        comparisons(outcomes)
        comparison(outcomes, pd.DataFrame(columns=list(COLUMNS)))
    assert {part: calls.count(part) for part in parts} == dict.fromkeys(parts, 1)


def broken_by_every_attack(outcomes: Outcomes) -> pd.DataFrame:
    """A metric of a user's own: the share of images that every attack on a model breaks."""
    found = []
    for (model, norm), cells in outcomes.cells.groupby(["model", "norm"]):
        farthest = outcomes.group(cells["cell"]).distances.max(axis=1)
        found.append({"model": model, "norm": norm, "share": float(np.isfinite(farthest).mean())})
    return pd.DataFrame(found)


def test_a_metric_is_a_function_of_the_outcomes() -> None:
    cells = [cell("a", "pgd", "0.1", [1, 2, 3]), cell("a", "fgsm", "0.1", [3, 4])]
    found = broken_by_every_attack(Outcomes(build.results(cells, images=10)))
    assert found.to_dict("records") == [{"model": "a", "norm": "linf", "share": 0.1}]


def test_what_some_cells_did_is_part_of_what_all_did() -> None:
    cells = [build.cell("a", f"attack{turn}", "0.1", range(turn, turn + 30)) for turn in range(6)]
    for more in ({}, {"images": 150}):  # as many images each, or not
        made = [*cells, build.cell("a", "last", "0.1", [199], **more)]
        outcomes = Outcomes(build.results(made))
        for some in (["cell-1"], ["cell-5", "cell-0"], ["cell-6", "cell-2"]):
            part, alone = outcomes.group(some), outcomes._made_group(some)
            assert part.column == alone.column
            assert part.images.equals(alone.images)
            for name in ("distances", "evidence", "least", "not_finite"):
                np.testing.assert_array_equal(getattr(part, name), getattr(alone, name))
