"""The shipped suites on the real images: models, toolkits and parity in a small run."""

import os

import pytest

import bench
from bench.trust.checks.parity import parity

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif("BENCH_DATA" not in os.environ, reason="BENCH_DATA is not set"),
]


@pytest.mark.parametrize("suite", ["mnist", "fashion-mnist", "cifar10"])
def test_a_shipped_suite_runs_and_its_toolkits_agree(suite, tmp_path):
    run = bench.run(suite, images=20, attacks=("fgsm", "pgd", "noise"), results=tmp_path)
    cells, rows = run.cells(), run.samples()
    assert (cells.status == "done").all()
    assert rows.invalid.isna().all()
    assert rows.correct.mean() > 0.7
    compared = parity(run.results)
    assert compared.passed.all(), compared[~compared.passed.fillna(value=False)]
    exact = compared[(compared.norm == "linf") & compared.attack.isin(["fgsm", "pgd"])]
    assert set(exact.expected) == {"identical"}
    assert len(exact) == 3 * 3 * 3  # three radii; FGSM, PGD with and without random start; pairs
    hits = rows[rows.norm == "linf"].groupby(["eps", "attack", "toolkit"]).success.sum()
    for (eps, attack, toolkit), count in hits.items():
        if attack == "noise":
            assert count <= hits[eps, "fgsm", "foolbox"], f"noise ({toolkit}) beats FGSM at {eps}"
