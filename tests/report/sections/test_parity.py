"""The agreement of toolkits, as a table and in words."""

from __future__ import annotations

import pandas as pd
import pytest

from bench.report.findings import Findings
from bench.report.measured import Measured
from bench.report.sections.parity import agreement, parity_table


@pytest.mark.parametrize(
    ("passed", "said"), [(True, "pass"), (False, "FAIL"), (pd.NA, "not judged")]
)
def test_parity_says_its_verdict_in_a_word(
    findings: Findings, measured: Measured, passed: object, said: str
) -> None:
    one = measured.parity.head(1).astype({"passed": object}).assign(passed=passed)
    assert parity_table(one, findings.attack_names).frame["result"].iloc[0] == said


def test_two_algorithms_of_one_name_are_not_counted_as_unjudged(
    findings: Findings, measured: Measured
) -> None:
    table = parity_table(measured.parity, findings.attack_names).frame
    unjudged = table["result"] == "not judged"
    assert unjudged.sum() == 2
    table.loc[unjudged.idxmax(), "expected"] = "differs"
    assert agreement(table).endswith(
        "1 could not be judged; 1 compared two algorithms of one name, which is not judged. In 24 of "
        "them all images had the same verdict."
    )
