"""Whether certificates and attacks can both be right."""

from __future__ import annotations

import pandas as pd

from bench.measure.certified import certificates, certified_bounds
from bench.measure.outcomes import Outcomes
from bench.trust.checks.registry import Check, Finding
from bench.trust.tried import images

_BOUND = "no more than alpha explains"
_MORE_COPIES = "certify with more copies, such as `n = 10000`, and see that sigma is the one it was trained with"


def certificates_hold(outcomes: Outcomes) -> list[Finding]:
    """Find certificates within whose radius attacks changed more labels than their level explains."""
    if not outcomes.certified_radii:
        return [Finding(status="not applicable", sentence="no model has certificates")]
    table, bounds = certificates(outcomes), certified_bounds(outcomes)
    above = bounds[bounds["certified"] > bounds["attacked"]]
    findings = []
    for model, of_model in table.groupby("model", sort=False):
        flagged = of_model[of_model["flag"] != ""]
        crossed = above[above["model"] == model]
        if not flagged.empty:
            findings.append(_wrong(str(model), flagged.sort_values("inside").iloc[-1]))
        elif not crossed.empty:
            findings.append(_crossed(str(model), crossed.iloc[0]))
    inside = int(table["inside"].max())
    sentence = "no attack changes a label within its certified radius"
    if inside:
        sentence = f"attacks change the label of {images(inside)} within the certified radius, as alpha allows"
    return findings or [
        Finding(status="pass", value=float(inside), bound=_BOUND, sentence=sentence)
    ]


def _wrong(model: str, certified: pd.Series[float]) -> Finding:
    inside = int(certified["inside"])
    return Finding(
        status="fail", model=model, norm="l2", cell=str(certified["cell"]), value=float(inside),
        sentence=f"attacks change the label of {images(inside)} within the certified radius, more than "
        f"{certified['n']} certificates ({certified['parameters']}) allow, so these certificates are wrong",
        bound=_BOUND, remedy=_MORE_COPIES,
    )  # fmt: skip


def _crossed(model: str, row: pd.Series[float]) -> Finding:
    return Finding(
        status="warn", model=model, norm="l2", eps=float(row["eps"]),
        value=float(row["certified"] - row["attacked"]), bound="certified is at most attacked",
        sentence=f"{row['certified']:.1%} of images are certified within l2 {row['eps_text']}, but only "
        f"{row['attacked']:.1%} withstand the attacks: some certificates are wrong, no more than alpha allows",
        remedy=_MORE_COPIES,
    )  # fmt: skip


CERTIFICATES = Check(
    id="certificates", title="no attack breaks what is certified", needs="rows",
    run=certificates_hold, overstates=False,
)  # fmt: skip
