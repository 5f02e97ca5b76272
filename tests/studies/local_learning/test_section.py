from types import SimpleNamespace

import pandas as pd

from bench.studies.local_learning.section import PARTS, configuration_table, configurations

LL = {"rule": "ll", "K": 5, "w": 4, "m": 3, "p": 2, "delta": 0.2, "n": 4, "pool": 3,
      "activation": "elu", "seed": 0}  # fmt: skip
BP = {"rule": "bp", "K": 5, "w": 4, "n": 1, "pool": 3, "activation": "relu", "seed": 1}


def results(*models):
    return SimpleNamespace(
        models=[dict(zip(("model", "options", "f_score"), one, strict=True)) for one in models]
    )


def headline(**accuracies):
    return pd.DataFrame([
        {"model": model, "norm": "linf", "eps_text": eps, "n": 200, "clean_accuracy": 0.9,
         "robust_accuracy": robust}
        for model, found in accuracies.items() for eps, robust in found.items()
    ])  # fmt: skip


def test_a_row_a_configuration_with_every_threat():
    run = results(("a", LL, 0.5), ("plain", None, None), ("b", BP, None))
    found = configurations(run, headline(
        a={"0.1": 0.25, "0.2": 0.125}, plain={"0.1": 0.75}, b={"0.1": float("nan"), "0.2": 0.0}
    ))  # fmt: skip
    assert list(found) == ["model", *PARTS, "f_score", "images", "clean_accuracy",
                           "robust linf 0.1", "robust linf 0.2"]  # fmt: skip
    assert found["model"].tolist() == ["a", "b"]
    assert found.loc[0, list(PARTS)].to_dict() == LL
    table = configuration_table(found).frame
    assert table.loc[0].tolist() == [
        "ll", "5", "4", "3", "2", "0.2", "4", "3", "elu", "0", "0.50", "90.0", "25.0", "12.5",
    ]  # fmt: skip
    assert table.loc[1].tolist() == [
        "bp", "5", "4", "", "", "", "1", "3", "relu", "1", "", "90.0", "–", "0.0",
    ]  # fmt: skip
    csv = found.to_csv(index=False).splitlines()
    assert csv[2] == "b,bp,5,4,,,,1,3,relu,1,,200,0.9,,0.0"


def test_runs_without_such_models_have_none():
    run = SimpleNamespace(models=[{"model": "a"}, {"model": "b", "options": None}])
    assert configurations(run, headline(a={"0.1": 0.5})).empty
    alone = configurations(results(("b", BP, None)), headline(b={"0.1": 0.5}))
    assert alone["m"].isna().all()
