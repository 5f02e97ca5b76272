"""Whether attacks that may change more break more, up to a radius within which nothing can be robust.

A larger ball holds the smaller one, and an attack without a bound must break everything (Carlini et al., On Evaluating
Adversarial Robustness, 2019, sections 4.7 and 5.2).
"""

from __future__ import annotations

from itertools import pairwise

import pandas as pd

from bench.measure.outcomes import Outcomes
from bench.spec import number
from bench.store.columns import by_image
from bench.trust.bounds import Bounds
from bench.trust.checks.registry import Check, Finding
from bench.trust.tried import (
    FEWEST,
    Cells,
    Tried,
    TriedCell,
    allowed,
    at_most,
    images,
    in_short,
    tried,
)

#: Within this distance in linf every image can be turned into the same grey one.
_GREY = 0.5

#: The distance of a clean image from the black one.
_FROM_BLACK = ("clean_l2", "clean_linf")


def larger_radii_break_more(outcomes: Outcomes) -> list[Finding]:
    """Find radii within which images withstand all attacks, though they break within a smaller one.

    Of the smaller radius those attacks of several steps count that were made within the larger one too; images
    that any other attack breaks within the larger one are not lost.
    """
    share = Bounds(outcomes.results.bounds)["larger-radius.lost"]
    compared, findings = 0, []
    for smaller, larger in pairwise(tried(outcomes)):
        if (smaller.model, smaller.norm) != (larger.model, larger.norm) or larger.random:
            continue
        in_both = _in_both(smaller, larger)
        counted = smaller.attacked_by(*in_both) & larger.attacked_by(*larger.gradient)
        n = int(counted.sum())
        if not in_both or n < FEWEST:
            continue
        compared += 1
        withstood = counted & ~larger.broken_by(*larger.cells)
        lost = int((withstood & smaller.broken_by(*in_both)).sum())
        if lost > allowed(share, n):
            worst = max(in_both, key=lambda cell: int((withstood & smaller.broken_by(cell)).sum()))
            findings.append(larger.found(
                "fail" if larger.exact else "warn",
                f"{lost} of {images(n)} withstand all attacks within {larger.threat}, though {worst.name} breaks them "
                f"within {smaller.eps_text}, so attacks within the larger radius miss what is there",
                value=lost / n, bound=at_most(share, n), remedy=_smaller_steps(larger),
            ))  # fmt: skip
    return in_short(
        findings, compared, "attacks break within a radius what they break within the next smaller one",
        "no attack of several steps was made within two radii",
    )  # fmt: skip


def _smaller_steps(at: Tried) -> str:
    return (
        f'give the attacks within {at.eps_text} `steps = 100` and `step_size = "{at.eps / 10:.3g}"`'
    )


def _in_both(smaller: Tried, larger: Tried) -> Cells:
    """Return the attacks of several steps within the smaller radius that were made within the larger one too."""
    there = {name for cell in _stepping(larger) for name in _alike(cell, larger.eps)}
    return [cell for cell in _stepping(smaller) if there & _alike(cell, smaller.eps)]


def _stepping(at: Tried) -> Cells:
    return [cell for cell in at.gradient if cell.kind == "fixed" and cell.by_steps]


def _alike(cell: TriedCell, eps: float) -> set[str]:
    """Return what a cell has in common with the same attack within another radius.

    Its steps may be as long there, or be the same share of the radius.
    """
    same, size = cell.alike(("step_size",)), cell.parameters.get("step_size")
    if size is None:
        return {same}
    return {f"{same} {size}", f"{same} {number(size, 'step_size') / eps:.6g} eps"}


def nothing_withstands_everything(outcomes: Outcomes) -> list[Finding]:
    """Find radii within which more images withstand all attacks than can be robust.

    Within 0.5 in linf every image can be turned into the same grey one, and within its own norm into the black
    one. A model has one answer to that image, so of all that can be turned into it no more are robust than the
    most frequent class has.
    """
    slack = Bounds(outcomes.results.bounds)["whole-box.random"]
    clean = _clean_images(outcomes)
    compared, findings = 0, []
    for at in tried(outcomes):
        labels = _turned_into_one(at, clean.get(at.model))
        if labels is None or not at.untargeted:
            continue
        compared += 1
        robust = at.group.within(at.eps, [cell.key for cell in at.untargeted]).robust
        withstood = float(robust[robust.index.isin(labels.index)].sum())
        most = int(labels.value_counts().max())
        if withstood > most + (allowed(slack, len(labels)) if at.random else 0):
            findings.append(at.found(
                "fail",
                f"{round(withstood)} images withstand all attacks, though within {at.threat} {images(len(labels))} can "
                f"be turned into one and the same, for which the model is right about {most} at most",
                value=withstood / len(labels), bound=f"at most {most} of {images(len(labels))}",
                remedy=_smaller_steps(at),
            ))  # fmt: skip
    return in_short(
        findings, compared, "no more images than can be robust withstand a radius that covers them all",
        "no radius is so large that images of several classes can be turned into the same one",
    )  # fmt: skip


def _clean_images(outcomes: Outcomes) -> dict[str, pd.DataFrame]:
    """Return the label of each clean image and its distance from black, by model; indexed by image."""
    rows = outcomes.results.rows
    rows = rows.loc[rows["kind"] == "attack", ["model", "index", "label", *_FROM_BLACK]]
    if rows["clean_l2"].notna().any():
        rows = rows[rows["clean_l2"].notna()]
    elif not any(at.norm == "linf" and at.eps >= _GREY for at in tried(outcomes)):
        return {}  # older versions did not record how far an image is from black
    return by_image(rows, ["label", *_FROM_BLACK])


def _turned_into_one(at: Tried, clean: pd.DataFrame | None) -> pd.Series[int] | None:
    """Return the labels of the images that can all be turned into one; None where they have one class."""
    if clean is None or at.norm not in ("linf", "l2"):
        return None
    if at.norm == "linf" and at.eps >= _GREY:
        labels = clean["label"]
    else:
        labels = clean.loc[clean[f"clean_{at.norm}"].astype(float) <= at.eps, "label"]
    return labels if len(set(labels)) > 1 else None


LARGER_RADIUS = Check(
    id="larger-radius", title="larger radii break no fewer images", needs="rows",
    run=larger_radii_break_more, masks=True,
)  # fmt: skip
WHOLE_BOX = Check(
    id="whole-box", title="nothing withstands a radius that covers all images", needs="rows",
    run=nothing_withstands_everything,
)  # fmt: skip
